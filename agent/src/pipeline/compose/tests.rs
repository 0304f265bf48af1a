use std::sync::Arc;

use super::*;
use crate::pipeline::attribute::pod;
use crate::pipeline::attribute::{Process, Workload, cgroup_path};
use crate::pipeline::dns_log::{self, Aggregation, DnsLog, DnsLogger};
use crate::pipeline::exchange::Exchange;
use crate::pipeline::exchange::samples::{
    answer, at, feed, finding, query, unread_answer, unread_query, workload,
};
use crate::pipeline::screen::Place;

pub(super) fn composer() -> Composer {
    Composer::new(Identity {
        cluster: "cluster".into(),
        node: "node-1".into(),
        namespace: "default".into(),
        instance: "8d1f0c6a2b7e4935".into(),
        version: "0.1.0".into(),
    })
}

pub(in crate::pipeline) fn alert(saying: Saying, exchange: Exchange, finding: Finding) -> Alert {
    Alert {
        saying,
        group: "0f".repeat(16),
        number: u64::from(saying == Saying::Repeated),
        count: 1,
        first_seen: at(0),
        last_seen: at(0),
        created: at(4),
        exchange: Arc::new(exchange),
        finding: Arc::new(finding),
    }
}

pub(in crate::pipeline) fn answered() -> Exchange {
    let mut exchange = query(workload('3'), at(0), 4660, "a.evil.example");
    exchange.join(&answer(workload('3'), at(3), 4660, "a.evil.example"));
    exchange
}

fn of(workload: Workload) -> Exchange {
    let mut exchange = answered();
    exchange.attributed.workload = Arc::new(workload);
    exchange
}

pub(in crate::pipeline) fn evil() -> Finding {
    finding("evil.example", "a.evil.example")
}

fn message(exchange: Exchange, finding: Finding) -> String {
    composer().alert(&alert(Saying::First, exchange, finding)).message
}

#[test]
fn a_first_alert_is_written_with_its_answer() {
    insta::assert_json_snapshot!(composer().alert(&alert(Saying::First, answered(), evil())));
}

/// What a stored DNS log says of itself is enough to find the group that the agent gave the same fact.
#[test]
fn a_retroactive_alert_has_the_group_of_the_agents_own() {
    let paths = [
        "/system.slice/nginx.service",
        "/",
        "/custom/path",
        "/user.slice/user-1.slice/user@1.service/app.slice/x.scope",
    ];
    let pods = "/kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555.slice";
    let mut workloads: Vec<_> = paths.into_iter().chain([pods]).map(cgroup_path::workload).collect();
    workloads.extend([Workload::address("10.1.2.3".parse().unwrap()), Workload::unknown()]);
    workloads.push(Workload::clone(&workload('3')));
    for (workload, server_side) in workloads.iter().flat_map(|workload| [(workload, false), (workload, true)])
    {
        let mut exchange = Exchange { server_side, ..of(workload.clone()) };
        if workload.kind() == crate::pipeline::attribute::Kind::Unknown {
            exchange.attributed.attribution = crate::pipeline::attribute::Attribution::None;
        }
        if let (crate::pipeline::attribute::Kind::Address, false) = (workload.kind(), server_side) {
            exchange.client = "10.1.2.3:5353".parse().unwrap();
        } else if workload.kind() == crate::pipeline::attribute::Kind::Address {
            exchange.server = "10.1.2.3:53".parse().unwrap();
        }
        let log = composer().log(&DnsLog::One { exchange: Box::new(exchange), folded: 0 }, at(4));
        assert_eq!(
            namewarden_protocol::document::retroactive::workload(&log),
            workload.global_key("node-1"),
            "{log:#?}"
        );
    }
}

#[test]
fn a_container_is_named_by_its_mounts_and_its_image_by_the_pods_object() {
    let mut exchange = answered();
    exchange.hints.container = Some("late".into());
    let pods = || LatePod { containers: &["init", "late"] };
    let named = (Some("late".to_owned()), Some("late:1".to_owned()));
    assert_eq!(container_names(pods(), exchange), named);
    assert_eq!(container_names(pods(), answered()), (None, None), "nothing is guessed");
    // Where there is only one, there is nothing to guess.
    assert_eq!(container_names(LatePod { containers: &["late"] }, answered()), named);
}

