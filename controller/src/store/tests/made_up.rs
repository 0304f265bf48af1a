//! Documents and operations, made up of few values, so that they meet.

use bytes::Bytes;
use namewarden_protocol::document::{Action, Time};
use proptest::{option, prelude::*, sample::select};
use serde_json::{Value, json};

use crate::store::{
    Annotation, Cursor, Field, Filter, Histogram, Incoming, Order, Search, State, Stream, Top,
};

/// A document by what is searched of it.
#[derive(Clone, Debug)]
pub struct Spec {
    pub stream: Stream,
    pub space: String,
    pub id: String,
    pub cluster: String,
    pub time: Time,
    pub action: Option<Action>,
    pub severity: Option<u8>,
    pub group: Option<String>,
    pub namespace: Option<String>,
    pub pod: Option<String>,
    pub pod_uid: Option<String>,
    pub node: Option<String>,
    pub question: Option<String>,
    pub entry: Option<String>,
    pub feeds: Vec<String>,
}

impl Spec {
    /// An alert of the cluster `c` about which nothing is known.
    pub fn new(time: u64, id: &str) -> Self {
        Self {
            stream: Stream::Alerts,
            space: "default".to_owned(),
            id: id.to_owned(),
            cluster: "c".to_owned(),
            time: Time(time),
            action: None,
            severity: None,
            group: None,
            namespace: None,
            pod: None,
            pod_uid: None,
            node: None,
            question: None,
            entry: None,
            feeds: Vec::new(),
        }
    }

    /// One that no other test has.
    #[must_use]
    pub fn of(mut self, tag: &str) -> Self {
        self.cluster = format!("{tag}-{}", self.cluster);
        self.id = format!("{tag}-{}", self.id);
        self
    }

    /// Its JSON.
    pub fn source(&self) -> Bytes {
        let mut document = json!({
            "@timestamp": self.time,
            "event": { "id": self.id, "action": self.action, "severity": self.severity },
            "namewarden": { "group": self.group },
            "orchestrator": { "cluster": { "name": self.cluster } },
            "kubernetes": { "namespace": self.namespace, "pod": { "name": self.pod, "uid": self.pod_uid } },
            "host": { "name": self.node },
            "dns": { "question": { "name": self.question } },
            "threat": { "indicator": { "name": self.entry }, "feed": { "name": self.feeds } },
        });
        prune(&mut document);
        document.to_string().into()
    }

    /// As it comes in.
    pub fn incoming(&self) -> Incoming {
        Incoming {
            stream: self.stream,
            namespace: self.space.clone(),
            id: Some(self.id.clone()),
            source: self.source(),
        }
    }
}

/// What is not known is absent.
fn prune(value: &mut Value) {
    if let Value::Object(members) = value {
        members.values_mut().for_each(prune);
        members.retain(|_, value| !value.is_null() && *value != json!({}) && *value != json!([]));
    }
}

/// What is done to a store.
#[derive(Clone, Debug)]
pub enum Operation {
    Append(Vec<Spec>),
    Annotate { cluster: String, group: String, annotation: Annotation },
    Search(Search),
    Histogram(Histogram),
    Top(Top),
    Get { stream: Stream, cluster: String, id: String },
    Restart,
}

impl Operation {
    /// One that speaks of nothing that another test has.
    #[must_use]
    pub fn of(mut self, tag: &str) -> Self {
        let of_tag = |text: &mut String| *text = format!("{tag}-{text}");
        match &mut self {
            Self::Append(specs) => specs.iter_mut().for_each(|spec| *spec = spec.clone().of(tag)),
            Self::Annotate { cluster, .. } => of_tag(cluster),
            Self::Search(search) => of_tag(&mut search.filter.cluster),
            Self::Histogram(histogram) => of_tag(&mut histogram.filter.cluster),
            Self::Top(top) => of_tag(&mut top.filter.cluster),
            Self::Get { cluster, id, .. } => [cluster, id].into_iter().for_each(of_tag),
            Self::Restart => {}
        }
        self
    }
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    select(words).prop_map(str::to_owned)
}

