use super::*;
use crate::pipeline::attribute::pod::{NoPods, Pod};
use crate::pipeline::dns_log::{Aggregation, DnsLog, DnsLogger, Settings};
use crate::pipeline::exchange::samples::{at, unread_answer, workload};

const NAMESPACED: &str = "api.example.com.shop.svc.cluster.local";
const SERVICE: &str = "api.example.com.svc.cluster.local";
const DOMAIN: &str = "api.example.com.cluster.local";
const MEANT: &str = "api.example.com";

fn settings() -> Settings {
    let fold_search = Suffixes::new(&["cluster.local".to_owned()]).unwrap();
    Settings { fold_search, ..Settings::default() }
}

fn exchange(time: u64, name: &str, code: u8) -> UnreadExchange {
    unread_answer(workload('a'), at(time), 1, name, |said| {
        said.code = code;
        if code != 0 {
            said.answers.clear();
        }
    })
}

/// Name of each log, and how many are folded into it.
fn logs(logger: &mut DnsLogger, time: u64) -> Vec<(String, u64)> {
    let mut logs = Vec::new();
    logger.flush(at(time), &mut |log| match log {
        DnsLog::One { exchange, folded } => logs.push((exchange.name().to_owned(), folded)),
        DnsLog::Counted(counted) => {
            logs.push((counted.dns.question.unwrap().name, counted.folded));
        }
        DnsLog::Unlogged { .. } => {}
    });
    logs
}

/// What is logged of these names, asked for one after the other.
fn said(names: &[(&str, u8)]) -> Vec<(String, u64)> {
    let mut logger = DnsLogger::new(settings());
    for (time, (name, code)) in (0..).zip(names) {
        logger.message(exchange(time, name, *code));
    }
    logs(&mut logger, 100)
}

fn expected(logs: &[(&str, u64)]) -> Vec<(String, u64)> {
    logs.iter().map(|(name, folded)| ((*name).to_owned(), *folded)).collect()
}

#[test]
fn a_search_list_is_folded_into_what_was_meant() {
    let noise = [(NAMESPACED, 3), (SERVICE, 3), (DOMAIN, 3)];
    assert_eq!(said(&[&noise[..], &[(MEANT, 0)]].concat()), expected(&[(MEANT, 3)]));
    // A name that nobody has is meant all the same: it ends the list.
    assert_eq!(said(&[&noise[..], &[(MEANT, 3)]].concat()), expected(&[(MEANT, 3)]));
}

#[test]
fn a_service_of_another_namespace_is_meant_where_it_is_found() {
    let names = [("web.other.shop.svc.cluster.local", 3), ("web.other.svc.cluster.local", 0)];
    assert_eq!(said(&names), expected(&[("web.other.svc.cluster.local", 1)]));
}

#[test]
fn what_is_no_expansion_is_logged_by_itself() {
    for (held, then) in [
        // Another domain, which nobody named.
        ("api.example.com.svc.evil.example", MEANT),
        ("api.example.com.mycluster.local", MEANT),
        // Another name.
        (NAMESPACED, "example.com"),
        (NAMESPACED, "other.example.com"),
        // Against the order of the list.
        (DOMAIN, SERVICE),
        // Nothing is meant.
        ("cluster.local", MEANT),
    ] {
        let mut logs = said(&[(held, 3), (then, 0)]);
        logs.sort();
        let mut each = expected(&[(held, 0), (then, 0)]);
        each.sort();
        assert_eq!(logs, each);
    }
    // It exists; its server failed; it came later; it was not answered.
    assert_eq!(said(&[(DOMAIN, 0), (MEANT, 0)]), expected(&[(DOMAIN, 0), (MEANT, 0)]));
    assert_eq!(said(&[(DOMAIN, 2), (MEANT, 0)]), expected(&[(DOMAIN, 0), (MEANT, 0)]));
    assert_eq!(said(&[(MEANT, 0), (DOMAIN, 3)]), expected(&[(MEANT, 0), (DOMAIN, 0)]));
    assert_eq!(said(&[(DOMAIN, 3), (MEANT, 2)]), expected(&[(MEANT, 0), (DOMAIN, 0)]));
}

#[test]
fn workloads_types_and_sides_are_told_apart() {
    let changes: [fn(&mut UnreadExchange); 3] = [
        |meant| meant.attributed.workload = workload('b'),
        |meant| {
            let end = meant.asked().unwrap().len() + 12;
            meant.answer[end + 1] = 28;
        },
        |meant| meant.server_side = true,
    ];
    for change in changes {
        let mut logger = DnsLogger::new(settings());
        logger.message(exchange(0, DOMAIN, 3));
        let mut meant = exchange(1, MEANT, 0);
        change(&mut meant);
        logger.message(meant);
        assert_eq!(logs(&mut logger, 2), expected(&[(MEANT, 0), (DOMAIN, 0)]));
    }
}

