//! Exchanges and findings for the tests of every stage that takes them.

use std::borrow::Cow;
use std::sync::Arc;

// Messages byte by byte.
pub(crate) mod wire;

use namewarden_protocol::document::{Dns, Question, ResourceRecord};
use namewarden_protocol::entry::Scope;
use namewarden_protocol::threat_set::SetId;

use super::{Exchange, UnreadExchange};
use crate::pipeline::attribute::{Attributed, Attribution, Hints, Process, Workload, cgroup_path};
use crate::pipeline::matching::{FeedListing, Finding};
use crate::pipeline::packet::{Timestamp, Transport};
use crate::pipeline::screen::{Part, Place, Section};

/// 2026-11-22T15:00:00Z.
pub(crate) const NOON: u64 = 1_795_359_600_000_000_000;

pub(crate) fn at(milliseconds: u64) -> Timestamp {
    Timestamp(NOON + milliseconds * 1_000_000)
}

/// The container whose id is this digit 64 times, in a pod.
pub(crate) fn workload(digit: char) -> Arc<Workload> {
    let id = digit.to_string().repeat(64);
    let slices = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1b2c3d4e_5f60_4718_8293_a4b5c6d7e8f9.slice";
    Arc::new(cgroup_path::workload(&format!("{slices}/cri-containerd-{id}.scope")))
}

pub(crate) fn attributed(workload: Arc<Workload>) -> Attributed {
    let (name, thread_name) = (Some(Arc::from("curl")), Some(Arc::from("curl")));
    let process = Process { pid: 4711, name, tid: 4711, thread_name };
    Attributed { workload, process, attribution: Attribution::Cgroup, is_watched: false }
}

pub(crate) fn query(workload: Arc<Workload>, time: Timestamp, id: u16, name: &str) -> Exchange {
    Exchange {
        time,
        answered: None,
        transport: Transport::Udp,
        client: "10.1.0.7:40000".parse().unwrap(),
        server: "10.96.0.10:53".parse().unwrap(),
        socket: 77,
        id,
        attributed: attributed(workload),
        server_side: false,
        dns: Dns {
            kind: Cow::Borrowed("query"),
            id: Some(id.to_string()),
            op_code: Cow::Borrowed("QUERY"),
            header_flags: vec![Cow::Borrowed("RD")],
            question: Some(Question::new(name.to_owned(), Cow::Borrowed("A"), Cow::Borrowed("IN"))),
            ..Dns::default()
        },
        malformed: None,
        unchecked_names: 0,
        hints: Hints::default(),
    }
}

/// The answer to `query` of the same workload, id and name.
pub(crate) fn answer(workload: Arc<Workload>, time: Timestamp, id: u16, name: &str) -> Exchange {
    let mut answer = query(workload, time, id, name);
    answer.answered = Some(time);
    answer.dns.kind = Cow::Borrowed("answer");
    answer.dns.header_flags.push(Cow::Borrowed("RA"));
    answer.dns.response_code = Some(Cow::Borrowed("NOERROR"));
    let record = |name: &str, kind: &'static str, data: &str| ResourceRecord {
        name: name.to_owned(),
        kind: Cow::Borrowed(kind),
        class: Cow::Borrowed("IN"),
        ttl: Some(300),
        data: data.to_owned().into(),
    };
    answer.dns.answers =
        vec![record(name, "CNAME", "edge.example.net"), record("edge.example.net", "A", "203.0.113.7")];
    answer.dns.resolved_ip = vec!["203.0.113.7".parse().unwrap()];
    answer
}

/// A `query`, unread.
pub(crate) fn unread_query(workload: Arc<Workload>, time: Timestamp, id: u16, name: &str) -> UnreadExchange {
    unread(query(workload, time, id, name), wire::query(id, name))
}

/// An `answer`, unread; `change` may give it other records.
pub(crate) fn unread_answer(
    workload: Arc<Workload>,
    time: Timestamp,
    id: u16,
    name: &str,
    change: impl FnOnce(&mut wire::Answer),
) -> UnreadExchange {
    let mut said = wire::Answer::of(name);
    change(&mut said);
    unread(answer(workload, time, id, name), said.bytes(id, name))
}

pub(crate) fn unread(of: Exchange, bytes: Vec<u8>) -> UnreadExchange {
    let Exchange { time, answered, transport, client, server, socket, id, attributed, server_side, .. } = of;
    let bytes = bytes.into_boxed_slice();
    let (query, answer) = if answered.is_some() { (Box::default(), bytes) } else { (bytes, Box::default()) };
    let unchecked_names = 0;
    UnreadExchange {
        time,
        answered,
        transport,
        client,
        server,
        socket,
        id,
        attributed,
        server_side,
        unchecked_names,
        query,
        answer,
    }
}

/// `entry` listed for `name` by the feed `urlhaus`, asked for.
pub(crate) fn finding(entry: &str, name: &str) -> Finding {
    Finding {
        entry: entry.to_owned(),
        name: name.to_owned(),
        place: Place { section: Section::Question, part: Part::Owner, rr_type: 1 },
        exact: entry == name,
        feeds: vec![feed("urlhaus", 75)],
        set: SetId { epoch: 1, number: 7, digest: [0xab; 32] },
    }
}

pub(crate) fn feed(name: &str, severity: u8) -> FeedListing {
    FeedListing {
        name: Arc::from(name),
        description: Arc::from(""),
        severity,
        techniques: Arc::from([]),
        scope: Scope::Both,
        line: 1,
    }
}
