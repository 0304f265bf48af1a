//! The table of agents: bounded, and those that fell silent leave it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use namewarden_protocol::{
    endpoint::{
        Loss, ThreatSetStatus,
        controller::{AgentReport, digest_hex},
    },
    threat_set::SetId,
};
use serde::Serialize;

/// As many as the largest clusters have nodes, twice.
const AGENTS_MAX: usize = 10_000;
/// An agent that said nothing for so long is gone.
const SILENT: Duration = Duration::from_mins(15);
/// Counters of one agent, and names of counters over all.
const COUNTERS_MAX: usize = 512;
const NAMES_MAX: usize = 4096;
/// Bytes of a name: of a node, a cluster, a version, a counter.
const TEXT_MAX: usize = 253;

/// What is known of every agent.
#[derive(Debug, Default)]
pub struct Agents(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    rows: HashMap<String, Row>,
    /// Each counter's name once, not once for each agent.
    names: HashSet<Arc<str>>,
}

#[derive(Debug)]
struct Row {
    report: AgentReport,
    counters: Vec<(Arc<str>, u64)>,
    at: Instant,
}

/// An agent as it is listed.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// Node it runs on.
    pub node: String,
    /// Cluster it belongs to.
    pub cluster: String,
    /// Version of the agent.
    pub version: String,
    /// Seconds since its hooks were attached, at its last report.
    pub uptime_seconds: u64,
    /// Seconds since its last report.
    pub last_report_seconds: u64,
    /// Whether it uses the set that is current here.
    pub is_current: bool,
    /// The set it uses.
    pub threat_set: ThreatSetStatus,
    /// Where it lost something.
    pub loss: Loss,
    /// Its counters, where one agent was asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<Arc<str>, u64>,
}

impl Agents {
    /// Notes a report; one node has one agent.
    ///
    /// # Errors
    /// What is wrong with the report, or that there is no room.
    pub fn note(&self, mut report: AgentReport, now: Instant) -> Result<(), &'static str> {
        if report.node.is_empty() {
            return Err("a report names its node");
        }
        let texts = [&report.node, &report.cluster, &report.version, &report.threat_set.digest];
        let fits = |text: &str| text.len() <= TEXT_MAX && !text.chars().any(char::is_control);
        if !texts.into_iter().all(|text| fits(text)) || !report.counters.keys().all(|name| fits(name)) {
            return Err("a name in the report is too long or holds control characters");
        }
        if report.counters.len() > COUNTERS_MAX {
            return Err("the report has too many counters");
        }
        let mut table = self.table(now);
        if table.rows.len() >= AGENTS_MAX && !table.rows.contains_key(&report.node) {
            return Err("there is no room for more agents");
        }
        let counters = std::mem::take(&mut report.counters);
        let counters =
            counters.into_iter().filter_map(|(name, value)| Some((table.name(&name)?, value))).collect();
        table.rows.insert(report.node.clone(), Row { report, counters, at: now });
        Ok(())
    }

    /// The agents by node; with a node only that one, its counters too.
    pub fn list(&self, node: Option<&str>, current: Option<SetId>, now: Instant) -> Vec<Seen> {
        let table = self.table(now);
        let rows = table.rows.values().filter(|row| node.is_none_or(|node| node == row.report.node));
        let mut list: Vec<_> = rows.map(|row| row.seen(node.is_some(), current, now)).collect();
        list.sort_by(|one, other| one.node.cmp(&other.node));
        list
    }

    /// How many agents use which set, by its number.
    pub fn by_set_number(&self, now: Instant) -> BTreeMap<u64, u64> {
        let mut counts = BTreeMap::new();
        for row in self.table(now).rows.values() {
            *counts.entry(row.report.threat_set.number).or_default() += 1;
        }
        counts
    }

    /// The table without those that fell silent.
    fn table(&self, now: Instant) -> MutexGuard<'_, Table> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.rows.retain(|_, row| now.saturating_duration_since(row.at) < SILENT);
        table
    }
}

