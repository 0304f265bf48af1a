//! One search: the logs that hold a name that was gained, page by page, and an alert for each group of them.

use std::{
    collections::BTreeMap,
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
        let (mut groups, mut arrived) = (BTreeMap::new(), None);
        loop {
            let began = Instant::now();
            let page = self.store.naming(naming.clone()).await?;
            arrived.get_or_insert(page.arrived);
            page.hits.iter().for_each(|hit| self.take(hit, &mut groups));
            naming.after = page.next;
            if groups.len() >= GROUPS_MAX || naming.after.is_none() {
                self.write(std::mem::take(&mut groups)).await?;
            }
            if naming.after.is_none() {
                return Ok(arrived.unwrap_or_default());
            }
            // Whoever reads or writes documents meanwhile gets as much of the machine.
            tokio::time::sleep(began.elapsed()).await;
        }
    }

    fn take(&self, hit: &Hit, groups: &mut BTreeMap<String, Document>) {
        let Ok(log) = serde_json::from_slice::<Document>(&hit.source) else {
            tracing::debug!(id = hit.id, "a DNS log of another shape is passed over");
            return;
        };
        let author = Author {
            instance: self.author.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created: time(SystemTime::now()),
        };
        for mut alert in self.gain.alerts(&log, &author) {
            // Where the log was found, not where it says that it belongs.
            alert.data_stream.namespace.clone_from(&hit.namespace);
            groups
                .entry(alert.id().to_owned())
                .and_modify(|first| merge(first, &alert))
                .or_insert_with(|| alert.clone());
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
                tracing::warn!(id, "a retroactive alert is refused: {}", refusal.reason);
            }
            Outcome::Failed { reason, .. } => return Err(LookBackError::Refused(reason)),
        }
        Ok(())
    }
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
