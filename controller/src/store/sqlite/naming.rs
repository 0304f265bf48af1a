//! DNS logs by the names in them: a walk over the documents in the order of arrival, each looked through.
//!
//! No index holds all names of a document: it would cost each document that comes in more than this costs the rare question.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use bytes::Bytes;
use namewarden_protocol::document::Time;
use rusqlite::{Connection, Row, params};
use serde::Deserialize;

use super::{matching, read};
use crate::store::{Hit, Naming, NamingPage};

/// Documents that a page looks at most, whether or not they are of the cluster and of the time.
const DOCUMENTS_MAX: usize = 20_000;
/// Documents of a page.
const HITS_MAX: usize = 500;
/// Bytes of documents after which a page ends; the last one may lead beyond.
const BYTES_MAX: usize = 8 << 20;
/// How long a page looks; others want to read too.
const PATIENCE: Duration = Duration::from_secs(2);

/// A page of the documents that are meant.
pub fn page(connection: &Connection, naming: &Naming) -> rusqlite::Result<NamingPage> {
    let arrived = read::last(connection)?;
    let Some(mut at) = start(connection, naming)? else {
        return Ok(NamingPage { hits: Vec::new(), next: None, arrived });
    };
    let mut statement = connection.prepare_cached(
        // Others are rows too, without a source: they count, or one log of the future has everything walked over at once.
        "SELECT i.seq, i.id, i.space, i.time, d.source FROM identity i
         LEFT JOIN document d ON d.seq = i.seq AND i.cluster = ?2 AND i.time >= ?3
         WHERE i.seq > ?1 ORDER BY i.seq LIMIT ?4",
    )?;
    let mut rows = statement.query(params![
        at,
        naming.cluster,
        matching::time(naming.since),
        as_limit(DOCUMENTS_MAX)
    ])?;
    let (began, mut looked, mut bytes, mut hits) = (Instant::now(), 0, 0, Vec::new());
    while let Some(row) = rows.next()? {
        looked += 1;
        at = row.get(0)?;
        if row.get_ref(4)?.as_str_or_null()?.is_some_and(|source| is_meant(source, naming)) {
            let hit = hit(row)?;
            bytes += hit.source.len();
            hits.push(hit);
        }
        let is_full = hits.len() >= HITS_MAX || bytes >= BYTES_MAX;
        if is_full || (looked % 256 == 0 && began.elapsed() > PATIENCE) {
            return Ok(NamingPage { hits, next: Some(at.to_string()), arrived });
        }
    }
    Ok(NamingPage { hits, next: (looked == DOCUMENTS_MAX).then(|| at.to_string()), arrived })
}

/// Behind which arrival the walk begins; `None` where nothing is late enough.
fn start(connection: &Connection, naming: &Naming) -> rusqlite::Result<Option<i64>> {
    if let Some(after) = &naming.after {
        return Ok(after.parse().ok());
    }
    let first: Option<i64> = connection.query_row(
        "SELECT min(id) FROM block WHERE newest >= ?1",
        [matching::time(naming.since)],
        |row| row.get(0),
    )?;
    let arrived = naming.arrived_after.map_or(i64::MIN, |arrival| i64::try_from(arrival).unwrap_or(i64::MAX));
    Ok(first.map(|first| arrived.max(first - 1)))
}

fn hit(row: &Row<'_>) -> rusqlite::Result<Hit> {
    let time: i64 = row.get(3)?;
    Ok(Hit {
        id: row.get(1)?,
        namespace: row.get(2)?,
        time: Time(u64::try_from(time).unwrap_or_default()),
        source: Bytes::from(row.get::<_, String>(4)?),
        annotation: None,
    })
}

fn as_limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn is_meant(source: &str, naming: &Naming) -> bool {
    // What has another shape than any agent writes is not understood, and not meant.
    let Ok(Named { dns: Some(dns) }) = serde_json::from_str(source) else { return false };
    let is_meant = |value: &Cow<'_, str>| (naming.is_meant)(value);
    let records = dns.answers.iter().chain(&dns.authorities).chain(&dns.additionals);
    dns.question.iter().filter_map(|question| question.name.as_ref()).any(is_meant)
        || records.flat_map(|record| record.name.iter().chain(record.data.values())).any(is_meant)
}

/// A document, as far as names stand in it.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    dns: Option<Dns<'a>>,
}

