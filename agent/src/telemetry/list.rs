//! Which counters there are: each integer of each stage with its name and its help, in the order of the journey.

use super::Metric;
use crate::{
    kernel::Reading,
    machine::MachineCounts,
    pipeline::{
        PipelineCounts,
        attribute::AttributeCounts,
        decode::DecodeCounts,
        dns_log::DnsLogCounts,
        matching::MatchingCounts,
        naming::NamingCounts,
        reassemble::ReassembleCounts,
        roll_up::RollUpCounts,
        screen::ScreenCounts,
        sink::{
            FileCounts, KindCounts, SinkCounts,
            search::{Contact as SearchContact, LaneView},
            spool::{Counts as SpoolCounts, Kind as SpoolKind},
        },
        withhold::WithheldCounts,
    },
    pods::PodCounts,
    threat_source::controller::Contact,
};

/// What the kernel half counted.
pub fn kernel(readings: &[Reading]) -> Vec<Metric> {
    readings
        .iter()
        .map(|reading| Metric {
            name: format!("kernel_{}", reading.info.name).into(),
            help: reading.info.help.trim_end_matches('.'),
            kind: super::Kind::Counter,
            labels: Vec::new(),
            value: reading.value,
        })
        .collect()
}

/// What the pipeline counted.
pub fn pipeline(counts: &PipelineCounts) -> Vec<Metric> {
    let mut list = decode(&counts.decode);
    list.extend(reassemble(&counts.reassemble));
    list.extend(screen(&counts.screen));
    list.extend(matching(&counts.matching));
    list.push(Metric::counter(
        "listed_messages",
        "Messages in which an entry was found",
        counts.listed_messages,
    ));
    list.extend(attribute(&counts.attribute));
    list.extend(withheld(&counts.withheld));
    list.extend(roll_up(&counts.roll_up));
    list.extend(naming(&counts.naming));
    list.extend(dns_log(&counts.dns_log));
    list
}

/// What became of the documents.
pub fn sink(counts: &SinkCounts) -> Vec<Metric> {
    let mut list = alerts(&counts.alerts);
    list.extend(logs(&counts.logs));
    list.extend(files(&counts.files));
    list
}