impl Table {
    fn name(&mut self, name: &str) -> Option<Arc<str>> {
        if let Some(known) = self.names.get(name) {
            return Some(known.clone());
        }
        let new: Arc<str> = name.into();
        (self.names.len() < NAMES_MAX && self.names.insert(new.clone())).then_some(new)
    }
}

impl Row {
    fn seen(&self, with_counters: bool, current: Option<SetId>, now: Instant) -> Seen {
        let AgentReport { node, cluster, version, uptime_seconds, threat_set, loss, .. } =
            self.report.clone();
        let counters = if with_counters { self.counters.iter().cloned().collect() } else { BTreeMap::new() };
        Seen {
            is_current: current.is_some_and(|id| is_same(id, &threat_set)),
            last_report_seconds: now.saturating_duration_since(self.at).as_secs(),
            node,
            cluster,
            version,
            uptime_seconds,
            threat_set,
            loss,
            counters,
        }
    }
}

fn is_same(id: SetId, status: &ThreatSetStatus) -> bool {
    (id.epoch, id.number) == (status.epoch, status.number) && digest_hex(id) == status.digest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(node: &str) -> AgentReport {
        AgentReport { node: node.to_owned(), ..AgentReport::default() }
    }

    #[test]
    fn an_agent_is_listed_until_it_falls_silent() {
        let (agents, now) = (Agents::default(), Instant::now());
        agents.note(report("b"), now).unwrap();
        agents.note(report("a"), now + SILENT / 2).unwrap();
        let nodes = |at| agents.list(None, None, at).into_iter().map(|seen| seen.node).collect::<Vec<_>>();
        assert_eq!(nodes(now + SILENT / 2), ["a", "b"]);
        assert_eq!(nodes(now + SILENT), ["a"]);
    }

    #[test]
    fn counters_are_shown_of_one_agent_only() {
        let (agents, now) = (Agents::default(), Instant::now());
        for node in ["a", "b"] {
            let mut report = report(node);
            report.counters.insert("seen".to_owned(), 7);
            agents.note(report, now).unwrap();
        }
        assert!(agents.list(None, None, now).iter().all(|seen| seen.counters.is_empty()));
        let one = agents.list(Some("b"), None, now);
        assert_eq!((one.len(), one[0].counters.get("seen")), (1, Some(&7)));
    }

    #[test]
    fn the_table_takes_bounded_memory() {
        let (agents, now) = (Agents::default(), Instant::now());
        for number in 0..AGENTS_MAX {
            agents.note(report(&number.to_string()), now).unwrap();
        }
        assert_eq!(agents.note(report("one more"), now), Err("there is no room for more agents"));
        assert_eq!(agents.note(report("7"), now), Ok(()));
        let mut report = report("7");
        report.counters = (0..=COUNTERS_MAX).map(|number| (number.to_string(), 0)).collect();
        assert!(agents.note(report, now).is_err());
    }

    #[test]
    fn a_name_that_would_spoil_a_page_is_refused() {
        let (agents, now) = (Agents::default(), Instant::now());
        assert!(agents.note(report("a\nb"), now).is_err());
        assert!(agents.note(report(&"x".repeat(254)), now).is_err());
        assert!(agents.note(report(""), now).is_err());
    }

    #[test]
    fn the_current_set_is_known_by_its_digest() {
        let (agents, now) = (Agents::default(), Instant::now());
        let id = SetId { epoch: 1, number: 2, digest: [0xab; 32] };
        let mut report = report("a");
        report.threat_set =
            ThreatSetStatus { epoch: 1, number: 2, digest: "ab".repeat(32), ..ThreatSetStatus::default() };
        agents.note(report, now).unwrap();
        assert!(agents.list(None, Some(id), now)[0].is_current);
        assert!(!agents.list(None, Some(SetId { digest: [0; 32], ..id }), now)[0].is_current);
    }
}
