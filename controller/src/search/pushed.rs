//! Feeds pushed to a search engine: which of its documents are new, changed or gone, and those taken over.
//!
//! Every few seconds all documents are listed without their sources: by index, id, and the number of the operation that wrote
//! them last. A source is read only where that number is another one. Where a feed has a document in several indices, the
//! newest index has the one that counts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::engine::{Engine, EngineError};
use super::template::PUSH_PREFIX;
use crate::feed::push::{PushError, Pushes};

/// The most documents listed: as many as one answer of a search holds, and as the controller keeps.
const DOCUMENTS_MAX: usize = 10_000;

/// A document as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its index.
    pub index: String,
    /// Another one after each change, and in another index.
    pub state: u64,
    /// Its index's UUID, as a number.
    uuid: u64,
    age: (u64, String),
}

/// What one look led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Feeds whose document is another one now, or gone.
    pub changed: Vec<String>,
    /// Feeds whose document cannot be taken, and why.
    pub refused: Vec<(String, String)>,
    /// Feeds whose document is not found, and neither is the index that had it: what was taken stays.
    pub hidden: Vec<String>,
}

/// All documents that count, and the indices that may be seen.
#[derive(Debug, Default)]
struct List {
    documents: BTreeMap<String, Listed>,
    indices: BTreeSet<u64>,
}

/// Looks again and again.
#[derive(Debug)]
pub struct Watch {
    cluster: String,
    /// Documents that cannot be taken: not read again before they change.
    refused: BTreeMap<String, u64>,
}

impl Watch {
    /// For the feeds of a cluster.
    pub fn new(cluster: &str) -> Self {
        Self { cluster: cluster.to_owned(), refused: BTreeMap::new() }
    }

    /// Looks once.
    ///
    /// # Errors
    ///
    /// No answer, or a refusal; a full disk. What was taken over before stays.
    pub async fn look(&mut self, engine: &Engine, pushes: &Pushes) -> Result<Looked, LookError> {
        let List { documents: listed, indices } = list(engine, &self.cluster).await?;
        let known: BTreeMap<_, _> = pushes.followed().into_iter().collect();
        let mut looked = Looked::default();
        for (feed, found) in &listed {
            // What an earlier version took over without its index is taken once more.
            let is_taken = known.get(feed).is_some_and(|origin| {
                origin.state == found.state && (origin.replaced || origin.index.is_some())
            });
            if !is_taken && self.refused.get(feed) != Some(&found.state) {
                self.take(engine, pushes, feed, found, &mut looked).await?;
            }
        }
        self.refused.retain(|feed, _| listed.contains_key(feed));
        for (feed, origin) in known.iter().filter(|(feed, _)| !listed.contains_key(*feed)) {
            // A document is deleted where its index is still seen. Without one it may be the index, or the right to see it.
            let is_seen = origin.index.map_or(!indices.is_empty(), |index| indices.contains(&index));
            if origin.replaced {
                continue;
            }
            if !is_seen {
                looked.hidden.push(feed.clone());
            } else if pushes.unfollow(feed)? {
                looked.changed.push(feed.clone());
            }
        }
        Ok(looked)
    }

    async fn take(
        &mut self,
        engine: &Engine,
        pushes: &Pushes,
        feed: &str,
        found: &Listed,
        looked: &mut Looked,
    ) -> Result<(), LookError> {
        // Deleted since it was listed: gone when it is looked for next.
        let Some(source) = engine.source(&found.index, feed).await? else { return Ok(()) };
        let (pushes, named, state) = (pushes.clone(), feed.to_owned(), (found.uuid, found.state));
        // Up to 100 MB are checked and brought to the disk.
        let taken = tokio::task::spawn_blocking(move || pushes.follow(&named, state, &source)).await;
        match taken.map_err(|error| PushError::Io(std::io::Error::other(error)))? {
            Ok(Some(_)) => looked.changed.push(feed.to_owned()),
            Ok(None) => {}
            Err(PushError::Io(error)) => return Err(PushError::Io(error).into()),
            Err(refusal) => {
                self.refused.insert(feed.to_owned(), found.state);
                looked.refused.push((feed.to_owned(), refusal.to_string()));
            }
        }
        Ok(())
    }
}

/// Why a look led to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The search engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The disk.
    #[error(transparent)]
    Push(#[from] PushError),
}

/// The document that counts of each feed.
async fn list(engine: &Engine, cluster: &str) -> Result<List, EngineError> {
    let alias = format!("{PUSH_PREFIX}{cluster}.");
    let names = format!("{alias},{alias}linseed-*,{alias}namewarden-*,.tigera.domainnameset.{cluster}");
    let lenient = "ignore_unavailable=true&allow_no_indices=true&expand_wildcards=open,hidden";
    let settings = format!("/{names}/_settings/index.creation_date,index.uuid?flat_settings=true&{lenient}");
    let indices = engine.get(&settings).await?.or_refused("show the indices of pushed feeds")?;
    let query = json!({ "size": DOCUMENTS_MAX, "_source": false, "seq_no_primary_term": true });
    // What a shard that is away holds would be taken for deleted.
    let search = format!("/{names}/_search?{lenient}&allow_partial_search_results=false");
    let found = engine.post(&search, &query).await?.or_refused("list the pushed feeds")?;
    match gap(&found.body) {
        None => {
            let documents = newest(&indices.body, &found.body);
            Ok(List { documents, indices: seen(&indices.body) })
        }
        Some(reason) => Err(EngineError::Refused {
            what: "list all pushed feeds".to_owned(),
            status: found.status,
            reason,
        }),
    }
}