/// A stage's counters as metrics. The struct is taken apart whole: a counter that is not listed does not compile.
macro_rules! stage {
    ($(#[$attribute:meta])* $visibility:vis $stage:ident, $counts:ident, $prefix:literal, { $($field:ident: $kind:ident $help:literal,)* }) => {
        $(#[$attribute])* $visibility fn $stage(counts: &$counts) -> Vec<Metric> {
            let $counts { $($field),* } = *counts;
            vec![$(Metric::$kind(concat!($prefix, "_", stringify!($field)), $help, $field)),*]
        }
    };
}

stage!(decode, DecodeCounts, "decode", {
    records: counter "Records taken from the ring buffer",
    short: counter "Records refused because they end too early",
    foreign: counter "Records refused because their version, address family or lengths make no sense",
    chunks: counter "Records that hold only a part of a UDP packet",
    joined: counter "UDP packets put together from chunks",
    incomplete: counter "UDP packets of which a chunk never came, handed on as far as they go",
    orphans: counter "Chunks refused because the start of their packet is not there",
    truncated: counter "Packets that went on beyond what the kernel half copies",
    whole: counter "Records that hold a whole UDP packet",
    segments: counter "Records that hold a TCP segment, or a part of one",
    merged: counter "Chunks put behind an earlier one of their packet",
    waiting: gauge "UDP packets that wait for chunks now",
    coalesced: counter "Datagrams beyond the first of a coalesced packet",
    packets: counter "Packets handed on; each datagram of a coalesced packet counts",
    bytes: counter "Bytes of payload handed on",
});

stage!(reassemble, ReassembleCounts, "reassemble", {
    datagrams: counter "UDP datagrams handed on as they are",
    segments: counter "TCP segments handed in",
    bytes: counter "Their bytes of payload",
    messages: counter "Messages handed on from TCP",
    message_bytes: counter "Their bytes, length prefixes included",
    duplicate_bytes: counter "Bytes seen before: retransmissions, duplicates, overlaps",
    reordered: counter "Segments that came before their turn and waited",
    gaps: counter "Holes in streams that were given up",
    gap_bytes: counter "Bytes never seen because of them, where their number is known",
    resynchronised: counter "Times that the start of a message was found in a stream joined in its middle",
    skipped_bytes: counter "Bytes in which no message was found",
    lost_bytes: counter "Bytes dropped unfinished",
    short: counter "Length prefixes too small for a header",
    implausible: counter "Messages handed on although their header makes no sense",
    not_dns: counter "Connections shown not to be DNS",
    muted_bytes: counter "Bytes of such connections, from then on",
    evicted: counter "Connections dropped to make room",
    idle: counter "Connections forgotten because they were silent",
    connections: gauge "TCP connections known now",
    held_bytes: gauge "Bytes that wait now: for a hole to be filled, or for the rest of their message",
});

stage!(screen, ScreenCounts, "screen", {
    messages: counter "DNS messages screened",
    malformed: counter "Messages that could not be walked to their end",
    hits: counter "Messages with a candidate",
    names: counter "Names walked",
    labels: counter "Labels hashed, each followed by one probe of the threat set",
    candidates: counter "Candidates found",
    candidates_dropped: counter "Candidates left out because a message held too many",
});

stage!(matching, MatchingCounts, "matching", {
    candidates: counter "Names that may be listed and were looked up",
    unreadable: counter "Of them, those where no name can be read",
    unlisted: counter "Of them, those that no feed lists after all: out of the entry's scope, or excepted",
    repeated: counter "Of them, those listed by an entry that another name of the message had brought up",
    findings: counter "Findings: entry by message",
});

stage!(attribute, AttributeCounts, "attribute", {
    seen: counter "Messages attributed",
    process: counter "Found by the task that connected or sent",
    cgroup: counter "Found by the socket's cgroup",
    address: counter "Found by the client's address only",
    none: counter "Not found",
    named_processes: counter "Messages whose process has a name",
});

stage!(withheld, WithheldCounts, "withheld", {
    resolver_findings: counter "Findings of resolvers, which ask on behalf of others; query and answer each",
    resolver_alerts: counter "Alerts of resolvers, not told because their pods became known in time",
    resolver_messages: counter "Messages of resolvers that no DNS log is made of",
    excluded_findings: counter "Findings of pods that the operator left out; query and answer each",
    excluded_alerts: counter "Alerts of pods left out, not told because they became known in time",
    excluded_messages: counter "Messages of pods left out, which no DNS log is made of",
});

stage!(roll_up, RollUpCounts, "roll_up", {
    sightings: counter "Sightings of listed names",
    first: counter "Sightings that opened a group",
    answers: counter "Answers to queries that were already sighted",
    repeats: counter "Sightings counted in an open group",
    left_out: counter "Sightings beyond the limit of their workload",
    answered: counter "First alerts that carried their answer",
    repeats_written: counter "Repeats that a written document stands for",
    left_out_written: counter "Left-out sightings that a written document stands for",
    alerts: counter "Alerts handed out",
    evicted: counter "Groups closed early because the table was full",
    groups: gauge "Groups open now",
});

stage!(naming, NamingCounts, "naming", {
    waited: counter "Alerts that waited for the names of their pod",
    named: counter "Of these, those whose names came",
    unnamed: counter "Of these, those that went out by UID",
});

stage!(dns_log, DnsLogCounts, "dns_log", {
    left_to_another: counter "Messages left to the agent of this node that logs DNS until it ends",
    messages: counter "Messages that came to be logged",
    joined: counter "Answers joined with their query",
    queries: counter "Queries that waited for their answer",
    lone_answers: counter "Answers whose query was not seen",
    unanswered: counter "Queries logged without an answer",
    evicted: counter "Queries logged early to make room",
    parsed: counter "Exchanges that were parsed; their equals were counted without it",
    malformed: counter "Exchanges of which a message could not be read to its end",
    logged: counter "Exchanges that a document stands for",
    folded: counter "Of these, exchanges of search lists folded into the log of what was meant",
    unlogged: counter "Exchanges beyond their workload's share of the node's limit, counted only",
    excluded: counter "Exchanges left out because of their name",
    sampled_out: counter "Exchanges left out because only one in so many is logged",
    waiting: gauge "Exchanges that wait now: for their answer, or for the name that was meant",
    documents: counter "DNS logs handed out",
});

stage!(alerts, KindCounts, "alert_documents", {
    seen: counter "Alerts handed to the sink",
    written: counter "Alerts written and flushed, or handed to the spool",
    dropped: counter "Alerts dropped because the queue was full, or because nobody read until the end",
    failed: counter "Alerts that could not be written",
    queued: gauge "Alerts that wait now",
});

stage!(logs, KindCounts, "dns_log_documents", {
    seen: counter "DNS logs handed to the sink",
    written: counter "DNS logs written and flushed, or handed to the spool",
    dropped: counter "DNS logs dropped because the queue was full, or because nobody read until the end",
    failed: counter "DNS logs that could not be written",
    queued: gauge "DNS logs that wait now",
});

stage!(files, FileCounts, "document_files", {
    rotations: counter "Files of documents moved away because they were full",
    removed_documents: counter "Documents in the oldest of them, which were removed",
    failures: counter "Times that a full file could not be moved away and was written on to",
});

stage!(alert_spool, SpoolCounts, "alert_spool", {
    found: counter "Alerts that an earlier run left in the spool",
    appended: counter "Alerts handed to the spool",
    acknowledged: counter "Alerts that a search engine has",
    conflicts: counter "Of them, those that it had when they were sent (409)",
    recognised: counter "Of them, those that it was asked for and had",
    refused: counter "Alerts that a search engine refused for good, kept in refused.ndjson",
    dropped_size: counter "Alerts dropped because the spool was full",
    dropped_age: counter "Alerts dropped because they became too old",
    dropped_disk: counter "Alerts dropped because the disk took nothing and the memory for them was full",
    damaged: counter "Alerts that could not be read back from the spool",
    waiting: gauge "Alerts that wait for a search engine now",
    bytes: gauge "Bytes of the spool that hold alerts now",
    memory_bytes: gauge "Of them, bytes in memory because the disk takes nothing",
});

stage!(log_spool, SpoolCounts, "dns_log_spool", {
    found: counter "DNS logs that an earlier run left in the spool",
    appended: counter "DNS logs handed to the spool",
    acknowledged: counter "DNS logs that a search engine has",
    conflicts: counter "Of them, those that it had when they were sent (409)",
    recognised: counter "Of them, those that it was asked for and had",
    refused: counter "DNS logs that a search engine refused for good, kept in refused.ndjson",
    dropped_size: counter "DNS logs dropped because the spool was full",
    dropped_age: counter "DNS logs dropped because they became too old",
    dropped_disk: counter "DNS logs dropped because the disk took nothing and the memory for them was full",
    damaged: counter "DNS logs that could not be read back from the spool",
    waiting: gauge "DNS logs that wait for a search engine now",
    bytes: gauge "Bytes of the spool that hold DNS logs now",
    memory_bytes: gauge "Of them, bytes in memory because the disk takes nothing",
});

stage!(alert_requests, SearchCounts, "alert_search", {
    requests: counter "Bulk requests with alerts",
    request_bytes: counter "Bytes of their bodies, packed",
    failures: counter "Requests that led to nothing",
    repeated: counter "Alerts sent once more",
    split: counter "Requests split because they were too large",
    answer_age_seconds: gauge "Seconds since a search engine last took alerts, or since the start",
    in_trouble: gauge "Whether alerts wait because a search engine takes none",
});

stage!(log_requests, SearchCounts, "dns_log_search", {
    requests: counter "Bulk requests with DNS logs",
    request_bytes: counter "Bytes of their bodies, packed",
    failures: counter "Requests that led to nothing",
    repeated: counter "DNS logs sent once more",
    split: counter "Requests split because they were too large",
    answer_age_seconds: gauge "Seconds since a search engine last took DNS logs, or since the start",
    in_trouble: gauge "Whether DNS logs wait because a search engine takes none",
});

/// What is said of the requests of one lane.
#[derive(Clone, Copy, Debug, Default)]
struct SearchCounts {
    requests: u64,
    request_bytes: u64,
    failures: u64,
    repeated: u64,
    split: u64,
    answer_age_seconds: u64,
    in_trouble: u64,
}

impl SearchCounts {
    fn of(contact: &SearchContact, uptime_seconds: u64) -> Self {
        Self {
            requests: contact.requests,
            request_bytes: contact.bytes,
            failures: contact.failures,
            repeated: contact.repeated,
            split: contact.split,
            answer_age_seconds: contact.answered.map_or(uptime_seconds, |at| at.elapsed().as_secs()),
            in_trouble: contact.problem.is_some().into(),
        }
    }
}

/// What became of the documents of one lane in the spool and beyond; only where they go to a search engine.
pub fn search(lane: &LaneView, uptime_seconds: u64) -> Vec<Metric> {
    let requests = SearchCounts::of(&lane.contact, uptime_seconds);
    let (mut list, more) = match lane.kind {
        SpoolKind::Alerts => (alert_spool(&lane.counts), alert_requests(&requests)),
        SpoolKind::Logs => (log_spool(&lane.counts), log_requests(&requests)),
    };
    list.extend(more);
    list
}

stage!(
    /// What the machine's tables counted.
    pub machine, MachineCounts, "machine", {
    cgroups_known: gauge "cgroups known now, those that went lately included",
    workloads: gauge "Containers, services and scopes that are there now",
    learnt: counter "cgroups found",
    gone: counter "cgroups seen to go",
    expired: counter "cgroups forgotten some time after they went",
    evicted: counter "cgroups forgotten early, to make room or because their id was given out again",
    refused: counter "Times that a cgroup found no room",
    missed: counter "cgroups that went before they could be looked at",
    rescans: counter "Readings of the whole tree",
    overflows: counter "Times that the kernel dropped changes of the tree; each is followed by a reading",
    watches: gauge "Folders watched now",
    watch_failures: counter "Folders that could not be watched",
    unknown_cgroups: counter "Questions about a cgroup that was not known",
    processes_read: counter "Processes and threads read",
    processes_missing: counter "Processes and threads that were not there any more",
    pids_reused: counter "Ids that another process or thread had got since",
});

stage!(/// What is known of pods; only where the API server is asked.
pub pods, PodCounts, "pods", {
    known: gauge "Pods whose names are known, those that went lately included",
    changes: counter "Changes of pods that the API server told",
    broken: counter "Times that the watch of pods broke off",
    evicted: counter "Pods forgotten early, to make room: deleted ones first, then ended ones, then those that never ran",
    refused: counter "Times that a pod's object found no room among pods that run",
    contested: gauge "Static pods that more than one object says it mirrors",
});

/// What became of documents that other agents of this node left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftCounts {
    /// A server has them.
    pub sent: u64,
    /// Refused for good.
    pub refused: u64,
    /// Dropped by a limit, or not readable.
    pub lost: u64,
}

