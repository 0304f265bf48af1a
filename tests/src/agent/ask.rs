//! Questions to an agent's status socket, and figures out of its metrics.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use anyhow::{Context as _, Result};

use crate::wait::PATIENCE;

/// Answer to `GET path` on a socket, with status line and headers.
pub(super) fn get(socket: &Path, path: &str) -> Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Sum of the samples of `name` in a text in Prometheus' format whose labels contain `labels`.
pub(super) fn sum_of(text: &str, name: &str, labels: &str) -> Result<u64> {
    let mut sum = None;
    for line in text.lines() {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let (found, rest) = series.split_at(series.find('{').unwrap_or(series.len()));
        if found == name && rest.contains(labels) {
            sum = Some(sum.unwrap_or(0) + value.parse::<u64>().with_context(|| line.to_owned())?);
        }
    }
    sum.with_context(|| format!("the agent has no metric {name} with labels {labels:?}"))
}
