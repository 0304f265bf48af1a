//! The store in Elasticsearch or OpenSearch: the data streams that agents write to, and an index with what is said of groups.
//!
//! In: documents, by `_bulk`. Out: answers of the server's searches, whole ones only: what a shard that is away holds is missed by an
//! error, never by a shorter page. Nothing is kept here but how far the streams had come when somebody asked.

// One search, and what an answer must be to be believed.
mod ask;

// A filter as a query.
mod query;

// Documents as a search gives them.
mod hits;

// Documents into data streams.
mod append;

// Which documents are there already.
mod lookup;

// Pages in the orders by time.
mod page;

// How far each shard has come, and pages in the order of arrival.
mod arrival;

// Steps of time, most frequent values.
mod count;

// DNS logs by the names in them.
mod naming;

// What is said of groups.
mod annotations;

use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use namewarden_protocol::document::Time;

use super::{
    Annotation, Answer, Appended, Bucket, Histogram, Hit, Incoming, Naming, NamingPage, Order, Page, Reading,
    Search, Store, StoreError, Stream, Top, TopValue,
};
use crate::search::engine::{Engine, EngineError};
use arrival::{Moments, Positions};

/// The store.
#[derive(Debug)]
pub struct EngineStore {
    engine: Engine,
    moments: Moments,
    readings: Mutex<[Reading; 2]>,
}

impl EngineStore {
    /// Nothing is asked yet.
    pub fn new(engine: Engine) -> Self {
        Self { engine, moments: Moments::default(), readings: Mutex::default() }
    }

    /// Asks how much there is of each stream; [`Store::reading`] tells it from then on.
    ///
    /// # Errors
    /// No answer, a refusal.
    pub async fn measure(&self) -> Result<(), StoreError> {
        let [alerts, logs] = Stream::ALL;
        let measured =
            [count::reading(&self.engine, alerts).await?, count::reading(&self.engine, logs).await?];
        *self.readings.lock().unwrap_or_else(PoisonError::into_inner) = measured;
        Ok(())
    }

    /// Takes out what was said more than a day ago of groups of a cluster that no alert is left of; says of how many.
    ///
    /// # Errors
    /// No answer, a refusal.
    pub async fn forget(&self, cluster: &str, now: Time) -> Result<usize, StoreError> {
        annotations::forget(&self.engine, cluster, now).await
    }

    /// How far a stream has come; what was written before is found from now on.
    async fn reach(&self, stream: Stream) -> Result<Positions, StoreError> {
        arrival::reach(&self.engine, &self.moments, stream).await
    }

    async fn found(&self, search: Search) -> Result<Page, StoreError> {
        let arrived = self.reach(search.stream).await?;
        let Some(filter) = query::filter(&self.engine, search.stream, &search.filter).await? else {
            let next = (search.order == Order::Arrival).then(|| arrived.cursor());
            return Ok(Page { hits: Vec::new(), next, arrived: arrived.cursor() });
        };
        match search.order {
            Order::Arrival => arrival::page(&self.engine, &search, filter, &arrived).await,
            Order::NewestFirst | Order::OldestFirst => {
                page::page(&self.engine, &search, filter, &arrived).await
            }
        }
    }
}

/// All data streams of a stream.
fn pattern(stream: Stream) -> String {
    format!("logs-{}-*", stream.dataset())
}

impl From<EngineError> for StoreError {
    fn from(error: EngineError) -> Self {
        let remedy = match error {
            EngineError::Away { .. } => "; see that it runs, and that --elasticsearch names it",
            EngineError::Refused { .. } => "; its own log says more",
            EngineError::TooLong { .. } => "; ask for less, or let its documents be smaller",
            // They name their remedy themselves.
            EngineError::Forbidden { .. } | EngineError::Foreign { .. } => "",
        };
        Self::Engine(format!("{error}{remedy}"))
    }
}

impl Store for EngineStore {
    fn append(&self, documents: Vec<Incoming>) -> Answer<'_, Vec<Appended>> {
        append::append(&self.engine, documents).boxed()
    }

    fn search(&self, search: Search) -> Answer<'_, Page> {
        self.found(search).boxed()
    }

    fn histogram(&self, histogram: Histogram) -> Answer<'_, Vec<Bucket>> {
        async move {
            self.reach(histogram.stream).await?;
            count::histogram(&self.engine, histogram).await
        }
        .boxed()
    }

    fn top(&self, top: Top) -> Answer<'_, Vec<TopValue>> {
        async move {
            self.reach(top.stream).await?;
            count::top(&self.engine, top).await
        }
        .boxed()
    }

    fn naming(&self, naming: Naming) -> Answer<'_, NamingPage> {
        naming::page(&self.engine, &self.moments, naming).boxed()
    }

    fn get(&self, stream: Stream, cluster: String, id: String) -> Answer<'_, Option<Hit>> {
        async move {
            self.reach(stream).await?;
            page::get(&self.engine, stream, cluster, id).await
        }
        .boxed()
    }

    fn holds(&self, stream: Stream, namespace: String, ids: Vec<String>) -> Answer<'_, Vec<bool>> {
        lookup::holds(&self.engine, stream, namespace, ids).boxed()
    }

    fn annotate(&self, cluster: String, group: String, annotation: Annotation) -> Answer<'_, ()> {
        annotations::write(&self.engine, cluster, group, annotation).boxed()
    }

    fn reading(&self) -> Vec<(&'static str, Reading)> {
        let readings = *self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        Stream::ALL.into_iter().map(Stream::name).zip(readings).collect()
    }
}

#[cfg(test)]
mod tests;
