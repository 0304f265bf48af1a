use super::*;
use crate::pipeline::exchange::samples::{answer, at, query, workload};

fn logger(settings: impl FnOnce(&mut Settings)) -> DnsLogger {
    let mut all = Settings::default();
    settings(&mut all);
    DnsLogger::new(all)
}

fn every() -> DnsLogger {
    logger(|_| ())
}

fn counting() -> DnsLogger {
    logger(|settings| settings.detail = Detail::Counted)
}

fn ask(logger: &mut DnsLogger, time: u64, id: u16, name: &str) {
    logger.message(query(workload('a'), at(time), id, name));
}

fn reply(logger: &mut DnsLogger, time: u64, id: u16, name: &str) {
    logger.message(answer(workload('a'), at(time), id, name));
}

fn poll(logger: &mut DnsLogger, time: u64) -> Vec<DnsLog> {
    let mut logs = Vec::new();
    logger.poll(at(time), &mut |log| logs.push(log));
    logs
}

fn flush(logger: &mut DnsLogger, time: u64) -> Vec<DnsLog> {
    let mut logs = Vec::new();
    logger.flush(at(time), &mut |log| logs.push(log));
    logs
}

/// Name, latency in milliseconds and answers of each exchange.
fn said(logs: &[DnsLog]) -> Vec<(&str, Option<u64>, usize)> {
    let mut said = Vec::new();
    for log in logs {
        let DnsLog::One(one) = log else { panic!("{log:?}") };
        said.push((one.name(), one.latency().map(|latency| latency / 1_000_000), one.dns.answers.len()));
    }
    said
}

fn counted(logs: &[DnsLog]) -> Vec<&Counted> {
    logs.iter()
        .filter_map(|log| if let DnsLog::Counted(counted) = log { Some(&**counted) } else { None })
        .collect()
}

const MINUTE: u64 = 60_000;

#[test]
fn a_query_is_joined_with_its_answer() {
    let mut logger = every();
    ask(&mut logger, 0, 1, "www.example");
    assert_eq!(poll(&mut logger, 1), []);
    reply(&mut logger, 3, 1, "www.example");
    assert_eq!(said(&poll(&mut logger, 3)), [("www.example", Some(3), 2)]);
}

#[test]
fn answers_find_their_queries_whatever_order_they_come_in() {
    let mut logger = every();
    ask(&mut logger, 0, 1, "one.example");
    ask(&mut logger, 1, 2, "two.example");
    reply(&mut logger, 5, 2, "two.example");
    reply(&mut logger, 7, 1, "one.example");
    assert_eq!(said(&poll(&mut logger, 7)), [("two.example", Some(4), 2), ("one.example", Some(7), 2)]);
}

#[test]
fn addresses_do_not_matter_but_socket_id_and_name_do() {
    let mut logger = every();
    ask(&mut logger, 0, 1, "www.example");
    let mut translated = answer(workload('a'), at(1), 1, "www.example");
    translated.server = "10.0.0.99:5353".parse().unwrap();
    let mut other_socket = answer(workload('a'), at(1), 1, "www.example");
    other_socket.socket += 1;
    logger.message(other_socket);
    reply(&mut logger, 1, 2, "www.example");
    reply(&mut logger, 1, 1, "other.example");
    assert_eq!(logger.counts().lone_answers, 3);
    logger.message(translated);
    assert_eq!(logger.counts().joined, 1);
}

#[test]
fn an_answer_that_repeats_no_question_is_joined_by_socket_and_id() {
    let mut logger = every();
    ask(&mut logger, 0, 1, "www.example");
    let mut refused = answer(workload('a'), at(1), 1, "www.example");
    refused.dns.question = None;
    logger.message(refused);
    assert_eq!(logger.counts().joined, 1);
}

#[test]
fn a_query_that_was_sent_twice_takes_two_answers() {
    let mut logger = every();
    ask(&mut logger, 0, 1, "www.example");
    ask(&mut logger, 2, 1, "www.example");
    reply(&mut logger, 3, 1, "www.example");
    reply(&mut logger, 4, 1, "www.example");
    assert_eq!(said(&poll(&mut logger, 4)), [("www.example", Some(3), 2), ("www.example", Some(2), 2)]);
}

