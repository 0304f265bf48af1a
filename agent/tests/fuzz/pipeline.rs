//! Input: a byte of options, then records, each after its length in two bytes. The whole user half from `decode` on: what
//! comes in goes out, or is in exactly one count.

use std::sync::Arc;

use namewarden_agent::pipeline::attribute::NoMachine;
use namewarden_agent::pipeline::attribute::pod::NoPods;
use namewarden_agent::pipeline::compose::LogFields;
use namewarden_agent::pipeline::decode::WallOffset;
use namewarden_agent::pipeline::dns_log::{self, Aggregation};
use namewarden_agent::pipeline::packet::Timestamp;
use namewarden_agent::pipeline::reassemble::Limits;
use namewarden_agent::pipeline::{Pipeline, PipelineCounts, PipelineSettings, roll_up, withhold};
use namewarden_agent_common::record::{FLAG_EGRESS, RECORD_VERSION, RecordHeader};
use namewarden_protocol::document::{Action, Document, Identity};
use namewarden_protocol::entry::{Entry, Scope, Verdict};
use namewarden_protocol::threat_set::{Builder, Current, FeedInfo, SetKey};
use zerocopy::{FromZeros, IntoBytes};

use crate::harness::{corpus, fuzz};

/// The hour that the tests are in.
const BOOT: WallOffset = WallOffset(1_795_359_600_000_000_000);
const LIMITS: Limits = Limits { connections: 3, ahead_bytes: 600, total_bytes: 3000, ..Limits::LIVE };

fn current() -> Arc<Current> {
    let mut builder = Builder::new(SetKey([9; 16]), 1, 1);
    let feed = FeedInfo { name: "fuzz".into(), description: "".into(), severity: 75, techniques: [].into() };
    let feed = builder.feed(feed).unwrap();
    for (name, scope, verdict) in [
        ("evil.example", Scope::Both, Verdict::Listed),
        ("good.evil.example", Scope::Both, Verdict::Excepted),
        ("below.test", Scope::Subdomains, Verdict::Listed),
        ("net", Scope::Exact, Verdict::Listed),
    ] {
        builder.add(feed, &Entry { name, scope, verdict, line: 1 });
    }
    Arc::new(Current::new(Arc::new(builder.build().unwrap())))
}

fn settings(options: u8) -> PipelineSettings {
    let mut roll_up = roll_up::Settings::new("cluster", "node");
    (roll_up.groups_max, roll_up.workloads_max, roll_up.names_per_workload) = (3, 2, 2);
    let aggregation = if options & 1 == 0 { Aggregation::Every } else { Aggregation::Workload };
    let exclude = dns_log::Suffixes::new(&["test".to_owned()]).unwrap();
    let fold_search = dns_log::Suffixes::new(&["example".to_owned()]).unwrap();
    let dns_log = dns_log::Settings {
        aggregation,
        limit: 9,
        waiting_max: 4,
        sample: 2,
        exclude,
        fold_search,
        ..dns_log::Settings::default()
    };
    PipelineSettings {
        identity: Identity {
            cluster: "cluster".into(),
            node: "node".into(),
            namespace: "default".into(),
            instance: "5eed".into(),
            version: "0".into(),
        },
        limits: LIMITS,
        roll_up,
        dns_log: (options & 2 == 0).then_some(dns_log),
        log_fields: LogFields::default(),
        withhold: withhold::Settings::default(),
    }
}

/// Neither panics nor loses anything that it does not count. Says how many findings there were.
fn target(input: &[u8], current: &Arc<Current>) -> u64 {
    let Some((options, mut rest)) = input.split_first() else { return 0 };
    let mut pipeline = Pipeline::new(settings(*options), Arc::clone(current), NoMachine, Arc::new(NoPods));
    let (mut records, mut time, mut documents) = (0, 0, Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (record, after) = after.split_at(length);
        pipeline.record(record, BOOT);
        (records, time, rest) = (records + 1, time + 300_000_000, after);
        pipeline.poll(Timestamp(BOOT.0.unsigned_abs() + time), &mut |document| documents.push(document));
    }
    pipeline.finish(Timestamp(BOOT.0.unsigned_abs() + time), &mut |document| documents.push(document));
    let counts = pipeline.counts();
    assert_eq!(counts.decode.records, records);
    packets(&counts);
    messages(&counts);
    sightings(&counts);
    logs(&counts, options & 2 == 0);
    said(&counts, &documents);
    counts.matching.findings
}

/// Records = packets, and what was refused or never completed.
fn packets(counts: &PipelineCounts) {
    let decode = counts.decode;
    let kinds = decode.short + decode.foreign + decode.whole + decode.segments + decode.chunks;
    assert_eq!(decode.records, kinds, "{decode:?}");
    let begun = decode.joined + decode.incomplete + decode.waiting;
    assert_eq!(decode.chunks, begun + decode.merged + decode.orphans, "{decode:?}");
    assert_eq!(decode.waiting, 0);
    let packets = decode.whole + decode.segments + decode.joined + decode.incomplete + decode.coalesced;
    assert_eq!(decode.packets, packets, "{decode:?}");
}

/// Packets = messages, and the bytes of TCP in which there was none.
fn messages(counts: &PipelineCounts) {
    let tcp = counts.reassemble;
    assert_eq!(counts.decode.packets, tcp.datagrams + tcp.segments);
    let known =
        tcp.message_bytes + tcp.duplicate_bytes + tcp.skipped_bytes + tcp.lost_bytes + tcp.muted_bytes;
    assert_eq!(tcp.bytes, known + tcp.held_bytes, "{tcp:?}");
    assert_eq!(tcp.held_bytes, 0);
    assert_eq!(counts.screen.messages, tcp.datagrams + tcp.messages);
}