/// Name and image of the container in the first alert on an exchange.
fn container_names(pods: LatePod, exchange: Exchange) -> (Option<String>, Option<String>) {
    let document = composer().with_pods(Arc::new(pods)).alert(&alert(Saying::First, exchange, evil()));
    let container = document.container.unwrap();
    (container.name, container.image.map(|image| image.name))
}

#[test]
fn a_pod_that_is_known_by_its_address_is_named_and_the_document_says_how() {
    let mut exchange = of(Workload::address("10.1.2.3".parse().unwrap()));
    exchange.attributed.attribution = crate::pipeline::attribute::Attribution::Address;
    exchange.hints.pod_at = LatePod { containers: &["late"] }.pod("u");
    let document = composer().alert(&alert(Saying::First, exchange, evil()));
    assert!(document.message.starts_with("shop/late "), "{}", document.message);
    assert_eq!(document.namewarden.attribution.as_deref(), Some("address"));
    let pod = document.kubernetes.unwrap().pod.unwrap();
    assert_eq!((&*pod.uid, pod.name.as_deref()), ("u", Some("late")));
}

/// A pod whose containers have no id yet.
#[derive(Debug)]
struct LatePod {
    containers: &'static [&'static str],
}

impl Pods for LatePod {
    fn pod(&self, uid: &str) -> Option<Arc<Pod>> {
        let container = |name: &&str| pod::Container {
            id: String::new(),
            name: (*name).to_owned(),
            image: format!("{name}:1"),
        };
        let containers = self.containers.iter().map(container).collect();
        let names = Pod { namespace: "shop".into(), name: "late".into(), ..Pod::default() };
        Some(Arc::new(Pod { uid: uid.to_owned(), containers, ..names }))
    }

    fn is_asked(&self) -> bool {
        true
    }
}

#[test]
fn repeats_are_written_with_count_and_times() {
    let mut alert = alert(Saying::Repeated, answered().without_records(), evil());
    (alert.count, alert.first_seen, alert.last_seen, alert.created) =
        (41, at(60_000), at(3_500_000), at(3_600_000));
    insta::assert_json_snapshot!(composer().alert(&alert));
}

#[test]
fn what_was_left_out_is_summed_up() {
    let mut alert = alert(Saying::LeftOut { limit: 100 }, answered(), evil());
    (alert.count, alert.number) = (99_900, 1);
    insta::assert_json_snapshot!(composer().alert(&alert));
}

#[test]
fn a_gap_is_written_with_its_start_and_end() {
    insta::assert_json_snapshot!(composer().gap(at(0), at(8_250), at(8_251), "the agent was restarted"));
}

#[test]
fn an_exchange_is_logged_with_its_latency() {
    insta::assert_json_snapshot!(
        composer().log(&DnsLog::One { exchange: Box::new(answered()), folded: 0 }, at(4))
    );
}

#[test]
fn exchanges_counted_together_are_logged_with_count_and_latency() {
    let mut logger = DnsLogger::new(dns_log::Settings {
        aggregation: Aggregation::Workload,
        ..dns_log::Settings::default()
    });
    for id in 1..=3 {
        logger.message(unread_query(workload('3'), at(u64::from(id) * 10), id, "www.example"));
        logger.message(unread_answer(workload('3'), at(u64::from(id) * 12), id, "www.example", |_| ()));
    }
    let mut documents = Vec::new();
    logger.flush(at(60_000), &mut |log| documents.push(composer().log(&log, at(60_000))));
    assert_eq!(documents.len(), 1);
    insta::assert_json_snapshot!(documents[0]);
}

#[test]
fn what_was_not_logged_is_said() {
    let log = DnsLog::Unlogged { whose: None, count: 4_711, limit: 1_000, start: at(0), end: at(60_000) };
    insta::assert_json_snapshot!(composer().log(&log, at(60_000)));
}

#[test]
fn no_two_dns_logs_share_an_id() {
    let mut composer = composer();
    let mut id = || composer.log(&DnsLog::One { exchange: Box::new(answered()), folded: 0 }, at(4)).event.id;
    assert_eq!((id(), id()), ("8d1f0c6a2b7e4935-0".to_owned(), "8d1f0c6a2b7e4935-1".to_owned()));
}

