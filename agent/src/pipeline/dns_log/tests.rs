use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::pipeline::attribute::pod::{Owner, Pod};
use crate::pipeline::exchange::samples::wire::{self, Answer};
use crate::pipeline::exchange::samples::{at, query, unread, unread_answer, unread_query, workload};

fn logger(settings: impl FnOnce(&mut Settings)) -> DnsLogger {
    let mut all = Settings::default();
    settings(&mut all);
    DnsLogger::new(all)
}

fn every() -> DnsLogger {
    logger(|_| ())
}

fn counting() -> DnsLogger {
    logger(|settings| settings.aggregation = Aggregation::Workload)
}

fn ask(logger: &mut DnsLogger, time: u64, id: u16, name: &str) {
    logger.message(unread_query(workload('a'), at(time), id, name));
}

fn reply(logger: &mut DnsLogger, time: u64, id: u16, name: &str) {
    logger.message(unread_answer(workload('a'), at(time), id, name, |_| ()));
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
        let DnsLog::One { exchange: one, .. } = log else { panic!("{log:?}") };
        said.push((one.name(), one.latency().map(|latency| latency / 1_000_000), one.dns.answers.len()));
    }
    said
}

fn counted(logs: &[DnsLog]) -> Vec<&Counted> {
    logs.iter()
        .filter_map(|log| if let DnsLog::Counted(counted) = log { Some(&**counted) } else { None })
        .collect()
}

/// Of the settings.
const INTERVAL: u64 = 300_000;

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
    let mut translated = unread_answer(workload('a'), at(1), 1, "www.example", |_| ());
    translated.server = "10.0.0.99:5353".parse().unwrap();
    let mut other_socket = unread_answer(workload('a'), at(1), 1, "www.example", |_| ());
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
    logger.message(unread_answer(workload('a'), at(1), 1, "www.example", |said| {
        (said.code, said.repeats_question) = (5, false);
    }));
    assert_eq!(logger.counts().joined, 1);
    let logs = poll(&mut logger, 1);
    assert_eq!(said(&logs), [("www.example", Some(1), 2)]);
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
    assert_eq!(poll(&mut logger, INTERVAL), []);
    let logs = poll(&mut logger, INTERVAL + 100);
    let [one] = counted(&logs)[..] else { panic!("{logs:?}") };
    assert_eq!((one.count, one.first_seen, one.last_seen), (3, at(100), at(300)));
    let latency = namewarden_protocol::document::Latency { count: 3, mean: 5_000_000, max: 9_000_000 };
    assert_eq!(one.latency, Some(latency));
    assert_eq!((&one.dns.id, one.dns.answers[0].ttl), (&None, None));
}

#[test]
fn what_a_server_turns_is_equal_and_what_it_answers_is_not() {
    let mut logger = counting();
    let mut say = |pod, time, change: fn(&mut Answer)| {
        logger.message(unread_answer(workload(pod), at(time), 1, "www.example", change));
    };
    say('a', 1, |said| {
        said.answers.reverse();
        said.answers[0].ttl = 7;
    });
    say('a', 2, |_| ());
    say('a', 3, |said| said.answers[1].data = vec![203, 0, 113, 8]);
    say('a', 4, |said| said.code = 5);
    say('b', 5, |_| ());
    let logs = flush(&mut logger, 6);
    assert_eq!(counted(&logs).iter().map(|one| one.count).collect::<Vec<_>>(), [2, 1, 1, 1]);
}

#[test]
fn what_was_read_once_is_not_read_again_and_the_table_begins_anew_with_each_interval() {
    let mut logger = counting();
    for id in 0..3 {
        reply(&mut logger, 1, id, "www.example");
    }
    assert_eq!(counted(&flush(&mut logger, 2)).len(), 1);
    assert_eq!(logger.counts().parsed, 1);
    reply(&mut logger, 3, 1, "www.example");
    let logs = flush(&mut logger, 4);
    assert_eq!(counted(&logs).iter().map(|one| one.count).collect::<Vec<_>>(), [1]);
    assert_eq!(logger.counts().parsed, 2);
}

#[test]
fn bytes_that_are_made_up_take_no_place_from_other_exchanges() {
    let mut logger = counting();
    for made_up in 0..100_u8 {
        let mut exchange = unread_answer(workload('a'), at(1), 1, "www.example", |_| ());
        exchange.answer = [&exchange.answer[..], &[made_up]].concat().into();
        logger.message(exchange);
    }
    assert_eq!(logger.counts().parsed, 100);
    assert_eq!(logger.table.digests(), 16);
    let logs = flush(&mut logger, 2);
    assert_eq!(counted(&logs).iter().map(|one| one.count).collect::<Vec<_>>(), [100]);
}

