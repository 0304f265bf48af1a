//! What the pages and `status` ask of a running agent, put together at the moment of asking.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use namewarden_protocol::{
    document::Identity,
    endpoint::{
        self, AgentStatus, ControllerStatus, FeedStatus, Flooding, Loss, SearchStatus, ThreatSetStatus,
        controller::AgentReport,
    },
    threat_set::{Current, ThreatSet},
};

use super::{
    rates::{RateWindow, Sample},
    turn::Shown,
    turns::Left,
};
use crate::{
    kernel::{Attached, Flood, Reading},
    machine::MachineHandle,
    pipeline::{
        PipelineCounts,
        attribute::pod::Pods as _,
        sink::{Sink, search::LaneView},
        withhold::{Account, Accounts, Withheld},
    },
    pods::Directory,
    telemetry::{Metric, Observed, list, withheld},
    threat_source::{self, controller::Following},
};

/// A pipeline that has not turned for so long is dead.
const SILENCE: Duration = Duration::from_secs(10);
/// Floods named in `status`, the worst first.
const FLOODS_SHOWN: usize = 20;

/// A running agent, as seen by its pages.
pub struct Observatory {
    identity: Identity,
    shown: Arc<Shown>,
    attached: Arc<Attached>,
    machine: MachineHandle,
    sink: Arc<Sink>,
    set: Arc<Current>,
    source: Mutex<SourceView>,
    following: Option<Arc<Following>>,
    pods: Option<Arc<Directory>>,
    withheld: Arc<Accounts>,
    left: Option<Arc<Left>>,
    rates: Mutex<RateWindow>,
    ready: AtomicBool,
}

struct SourceView {
    feeds: Vec<threat_source::FeedStatus>,
    joined: Option<Arc<ThreatSet>>,
    set_since: Instant,
    loads: u64,
    failed_loads: u64,
}

/// The parts of a running agent.
pub struct Parts {
    /// Who it is.
    pub identity: Identity,
    /// The pipeline thread.
    pub shown: Arc<Shown>,
    /// The kernel half.
    pub attached: Arc<Attached>,
    /// cgroups and processes.
    pub machine: MachineHandle,
    /// The writer.
    pub sink: Arc<Sink>,
    /// The set in use.
    pub set: Arc<Current>,
    /// Its feeds.
    pub feeds: Vec<threat_source::FeedStatus>,
    /// The controller's set in it.
    pub joined: Option<Arc<ThreatSet>>,
    /// What is known of the controller.
    pub following: Option<Arc<Following>>,
    /// What is known of pods.
    pub pods: Option<Arc<Directory>>,
    /// What is counted and not told.
    pub withheld: Arc<Accounts>,
    /// What became of what other agents left.
    pub left: Option<Arc<Left>>,
}

