//! How search engines are reached, as used: one kind of credentials, secrets from a file or the environment.

use std::path::Path;
use std::time::Duration;

use namewarden_protocol::document::{Action, DataStream};

use crate::args::{DEFAULT_STATE_DIR, SearchArgs};
use crate::pipeline::sink::search::Settings;
use crate::pipeline::sink::spool::Limits;

/// Validates the options; the folder is not looked at before it is needed.
///
/// # Errors
/// One sentence for files that cannot be read and for credentials that are none.
pub fn settings(
    arguments: &SearchArgs,
    state_dir: Option<&Path>,
    namespace: &str,
) -> anyhow::Result<Settings> {
    let SearchArgs { engine, spool_mib, spool_hours } = arguments;
    let stream = |action: Action| DataStream::of(action, namespace).name();
    Ok(Settings {
        client: engine.settings()?,
        limits: Limits { bytes: spool_mib << 20, age: Duration::from_hours(*spool_hours) },
        folder: state_dir.unwrap_or(Path::new(DEFAULT_STATE_DIR)).join("spool"),
        alert_stream: stream(Action::ListedName),
        log_stream: stream(Action::DnsLog),
    })
}