#[test]
fn a_malformed_message_is_logged_with_the_reason() {
    let mut exchange = answered();
    exchange.dns.question = None;
    exchange.malformed = Some("question at byte 12: pointer to itself".into());
    let document = composer().log(&DnsLog::One { exchange: Box::new(exchange), folded: 0 }, at(4));
    assert_eq!(document.error.unwrap().message, "question at byte 12: pointer to itself");
    let said = "container 333333333333 (curl) asked 10.96.0.10 for what cannot be read: NOERROR";
    assert_eq!(document.message, said);
}

#[test]
fn the_first_document_is_named_as_its_group_and_later_ones_by_instance() {
    let id = |saying| composer().alert(&alert(saying, answered(), evil())).event.id;
    assert_eq!(id(Saying::First), "0f".repeat(16));
    assert_eq!(id(Saying::Repeated), format!("{}-8d1f0c6a2b7e4935-1", "0f".repeat(16)));
}

#[test]
fn the_sentence_says_who_asked_for_what() {
    let said =
        "container 333333333333 (curl) asked for a.evil.example, listed as evil.example in feed urlhaus";
    assert_eq!(message(answered(), evil()), said);
}

#[test]
fn a_server_is_said_to_be_asked_and_to_answer_and_is_flagged() {
    let asked = || Exchange { server_side: true, ..answered() };
    let mut answer = finding("edge.example.net", "edge.example.net");
    answer.place = Place { section: Section::Answer, part: Part::Data, rr_type: 5 };
    let who = "container 333333333333 (curl)";
    assert_eq!(
        message(asked(), evil()),
        format!("{who} was asked by 10.1.0.7 for a.evil.example, listed as evil.example in feed urlhaus")
    );
    assert_eq!(
        message(asked(), answer),
        format!(
            "{who} answered 10.1.0.7 with edge.example.net for a.evil.example, listed as edge.example.net in feed urlhaus"
        )
    );
    let log = composer().log(&DnsLog::One { exchange: Box::new(asked()), folded: 0 }, at(4));
    assert_eq!(log.message, format!("{who} was asked by 10.1.0.7 for a.evil.example (A): NOERROR"));
    assert_eq!(log.namewarden.side.as_deref(), Some("server"));
    assert_eq!(
        composer().log(&DnsLog::One { exchange: Box::new(answered()), folded: 0 }, at(4)).namewarden.side,
        None
    );
}

#[test]
fn the_sentence_says_who_was_answered_with_what() {
    let mut finding = finding("edge.example.net", "edge.example.net");
    finding.place = Place { section: Section::Answer, part: Part::Data, rr_type: 5 };
    assert_eq!(
        message(answered(), finding),
        "container 333333333333 (curl) was answered with edge.example.net for a.evil.example, \
         listed as edge.example.net in feed urlhaus"
    );
}

#[test]
fn the_sentence_of_repeats_says_how_often_the_entry_was_met() {
    let said = |count| {
        let mut alert = alert(Saying::Repeated, answered(), evil());
        alert.count = count;
        composer().alert(&alert).message
    };
    assert_eq!(said(41), "container 333333333333 met evil.example, listed in feed urlhaus, 41 more times");
    assert_eq!(said(1), "container 333333333333 met evil.example, listed in feed urlhaus, once more");
    assert_eq!(said(0), message(answered(), evil()));
}

#[test]
fn each_kind_of_workload_is_named_as_it_is_known() {
    let said = |workload| message(of(workload), evil()).split(" asked").next().unwrap().to_owned();
    assert_eq!(said(cgroup_path::workload("/system.slice/nginx.service")), "nginx.service (curl)");
    assert_eq!(said(cgroup_path::workload("/mine/deeper")), "cgroup /mine/deeper (curl)");
    assert_eq!(said(cgroup_path::workload("/")), "the host (curl)");
    assert_eq!(said(Workload::address("10.0.0.7".parse().unwrap())), "10.0.0.7 (curl)");
    assert_eq!(said(Workload::unknown()), "an unknown workload (curl)");
    let pod = "/kubepods/pod1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9";
    assert_eq!(said(cgroup_path::workload(pod)), "pod 1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9 (curl)");
}

