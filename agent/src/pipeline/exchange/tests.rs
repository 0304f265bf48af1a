use super::samples::{answer, at, query, workload};
use super::*;
use crate::pipeline::packet::{Direction, Origin};
use crate::pipeline::parse::{Flag, Question};

fn raw(direction: Direction) -> RawMessage<'static> {
    RawMessage {
        time: at(5),
        transport: Transport::Udp,
        direction,
        source: "10.96.0.10:53".parse().unwrap(),
        destination: "10.1.0.7:40000".parse().unwrap(),
        origin: Origin { socket: 9, ..Origin::default() },
        frame: 0,
        bytes: &[],
    }
}

fn message() -> Message {
    Message {
        id: 1,
        response: true,
        opcode: "QUERY".into(),
        response_code: "NOERROR".into(),
        flags: vec![Flag::Rd, Flag::Do],
        question: vec![Question { name: "WwW.Example".into(), kind: "A".into(), class: "IN".into() }],
        ..Message::default()
    }
}

fn record(kind: &'static str, data: &str) -> Record {
    Record { name: "WWW.example".into(), kind: kind.into(), class: "IN".into(), ttl: 5, data: data.into() }
}

fn exchange(message: &Message) -> Exchange {
    Exchange::new(&raw(Direction::Ingress), message, samples::attributed(workload('a')))
}

#[test]
fn the_client_is_who_asked_whichever_way_the_packet_went() {
    let (answer, query) = (exchange(&message()), exchange(&Message { response: false, ..message() }));
    assert_eq!((answer.client.port(), answer.server.port()), (40000, 53));
    assert_eq!((query.client.port(), query.server.port()), (53, 40000));
}

#[test]
fn names_are_written_in_lower_case_and_text_as_it_is() {
    let answer = vec![record("CNAME", "EDGE.example"), record("TXT", "\"Token ABC\"")];
    let dns = exchange(&Message { answer, ..message() }).dns;
    assert_eq!(dns.question.unwrap().name, "www.example");
    let data: Vec<_> = dns.answers.iter().map(|record| (&*record.name, &*record.data.all()[0])).collect();
    assert_eq!(data, [("www.example", "edge.example"), ("www.example", "\"Token ABC\"")]);
}

#[test]
fn addresses_of_the_answer_are_listed() {
    let answer = vec![record("A", "192.0.2.1"), record("AAAA", "2001:db8::1"), record("A", "\\# 1 00")];
    let dns = exchange(&Message { answer, ..message() }).dns;
    let addresses: [std::net::IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    assert_eq!(dns.resolved_ip, addresses);
}

#[test]
fn the_opt_record_is_no_additional_record() {
    let additional = vec![record("OPT", ""), record("A", "192.0.2.1")];
    assert_eq!(exchange(&Message { additional, ..message() }).dns.additionals.len(), 1);
}

#[test]
fn whatever_a_server_answers_a_document_stays_small() {
    let answer = vec![record("TXT", &"é".repeat(60_000)); 5_000];
    let dns = exchange(&Message { answer, ..message() }).dns;
    assert_eq!(dns.answers.len(), RECORDS_MAX);
    assert!(dns.answers.iter().all(|record| record.data.all()[0].len() == DATA_MAX));
}

#[test]
fn a_query_has_no_response_code() {
    assert_eq!(exchange(&Message { response: false, ..message() }).dns.response_code, None);
    assert_eq!(exchange(&message()).dns.response_code.as_deref(), Some("NOERROR"));
}

#[test]
fn a_query_takes_in_its_answer() {
    let mut joined = query(workload('a'), at(0), 1, "www.example");
    joined.join(&answer(workload('a'), at(3), 1, "www.example"));
    assert_eq!((joined.time, joined.latency()), (at(0), Some(3_000_000)));
    assert_eq!(joined.dns.answers.len(), 2);
}

#[test]
fn an_answer_that_repeats_no_question_leaves_what_was_asked() {
    let mut joined = query(workload('a'), at(0), 1, "www.example");
    let mut refused = answer(workload('a'), at(3), 1, "www.example");
    refused.dns.question = None;
    joined.join(&refused);
    assert_eq!((joined.name(), joined.is_answered()), ("www.example", true));
}

#[test]
fn the_answers_process_counts_only_where_the_querys_is_unknown() {
    let mut answer = answer(workload('a'), at(3), 1, "www.example");
    answer.attributed.process.pid = 5;
    let pid = |pid| {
        let mut joined = query(workload('a'), at(0), 1, "www.example");
        joined.attributed.process.pid = pid;
        joined.join(&answer);
        joined.attributed.process.pid
    };
    assert_eq!((pid(0), pid(4711)), (5, 4711));
}

#[test]
fn an_answer_alone_has_no_latency() {
    assert_eq!(answer(workload('a'), at(3), 1, "www.example").latency(), None);
}
