use super::*;
use crate::document::{Dns, Identity, Question, ResourceRecord};

fn record(kind: &str, data: &str) -> ResourceRecord {
    ResourceRecord {
        name: "owner.example".to_owned(),
        kind: kind.to_owned().into(),
        class: "IN".into(),
        ttl: None,
        data: data.to_owned().into(),
    }
}

fn log(answers: Vec<ResourceRecord>) -> Document {
    let identity = Identity {
        cluster: "cluster".into(),
        node: "node-1".into(),
        namespace: "default".into(),
        instance: "5eed".into(),
        version: "0.1.0".into(),
    };
    let mut log = Document::new(Time(7), Event::new(Action::DnsLog, "1".into(), Time(9)), &identity);
    let question = Question::new("asked.example".into(), "A".into(), "IN".into());
    log.dns = Some(Dns { question: Some(question), answers, ..Dns::default() });
    log
}

fn data_names(kind: &str, data: &str) -> Vec<String> {
    let log = log(vec![record(kind, data)]);
    let names = names(&log).into_iter().filter(|named| named.field == "dns.answers.data");
    names.map(|named| named.name.to_owned()).collect()
}

#[test]
fn names_in_data_are_found_by_the_records_type() {
    assert_eq!(data_names("CNAME", "target.example"), ["target.example"]);
    assert_eq!(data_names("MX", "10 mail.example"), ["mail.example"]);
    assert_eq!(data_names("SRV", "0 5 5060 sip.example"), ["sip.example"]);
    assert_eq!(data_names("SOA", "ns.example admin.example 1 2 3 4 5"), ["ns.example", "admin.example"]);
    assert_eq!(data_names("HTTPS", "1 svc.example alpn=h2"), ["svc.example"]);
    assert_eq!(data_names("NAPTR", "1 2 \"u\" \"a b\" \"!x y!\" last.example"), ["last.example"]);
    assert_eq!(data_names("TXT", "\"evil.example\""), [""; 0]);
    assert_eq!(data_names("A", "192.0.2.1"), [""; 0]);
}

#[test]
fn names_stand_in_the_order_of_the_message() {
    let log = log(vec![record("CNAME", "target.example")]);
    let fields: Vec<_> = names(&log).iter().map(|named| (named.field, named.name)).collect();
    let expected = [
        ("dns.question.name", "asked.example"),
        ("dns.answers.name", "owner.example"),
        ("dns.answers.data", "target.example"),
    ];
    assert_eq!(fields, expected);
}

#[test]
fn a_dot_inside_a_label_parts_nothing() {
    assert_eq!(key("a.evil.example"), "a.evil.example");
    assert_eq!(key(r"a\.evil.example"), r"a\046evil.example");
    assert_eq!(key(r"a\032b\\c.example"), r"a\032b\092c.example");
    assert_eq!(key("odd\\"), "odd\\");
    assert_eq!(key(r"NS.Evil.example"), "ns.evil.example");
}

fn listed(log: &Document) -> Document {
    let by = ListedBy { name: "urlhaus", description: "", severity: 75, techniques: &[] };
    let listed = Listed {
        named: *names(log).last().unwrap(),
        entry: "example",
        scope: Scope::Both,
        feeds: vec![by],
        set: Set::new(1, 2, &[0xab; 32]),
    };
    alert(log, &listed, &Author { instance: "c0".into(), version: "0.1.0".into(), created: Time(99) })
}

#[test]
fn what_was_listed_later_alerts_in_one_sentence() {
    let alert = listed(&log(vec![record("CNAME", "target.example")]));
    assert_eq!(
        alert.message,
        "an unknown workload was answered with target.example for asked.example, which was listed later as example in \
         feed urlhaus"
    );
    assert_eq!(
        listed(&log(Vec::new())).message.split(", ").next(),
        Some("an unknown workload asked for asked.example")
    );
    assert_eq!((alert.namewarden.retroactive, alert.event.severity), (Some(true), Some(75)));
    assert_eq!(alert.stream(), "logs-namewarden.alert-default");
}

#[test]
fn several_logs_of_a_group_are_one_alert() {
    let (mut one, mut two) = (log(Vec::new()), log(Vec::new()));
    (one.timestamp, one.namewarden.count) = (Time(30), Some(2));
    (two.timestamp, two.namewarden.count, two.event.end) = (Time(10), Some(5), Some(Time(90)));
    let (mut one, two) = (listed(&one), listed(&two));
    assert_eq!(one.id(), two.id());
    merge(&mut one, &two);
    assert_eq!((one.timestamp, one.namewarden.count), (Time(10), Some(7)));
    assert_eq!((one.namewarden.first_seen, one.namewarden.last_seen), (Some(Time(10)), Some(Time(90))));
}
