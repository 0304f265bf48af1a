//! The search engine as used: one kind of credentials, URLs without them.

use anyhow::{Context as _, bail};
use namewarden_protocol::search_engine::{Credentials, Secret, Settings};
use reqwest::Url;

use crate::args::SearchArgs;
use crate::search::engine::Engine;
use crate::search::install::Plan;

/// A search engine, and what belongs into it.
#[derive(Clone, Debug)]
pub struct SearchSettings {
    /// How it is reached.
    pub engine: Engine,
    /// What is installed.
    pub plan: Plan,
}

/// `None` where no search engine is named.
///
/// # Errors
///
/// URLs and credentials that cannot be used.
pub fn settings(arguments: &SearchArgs, cluster: &str) -> anyhow::Result<Option<SearchSettings>> {
    let SearchArgs { elasticsearch, alert_days, dns_log_days, .. } = arguments;
    if elasticsearch.is_empty() {
        return Ok(None);
    }
    for url in elasticsearch {
        check(url)?;
    }
    let engine = Engine::new(elasticsearch.clone(), &client(arguments)?)?;
    let plan = Plan { cluster: cluster.to_owned(), alert_days: *alert_days, log_days: *dns_log_days };
    Ok(Some(SearchSettings { engine, plan }))
}

fn check(url: &Url) -> anyhow::Result<()> {
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        bail!("--elasticsearch: a URL is http[s]://HOST[:PORT][/PATH]");
    }
    if !url.username().is_empty() || url.password().is_some() {
        bail!(
            "--elasticsearch: the URL holds a user or a password; give --search-user and --search-password-file"
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        bail!("--elasticsearch: a URL ends with the path that the search engine is served below");
    }
    Ok(())
}

fn client(arguments: &SearchArgs) -> anyhow::Result<Settings> {
    let SearchArgs {
        search_user,
        search_password_file,
        search_api_key_file,
        search_token_file,
        search_ca,
        search_certificate,
        search_key,
        ..
    } = arguments;
    let credentials = Credentials::chosen(
        search_user.as_deref(),
        Secret::found(search_password_file.as_deref(), "NAMEWARDEN_SEARCH_PASSWORD"),
        Secret::found(search_api_key_file.as_deref(), "NAMEWARDEN_SEARCH_API_KEY"),
        Secret::found(search_token_file.as_deref(), "NAMEWARDEN_SEARCH_TOKEN"),
    );
    Ok(Settings {
        credentials: credentials.context("cannot ask the search engine")?,
        authorities: search_ca.clone(),
        certificate: search_certificate.clone().zip(search_key.clone()),
    })
}