const CLUSTERS: &[&str] = &["c", "d"];
const GROUPS: &[&str] = &["g", "h", "i"];
const NAMES: &[&str] = &["evil.example", "a.evil.example", "bad.example"];
const PODS: &[&str] = &["cart", "shop", "1b2c"];
const FEEDS: &[&str] = &["urlhaus", "ours"];
const ACTIONS: &[Action] = &[Action::ListedName, Action::Flood, Action::CaptureGap];

fn stream() -> impl Strategy<Value = Stream> + Clone {
    prop_oneof![4 => Just(Stream::Alerts), 1 => Just(Stream::Logs)]
}

fn time() -> impl Strategy<Value = Time> + Clone {
    (0_u64..12).prop_map(Time)
}

prop_compose! {
    fn spec()(
        (stream, time, cluster) in (stream(), time(), word(CLUSTERS)),
        space in prop_oneof![5 => Just("default"), 1 => Just("other")],
        id in "[a-d][0-9]?",
        (action, severity) in (option::of(select(ACTIONS)), option::of(1_u8..=4)),
        group in option::of(word(GROUPS)),
        namespace in option::of(word(&["shop", "bank"])),
        (pod, pod_uid, node) in (option::of(word(PODS)), option::of(word(PODS)), option::of(word(&["n1", "n2"]))),
        (question, entry) in (option::of(word(NAMES)), option::of(word(NAMES))),
        feeds in prop::collection::vec(word(FEEDS), 0..3),
    ) -> Spec {
        Spec { stream, space: space.to_owned(), id, cluster, time, action, severity, group, namespace, pod, pod_uid, node,
            question, entry, feeds }
    }
}

prop_compose! {
    fn filter()(
        cluster in word(CLUSTERS),
        (since, until) in (option::weighted(0.3, time()), option::weighted(0.3, time())),
        namespace in option::weighted(0.2, word(&["shop", "bank"])),
        pod in option::weighted(0.2, word(PODS)),
        domain in option::weighted(0.2, word(NAMES)),
        feed in option::weighted(0.2, word(FEEDS)),
        severity in option::weighted(0.2, (1_u8..=4, 1_u8..=4).prop_map(|(from, to)| from..=to)),
        kinds in prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(select(ACTIONS), 1..3)],
        states in prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(select(&State::ALL[..]), 1..3)],
    ) -> Filter {
        Filter { cluster, since, until, namespace, pod, domain, feed, severity, kinds, states }
    }
}

fn search() -> impl Strategy<Value = Search> {
    let order = select(&[Order::NewestFirst, Order::OldestFirst, Order::Arrival][..]);
    (stream(), filter(), order, 1_usize..6).prop_map(|(stream, filter, order, limit)| Search {
        stream,
        filter,
        order,
        after: None::<Cursor>,
        limit,
    })
}

fn annotate() -> impl Strategy<Value = Operation> {
    let annotation = (select(&State::ALL[..]), time(), "[a-z]{0,3}")
        .prop_map(|(state, at, reason)| Annotation { state, by: "ann".to_owned(), at, reason });
    (word(CLUSTERS), word(GROUPS), annotation).prop_map(|(cluster, group, annotation)| Operation::Annotate {
        cluster,
        group,
        annotation,
    })
}

/// Any operation.
pub fn operation() -> impl Strategy<Value = Operation> {
    let histogram = (stream(), filter(), time(), 1_u64..4, 0_usize..6)
        .prop_map(|(stream, filter, from, step, steps)| Histogram { stream, filter, from, step, steps });
    let top = (stream(), filter(), select(&Field::ALL[..]), 1_usize..4)
        .prop_map(|(stream, filter, field, limit)| Top { stream, filter, field, limit });
    prop_oneof![
        6 => prop::collection::vec(spec(), 1..12).prop_map(Operation::Append),
        2 => annotate(),
        6 => search().prop_map(Operation::Search),
        1 => histogram.prop_map(Operation::Histogram),
        2 => top.prop_map(Operation::Top),
        1 => (stream(), word(CLUSTERS), "[a-d][0-9]?")
            .prop_map(|(stream, cluster, id)| Operation::Get { stream, cluster, id }),
        1 => Just(Operation::Restart),
    ]
}
