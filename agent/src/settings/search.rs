//! How search engines are reached, as used: one kind of credentials, secrets from a file or the environment.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use namewarden_protocol::document::{Action, DataStream};
use namewarden_protocol::search_engine::{self, Credentials, Secret};

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
    let SearchArgs { search_ca, search_certificate, search_key, spool_mib, spool_hours, .. } = arguments;
    readable(arguments)?;
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

/// Whether the files can be opened now. They are read for each request, and may change.
fn readable(arguments: &SearchArgs) -> anyhow::Result<()> {
    let files = [
        ("--search-password-file", &arguments.search_password_file),
        ("--search-api-key-file", &arguments.search_api_key_file),
        ("--search-token-file", &arguments.search_token_file),
        ("--search-ca", &arguments.search_ca),
        ("--search-certificate", &arguments.search_certificate),
        ("--search-key", &arguments.search_key),
    ];
    for (option, path) in files.iter().filter_map(|(option, path)| Some((option, path.as_ref()?))) {
        if let Err(error) = File::open(path) {
            bail!("{option} {}: {error}; name a file that this agent may read", path.display());
        }
    }
    Ok(())
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