#[test]
fn what_nobody_meant_in_time_is_logged_by_itself() {
    let mut logger = DnsLogger::new(settings());
    logger.message(exchange(0, DOMAIN, 3));
    let mut names = Vec::new();
    let mut each = |log| {
        if let DnsLog::One { exchange, .. } = log {
            names.push(exchange.name().to_owned());
        }
    };
    logger.poll(at(4_999), &mut each);
    assert_eq!(logger.counts().waiting, 1);
    logger.poll(at(5_000), &mut each);
    logger.message(exchange(5_001, MEANT, 0));
    logger.poll(at(5_001), &mut each);
    assert_eq!(names, [DOMAIN, MEANT]);
    assert_eq!((logger.counts().waiting, logger.counts().folded), (0, 0));
}

#[test]
fn counts_close_whatever_becomes_of_what_was_meant() {
    for (aggregation, sample, limit) in [
        (Aggregation::Every, 1, u64::MAX),
        (Aggregation::Every, 1, 0),
        (Aggregation::Workload, 1, u64::MAX),
        (Aggregation::Owner, 1, 0),
        (Aggregation::Owner, 1_000_000, u64::MAX),
    ] {
        let mut logger = DnsLogger::new(Settings { aggregation, limit, sample, ..settings() });
        for round in 0..10 {
            for (name, code) in [(NAMESPACED, 3), (SERVICE, 3), (DOMAIN, 3), (MEANT, 0)] {
                logger.message(exchange(round, name, code));
            }
        }
        let folded: u64 = logs(&mut logger, 100).iter().map(|(_, folded)| folded).sum();
        let counts = logger.counts();
        assert_eq!(counts.logged + counts.unlogged + counts.sampled_out, 40, "{counts:?}");
        assert_eq!(counts.folded, folded);
        assert_eq!(folded, if sample == 1 && limit > 0 { 30 } else { 0 }, "{counts:?}");
    }
}

#[test]
fn what_is_held_is_bounded_and_none_is_lost() {
    let mut logger = DnsLogger::new(settings());
    for number in 0..100 {
        logger.message(exchange(number, &format!("n{number}.cluster.local"), 3));
    }
    assert_eq!(logger.counts().waiting, SAME_MAX as u64);
    assert_eq!(logs(&mut logger, 100).len(), 100);
}

#[test]
fn bytes_that_are_held_stay_bounded_when_large_answers_take_the_place_of_small_ones() {
    let (mut folding, settings) = (Folding::default(), settings());
    let mut out = 0;
    for number in 0..400_u64 {
        let mut one = exchange(number, &format!("n{number}.cluster.local"), 3);
        one.attributed.workload = workload(if number % 8 < 4 { 'a' } else { 'b' });
        if number >= 100 {
            one.attributed.workload = workload(char::from(b'c' + (number % 8) as u8));
            one.answer = [one.answer, vec![0; 60_000].into()].concat().into();
        }
        match folding.take(one, &settings.fold_search, &NoPods) {
            Next::Held(others) => out += others.len(),
            Next::Log(..) => panic!("it may be an expansion"),
        }
        assert!(folding.bytes <= BYTES_MAX, "{} bytes after {number}", folding.bytes);
        assert_eq!(out + folding.len(), usize::try_from(number).unwrap() + 1);
        let held: usize = folding.held.values().map(|held| held.exchange.size() + held.name.len()).sum();
        assert_eq!(folding.bytes, held);
    }
}

/// Every pod is of this namespace.
#[derive(Debug)]
struct Of(&'static str);

impl Pods for Of {
    fn pod(&self, _: &str) -> Option<Arc<Pod>> {
        Some(Arc::new(Pod { namespace: self.0.to_owned(), ..Pod::default() }))
    }

    fn is_asked(&self) -> bool {
        true
    }
}

#[test]
fn a_namespace_that_is_not_the_pods_is_no_search_list() {
    let folded = |pods: &dyn Pods, meant: &str| {
        let (mut folding, settings) = (Folding::default(), settings());
        folding.take(exchange(0, NAMESPACED, 3), &settings.fold_search, pods);
        match folding.take(exchange(1, meant, 0), &settings.fold_search, pods) {
            Next::Log(_, folded) => folded,
            Next::Held(_) => panic!("it was answered"),
        }
    };
    assert_eq!((folded(&NoPods, MEANT), folded(&Of("shop"), MEANT), folded(&Of("other"), MEANT)), (1, 1, 0));
    // It may have been looked for in all namespaces.
    assert_eq!(folded(&Of("other"), "api.example.com.shop"), 1);
}