#[test]
fn what_is_counted_without_being_parsed_says_how_it_was_attributed_only_where_all_were_alike() {
    for (second, expected) in [(Attribution::Cgroup, Some(Attribution::Cgroup)), (Attribution::Process, None)]
    {
        let mut logger = counting();
        reply(&mut logger, 0, 1, "www.example");
        let mut other = unread_answer(workload('a'), at(1), 1, "www.example", |_| ());
        other.attributed.attribution = second;
        logger.message(other);
        assert_eq!(logger.counts().parsed, 1);
        assert_eq!(counted(&flush(&mut logger, 2))[0].attribution, expected);
    }
}

#[test]
fn records_of_one_name_type_and_class_are_one_with_all_their_data() {
    let mut logger = counting();
    logger.message(unread_answer(workload('a'), at(1), 1, "www.example", |said| {
        let mut second = said.answers[1].clone();
        second.data = vec![203, 0, 113, 6];
        said.answers.push(second);
    }));
    let logs = flush(&mut logger, 6);
    let answers = &counted(&logs)[0].dns.answers;
    let said: Vec<_> = answers.iter().map(|set| (&*set.kind, set.data.all().join(" "))).collect();
    let expected = [("A", "203.0.113.6 203.0.113.7".to_owned()), ("CNAME", "edge.example.net".to_owned())];
    assert_eq!(said, expected);
}

#[test]
fn what_came_before_its_turn_is_left_to_another_agent_and_counted() {
    let turn = Arc::new(std::sync::atomic::AtomicU64::new(u64::MAX));
    let mut logger = every().with_turn(Arc::clone(&turn));
    reply(&mut logger, 1, 1, "www.example");
    turn.store(at(5).0, Relaxed);
    reply(&mut logger, 4, 2, "www.example");
    reply(&mut logger, 5, 3, "www.example");
    let counts = logger.counts();
    assert_eq!((counts.left_to_another, counts.messages), (2, 1));
    assert_eq!(poll(&mut logger, 6).len(), 1);
}

/// Knows the pods that these tests ask as: two of one Deployment, or none of them.
#[derive(Debug, Default)]
struct Carts {
    are_known: std::sync::atomic::AtomicBool,
}

impl Pods for Carts {
    fn pod(&self, uid: &str) -> Option<Arc<Pod>> {
        let name = uid.strip_prefix("0000000").filter(|_| self.are_known.load(Relaxed))?;
        let first = name.get(..1)?;
        Some(Arc::new(Pod {
            uid: uid.to_owned(),
            namespace: "shop".to_owned(),
            name: format!("cart-7d9f8c-{first}"),
            labels: [("app", "cart"), ("part", first)]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            owner: (first != "9").then(|| Owner { kind: "Deployment".to_owned(), name: "cart".to_owned() }),
            ..Pod::default()
        }))
    }

    fn is_asked(&self) -> bool {
        true
    }
}

/// A container of the pod of this number.
fn of_pod(pod: char, container: char) -> Arc<Workload> {
    let id = container.to_string().repeat(64);
    let path = format!("/kubepods/pod0000000{pod}-5f60-4718-8293-a4b5c6d7e8f9/{id}");
    Arc::new(crate::pipeline::attribute::cgroup_path::workload(&path))
}

fn by_owner(are_known: bool) -> (DnsLogger, Arc<Carts>) {
    let carts = Arc::new(Carts { are_known: are_known.into() });
    let by_owner = logger(|settings| settings.aggregation = Aggregation::Owner);
    (by_owner.with_pods(Arc::clone(&carts) as Arc<dyn Pods>), carts)
}

fn reply_to(logger: &mut DnsLogger, whose: Arc<Workload>, client: &str) {
    let mut answer = unread_answer(whose, at(1), 1, "www.example", |_| ());
    answer.client = client.parse().unwrap();
    logger.message(answer);
}

fn owned(one: &Counted) -> &Owned {
    let Clients::Owned(owned) = &one.clients else { panic!("{one:?}") };
    owned
}

