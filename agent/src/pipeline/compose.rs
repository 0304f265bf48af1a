//! Alerts, DNS logs and reports of the agent's own -> documents, as `docs/reference/documents.md` describes them.
//!
//! Here alone the words of the pipeline become the fields of the Elastic Common Schema.

use std::borrow::Cow;
use std::sync::Arc;

use namewarden_protocol::document::threat::ListedBy;
use namewarden_protocol::document::{Action, Document, Event, Facts, Identity, Set, Threat, Time, id};

use super::attribute::Workload;
use super::attribute::pod::{NoPods, Pod, Pods};
use super::exchange::Exchange;
use super::matching::{FeedListing, Finding};
use super::packet::Timestamp;
use super::parse;
use super::roll_up::{Alert, Saying};
use super::screen::{Part, Section};

// The fields that alerts and DNS logs share: dns, container, process, endpoints.
mod common;

// DNS logs.
mod log;

// Floods.
mod flood;

// One plain sentence for a person.
mod sentence;

/// Makes documents in the name of one run of one agent.
#[derive(Clone, Debug)]
pub struct Composer {
    identity: Identity,
    pods: Arc<dyn Pods>,
    /// DNS logs written so far: what their ids are numbered by.
    logs: u64,
    log_fields: LogFields,
}

/// What every DNS log bears, whatever it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFields {
    /// Whether it bears its pod's labels.
    pub labels: bool,
    /// One exchange in so many is logged.
    pub sample: u64,
}

impl Default for LogFields {
    /// Labels, and every exchange.
    fn default() -> Self {
        Self { labels: true, sample: 1 }
    }
}

impl Composer {
    /// A composer that signs documents so.
    pub fn new(identity: Identity) -> Self {
        Self { identity, pods: Arc::new(NoPods), logs: 0, log_fields: LogFields::default() }
    }

    /// The same, which names pods as these do.
    #[must_use]
    pub fn with_pods(self, pods: Arc<dyn Pods>) -> Self {
        Self { pods, ..self }
    }

    /// The same, whose DNS logs bear this.
    #[must_use]
    pub fn with_log_fields(self, log_fields: LogFields) -> Self {
        Self { log_fields, ..self }
    }

    /// Names of the workload's pod, as far as they are known now.
    fn pod(&self, workload: &Workload) -> Option<Arc<Pod>> {
        self.pods.pod(workload.pod_uid.as_deref()?)
    }

    /// The same of whoever is behind a packet; by the address it came from where nothing else is known.
    fn pod_behind(&self, exchange: &Exchange) -> Option<Arc<Pod>> {
        self.pod(&exchange.attributed.workload).or_else(|| exchange.hints.pod_at.clone())
    }

    /// The document of an alert or of a summary.
    pub fn alert(&self, alert: &Alert) -> Document {
        match alert.saying {
            Saying::First | Saying::Repeated => self.listed_name(alert),
            Saying::LeftOut { limit } => self.limit_reached(alert, limit),
        }
    }

    /// The document of a time without capture: `reason` completes "nothing was captured from … to …: ".
    pub fn gap(&self, start: Timestamp, end: Timestamp, created: Timestamp, reason: &str) -> Document {
        let id = id::gap(&self.identity.cluster, &self.identity.node, start.0);
        let mut event = Event::new(Action::CaptureGap, id, Time(created.0));
        event.start = Some(Time(start.0));
        event.end = Some(Time(end.0));
        event.duration = end.0.checked_sub(start.0);
        let mut document = Document::new(Time(start.0), event, &self.identity);
        document.message = sentence::gap(Time(start.0), Time(end.0), reason);
        document.namewarden.reason = Some(Cow::Owned(reason.to_owned()));
        document
    }