#[test]
fn a_query_without_an_answer_is_logged_when_its_time_is_up() {
    let mut logger = every();
    ask(&mut logger, 0, 1, "www.example");
    assert_eq!(poll(&mut logger, 4_999), []);
    assert_eq!(said(&poll(&mut logger, 5_000)), [("www.example", None, 0)]);
    assert_eq!((logger.counts().unanswered, logger.counts().waiting), (1, 0));
}

#[test]
fn an_answer_alone_is_logged_without_latency() {
    let mut logger = every();
    reply(&mut logger, 3, 1, "www.example");
    assert_eq!(said(&poll(&mut logger, 3)), [("www.example", None, 2)]);
}

#[test]
fn queries_that_wait_are_bounded_and_none_is_lost() {
    let mut logger = logger(|settings| settings.waiting_max = 10);
    for id in 0..100 {
        ask(&mut logger, u64::from(id), id, "www.example");
    }
    assert_eq!(logger.counts().waiting, 10);
    assert_eq!(poll(&mut logger, 100).len(), 90);
    assert_eq!(flush(&mut logger, 100).len(), 10);
    assert_eq!((logger.counts().evicted, logger.counts().unanswered), (90, 100));
}

#[test]
fn one_socket_that_repeats_an_id_does_not_slow_the_others_down() {
    let mut logger = every();
    for time in 0..1_000 {
        ask(&mut logger, time, 1, "www.example");
    }
    assert_eq!(logger.counts().waiting, 16);
    assert_eq!(flush(&mut logger, 1_000).len(), 1_000);
}

#[test]
fn queries_that_were_answered_leave_nothing_behind() {
    let mut logger = every();
    for id in 0..5_000 {
        ask(&mut logger, 0, id, "www.example");
        reply(&mut logger, 1, id, "www.example");
    }
    assert_eq!(format!("{:?}", logger.waiting), format!("{:?}", Waiting::default()));
}

#[test]
fn equal_exchanges_of_an_interval_are_counted_together() {
    let mut logger = counting();
    for (id, latency) in [(1, 2), (2, 4), (3, 9)] {
        ask(&mut logger, u64::from(id) * 100, id, "www.example");
        reply(&mut logger, u64::from(id) * 100 + latency, id, "www.example");
    }
    assert_eq!(poll(&mut logger, MINUTE), []);
    let logs = poll(&mut logger, MINUTE + 100);
    let [one] = counted(&logs)[..] else { panic!("{logs:?}") };
    assert_eq!((one.count, one.first_seen, one.last_seen), (3, at(100), at(300)));
    let latency = namewarden_protocol::document::Latency { count: 3, mean: 5_000_000, max: 9_000_000 };
    assert_eq!(one.latency, Some(latency));
    assert_eq!((&one.dns.id, one.dns.answers[0].ttl), (&None, None));
}

#[test]
fn what_a_server_turns_is_equal_and_what_it_answers_is_not() {
    let mut logger = counting();
    let mut turned = answer(workload('a'), at(1), 1, "www.example");
    turned.dns.answers.reverse();
    turned.dns.answers[0].ttl = Some(7);
    logger.message(turned);
    reply(&mut logger, 2, 2, "www.example");
    let mut other = answer(workload('a'), at(3), 3, "www.example");
    other.dns.answers[1].data = "203.0.113.8".into();
    logger.message(other);
    let mut refused = answer(workload('a'), at(4), 4, "www.example");
    refused.dns.response_code = Some("REFUSED".into());
    logger.message(refused);
    logger.message(answer(workload('b'), at(5), 5, "www.example"));
    let logs = flush(&mut logger, 6);
    assert_eq!(counted(&logs).iter().map(|one| one.count).collect::<Vec<_>>(), [2, 1, 1, 1]);
}