#[test]
fn a_process_without_a_name_is_not_given_one() {
    let mut exchange = answered();
    exchange.attributed.process =
        Process { pid: 5, tid: 6, name: None, thread_name: Some("isc-net-0000".into()) };
    let document = composer().alert(&alert(Saying::First, exchange, evil()));
    assert!(
        document.message.starts_with("container 333333333333 (thread isc-net-0000) asked"),
        "{}",
        document.message
    );
    assert_eq!(document.process.unwrap().name, None);
}

#[test]
fn an_alert_says_that_its_message_held_more_names_than_are_looked_up() {
    let mut exchange = answered();
    exchange.unchecked_names = 12;
    let document = composer().alert(&alert(Saying::First, exchange, evil()));
    assert!(
        document.message.ends_with("in feed urlhaus; 12 further names of this message were not looked up"),
        "{}",
        document.message
    );
    assert_eq!(document.namewarden.unchecked_names, Some(12));
}

#[test]
fn what_an_update_names_was_neither_asked_for_nor_answered() {
    let mut exchange = answered();
    exchange.dns.op_code = "UPDATE".into();
    let said = message(exchange, evil());
    assert!(
        said.starts_with("container 333333333333 (curl) exchanged UPDATE naming a.evil.example, "),
        "{said}"
    );
}

#[test]
fn all_feeds_are_named_the_most_severe_first() {
    let mut finding = evil();
    finding.feeds = vec![feed("low", 20), feed("high", 90), feed("mid", 50), feed("other", 30)];
    let document = composer().alert(&alert(Saying::First, answered(), finding));
    assert_eq!(document.event.severity, Some(90));
    assert_eq!(document.threat.unwrap().feed.name, ["high", "mid", "other", "low"]);
    assert!(document.message.ends_with("in feeds high, mid, other and 1 more"), "{}", document.message);
}

#[test]
fn a_feeds_own_techniques_replace_the_default_one() {
    let mut finding = evil();
    finding.feeds = vec![feed("one", 20), feed("two", 30)];
    finding.feeds[0].techniques = Arc::from(["T1566".to_owned()]);
    let threat = composer().alert(&alert(Saying::First, answered(), finding)).threat.unwrap();
    assert_eq!((threat.technique.id, threat.tactic.id), (vec!["T1566".to_owned()], vec!["TA0001".into()]));
}

#[test]
fn the_field_that_held_the_name_is_said() {
    let said = |section, part, rr_type| {
        let mut finding = evil();
        finding.place = Place { section, part, rr_type };
        let document = composer().alert(&alert(Saying::First, answered(), finding));
        let field = document.threat.unwrap().enrichments[0].matched.field.to_string();
        (field, document.namewarden.record_type.map(|kind| kind.to_string()))
    };
    assert_eq!(said(Section::Question, Part::Owner, 1), ("dns.question.name".into(), None));
    assert_eq!(said(Section::Answer, Part::Data, 5), ("dns.answers.data".into(), Some("CNAME".into())));
    assert_eq!(said(Section::Answer, Part::Owner, 28), ("dns.answers.name".into(), Some("AAAA".into())));
    assert_eq!(said(Section::Authority, Part::Data, 2), ("dns.authorities.data".into(), Some("NS".into())));
    assert_eq!(
        said(Section::Additional, Part::Owner, 65),
        ("dns.additionals.name".into(), Some("HTTPS".into()))
    );
}

#[test]
fn what_a_process_calls_itself_cannot_forge_a_line() {
    let mut exchange = answered();
    exchange.attributed.process.name = Some("a\n\u{1b}[31mb".into());
    let said = message(exchange, evil());
    assert!(said.starts_with("container 333333333333 (a\\u{a}\\u{1b}[31mb) asked"), "{said}");
}

#[test]
fn an_unanswered_query_has_an_unknown_outcome() {
    let exchange = query(workload('3'), at(0), 1, "a.evil.example");
    let document = composer().alert(&alert(Saying::First, exchange, evil()));
    assert_eq!(document.event.outcome.as_deref(), Some("unknown"));
    assert_eq!(document.dns.unwrap().response_code, None);
}