/// Why a list may not be the whole one.
fn gap(found: &Value) -> Option<String> {
    let failed = found.pointer("/_shards/failed").and_then(Value::as_u64).unwrap_or_default();
    let is_late = found.get("timed_out").and_then(Value::as_bool).unwrap_or_default();
    if failed > 0 || is_late {
        return Some(format!("{failed} of its shards do not answer in time"));
    }
    let count = found.pointer("/hits/hits").and_then(Value::as_array).map_or(0, Vec::len);
    (count >= DOCUMENTS_MAX).then(|| {
        format!("there are {DOCUMENTS_MAX} documents or more: delete those of feeds that are no more")
    })
}

/// Of each feed the document in the newest index.
fn newest(indices: &Value, found: &Value) -> BTreeMap<String, Listed> {
    let hits = found.pointer("/hits/hits").and_then(Value::as_array);
    let mut feeds = BTreeMap::<String, Listed>::new();
    for hit in hits.into_iter().flatten() {
        let Some((feed, listed)) = listed(indices, hit) else { continue };
        let is_older = feeds.get(&feed).is_some_and(|known| known.age > listed.age);
        if !is_older {
            feeds.insert(feed, listed);
        }
    }
    feeds
}

/// The indices that may be seen.
fn seen(indices: &Value) -> BTreeSet<u64> {
    let names = indices.as_object().into_iter().flat_map(|indices| indices.keys());
    names.map(|name| number_of(uuid(indices, name).unwrap_or(name))).collect()
}

fn setting<'i>(indices: &'i Value, index: &str, name: &str) -> Option<&'i str> {
    indices.get(index)?.get("settings")?.get(name)?.as_str()
}

fn uuid<'i>(indices: &'i Value, index: &str) -> Option<&'i str> {
    setting(indices, index, "index.uuid")
}

fn number_of(text: &str) -> u64 {
    Sha256::digest(text).first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn listed(indices: &Value, hit: &Value) -> Option<(String, Listed)> {
    let text = |name: &str| hit.get(name)?.as_str().map(str::to_owned);
    let number = |name: &str| hit.get(name)?.as_u64();
    let (feed, index) = (text("_id")?, text("_index")?);
    let created = setting(indices, &index, "index.creation_date");
    let created = created.and_then(|date| date.parse().ok()).unwrap_or_default();
    let uuid = uuid(indices, &index).unwrap_or(&index);
    let mut hash = Sha256::new();
    hash.update(uuid);
    hash.update(number("_seq_no")?.to_le_bytes());
    hash.update(number("_primary_term")?.to_le_bytes());
    let state = u64::from_le_bytes(*hash.finalize().first_chunk()?);
    Some((feed, Listed { uuid: number_of(uuid), age: (created, index.clone()), index, state }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(index: &str, feed: &str, seq_no: u64) -> Value {
        json!({ "_index": index, "_id": feed, "_seq_no": seq_no, "_primary_term": 1 })
    }

    fn index(created: &str) -> Value {
        json!({ "settings": { "index.creation_date": created, "index.uuid": format!("u{created}") } })
    }

    #[test]
    fn the_newest_index_has_the_document_that_counts() {
        let indices = json!({ "a": index("200"), "b": index("100") });
        let hits = |hits: Vec<Value>| json!({ "hits": { "hits": hits } });
        let both =
            newest(&indices, &hits(vec![hit("a", "urls", 3), hit("b", "urls", 9), hit("b", "other", 1)]));
        assert_eq!((both["urls"].index.as_str(), both["other"].index.as_str()), ("a", "b"));
        // A change in an older one changes nothing, one in the newest does.
        let older = newest(&indices, &hits(vec![hit("b", "urls", 10), hit("a", "urls", 3)]));
        assert_eq!(older["urls"], both["urls"]);
        let newer = newest(&indices, &hits(vec![hit("a", "urls", 4)]));
        assert_ne!(newer["urls"].state, both["urls"].state);
    }

    #[test]
    fn a_list_with_gaps_is_none() {
        let whole = json!({ "timed_out": false, "_shards": { "failed": 0 }, "hits": { "hits": [hit("a", "urls", 3)] } });
        assert_eq!(gap(&whole), None);
        let mut one_is_away = whole.clone();
        one_is_away["_shards"]["failed"] = 1.into();
        assert!(gap(&one_is_away).unwrap().contains("1 of its shards"));
        let mut late = whole.clone();
        late["timed_out"] = true.into();
        assert!(gap(&late).is_some());
        let mut full = whole;
        full["hits"]["hits"] = vec![json!({}); DOCUMENTS_MAX].into();
        assert!(gap(&full).unwrap().contains("10000"));
    }

    #[test]
    fn answers_of_another_shape_list_nothing() {
        for found in
            [json!({}), json!({ "hits": { "hits": [{ "_id": 7 }, null, { "_id": "x", "_index": "i" }] } })]
        {
            assert_eq!(newest(&json!({}), &found), BTreeMap::new());
        }
    }
}