#[test]
fn equal_exchanges_of_an_owners_pods_are_one_without_the_pods() {
    let (mut logger, _) = by_owner(true);
    for (pod, container, client) in
        [('1', 'a', "10.1.0.1:1"), ('1', 'b', "10.1.0.1:2"), ('2', 'c', "10.1.0.2:3")]
    {
        for _ in 0..2 {
            reply_to(&mut logger, of_pod(pod, container), client);
        }
    }
    let logs = flush(&mut logger, 6);
    let [one] = counted(&logs)[..] else { panic!("{logs:?}") };
    assert_eq!((one.count, one.client, one.server), (6, None, "10.96.0.10".parse().ok()));
    let Owned { namespace, owner, labels, pods } = owned(one);
    assert_eq!((&**namespace, &*owner.kind, &*owner.name, pods.len()), ("shop", "Deployment", "cart", 2));
    assert_eq!(format!("{labels:?}"), r#"{"app": "cart"}"#, "what all of them bear");
}

#[test]
fn of_the_limit_an_owner_takes_no_more_than_its_documents() {
    let (mut logger, _) = by_owner(true);
    logger.settings.limit = 4;
    for pod in '1'..='8' {
        reply_to(&mut logger, of_pod(pod, pod), &format!("10.1.0.{pod}:1"));
    }
    assert_eq!((logger.counts().logged, logger.counts().unlogged), (8, 0));
}

#[test]
fn a_workload_without_known_owner_stays_by_itself() {
    let (mut logger, _) = by_owner(true);
    reply_to(&mut logger, of_pod('9', 'a'), "10.1.0.1:1");
    reply_to(&mut logger, of_pod('9', 'b'), "10.1.0.2:1");
    reply_to(&mut logger, workload('c'), "10.1.0.3:1");
    let logs = flush(&mut logger, 6);
    let alone = |one: &&Counted| matches!(one.clients, Clients::One(_)) && one.client.is_some();
    assert_eq!(counted(&logs).iter().filter(|one| alone(one)).count(), 3);
}

#[test]
fn pods_whose_names_come_late_join_their_owner_at_the_end_of_the_interval() {
    let (mut logger, carts) = by_owner(false);
    reply_to(&mut logger, of_pod('1', 'a'), "10.1.0.1:1");
    carts.are_known.store(true, Relaxed);
    reply_to(&mut logger, of_pod('2', 'b'), "10.1.0.2:1");
    let logs = flush(&mut logger, 6);
    let [one] = counted(&logs)[..] else { panic!("{logs:?}") };
    assert_eq!((one.count, owned(one).pods.len(), logger.counts().logged), (2, 2, 2));
}

#[test]
fn of_an_owners_servers_the_clients_are_told_apart() {
    let (mut logger, _) = by_owner(true);
    for (pod, server) in [('1', "10.1.0.1:53"), ('2', "10.1.0.2:53")] {
        let mut answer = unread_answer(of_pod(pod, 'a'), at(1), 1, "www.example", |_| ());
        (answer.server_side, answer.server) = (true, server.parse().unwrap());
        logger.message(answer);
    }
    let logs = flush(&mut logger, 6);
    let [one] = counted(&logs)[..] else { panic!("{logs:?}") };
    assert_eq!((one.count, one.client, one.server), (2, "10.1.0.7".parse().ok(), None));
}

#[test]
fn what_is_left_out_is_counted_once_for_query_and_answer() {
    let mut logger = logger(|settings| settings.exclude = Suffixes::new(&["example".to_owned()]).unwrap());
    for (time, name) in [(1, "WWW.example"), (2, "www.test")] {
        ask(&mut logger, time, 1, name);
        reply(&mut logger, time, 1, name);
    }
    ask(&mut logger, 3, 2, "silent.example");
    assert_eq!(said(&flush(&mut logger, 4)).len(), 1);
    let counts = logger.counts();
    assert_eq!((counts.queries, counts.excluded, counts.logged), (3, 2, 1));
}

#[test]
fn what_is_not_drawn_is_counted() {
    for aggregation in [Aggregation::Every, Aggregation::Workload] {
        let mut logger = logger(|settings| (settings.aggregation, settings.sample) = (aggregation, 4));
        for id in 0..2_000 {
            reply(&mut logger, u64::from(id), id, "www.example");
        }
        flush(&mut logger, 2_000);
        let counts = logger.counts();
        assert!((350..=650).contains(&counts.logged), "{counts:?}");
        assert_eq!(counts.logged + counts.sampled_out, 2_000);
    }
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
    for aggregation in [Aggregation::Every, Aggregation::Workload] {
        let mut logger = logger(|settings| (settings.aggregation, settings.limit) = (aggregation, 6));
        for id in 0..10 {
            reply(&mut logger, u64::from(id), id, &format!("n{id}.example"));
        }
        let logs = poll(&mut logger, INTERVAL);
        assert_eq!(logs.len(), 4, "{aggregation:?}");
        let whose = Some((workload('a'), Attribution::Cgroup));
        assert_eq!(logs[3], DnsLog::Unlogged { whose, count: 7, limit: 6, start: at(0), end: at(INTERVAL) });
        reply(&mut logger, INTERVAL + 1, 1, "again.example");
        assert_eq!((logger.counts().logged, logger.counts().unlogged), (4, 7));
    }
}

#[test]
fn all_counts_of_an_interval_come_out_over_many_polls_and_the_next_one_waits_for_them() {
    let mut logger = counting();
    let reply = |logger: &mut DnsLogger, time: u64, id: u16| {
        let pod = if id.is_multiple_of(2) { 'a' } else { 'b' };
        logger.message(unread_answer(workload(pod), at(time), id, &format!("n{id}.example"), |_| ()));
    };
    (0..10_000).for_each(|id| reply(&mut logger, 0, id));
    let poll_at = |logger: &mut DnsLogger, time: u64| {
        let logs = poll(logger, time);
        assert!(logs.len() <= COUNTED_OUT_MAX, "{} documents at once", logs.len());
        counted(&logs).iter().map(|counted| counted.count).sum::<u64>()
    };
    let mut out = poll_at(&mut logger, INTERVAL);
    // The next interval has long been over when the last of these goes out.
    reply(&mut logger, INTERVAL, 1);
    let mut polls = 1;
    while out < 10_000 {
        assert!(polls < 1_000, "{out} of 10000 came out");
        out += poll_at(&mut logger, 2 * INTERVAL);
        polls += 1;
    }
    assert_eq!((out, polls, logger.counts().documents), (10_000, 157, 10_000));
    reply(&mut logger, 2 * INTERVAL, 1);
    assert_eq!(poll_at(&mut logger, 2 * INTERVAL), 2, "the next interval ends then");
    (0..100).for_each(|id| reply(&mut logger, 2 * INTERVAL, id));
    assert_eq!(poll(&mut logger, 3 * INTERVAL).len(), COUNTED_OUT_MAX);
    reply(&mut logger, 3 * INTERVAL, 1);
    assert_eq!(flush(&mut logger, 3 * INTERVAL).len(), 101 - COUNTED_OUT_MAX, "nothing stays behind");
}

#[test]
fn one_noisy_workload_leaves_room_for_the_others() {
    for aggregation in [Aggregation::Every, Aggregation::Workload] {
        let mut logger = logger(|settings| (settings.aggregation, settings.limit) = (aggregation, 100));
        for id in 0..1_000 {
            reply(&mut logger, 0, id, &format!("n{id}.example"));
        }
        for pod in ['b', 'c'] {
            for id in 0..5 {
                logger.message(unread_answer(workload(pod), at(1), id, &format!("n{id}.example"), |_| ()));
            }
        }
        let logs = poll(&mut logger, INTERVAL);
        assert_eq!(unlogged(&logs), [(Some("a".repeat(12)), 950)], "{aggregation:?}");
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
    let mut bytes = wire::query(1, "www.example");
    bytes[11] = 1;
    logger.message(unread(query(workload('a'), at(0), 1, "www.example"), bytes));
    let logs = flush(&mut logger, 1);
    let DnsLog::One { exchange: one, .. } = &logs[0] else { panic!("{logs:?}") };
    assert_eq!(
        (one.name(), one.malformed.as_deref()),
        ("www.example", Some("additional at byte 29: it ends inside a field"))
    );
    assert_eq!(logger.counts().malformed, 1);
}

#[test]
fn a_clock_set_back_holds_nothing_up() {
    let mut logger = every();
    ask(&mut logger, INTERVAL, 1, "www.example");
    assert_eq!(poll(&mut logger, INTERVAL - 2_000).len(), 1);
}

proptest::proptest! {
    #[test]
    fn every_message_ends_in_a_document_or_a_count(
        counted_together in proptest::bool::ANY,
        limit in 0_u64..20,
        sample in 1_u64..4,
        steps in proptest::collection::vec((0_u8..3, 0_u16..4, 0_u64..9_000, proptest::bool::ANY), 0..300),
    ) {
        let aggregation = if counted_together { Aggregation::Workload } else { Aggregation::Every };
        let mut logger = logger(|settings| {
            (settings.aggregation, settings.limit, settings.waiting_max) = (aggregation, limit, 5);
            (settings.sample, settings.exclude) = (sample, Suffixes::new(&["n2.example".to_owned()]).unwrap());
        });
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
        let known = counts.logged + counts.unlogged + counts.excluded + counts.sampled_out;
        assert_eq!(counts.queries + counts.lone_answers, known);
        let stands_for = |log: &DnsLog| match log {
            DnsLog::One { folded, .. } => (1 + folded, 0),
            DnsLog::Counted(counted) => (counted.count + counted.folded, 0),
            DnsLog::Unlogged { count, .. } => (0, *count),
        };
        let (logged, unlogged) = logs.iter().map(stands_for).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert_eq!((logged, unlogged), (counts.logged, counts.unlogged));
        assert_eq!(logs.len() as u64, counts.documents);
    }
}
