//! What agents ask before they send something again whose answer was lost: is there a data stream, and which documents does it
//! hold? Documents themselves are not told.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{asked, query, refused, store, target};
use crate::{
    store::StoreError,
    web::{
        Site,
        push::{
            answer::{PRIMARY_TERM, Style},
            content,
        },
    },
};

/// Bytes of a question.
const QUESTION_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Ids of a question.
const IDS_MAX: usize = 10_000;

/// `GET /_resolve/index/NAME`: each data stream that documents may go to is there.
pub async fn resolve(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let run = || {
        let (style, filter) = asked(&uri, &headers)?;
        store(&site, &style)?;
        if target::stream(&name).is_err() {
            return Err(style.no_index(&name, HINT));
        }
        let stream = json!({ "name": name, "backing_indices": [target::backing(&name)], "timestamp_field": "@timestamp" });
        let body = json!({ "indices": [], "aliases": [], "data_streams": [stream] });
        Ok(style.answer(StatusCode::OK, &filter.apply(body)))
    };
    run().unwrap_or_else(|refused: Response| refused)
}

/// `PUT /_data_stream/NAME`: what is there already cannot be made, and of others there is no template.
pub async fn create(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let run = || {
        let (style, _) = asked(&uri, &headers)?;
        store(&site, &style)?;
        let (kind, reason) = match target::stream(&name) {
            Ok(_) => ("resource_already_exists_exception", format!("data_stream [{name}] already exists")),
            Err(_) => (
                "illegal_argument_exception",
                format!("no matching index template found for data stream [{name}]; {HINT}"),
            ),
        };
        Ok(style.error(StatusCode::BAD_REQUEST, kind, &reason, Value::Null))
    };
    run().unwrap_or_else(|refused: Response| refused)
}

const HINT: &str = "only logs-namewarden.alert-<namespace> and logs-namewarden.dns-<namespace> are here";

/// `{"ids":[...]}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    ids: Vec<String>,
}

/// `POST /INDEX/_mget?_source=false`: which of the ids are there.
pub async fn mget(
    State(site): State<Arc<Site>>,
    Path(index): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    told(&site, &index, &uri, &headers, body).await.unwrap_or_else(|refused| refused)
}

async fn told(
    site: &Site,
    index: &str,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Response> {
    let (style, filter) = asked(uri, headers)?;
    let store = store(site, &style)?;
    if !query(uri).iter().any(|(name, value)| name == "_source" && value == "false") {
        return Err(style.bad_argument("documents are not told here: ask with _source=false which are there"));
    }
    let (stream, namespace) = target::stream_or_backing(index).map_err(|_| style.no_index(index, HINT))?;
    let ids = ids(&style, headers, body).await?;
    let held = store.holds(stream, namespace.to_owned(), ids.clone()).await;
    let held = held.map_err(|error| unavailable(&style, &error))?;
    let documents: Vec<_> =
        ids.iter().zip(held).map(|(id, is_there)| document(index, id, is_there)).collect();
    Ok(style.answer(StatusCode::OK, &filter.apply(json!({ "docs": documents }))))
}

async fn ids(style: &Style, headers: &HeaderMap, body: Body) -> Result<Vec<String>, Response> {
    let bytes = content::read(headers, body, QUESTION_BYTES_MAX).await;
    let bytes = bytes.map_err(|why| refused(style, &why))?;
    let question: Question = serde_json::from_slice(&bytes).map_err(|error| {
        let reason = format!("[mget] takes {{\"ids\":[...]}}: {error}");
        style.error(StatusCode::BAD_REQUEST, "parsing_exception", &reason, Value::Null)
    })?;
    if question.ids.len() > IDS_MAX {
        return Err(style.bad_argument(&format!("a question has at most {IDS_MAX} ids")));
    }
    Ok(question.ids)
}

fn document(index: &str, id: &str, is_there: bool) -> Value {
    if is_there {
        json!({ "_index": index, "_id": id, "_version": 1, "_primary_term": PRIMARY_TERM, "found": true })
    } else {
        json!({ "_index": index, "_id": id, "found": false })
    }
}

fn unavailable(style: &Style, error: &StoreError) -> Response {
    style.error(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable_shards_exception",
        &error.to_string(),
        Value::Null,
    )
}