impl Observatory {
    /// An agent that is not ready yet.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            identity,
            shown,
            attached,
            machine,
            sink,
            set,
            feeds,
            joined,
            following,
            pods,
            withheld,
            left,
        } = parts;
        let source = SourceView { feeds, joined, set_since: Instant::now(), loads: 1, failed_loads: 0 };
        Self {
            identity,
            shown,
            attached,
            machine,
            sink,
            set,
            source: Mutex::new(source),
            following,
            pods,
            withheld,
            left,
            rates: Mutex::new(RateWindow::default()),
            ready: AtomicBool::new(false),
        }
    }

    /// From now on the agent captures.
    pub fn is_capturing(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// A new set is in use.
    pub fn set_changed(&self, feeds: Vec<threat_source::FeedStatus>, joined: Option<Arc<ThreatSet>>) {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        source.feeds = feeds;
        source.joined = joined;
        source.set_since = Instant::now();
        source.loads += 1;
    }

    /// Feeds could not be loaded; the set stays.
    pub fn load_failed(&self) {
        self.source.lock().unwrap_or_else(PoisonError::into_inner).failed_loads += 1;
    }

    /// Takes a sample for the rates; called every few seconds.
    pub fn sample(&self) {
        let sample = self.moment(&self.shown.counts());
        self.rates.lock().unwrap_or_else(PoisonError::into_inner).sample(sample);
    }

    fn moment(&self, counts: &PipelineCounts) -> Sample {
        Sample {
            at: self.shown.uptime(),
            packets: counts.decode.packets,
            messages: counts.screen.messages,
            findings: counts.matching.findings,
        }
    }

    fn readings(&self) -> Vec<Reading> {
        self.attached.counters().unwrap_or_default()
    }

    fn loss(&self, readings: &[Reading], counts: &PipelineCounts) -> Loss {
        let exit = |names: &[&str]| {
            readings
                .iter()
                .filter(|reading| names.contains(&reading.info.name))
                .map(|reading| reading.value)
                .sum()
        };
        let sink = self.sink.counts();
        Loss {
            ring_full: exit(&["lost", "partly_lost"]),
            over_budget: exit(&["flood_socket", "flood_cgroup"]),
            unreadable: exit(&["copy_failed"]) + counts.decode.short + counts.decode.foreign,
            gaps: counts.reassemble.gaps + counts.decode.incomplete + counts.decode.orphans,
            documents: [sink.alerts, sink.logs].iter().map(|kind| kind.dropped + kind.failed).sum::<u64>()
                + self.sink.lanes().iter().map(lost).sum::<u64>()
                + self.left.as_ref().map_or(0, |left| left.counts().lost),
        }
    }

    fn flooding(&self) -> Vec<Flooding> {
        let mut floods = self.attached.floods().unwrap_or_default();
        floods.sort_by_key(|flood| std::cmp::Reverse(flood.packets));
        floods.truncate(FLOODS_SHOWN);
        floods.iter().map(|flood| self.named(flood)).collect()
    }

    fn named(&self, flood: &Flood) -> Flooding {
        let workload = self.machine.workload_of(flood.cgroup_id);
        let pod = || self.pods.as_ref()?.pod(workload.as_ref()?.pod_uid.as_deref()?);
        let label = match (pod(), &workload) {
            (Some(pod), _) => pod.label(),
            (None, Some(workload)) => workload.label(),
            (None, None) => format!("cgroup {}", flood.cgroup_id),
        };
        Flooding { workload: label, packets: flood.packets }
    }

    /// What the controller is told.
    pub fn report(&self) -> AgentReport {
        let AgentStatus { node, cluster, version, uptime_seconds, loss, counters, .. } = self.status();
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let threat_set = self.controller_set(&source).unwrap_or_default();
        AgentReport { node, cluster, version, uptime_seconds, threat_set, loss, counters }
    }

    fn controller(&self, source: &SourceView) -> Option<ControllerStatus> {
        let following = self.following.as_ref()?;
        let contact = following.contact();
        Some(ControllerStatus {
            location: following.place().to_owned(),
            answered_seconds: contact.answered.map(|at| at.elapsed().as_secs()),
            problem: contact.problem,
            threat_set: self.controller_set(source),
        })
    }

    /// The controller's set, as far as it is in use.
    fn controller_set(&self, source: &SourceView) -> Option<ThreatSetStatus> {
        let set = source.joined.as_deref()?;
        let contact = self.following.as_ref().map(|following| following.contact());
        let published_seconds = contact.and_then(|contact| contact.published_seconds(set.id()));
        Some(ThreatSetStatus { published_seconds, ..threat_set(set, source) })
    }

    /// Whether the controller's set is in use, or feeds of the agent's own are and the controller is known to say nothing.
    fn has_heard(&self, source: &SourceView) -> bool {
        let made = |following: &Arc<Following>| !source.feeds.is_empty() && following.contact().is_silent();
        source.joined.is_some() || self.following.as_ref().is_none_or(made)
    }

    fn standing(&self, source: &SourceView) -> list::Standing {
        let set = self.set.load();
        let now = SystemTime::now();
        let oldest = source.feeds.iter().filter_map(|feed| feed.age(now)).max().unwrap_or_default();
        list::Standing {
            set_number: set.id().number,
            set_entries: set.len() as u64,
            set_age_seconds: source.set_since.elapsed().as_secs(),
            set_loads: source.loads,
            set_loads_failed: source.failed_loads,
            feeds: source.feeds.len() as u64,
            feeds_failing: source.feeds.iter().filter(|feed| feed.problem.is_some()).count() as u64,
            oldest_feed_age_seconds: oldest.as_secs(),
            dns_ports: self.attached.ports().len() as u64,
            uptime_seconds: self.shown.uptime().as_secs(),
        }
    }
}

impl Observed for Observatory {
    fn metrics(&self) -> Vec<Metric> {
        let mut metrics = list::kernel(&self.readings());
        metrics.extend(list::pipeline(&self.shown.counts()));
        metrics.extend(list::sink(&self.sink.counts()));
        let uptime = self.shown.uptime().as_secs();
        metrics.extend(self.sink.lanes().iter().flat_map(|lane| list::search(lane, uptime)));
        metrics.extend(self.left.iter().flat_map(|left| list::left(&left.counts())));
        metrics.extend(list::machine(&self.machine.counts()));
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        metrics.extend(list::standing(&self.standing(&source)));
        if let Some(pods) = &self.pods {
            metrics.extend(list::pods(&pods.counts()));
            metrics.extend(withheld::of_workloads(&self.withheld.read()));
        }
        if let Some(following) = &self.following {
            metrics.extend(list::controller(&following.contact(), uptime));
        }
        metrics
    }

