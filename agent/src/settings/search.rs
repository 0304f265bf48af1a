//! How search engines are reached, as used: one kind of credentials, secrets from a file or the environment.

use std::path::Path;
use std::time::Duration;

use namewarden_protocol::document::{Action, DataStream};
use namewarden_protocol::search_engine::{self, Credentials, Secret};

use crate::args::{DEFAULT_STATE_DIR, SearchArgs};
use crate::pipeline::sink::search::Settings;
use crate::pipeline::sink::spool::Limits;

/// Validates the options; the folder is not looked at before it is needed.
pub fn settings(
    arguments: &SearchArgs,
    state_dir: Option<&Path>,
    namespace: &str,
) -> anyhow::Result<Settings> {
    let SearchArgs { search_ca, search_certificate, search_key, spool_mib, spool_hours, .. } = arguments;
    let stream = |action: Action| DataStream::of(action, namespace).name();
    Ok(Settings {
        client: search_engine::Settings {
            credentials: credentials(arguments)?,
            authorities: search_ca.clone(),
            certificate: search_certificate.clone().zip(search_key.clone()),
        },
        limits: Limits { bytes: spool_mib << 20, age: Duration::from_hours(*spool_hours) },
        folder: state_dir.unwrap_or(Path::new(DEFAULT_STATE_DIR)).join("spool"),
        alert_stream: stream(Action::ListedName),
        log_stream: stream(Action::DnsLog),
    })
}

fn credentials(arguments: &SearchArgs) -> anyhow::Result<Credentials> {
    let SearchArgs { search_user, search_password_file, search_api_key_file, search_token_file, .. } =
        arguments;
    let chosen = Credentials::chosen(
        search_user.as_deref(),
        Secret::found(search_password_file.as_deref(), "NAMEWARDEN_SEARCH_PASSWORD"),
        Secret::found(search_api_key_file.as_deref(), "NAMEWARDEN_SEARCH_API_KEY"),
        Secret::found(search_token_file.as_deref(), "NAMEWARDEN_SEARCH_TOKEN"),
    );
    Ok(chosen?)
}