fn unlogged(logs: &[DnsLog]) -> Vec<(Option<String>, u64)> {
    logs.iter()
        .filter_map(|log| match log {
            DnsLog::Unlogged { whose, count, .. } => {
                Some((whose.as_ref().map(|(workload, _)| workload.label()), *count))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn what_is_beyond_the_limit_is_counted_and_said() {
    for detail in [Detail::Every, Detail::Counted] {
        let mut logger = logger(|settings| (settings.detail, settings.limit) = (detail, 6));
        for id in 0..10 {
            reply(&mut logger, u64::from(id), id, &format!("n{id}.example"));
        }
        let logs = poll(&mut logger, MINUTE);
        assert_eq!(logs.len(), 4, "{detail:?}");
        let whose = Some((workload('a'), Attribution::Cgroup));
        assert_eq!(logs[3], DnsLog::Unlogged { whose, count: 7, limit: 6, start: at(0), end: at(MINUTE) });
        reply(&mut logger, MINUTE + 1, 1, "again.example");
        assert_eq!((logger.counts().logged, logger.counts().unlogged), (4, 7));
    }
}

#[test]
fn one_noisy_workload_leaves_room_for_the_others() {
    for detail in [Detail::Every, Detail::Counted] {
        let mut logger = logger(|settings| (settings.detail, settings.limit) = (detail, 100));
        for id in 0..1_000 {
            reply(&mut logger, 0, id, &format!("n{id}.example"));
        }
        for pod in ['b', 'c'] {
            for id in 0..5 {
                logger.message(answer(workload(pod), at(1), id, &format!("n{id}.example")));
            }
        }
        let logs = poll(&mut logger, MINUTE);
        assert_eq!(unlogged(&logs), [(Some("a".repeat(12)), 950)], "{detail:?}");
        assert_eq!(logger.counts().logged, 60);
    }
}

#[test]
fn one_query_without_an_answer_does_not_hold_up_what_is_remembered_of_others() {
    let mut logger = every();
    ask(&mut logger, 0, 1, "silent.example");
    for round in 0..200 {
        for id in 2..100 {
            ask(&mut logger, round, id, "www.example");
            reply(&mut logger, round, id, "www.example");
        }
    }
    assert!(logger.waiting.turns() < 2_000, "{}", logger.waiting.turns());
    assert_eq!(logger.counts().joined, 200 * 98);
}

#[test]
fn a_malformed_message_is_logged_with_what_was_read() {
    let mut logger = every();
    let mut broken = query(workload('a'), at(0), 1, "www.example");
    broken.malformed = Some("additional at byte 40: ends".into());
    logger.message(broken);
    let logs = flush(&mut logger, 1);
    let DnsLog::One(one) = &logs[0] else { panic!("{logs:?}") };
    assert_eq!((one.name(), one.malformed.as_deref()), ("www.example", Some("additional at byte 40: ends")));
    assert_eq!(logger.counts().malformed, 1);
}

#[test]
fn a_clock_set_back_holds_nothing_up() {
    let mut logger = every();
    ask(&mut logger, MINUTE, 1, "www.example");
    assert_eq!(poll(&mut logger, MINUTE - 2_000).len(), 1);
}

proptest::proptest! {
    #[test]
    fn every_message_ends_in_a_document_or_a_count(
        counted_together in proptest::bool::ANY,
        limit in 0_u64..20,
        steps in proptest::collection::vec((0_u8..3, 0_u16..4, 0_u64..9_000, proptest::bool::ANY), 0..300),
    ) {
        let detail = if counted_together { Detail::Counted } else { Detail::Every };
        let mut logger = logger(|settings| (settings.detail, settings.limit, settings.waiting_max) = (detail, limit, 5));
        let (mut logs, mut time) = (Vec::new(), 0);
        for (name, id, later, is_answer) in steps {
            time += later;
            let name = format!("n{name}.example");
            if is_answer { reply(&mut logger, time, id, &name) } else { ask(&mut logger, time, id, &name) }
            logger.poll(at(time), &mut |log| logs.push(log));
            assert!(logger.counts().waiting <= 5);
        }
        logger.flush(at(time), &mut |log| logs.push(log));
        let counts = logger.counts();
        assert_eq!(counts.messages, counts.joined + counts.queries + counts.lone_answers);
        assert_eq!(counts.queries, counts.joined + counts.unanswered);
        assert_eq!(counts.queries + counts.lone_answers, counts.logged + counts.unlogged);
        let stands_for = |log: &DnsLog| match log {
            DnsLog::One(_) => (1, 0),
            DnsLog::Counted(counted) => (counted.count, 0),
            DnsLog::Unlogged { count, .. } => (0, *count),
        };
        let (logged, unlogged) = logs.iter().map(stands_for).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert_eq!((logged, unlogged), (counts.logged, counts.unlogged));
        assert_eq!(logs.len() as u64, counts.documents);
    }
}
