//! Alerts as a test expects them. A document is projected to the facts that tests speak of, and all alerts of a run
//! are compared with all that are expected: one more is as wrong as one less.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{client::CLIENT_NAME, client::Client, pod::Pod};

/// The facts of one alert.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alert {
    /// `threat.indicator.name`: the entry.
    pub entry: String,
    /// `threat.feed.name`.
    pub feeds: Vec<String>,
    /// `namewarden.scope` of the entry.
    pub scope: String,
    /// `namewarden.match`: `exact` or `subdomain`.
    pub matched: String,
    /// `threat.enrichments.matched.atomic`: the name that the entry covers.
    pub name: String,
    /// `threat.enrichments.matched.field`: where the name stood.
    pub field: String,
    /// `dns.question.name`.
    pub question: String,
    /// `kubernetes.pod.uid`.
    pub pod: Option<String>,
    /// `container.id`.
    pub container: Option<String>,
    /// `process.pid`.
    pub pid: Option<u32>,
    /// `process.name`.
    pub process: Option<String>,
    /// `namewarden.attribution`.
    pub attribution: String,
    /// `namewarden.side`: `server` where the workload was asked.
    pub side: Option<String>,
    /// `service.name`: the unit of what is in no pod.
    pub unit: Option<String>,
}

impl Alert {
    /// An alert on `entry`, of scope `both` in feed `bad`, asked for by that very name.
    pub fn on(entry: &str) -> Self {
        Self {
            entry: entry.to_owned(),
            feeds: vec!["bad".to_owned()],
            scope: "both".to_owned(),
            matched: "exact".to_owned(),
            name: entry.to_owned(),
            field: "dns.question.name".to_owned(),
            question: entry.to_owned(),
            pod: None,
            container: None,
            pid: None,
            process: None,
            attribution: "cgroup".to_owned(),
            side: None,
            unit: None,
        }
    }

    /// The question was for `name`, which the entry covers.
    #[must_use]
    pub fn asked(mut self, name: &str) -> Self {
        name.clone_into(&mut self.question);
        self.named(name)
    }

    /// The question was for `question`, which nobody lists; `name` stood in `field`.
    #[must_use]
    pub fn answered(mut self, question: &str, field: &str, name: &str) -> Self {
        question.clone_into(&mut self.question);
        field.clone_into(&mut self.field);
        self.named(name)
    }

    fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        let exact = name.eq_ignore_ascii_case(&self.entry);
        (if exact { "exact" } else { "subdomain" }).clone_into(&mut self.matched);
        self
    }

    /// The feeds that list the entry, and with what scope.
    #[must_use]
    pub fn listed_by(mut self, feeds: &[&str], scope: &str) -> Self {
        self.feeds = feeds.iter().map(|feed| (*feed).to_owned()).collect();
        scope.clone_into(&mut self.scope);
        self
    }

    /// The pod that asked.
    #[must_use]
    pub fn from(mut self, pod: &Pod) -> Self {
        self.pod = Some(pod.uid.clone());
        self.container = Some(pod.container.clone());
        self
    }

    /// The process that asked.
    #[must_use]
    pub fn process(mut self, pid: u32, name: &str) -> Self {
        self.pid = Some(pid);
        self.process = Some(name.to_owned());
        self
    }

    /// The pod, and the client in it, that asked.
    #[must_use]
    pub fn by(self, pod: &Pod, client: &Client) -> Self {
        self.from(pod).process(client.pid(), CLIENT_NAME)
    }

    /// The systemd unit that asked.
    #[must_use]
    pub fn by_unit(mut self, unit: &str) -> Self {
        self.unit = Some(unit.to_owned());
        self
    }

    /// The workload is the server of the exchange.
    #[must_use]
    pub fn at_server(mut self) -> Self {
        self.side = Some("server".to_owned());
        self
    }

    /// How the workload was found.
    #[must_use]
    pub fn found_by(mut self, attribution: &str) -> Self {
        attribution.clone_into(&mut self.attribution);
        self
    }

    /// The facts of a document.
    pub fn read(document: &Value) -> Result<Self> {
        let required =
            |path: &str| text(document, path).with_context(|| format!("{path} is missing in {document:#}"));
        let feeds = document.pointer("/threat/feed/name").and_then(Value::as_array);
        let pid = document.pointer("/process/pid").and_then(Value::as_u64);
        Ok(Self {
            entry: required("/threat/indicator/name")?,
            feeds: feeds.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
            scope: required("/namewarden/scope")?,
            matched: required("/namewarden/match")?,
            name: required("/threat/enrichments/0/matched/atomic")?,
            field: required("/threat/enrichments/0/matched/field")?,
            question: required("/dns/question/name")?,
            pod: text(document, "/kubernetes/pod/uid"),
            container: text(document, "/container/id"),
            pid: pid.map(u32::try_from).transpose()?,
            process: text(document, "/process/name"),
            attribution: required("/namewarden/attribution")?,
            side: text(document, "/namewarden/side"),
            unit: text(document, "/service/name"),
        })
    }
}

/// String at `path` of a document.
pub fn text(document: &Value, path: &str) -> Option<String> {
    document.pointer(path).and_then(Value::as_str).map(str::to_owned)
}

/// `namewarden.count` of every document that has one.
pub fn counts(documents: &[Value]) -> Vec<u64> {
    documents
        .iter()
        .filter_map(|document| document.pointer("/namewarden/count"))
        .filter_map(Value::as_u64)
        .collect()
}

/// Whether a document says that a listed name was seen.
pub fn is_alert(document: &Value) -> bool {
    text(document, "/event/action").as_deref() == Some("listed-name")
}

/// The alerts of a run, one for each group: later documents of a group only count repeats.
pub fn alerts(documents: &[Value]) -> Result<Vec<Alert>> {
    let mut groups = BTreeSet::new();
    let mut alerts = Vec::new();
    for document in documents.iter().filter(|document| is_alert(document)) {
        let group = text(document, "/namewarden/group").with_context(|| format!("no group: {document:#}"))?;
        if groups.insert(group) {
            alerts.push(Alert::read(document)?);
        }
    }
    alerts.sort();
    Ok(alerts)
}

/// Compares all alerts of a run with all that are expected.
pub fn expect_alerts(documents: &[Value], expected: &[Alert]) -> Result<()> {
    let mut expected = expected.to_vec();
    expected.sort();
    let came = alerts(documents)?;
    if came == expected {
        return Ok(());
    }
    let missing: Vec<_> = expected.iter().filter(|alert| !came.contains(alert)).collect();
    let surplus: Vec<_> = came.iter().filter(|alert| !expected.contains(alert)).collect();
    bail!(
        "{} alerts came, {} were expected\nmissing: {missing:#?}\nsurplus: {surplus:#?}",
        came.len(),
        expected.len()
    )
}