/// Candidates = findings = sightings, each in one count.
fn sightings(counts: &PipelineCounts) {
    let (screen, matching, roll_up) = (counts.screen, counts.matching, counts.roll_up);
    assert_eq!(screen.candidates, screen.candidates_dropped + matching.candidates);
    let known = matching.unreadable + matching.unlisted + matching.repeated + matching.findings;
    assert_eq!(matching.candidates, known, "{matching:?}");
    assert_eq!(matching.unreadable, 0, "what the screen reads, matching reads");
    assert_eq!(matching.findings, roll_up.sightings);
    let known = roll_up.first + roll_up.answers + roll_up.repeats + roll_up.left_out;
    assert_eq!(roll_up.sightings, known, "{roll_up:?}");
    assert_eq!(roll_up.repeats, roll_up.repeats_written);
    assert_eq!(roll_up.left_out, roll_up.left_out_written);
}

/// Messages = exchanges logged or not.
fn logs(counts: &PipelineCounts, wanted: bool) {
    let log = counts.dns_log;
    assert_eq!(log.messages, if wanted { counts.screen.messages } else { 0 });
    assert_eq!(log.messages, log.joined + log.queries + log.lone_answers);
    let known = log.logged + log.unlogged + log.excluded + log.sampled_out + log.waiting;
    assert_eq!(log.queries + log.lone_answers, known);
    assert_eq!(log.waiting, 0);
}

/// The documents stand for every sighting and every exchange, and no two have one name.
fn said(counts: &PipelineCounts, documents: &[Document]) {
    let sum = |actions: &[Action], count: fn(&Document) -> Option<u64>| -> u64 {
        documents.iter().filter(|document| actions.contains(&document.event.action)).filter_map(count).sum()
    };
    let alerts = [Action::ListedName, Action::LimitReached];
    let sighted = sum(&alerts, |document| document.namewarden.count)
        + sum(&alerts, |document| document.namewarden.suppressed);
    assert_eq!(sighted, counts.roll_up.sightings - counts.roll_up.answers);
    let logged = sum(&[Action::DnsLog], |document| document.namewarden.count)
        + sum(&[Action::DnsLog], |document| document.namewarden.folded);
    assert_eq!(logged, counts.dns_log.logged);
    assert_eq!(sum(&[Action::Unlogged], |document| document.namewarden.count), counts.dns_log.unlogged);
    assert_eq!(documents.len() as u64, counts.roll_up.alerts + counts.dns_log.documents);
    let mut ids: Vec<_> = documents.iter().map(|document| (document.stream(), document.id())).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), documents.len(), "no document has another's name");
}

fn record(change: impl FnOnce(&mut RecordHeader), chunk: &[u8]) -> Vec<u8> {
    let mut header = RecordHeader::new_zeroed();
    (header.version, header.ip_version, header.protocol) = (RECORD_VERSION, 4, 17);
    header.source_address[..4].copy_from_slice(&[10, 0, 0, 7]);
    header.destination_address[..4].copy_from_slice(&[10, 0, 0, 53]);
    header.destination_port = [0, 53];
    header.flags = FLAG_EGRESS;
    header.payload_length = u32::try_from(chunk.len()).unwrap();
    header.chunk_length = header.payload_length;
    change(&mut header);
    let length = u16::try_from(size_of::<RecordHeader>() + chunk.len()).unwrap();
    [&length.to_be_bytes(), header.as_bytes(), chunk].concat()
}

fn segment(sequence: u32, flags: u8, chunk: &[u8]) -> Vec<u8> {
    let change = |header: &mut RecordHeader| {
        (header.protocol, header.tcp_sequence, header.tcp_flags, header.socket_cookie) =
            (6, sequence, flags, 7);
    };
    record(change, chunk)
}

/// Each message of the corpus as a datagram, in chunks, coalesced, and on TCP.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, message) in corpus("message").into_iter().enumerate() {
        let options = u8::try_from(number % 4).unwrap();
        let (length, half) = (u32::try_from(message.len()).unwrap(), message.len() / 2);
        let offset = u32::try_from(half).unwrap();
        let framed = [&u16::try_from(message.len()).unwrap().to_be_bytes(), message.as_slice()].concat();
        let (first, second) = framed.split_at(framed.len() / 2);
        let datagrams = [
            record(|_| (), &message),
            record(|header| header.payload_length = length, &message[..half]),
            record(
                |header| (header.payload_length, header.chunk_offset) = (length, offset),
                &message[half..],
            ),
            record(|header| header.gso_size = u16::try_from(message.len()).unwrap(), &message.repeat(3)),
        ];
        let start = u32::try_from(first.len()).unwrap();
        let segments = [
            segment(999, 2, &[]),
            segment(1000, 16, first),
            segment(1000 + start, 16, second),
            segment(1000, 16, &framed),
            segment(9000, 17, &framed.repeat(2)),
        ];
        seeds.push([vec![options], datagrams.concat()].concat());
        seeds.push([vec![options], segments.concat()].concat());
    }
    // Longer ones would be cut to what the harness allows.
    seeds.retain(|seed| seed.len() < 8_000);
    seeds
}

#[test]
fn the_whole_pipeline_counts_whatever_it_does_not_hand_on() {
    let (current, mut inputs, mut findings) = (current(), 0, 0);
    fuzz(&seeds(), 10_000, |input| {
        findings += target(input, &current);
        inputs += 1;
    });
    assert!(findings > inputs / 10, "the property was seldom put to the test: {findings} in {inputs} inputs");
}
