//! Answers as Elasticsearch gives them: the same fields, the same words, the same codes.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::{Map, Value, json};

/// Official clients refuse a server that does not say this.
const PRODUCT: (&str, &str) = ("x-elastic-product", "Elasticsearch");
/// There is one primary term: documents are written by one controller at a time and never rolled back.
pub const PRIMARY_TERM: u64 = 1;

/// How a client wants its answers.
#[derive(Clone, Debug, Default)]
pub struct Style {
    /// Readable JSON.
    pub pretty: bool,
    /// `compatible-with=N` of the client's `Accept`, where it asks for that.
    compatible_with: Option<u8>,
}

impl Style {
    /// What a request's headers ask for.
    pub fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let vendor =
            accept.split(',').find(|one| one.trim_start().starts_with("application/vnd.elasticsearch+json"));
        let number =
            vendor.and_then(|one| one.split_once("compatible-with=")).map(|(_, number)| number.trim());
        Self { pretty: false, compatible_with: number.and_then(|number| number.parse().ok()) }
    }

    /// An answer.
    pub fn answer(&self, status: StatusCode, body: &Value) -> Response {
        let text = if self.pretty { serde_json::to_string_pretty(body) } else { serde_json::to_string(body) };
        let text = text.map_or_else(|_| "{}".to_owned(), |text| if self.pretty { text + "\n" } else { text });
        self.bytes(status, text.into())
    }

    /// An answer whose body is JSON already.
    pub fn bytes(&self, status: StatusCode, body: bytes::Bytes) -> Response {
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        let content_type = self.compatible_with.map_or(Ok(json.clone()), |number| {
            format!("application/vnd.elasticsearch+json;compatible-with={number}").try_into()
        });
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type.unwrap_or(json));
        headers.insert(PRODUCT.0, HeaderValue::from_static(PRODUCT.1));
        response
    }

    /// An error: type and reason, and what else Elasticsearch says of its kind.
    pub fn error(&self, status: StatusCode, kind: &str, reason: &str, more: Value) -> Response {
        let mut cause = Map::new();
        cause.insert("type".to_owned(), kind.into());
        cause.insert("reason".to_owned(), reason.into());
        if let Value::Object(more) = more {
            cause.extend(more);
        }
        let mut error = Map::new();
        error.insert("root_cause".to_owned(), json!([cause]));
        error.extend(cause);
        self.answer(status, &json!({ "error": error, "status": status.as_u16() }))
    }

    /// 404 for an index that is not here.
    pub fn no_index(&self, name: &str, hint: &str) -> Response {
        let name: String = name.chars().take(300).collect();
        let more = json!({ "resource.type": "index_or_alias", "resource.id": name, "index_uuid": "_na_", "index": name });
        self.error(
            StatusCode::NOT_FOUND,
            "index_not_found_exception",
            &format!("no such index [{name}]; {hint}"),
            more,
        )
    }

    /// 400 for an argument.
    pub fn bad_argument(&self, reason: &str) -> Response {
        self.error(StatusCode::BAD_REQUEST, "illegal_argument_exception", reason, Value::Null)
    }
}

/// What came of a write, as the body of its answer.
pub fn written(index: &str, id: &str, version: u64, seq_no: u64, result: &str, copies: Copies) -> Value {
    json!({
        "_index": index,
        "_id": id,
        "_version": version,
        "result": result,
        "_shards": { "total": copies.total, "successful": copies.written, "failed": 0 },
        "_seq_no": seq_no,
        "_primary_term": PRIMARY_TERM,
    })
}

/// On how many controllers' disks a document is, of how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies {
    /// Controllers that are there.
    pub total: usize,
    /// Those that have it on disk.
    pub written: usize,
}
