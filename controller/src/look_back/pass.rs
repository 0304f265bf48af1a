//! One search: the logs that hold a name that was gained, page by page, and an alert for each group of them.

use std::{
    collections::{BTreeMap, VecDeque, btree_map::Entry},
    sync::{Arc, atomic::Ordering},
    time::{Instant, SystemTime},
};

use namewarden_protocol::document::{
    Document, Time,
    retroactive::{Author, merge},
};

use super::{Counts, Gain, LookBackError};
use crate::store::{Appended, Hit, Incoming, Naming, Outcome, Store, Stream};

/// Alerts that are held while others of their groups are looked for.
const GROUPS_MAX: usize = 5_000;
/// Bytes of logs that they may be made of.
const BYTES_MAX: usize = 16 << 20;
/// Alerts that are written at once.
const TOGETHER: usize = 500;

/// One search.
#[derive(Debug)]
pub struct Pass<'p> {
    /// Where logs are found and alerts are written.
    pub store: &'p dyn Store,
    /// Whose logs.
    pub cluster: &'p str,
    /// Logs of this time and later.
    pub since: SystemTime,
    /// Of them those that arrived behind this.
    pub arrived_after: Option<u64>,
    /// What is looked for.
    pub gain: Arc<Gain>,
    /// One run of this controller.
    pub author: &'p str,
    /// What is counted.
    pub counts: &'p Counts,
}

impl Pass<'_> {
    /// Searches; says which logs were looked at: those that arrived before it.
    pub async fn run(&self) -> Result<u64, LookBackError> {
        let gain = Arc::clone(&self.gain);
        let mut naming = Naming {
            cluster: self.cluster.to_owned(),
            since: time(self.since),
            arrived_after: self.arrived_after,
            is_meant: Arc::new(move |value| gain.is_meant(value)),
            after: None,
        };
        let (mut groups, mut arrived) = (Groups::default(), None);
        loop {
            let began = Instant::now();
            let page = self.store.naming(naming.clone()).await?;
            arrived.get_or_insert(page.arrived);
            self.take(page.hits.into(), &mut groups).await?;
            naming.after = page.next;
            if naming.after.is_none() {
                self.write(groups.take()).await?;
                return Ok(arrived.unwrap_or_default());
            }
            // Whoever reads or writes documents meanwhile gets as much of the machine.
            tokio::time::sleep(began.elapsed()).await;
        }
    }

    /// Takes in logs, some megabytes of alerts at a time; what grows large is written.
    async fn take(&self, mut hits: VecDeque<Hit>, groups: &mut Groups) -> Result<(), LookBackError> {
        while !hits.is_empty() {
            let (gain, author) = (Arc::clone(&self.gain), self.author());
            let found = tokio::task::spawn_blocking(move || alerts(&gain, hits, &author)).await;
            let (found, left) = found.map_err(|_| LookBackError::CutOff)?;
            hits = left;
            for (alert, bytes) in found {
                groups.add(alert, bytes);
            }
            if groups.are_full() {
                self.write(groups.take()).await?;
            }
        }
        Ok(())
    }

    fn author(&self) -> Author {
        Author {
            instance: self.author.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created: time(SystemTime::now()),
        }
    }

    async fn write(&self, groups: BTreeMap<String, Document>) -> Result<(), LookBackError> {
        let mut alerts = groups.into_values().peekable();
        while alerts.peek().is_some() {
            let batch =
                alerts.by_ref().take(TOGETHER).map(|alert| incoming(&alert)).collect::<Result<Vec<_>, _>>();
            let batch = batch.map_err(|error| LookBackError::Refused(error.to_string()))?;
            for appended in self.store.append(batch).await? {
                self.count(appended)?;
            }
        }
        Ok(())
    }

    fn count(&self, Appended { id, outcome }: Appended) -> Result<(), LookBackError> {
        match outcome {
            Outcome::Created { .. } => _ = self.counts.alerts.fetch_add(1, Ordering::Relaxed),
            Outcome::Exists => _ = self.counts.known.fetch_add(1, Ordering::Relaxed),
            // It would be refused again.
            Outcome::Refused(refusal) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(id, "a retroactive alert is refused: {}", refusal.reason);
            }
            Outcome::Failed { reason, .. } => return Err(LookBackError::Refused(reason)),
        }
        Ok(())
    }
}

/// Alerts that are held while others of their groups are looked for.
#[derive(Debug, Default)]
struct Groups {
    by_id: BTreeMap<String, Document>,
    /// Bytes of the logs that they were made of.
    bytes: usize,
}

impl Groups {
    fn add(&mut self, alert: Document, bytes: usize) {
        match self.by_id.entry(alert.id().to_owned()) {
            Entry::Occupied(mut first) => merge(first.get_mut(), &alert),
            Entry::Vacant(place) => {
                place.insert(alert);
                self.bytes += bytes;
            }
        }
    }

    fn are_full(&self) -> bool {
        self.by_id.len() >= GROUPS_MAX || self.bytes >= BYTES_MAX
    }

    fn take(&mut self) -> BTreeMap<String, Document> {
        self.bytes = 0;
        std::mem::take(&mut self.by_id)
    }
}

/// The alerts of logs, each with its log's bytes, until they are many bytes; and the logs that are left. Blocks.
fn alerts(gain: &Gain, mut hits: VecDeque<Hit>, author: &Author) -> (Vec<(Document, usize)>, VecDeque<Hit>) {
    let (mut found, mut bytes) = (Vec::new(), 0);
    while bytes < BYTES_MAX
        && let Some(hit) = hits.pop_front()
    {
        let Ok(log) = serde_json::from_slice::<Document>(&hit.source) else {
            tracing::debug!(id = hit.id, "a DNS log of another shape is passed over");
            continue;
        };
        let size = hit.source.len().max(1);
        for mut alert in gain.alerts(&log, BYTES_MAX / size, author) {
            // Where the log was found, not where it says that it belongs.
            alert.data_stream.namespace.clone_from(&hit.namespace);
            bytes += size;
            found.push((alert, size));
        }
    }
    (found, hits)
}

fn incoming(alert: &Document) -> serde_json::Result<Incoming> {
    Ok(Incoming {
        stream: Stream::Alerts,
        namespace: alert.data_stream.namespace.clone(),
        id: Some(alert.id().to_owned()),
        source: serde_json::to_vec(alert)?.into(),
    })
}

fn time(time: SystemTime) -> Time {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