stage!(/// What became of documents that other agents of this node left; only where agents take turns.
pub left, LeftCounts, "left_documents", {
    sent: counter "Documents left by an earlier agent of this node that a search engine has",
    refused: counter "Documents left by an earlier agent that a search engine refused for good",
    lost: counter "Documents left by an earlier agent that a limit dropped, or that could not be read back",
});

/// What became of the controller; only where the agent has one.
pub fn controller(contact: &Contact, uptime_seconds: u64) -> Vec<Metric> {
    let age = contact.answered.map_or(uptime_seconds, |at| at.elapsed().as_secs());
    let answered = contact.answered.is_some().into();
    let set_age = contact.published.map_or(0, |(_, at)| at.elapsed().unwrap_or_default().as_secs());
    vec![
        Metric::gauge("controller_answered", "Whether the controller has answered since the start", answered),
        Metric::gauge(
            "controller_answer_age_seconds",
            "Seconds since the controller last answered; since the start where it never did",
            age,
        ),
        Metric::gauge(
            "controller_set_age_seconds",
            "Seconds since the controller made the set that it gave last; 0 where it gave none",
            set_age,
        ),
        Metric::counter("controller_sets_full", "Whole sets taken from the controller", contact.full),
        Metric::counter(
            "controller_sets_delta",
            "Changes of the set taken from the controller",
            contact.deltas,
        ),
        Metric::counter(
            "controller_failures",
            "Questions to the controller that led to nothing",
            contact.failures,
        ),
        Metric::counter("controller_reports", "Reports that the controller took", contact.reports),
    ]
}