    fn status(&self) -> AgentStatus {
        let counts = self.shown.counts();
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner).rates(self.moment(&counts));
        let metrics = self.metrics();
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        AgentStatus {
            version: self.identity.version.clone(),
            node: self.identity.node.clone(),
            cluster: self.identity.cluster.clone(),
            pid: std::process::id(),
            uptime_seconds: self.shown.uptime().as_secs(),
            rates,
            loss: self.loss(&self.readings(), &counts),
            threat_set: threat_set(&self.set.load(), &source),
            controller: self.controller(&source),
            search: self.sink.lanes().iter().map(search_status).collect(),
            feeds: source.feeds.iter().map(feed_status).collect(),
            workloads: self.machine.workloads(),
            flooding: self.flooding(),
            withheld: self.withheld.read().into_iter().map(withheld_status).collect(),
            counters: counters(&metrics),
        }
    }

    fn is_ready(&self) -> bool {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let is_complete = !source.feeds.iter().any(|feed| feed.pending) && self.has_heard(&source);
        is_complete && self.ready.load(Ordering::Acquire) && self.is_alive()
    }

    fn missing(&self) -> Vec<String> {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = |feed: &&threat_source::FeedStatus| {
            feed.pending || (feed.problem.is_some() && !feed.last_good && feed.entries == 0)
        };
        let mut missing: Vec<_> =
            source.feeds.iter().filter(nothing).map(|feed| format!("missing: {feed}")).collect();
        if let Some(controller) = self.controller(&source).filter(|known| known.threat_set.is_none()) {
            let why = controller.problem.unwrap_or_else(|| "it has not answered yet".to_owned());
            missing.push(format!("missing: the set of {}: {why}", controller.location));
        }
        missing
    }

    fn is_alive(&self) -> bool {
        !self.shown.has_failed() && self.shown.silence() < SILENCE
    }
}

/// Figures without labels by their names.
fn counters(metrics: &[Metric]) -> BTreeMap<String, u64> {
    let plain = metrics.iter().filter(|metric| metric.labels.is_empty());
    plain.map(|metric| (metric.full_name(), metric.value)).collect()
}

fn withheld_status(withheld: Withheld) -> endpoint::Withheld {
    let Withheld { reason, namespace, workload, account } = withheld;
    let Account { findings, alerts, messages } = account;
    endpoint::Withheld { reason: reason.to_owned(), namespace, workload, findings, alerts, messages }
}

fn threat_set(set: &ThreatSet, source: &SourceView) -> ThreatSetStatus {
    let id = set.id();
    ThreatSetStatus {
        epoch: id.epoch,
        number: id.number,
        digest: hexadecimal(&id.digest),
        entries: set.len() as u64,
        age_seconds: source.set_since.elapsed().as_secs(),
        published_seconds: None,
    }
}

/// Documents of a lane that no search engine will ever have, those refused for good aside: they are kept.
fn lost(lane: &LaneView) -> u64 {
    let counts = &lane.counts;
    counts.dropped_size + counts.dropped_age + counts.dropped_disk + counts.damaged
}

fn search_status(lane: &LaneView) -> SearchStatus {
    let contact = &lane.contact;
    SearchStatus {
        documents: lane.kind.name().to_owned(),
        locations: contact.locations.clone(),
        acknowledged: lane.counts.acknowledged,
        waiting: lane.counts.waiting,
        spool_bytes: lane.counts.bytes,
        refused: lane.counts.refused,
        lost: lost(lane),
        answered_seconds: contact.answered.map(|at| at.elapsed().as_secs()),
        problem: contact.problem.clone(),
    }
}

fn feed_status(feed: &threat_source::FeedStatus) -> FeedStatus {
    FeedStatus {
        name: feed.name.clone(),
        location: feed.location.clone(),
        format: feed.format.to_string(),
        entries: feed.entries,
        rejected: feed.rejected(),
        guarded: feed.guarded(),
        pending: feed.pending,
        age_seconds: feed.age(SystemTime::now()).map(|age| age.as_secs()),
        problem: feed.problem.clone(),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