#[derive(Deserialize)]
struct Dns<'a> {
    #[serde(borrow)]
    question: Option<Record<'a>>,
    #[serde(borrow, default)]
    answers: Vec<Record<'a>>,
    #[serde(borrow, default)]
    authorities: Vec<Record<'a>>,
    #[serde(borrow, default)]
    additionals: Vec<Record<'a>>,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Data<'a>,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Data<'a> {
    #[default]
    None,
    One(#[serde(borrow)] Cow<'a, str>),
    Several(#[serde(borrow)] Vec<Cow<'a, str>>),
}

impl<'a> Data<'a> {
    fn values(&self) -> &[Cow<'a, str>] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::store::{Incoming, Store as _, Stream, sqlite::SqliteStore, tests};

    fn log(id: usize, time: u64, cluster: &str, dns: &serde_json::Value) -> Incoming {
        let source = json!({ "@timestamp": Time(time), "orchestrator": { "cluster": { "name": cluster } }, "dns": dns });
        let (stream, namespace) = (Stream::Logs, "default".to_owned());
        Incoming { stream, namespace, id: Some(id.to_string()), source: source.to_string().into() }
    }

    fn naming(name: &'static str) -> Naming {
        let is_meant = Arc::new(move |value: &str| value.split(' ').any(|part| part == name));
        Naming { cluster: "c".to_owned(), since: Time(5), arrived_after: None, is_meant, after: None }
    }

    /// Every page's documents, and what arrived before the first one was asked for.
    async fn all(store: &SqliteStore, mut naming: Naming) -> (Vec<String>, u64) {
        let (mut ids, mut arrived) = (Vec::new(), None);
        loop {
            let page = store.naming(naming.clone()).await.unwrap();
            arrived.get_or_insert(page.arrived);
            ids.extend(page.hits.into_iter().map(|hit| hit.id));
            naming.after = page.next;
            if naming.after.is_none() {
                return (ids, arrived.unwrap());
            }
        }
    }

    #[tokio::test]
    async fn documents_are_found_by_each_name_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let store = tests::open(&folder);
        let documents = [
            log(0, 9, "c", &json!({ "question": { "name": "evil.example" } })),
            log(
                1,
                9,
                "c",
                &json!({ "answers": [{ "name": "x" }, { "name": "evil.example", "data": "192.0.2.1" }] }),
            ),
            log(2, 9, "c", &json!({ "answers": [{ "name": "x", "data": ["10 evil.example", "y"] }] })),
            log(3, 9, "c", &json!({ "authorities": [{ "data": "evil.example" }], "additionals": [{}] })),
            log(4, 9, "c", &json!({ "additionals": [{ "name": "evil.example" }] })),
            log(5, 9, "c", &json!({ "question": { "name": "good.example" } })),
            log(6, 9, "d", &json!({ "question": { "name": "evil.example" } })),
            log(7, 4, "c", &json!({ "question": { "name": "evil.example" } })),
            log(8, 9, "c", &json!({ "answers": "evil.example" })),
        ];
        let _ = store.append(documents.into()).await.unwrap();
        assert_eq!(all(&store, naming("evil.example")).await.0, ["0", "1", "2", "3", "4"]);
        assert_eq!(all(&store, naming("nobody.example")).await.0, [""; 0]);
    }

    #[tokio::test]
    async fn a_page_ends_after_so_many_documents_though_none_of_them_is_of_the_cluster() {
        let folder = tempfile::tempdir().unwrap();
        let store = tests::open(&folder);
        let evil = json!({ "question": { "name": "evil.example" } });
        let others = (0..DOCUMENTS_MAX).map(|id| log(id, 9, if id % 2 == 0 { "d" } else { "c" }, &json!({})));
        let _ = store.append(others.collect()).await.unwrap();
        let _ = store.append(vec![log(DOCUMENTS_MAX, 9, "c", &evil)]).await.unwrap();
        let page = store.naming(naming("evil.example")).await.unwrap();
        assert!(page.hits.is_empty() && page.next.is_some());
        assert_eq!(all(&store, naming("evil.example")).await.0, [DOCUMENTS_MAX.to_string()]);
    }

    #[tokio::test]
    async fn a_page_ends_after_so_many_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let store = tests::open(&folder);
        let large = json!({ "question": { "name": "evil.example" }, "x": "x".repeat(BYTES_MAX / 8) });
        let _ = store.append((0..20).map(|id| log(id, 9, "c", &large)).collect()).await.unwrap();
        let page = store.naming(naming("evil.example")).await.unwrap();
        assert!(page.hits.len() < 10 && page.next.is_some(), "{}", page.hits.len());
        assert_eq!(all(&store, naming("evil.example")).await.0.len(), 20);
    }

    #[tokio::test]
    async fn many_come_in_pages_and_later_ones_by_their_arrival() {
        let folder = tempfile::tempdir().unwrap();
        let store = tests::open(&folder);
        let evil = json!({ "question": { "name": "evil.example" } });
        let many = HITS_MAX * 2 + 1;
        let _ = store.append((0..many).map(|id| log(id, 9, "c", &evil)).collect()).await.unwrap();
        let (ids, arrived) = all(&store, naming("evil.example")).await;
        assert_eq!(ids, (0..many).map(|id| id.to_string()).collect::<Vec<_>>());
        let later = || Naming { arrived_after: Some(arrived), ..naming("evil.example") };
        assert_eq!(all(&store, later()).await.0, [""; 0]);
        let _ = store.append(vec![log(many, 7, "c", &evil)]).await.unwrap();
        assert_eq!(all(&store, later()).await.0, [many.to_string()]);
    }
}
