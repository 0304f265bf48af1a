use super::*;

fn identity() -> Identity {
    Identity {
        cluster: "cluster".into(),
        node: "node-1".into(),
        namespace: "default".into(),
        instance: "5eed".into(),
        version: "0.1.0".into(),
    }
}

#[test]
fn a_document_names_the_stream_it_belongs_to() {
    let stream =
        |action| Document::new(Time(0), Event::new(action, "1".into(), Time(0)), &identity()).stream();
    assert_eq!(stream(Action::ListedName), "logs-namewarden.alert-default");
    assert_eq!(stream(Action::CaptureGap), "logs-namewarden.alert-default");
    assert_eq!(stream(Action::DnsLog), "logs-namewarden.dns-default");
}

#[test]
fn parts_that_are_not_there_are_not_written() {
    let document = Document::new(Time(0), Event::new(Action::CaptureGap, "1".into(), Time(0)), &identity());
    let json = serde_json::to_value(&document).unwrap();
    let mut keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let always = ["@timestamp", "agent", "data_stream", "ecs", "event", "host", "message", "orchestrator"];
    assert_eq!(keys, always);
}

#[test]
fn a_document_is_read_back_as_it_was_written() {
    let mut document = Document::new(Time(5), Event::new(Action::DnsLog, "1".into(), Time(9)), &identity());
    document.dns = Some(Dns {
        question: Some(Question::new("a.example".into(), "A".into(), "IN".into())),
        ..Dns::default()
    });
    document.client = Some("[::ffff:10.0.0.1]:5353".parse::<std::net::SocketAddr>().unwrap().into());
    document.namewarden.latency = Some(Latency { count: 1, mean: 2, max: 3 });
    let text = serde_json::to_string(&document).unwrap();
    assert_eq!(serde_json::from_str::<Document>(&text).unwrap(), document);
    assert!(text.contains(r#""client":{"ip":"10.0.0.1","port":5353}"#), "{text}");
}
