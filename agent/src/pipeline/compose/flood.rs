//! Floods -> documents.

use namewarden_protocol::document::{Action, Document, Event, Facts, Time, Uncaptured, id};

use super::{Composer, common, sentence};
use crate::pipeline::attribute::{Attribution, Kind};
use crate::pipeline::flood::Report;

impl Composer {
    /// The document of a flood.
    pub fn flood(&self, report: &Report) -> Document {
        let id = id::of_group(&report.group, &self.identity.instance, report.number);
        let mut event = Event::new(Action::Flood, id, Time(report.created.0));
        (event.start, event.end) = (Some(Time(report.first_seen.0)), Some(Time(report.last_seen.0)));
        let mut document = Document::new(Time(report.first_seen.0), event, &self.identity);
        let pod = self.pod(&report.workload);
        common::workload(&mut document, &report.workload, pod.as_deref());
        document.message = sentence::flood(report, &sentence::who(&report.workload, pod.as_deref()));
        // Budgets are kept for the cgroup that a socket was made in.
        let is_known = report.workload.kind() != Kind::Unknown;
        let attribution = if is_known { Attribution::Cgroup } else { Attribution::None };
        let uncaptured = report.uncaptured;
        document.namewarden = Facts {
            attribution: Some(common::attribution(attribution, pod.as_deref())),
            group: Some(report.group.clone()),
            first_seen: Some(Time(report.first_seen.0)),
            last_seen: Some(Time(report.last_seen.0)),
            uncaptured: Some(Uncaptured { packets: uncaptured.packets, bytes: uncaptured.bytes }),
            ..document.namewarden
        };
        document
    }
}