/// What is said of the threat set and of the agent as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// Number of the set in use.
    pub set_number: u64,
    /// Its entries.
    pub set_entries: u64,
    /// Seconds since it was taken into use.
    pub set_age_seconds: u64,
    /// Sets taken into use.
    pub set_loads: u64,
    /// Loads that led to no new set.
    pub set_loads_failed: u64,
    /// Feeds and allow lists.
    pub feeds: u64,
    /// Of them, those whose last reading failed.
    pub feeds_failing: u64,
    /// Seconds since the feed that was read longest ago was read, or was known to be unchanged.
    pub oldest_feed_age_seconds: u64,
    /// Ports that are captured.
    pub dns_ports: u64,
    /// Seconds since the start.
    pub uptime_seconds: u64,
}

stage!(
    /// The threat set in use and the agent as a whole.
    pub standing, Standing, "agent", {
    set_number: gauge "Number of the threat set in use",
    set_entries: gauge "Entries of the threat set in use",
    set_age_seconds: gauge "Time since the set was taken into use",
    set_loads: counter "Sets taken into use",
    set_loads_failed: counter "Loads that led to no new set",
    feeds: gauge "Feeds and allow lists that make the set",
    feeds_failing: gauge "Feeds whose last reading was refused or failed",
    oldest_feed_age_seconds: gauge "Time since the feed that was read longest ago was read, or was known to be unchanged",
    dns_ports: gauge "Ports that are captured: the operator's, and those of the cluster's resolvers",
    uptime_seconds: gauge "Time since the start",
});