    fn listed_name(&self, alert: &Alert) -> Document {
        let Alert { exchange, finding, .. } = alert;
        let pod = self.pod_behind(exchange);
        let who = sentence::who(&exchange.attributed.workload, pod.as_deref());
        let mut event = self.event(alert, Action::ListedName);
        event.severity = finding.feeds.iter().map(|feed| feed.severity).max();
        event.outcome = Some(common::outcome(&exchange.dns));
        event.duration = exchange.latency();
        let mut document = Document::new(Time(alert.first_seen.0), event, &self.identity);
        common::describe(&mut document, exchange, pod.as_deref());
        common::relate(&mut document, &finding.name);
        document.message = match alert.saying {
            Saying::Repeated => sentence::repeated(alert, &who),
            Saying::First | Saying::LeftOut { .. } => sentence::listed(alert, &who),
        };
        document.threat = Some(threat(finding));
        document.namewarden = Facts {
            scope: finding.feeds.first().map(|feed| feed.scope),
            matched: Some(Cow::Borrowed(if finding.exact { "exact" } else { "subdomain" })),
            record_type: record_type(finding),
            set: Some(Set::new(finding.set.epoch, finding.set.number, &finding.set.digest)),
            count: Some(alert.count),
            ..facts(alert, document.namewarden)
        };
        document
    }

    fn limit_reached(&self, alert: &Alert, limit: u64) -> Document {
        let mut event = self.event(alert, Action::LimitReached);
        event.severity = alert.finding.feeds.iter().map(|feed| feed.severity).max();
        let mut document = Document::new(Time(alert.first_seen.0), event, &self.identity);
        let workload = &alert.exchange.attributed.workload;
        let pod = self.pod_behind(&alert.exchange);
        common::describe_workload(&mut document, &alert.exchange, pod.as_deref());
        document.message = sentence::left_out(alert, limit, &sentence::who(workload, pod.as_deref()));
        document.namewarden =
            Facts { suppressed: Some(alert.count), limit: Some(limit), ..facts(alert, document.namewarden) };
        document
    }

    /// The first document of a group is named as the group, so that the same fact is kept once, whoever writes it.
    fn event(&self, alert: &Alert, action: Action) -> Event {
        let id = id::of_group(&alert.group, &self.identity.instance, alert.number);
        let mut event = Event::new(action, id, Time(alert.created.0));
        event.start = Some(Time(alert.first_seen.0));
        event.end = Some(Time(alert.last_seen.0.max(alert.exchange.answered.unwrap_or_default().0)));
        event
    }
}

fn facts(alert: &Alert, of_workload: Facts) -> Facts {
    Facts {
        group: Some(alert.group.clone()),
        first_seen: Some(Time(alert.first_seen.0)),
        last_seen: Some(Time(alert.last_seen.0)),
        ..of_workload
    }
}

fn threat(finding: &Finding) -> Threat {
    Threat::new(&finding.entry, &finding.name, field(finding), finding.feeds.iter().map(listed_by))
}

fn listed_by(feed: &FeedListing) -> ListedBy<'_> {
    ListedBy {
        name: &feed.name,
        description: &feed.description,
        severity: feed.severity,
        techniques: &feed.techniques,
    }
}

/// The field of the document that holds the name that matched.
fn field(finding: &Finding) -> &'static str {
    match (finding.place.section, finding.place.part) {
        (Section::Question, _) => "dns.question.name",
        (Section::Answer, Part::Owner) => "dns.answers.name",
        (Section::Answer, Part::Data) => "dns.answers.data",
        (Section::Authority, Part::Owner) => "dns.authorities.name",
        (Section::Authority, Part::Data) => "dns.authorities.data",
        (Section::Additional, Part::Owner) => "dns.additionals.name",
        (Section::Additional, Part::Data) => "dns.additionals.data",
    }
}

/// Type of the record that held the name; none for the question.
fn record_type(finding: &Finding) -> Option<parse::Mnemonic> {
    (finding.place.section != Section::Question).then(|| parse::type_name(finding.place.rr_type))
}

#[cfg(test)]
pub(super) mod tests;

// The reference page against what is written here.
#[cfg(test)]
mod reference;
