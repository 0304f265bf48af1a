//! A sink as the agent opens it, documents with numbers for ids, and what a data stream must hold at the end.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use namewarden_agent::pipeline::sink::search::{LaneView, Settings as SearchSettings};
use namewarden_agent::pipeline::sink::spool::{Counts, Kind, Limits};
use namewarden_agent::pipeline::sink::{Settings, Sink, Style, Target};
use namewarden_protocol::document::{Action, DataStream, Document, Event, Identity, Time};
use namewarden_protocol::search_engine;
use namewarden_tests::search_engine::SearchEngine;
use namewarden_tests::wait;

pub const PATIENCE: Duration = Duration::from_secs(180);

/// Limits that no test reaches unawares.
pub const AMPLE: Limits = Limits { bytes: 256 << 20, age: Duration::from_hours(72) };

/// The sink of one test; its streams are called after it.
pub struct Rig {
    pub sink: Sink,
    namespace: String,
}

/// Names of the streams of a test.
pub fn stream(kind: Kind, namespace: &str) -> String {
    let action = if kind == Kind::Alerts { Action::ListedName } else { Action::DnsLog };
    DataStream::of(action, namespace).name()
}

impl Rig {
    pub fn open(url: &str, folder: &Path, namespace: &str) -> Result<Self> {
        Self::limited(url, folder, namespace, AMPLE)
    }

    pub fn limited(url: &str, folder: &Path, namespace: &str, limits: Limits) -> Result<Self> {
        let streams = Kind::ALL.map(|kind| stream(kind, namespace));
        Self::into(url, folder, namespace, limits, streams)
    }

    /// One that trusts the certificates of this authority too.
    pub fn trusting(authority: &Path, url: &str, folder: &Path, namespace: &str) -> Result<Self> {
        let streams = Kind::ALL.map(|kind| stream(kind, namespace));
        let client =
            search_engine::Settings { authorities: Some(authority.to_owned()), ..Default::default() };
        Self::asking(client, url, folder, namespace, AMPLE, streams)
    }

    /// One whose streams, of alerts and of DNS logs, are called otherwise.
    pub fn into(
        url: &str,
        folder: &Path,
        namespace: &str,
        limits: Limits,
        streams: [String; 2],
    ) -> Result<Self> {
        Self::asking(search_engine::Settings::default(), url, folder, namespace, limits, streams)
    }

    /// One that asks so.
    pub fn asking(
        client: search_engine::Settings,
        url: &str,
        folder: &Path,
        namespace: &str,
        limits: Limits,
        streams: [String; 2],
    ) -> Result<Self> {
        let settings = Self::settings(client, url, folder, limits, streams)?;
        Ok(Self { sink: Sink::open(&settings)?, namespace: namespace.to_owned() })
    }

    /// What its sink is told.
    pub fn settings(
        client: search_engine::Settings,
        url: &str,
        folder: &Path,
        limits: Limits,
        [alert_stream, log_stream]: [String; 2],
    ) -> Result<Settings> {
        let target: Target = url.parse()?;
        Ok(Settings {
            alerts: target.clone(),
            dns_logs: Some(target),
            style: Style::Json,
            rotation: None,
            capacity: 1 << 16,
            search: Some(SearchSettings {
                client,
                limits,
                folder: folder.to_owned(),
                alert_stream,
                log_stream,
            }),
        })
    }

    pub fn document(&self, action: Action, id: u64) -> Document {
        let identity = Identity {
            cluster: "cluster".into(),
            node: "node-1".into(),
            namespace: self.namespace.clone(),
            instance: "8d1f0c6a2b7e4935".into(),
            version: "0.1.0".into(),
        };
        let event = Event::new(action, format!("{id:06}"), Time(1_795_000_000_000_000_000));
        let mut document = Document::new(Time(1_795_000_000_000_000_000), event, &identity);
        document.message = format!("document number {id}, padded as a real one is: {}", "x".repeat(900));
        document
    }

    pub fn write(&self, action: Action, ids: std::ops::Range<u64>) {
        ids.for_each(|id| self.sink.write_waiting(self.document(action, id)));
    }

    pub fn lane(&self, kind: Kind) -> Result<LaneView> {
        self.sink.lanes().into_iter().find(|lane| lane.kind == kind).context("no such lane")
    }

    /// Waits until so many alerts came in and none waits any more.
    pub fn settled(&self, alerts: u64) -> Result<Counts> {
        let mut last = None;
        let settled = wait::within(PATIENCE, "every alert is settled", || {
            let lane = self.lane(Kind::Alerts)?;
            let counts = lane.counts;
            last = Some(lane);
            Ok((counts.found + counts.appended >= alerts && counts.waiting == 0).then_some(counts))
        });
        let counts = settled.with_context(|| format!("{last:?}"))?;
        closes(&counts)?;
        Ok(counts)
    }
}

pub fn closes(counts: &Counts) -> Result<()> {
    let dropped = counts.dropped_size + counts.dropped_age + counts.dropped_disk + counts.damaged;
    let became = counts.acknowledged + counts.refused + dropped + counts.waiting;
    ensure!(counts.found + counts.appended == became, "{counts:?}");
    Ok(())
}

/// Ids in a stream, sorted; one that is there twice is there twice.
pub fn ids(engine: &SearchEngine, stream: &str) -> Result<Vec<String>> {
    let found = engine.documents(stream)?;
    let id = |hit: &serde_json::Value| Some(hit.pointer("/_id")?.as_str()?.to_owned());
    let mut ids: Vec<String> = found.iter().filter_map(id).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// The stream must hold alerts with these numbers, each once.
pub fn expect(engine: &SearchEngine, namespace: &str, numbers: std::ops::Range<u64>) -> Result<()> {
    let expected: Vec<String> = numbers.map(|id| format!("{id:06}")).collect();
    let found = ids(engine, &stream(Kind::Alerts, namespace))?;
    let missing: Vec<_> = expected.iter().filter(|id| found.binary_search(id).is_err()).collect();
    let double = double(&found);
    ensure!(found == expected, "{} found, missing {missing:?}, double {double:?}", found.len());
    Ok(())
}

/// Ids that stand more than once in a sorted list.
pub fn double(ids: &[String]) -> Vec<&String> {
    ids.iter().zip(ids.iter().skip(1)).filter(|(id, next)| id == next).map(|(id, _)| id).collect()
}
