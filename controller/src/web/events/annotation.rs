//! `PUT /v1/events/GROUP/annotation`: what a person says of an alert group, in place of what was said before.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use namewarden_protocol::document::Time;
use serde::Deserialize;
use serde_json::json;

use super::{failed, said, without_store};
use crate::{
    store::{self, Annotation},
    web::{
        Site,
        guard::Admitted,
        plain,
        push::content::{self, Refused},
    },
};

/// Bytes of a body.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Characters of a reason.
const REASON_MAX: usize = 1000;
/// Characters of a name.
const NAME_MAX: usize = 253;

/// What is said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    state: String,
    #[serde(default)]
    reason: String,
    by: Option<String>,
    cluster: Option<String>,
}

/// Writes what is said.
pub async fn write(
    State(site): State<Arc<Site>>,
    Extension(Admitted(caller)): Extension<Admitted>,
    Path(group): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(store) = &site.store else { return without_store() };
    let bytes = match content::read(&headers, body, BODY_BYTES_MAX).await {
        Ok(bytes) => bytes,
        Err(Refused(status, _, reason)) => return plain::error(status, &reason),
    };
    let (cluster, annotation) = match read(&bytes, &caller.name, site.access.names_callers()) {
        Ok(read) => read,
        Err(reason) => return plain::error(StatusCode::BAD_REQUEST, &reason),
    };
    let cluster = cluster.unwrap_or_else(|| site.cluster.clone());
    match store.annotate(cluster, group.clone(), annotation.clone()).await {
        Ok(()) => {
            let (state, by) = (annotation.state.name(), &annotation.by);
            tracing::info!(group, state, by, caller = caller.name, "an alert group was annotated");
            plain::json(StatusCode::OK, &json!({ "group": group, "annotation": said(&annotation) }))
        }
        Err(error) => failed(&error),
    }
}

/// The cluster that is named, and the annotation; `name` is who asks, or where that is not known what they all are called.
fn read(body: &[u8], name: &str, is_known: bool) -> Result<(Option<String>, Annotation), String> {
    let said: Said = serde_json::from_slice(body)
        .map_err(|error| format!("give {{\"state\":\"acknowledged\",\"reason\":\"...\"}}: {error}"))?;
    let state: store::State = said.state.parse().map_err(|reason: String| format!("`state`: {reason}"))?;
    if said.reason.chars().count() > REASON_MAX {
        return Err(format!("`reason`: takes {REASON_MAX} characters at most"));
    }
    let by = said.by.filter(|by| !by.trim().is_empty()).unwrap_or_else(|| name.to_owned());
    if is_known && by != name {
        return Err(format!("`by`: leave it out, the token says that you are {name}"));
    }
    if by.chars().count() > NAME_MAX && !is_known {
        return Err(format!("`by`: takes {NAME_MAX} characters at most"));
    }
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let at = Time(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
    Ok((said.cluster, Annotation { state, by, at, reason: said.reason }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_it_is_who_asks_where_that_is_known() {
        let by = |body: &str, is_known| read(body.as_bytes(), "local", is_known).map(|(_, said)| said.by);
        assert_eq!(by(r#"{"state":"new"}"#, false), Ok("local".to_owned()));
        assert_eq!(by(r#"{"state":"new","by":" "}"#, false), Ok("local".to_owned()));
        assert_eq!(by(r#"{"state":"new","by":"ann"}"#, false), Ok("ann".to_owned()));
        assert_eq!(by(r#"{"state":"new","by":"local"}"#, true), Ok("local".to_owned()));
        let refused = by(r#"{"state":"new","by":"ann"}"#, true).unwrap_err();
        assert!(refused.starts_with("`by`: ") && refused.contains("you are local"), "{refused}");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let long = format!(r#"{{"state":"new","reason":"{}"}}"#, "x".repeat(REASON_MAX + 1));
        let name = format!(r#"{{"state":"new","by":"{}"}}"#, "x".repeat(NAME_MAX + 1));
        for body in ["", "{}", r#"{"state":"open"}"#, r#"{"state":"new","why":"x"}"#, &long, &name] {
            assert!(read(body.as_bytes(), "local", false).is_err(), "{body}");
        }
    }
}
