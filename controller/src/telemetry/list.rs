//! Which metrics there are: each figure with its name, its help and its labels.

use std::collections::BTreeMap;

use super::{Kind, Metric, counts::Counted};
use crate::feed::FeedOverview;
use crate::publish::WireBytes;

/// The served set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetReading {
    /// Its epoch.
    pub epoch: u64,
    /// Its number.
    pub number: u64,
    /// Names listed.
    pub entries: u64,
    /// Feeds in it.
    pub feeds: u64,
    /// Bytes of its file; agents have the same.
    pub bytes: u64,
    /// Bytes on the wire.
    pub wire: WireBytes,
    /// Seconds since it was compiled.
    pub age_seconds: u64,
    /// Whether none can be made of the feeds as they are now.
    pub is_failing: bool,
}

/// Every figure at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// The served set.
    pub set: SetReading,
    /// Whether this controller pulls and compiles.
    pub is_leader: bool,
    /// Feeds by what became of them.
    pub feeds_by_state: BTreeMap<String, u64>,
    /// Entries and rejected lines of each feed.
    pub feeds: BTreeMap<String, (u64, u64)>,
    /// Lists that were read, by what came of it.
    pub lists: Vec<(&'static str, u64)>,
    /// Agents by the number of the set that they use.
    pub agents_by_set: BTreeMap<u64, u64>,
    /// Requests that wait for a new set.
    pub waiting: u64,
    /// Pushed documents.
    pub documents: u64,
    /// What the store holds.
    pub store: Vec<(&'static str, crate::store::Reading)>,
    /// What came of looking back.
    pub looked_back: crate::look_back::Looked,
    /// What the routes counted.
    pub counted: Counted,
    /// Seconds since the start.
    pub uptime_seconds: u64,
}

impl Readings {
    /// Adds what is said of the feeds.
    #[must_use]
    pub fn with_feeds(mut self, feeds: &[FeedOverview]) -> Self {
        for feed in feeds {
            let ready = feed.status.conditions.iter().find(|condition| condition.kind == "Ready");
            let state = ready.map_or("Unknown", |ready| ready.reason.as_str()).to_owned();
            *self.feeds_by_state.entry(state).or_default() += 1;
            let figure = |figure: Option<i64>| figure.and_then(|figure| figure.try_into().ok()).unwrap_or(0);
            let figures = (figure(feed.status.entries), figure(feed.status.rejected));
            self.feeds.insert(feed.name.clone(), figures);
        }
        self
    }
}

/// The list, in the order of the journey.
pub fn list(readings: &Readings) -> Vec<Metric> {
    let mut list = feeds(readings);
    list.extend(set(readings));
    list.extend(agents(readings));
    list.extend(store(readings));
    list.extend(look_back(readings));
    list.extend(requests(&readings.counted));
    list.push(plain(
        "leader",
        "Whether this controller pulls and compiles: 1, or 0",
        readings.is_leader.into(),
    ));
    list.push(plain("uptime_seconds", "Time since the start", readings.uptime_seconds));
    list
}

fn feeds(readings: &Readings) -> Vec<Metric> {
    let by_state = readings.feeds_by_state.iter().map(|(state, &count)| (vec![state.clone()], count));
    let each = |pick: fn(&(u64, u64)) -> u64| {
        readings.feeds.iter().map(|(name, figures)| (vec![name.clone()], pick(figures))).collect()
    };
    let pushes = readings.counted.pushes.iter().map(|(&result, &count)| (vec![result.to_owned()], count));
    let lists = readings.lists.iter().map(|&(result, count)| (vec![result.to_owned()], count)).collect();
    let lists_help = "Lists that were pulled, or taken from a pushed document, by what came of it";
    vec![
        family("feeds", "Feeds by what became of them", Kind::Gauge, &["state"], by_state.collect()),
        family(
            "feed_entries",
            "Entries that a feed contributes",
            Kind::Gauge,
            &["feed"],
            each(|figures| figures.0),
        ),
        family(
            "feed_rejected_lines",
            "Lines of a feed that were rejected",
            Kind::Gauge,
            &["feed"],
            each(|figures| figures.1),
        ),
        family("lists_read", lists_help, Kind::Counter, &["result"], lists),
        family(
            "pushes",
            "Pushed documents written, by what came of it",
            Kind::Counter,
            &["result"],
            pushes.collect(),
        ),
        plain("documents", "Pushed documents kept", readings.documents),
    ]
}

fn set(readings: &Readings) -> Vec<Metric> {
    let SetReading { epoch, number, entries, feeds, bytes, wire, age_seconds, is_failing } = readings.set;
    let sizes = [("file", Some(bytes)), ("full", wire.full), ("delta", wire.delta)];
    let sizes = sizes.into_iter().filter_map(|(form, bytes)| Some((vec![form.to_owned()], bytes?))).collect();
    vec![
        plain("set_epoch", "Epoch of the served set; 0 while there is none", epoch),
        plain("set_number", "Number of the served set", number),
        plain("set_entries", "Names in the served set", entries),
        plain("set_feeds", "Feeds in the served set", feeds),
        family(
            "set_bytes",
            "Size of the served set: its file, and on the wire whole and as the change from the one before, once asked for",
            Kind::Gauge,
            &["form"],
            sizes,
        ),
        plain(
            "set_age_seconds",
            "Time since the served set was compiled, here or by the leader; lists that stay as they are make no new set",
            age_seconds,
        ),
        plain(
            "set_failing",
            "Whether no set can be made of the feeds as they are now, and the one before is served: 1, or 0",
            is_failing.into(),
        ),
    ]
}

fn agents(readings: &Readings) -> Vec<Metric> {
    let by_set = readings.agents_by_set.iter().map(|(number, &count)| (vec![number.to_string()], count));
    let help = "Agents heard of in the last 15 minutes by the number of the set that they use";
    let kinds = |pick: fn(&(u64, u64)) -> u64| {
        let kinds = ["full", "delta"].iter().zip(&readings.counted.sets);
        kinds.map(|(&kind, figures)| (vec![kind.to_owned()], pick(figures))).collect()
    };
    vec![
        family("agents", help, Kind::Gauge, &["set"], by_set.collect()),
        plain("agents_waiting", "Requests that wait for a new set now", readings.waiting),
        family(
            "sets_served",
            "Sets served, whole or as a change",
            Kind::Counter,
            &["kind"],
            kinds(|set| set.0),
        ),
        family("sets_served_bytes", "Their bytes", Kind::Counter, &["kind"], kinds(|set| set.1)),
    ]
}

fn store(readings: &Readings) -> Vec<Metric> {
    let each = |pick: fn(&crate::store::Reading) -> u64| {
        readings.store.iter().map(|(stream, reading)| (vec![(*stream).to_owned()], pick(reading))).collect()
    };
    let appended = readings.counted.appended.iter();
    let appended = appended.map(|(&result, &count)| (vec![result.to_owned()], count)).collect();
    let labels = &["stream"];
    vec![
        family(
            "store_appended",
            "Alerts and DNS logs sent to be kept, by what came of it",
            Kind::Counter,
            &["result"],
            appended,
        ),
        family(
            "store_documents",
            "Alerts and DNS logs kept",
            Kind::Gauge,
            labels,
            each(|reading| reading.documents),
        ),
        family(
            "store_bytes",
            "Bytes that they use on disk",
            Kind::Gauge,
            labels,
            each(|reading| reading.bytes),
        ),
        family(
            "store_removed",
            "Of them, those taken out because they were too old, or to make room",
            Kind::Counter,
            labels,
            each(|reading| reading.removed),
        ),
    ]
}

fn look_back(readings: &Readings) -> Vec<Metric> {
    let crate::look_back::Looked { searches, failures, alerts, known, refused } = readings.looked_back;
    let by = |results: &[(&str, u64)]| {
        results.iter().map(|(result, count)| (vec![(*result).to_owned()], *count)).collect()
    };
    let labels = &["result"];
    vec![
        family(
            "look_backs",
            "Searches of stored DNS logs for names that were listed later, by what came of it",
            Kind::Counter,
            labels,
            by(&[("done", searches), ("failed", failures)]),
        ),
        family(
            "retroactive_alerts",
            "Alerts that they led to: written, there already, or refused by the store for good",
            Kind::Counter,
            labels,
            by(&[("created", alerts), ("exists", known), ("refused", refused)]),
        ),
    ]
}

fn requests(counted: &Counted) -> Vec<Metric> {
    let answers = counted
        .answers
        .iter()
        .map(|((route, status), &count)| (vec![(*route).to_owned(), status.to_string()], count));
    vec![
        family("requests", "Requests answered", Kind::Counter, &["route", "status"], answers.collect()),
        counter("response_bytes", "Bytes of the answers' bodies", counted.answer_bytes),
    ]
}

fn family(
    name: &'static str,
    help: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    samples: Vec<(Vec<String>, u64)>,
) -> Metric {
    Metric { name, help, kind, labels, samples }
}

fn plain(name: &'static str, help: &'static str, value: u64) -> Metric {
    family(name, help, Kind::Gauge, &[], vec![(Vec::new(), value)])
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Metric {
    family(name, help, Kind::Counter, &[], vec![(Vec::new(), value)])
}
