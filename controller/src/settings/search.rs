//! The search engine as used: one kind of credentials, URLs without them.

use anyhow::bail;
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
    let SearchArgs { elasticsearch, alert_days, dns_log_days, engine } = arguments;
    if elasticsearch.is_empty() {
        return Ok(None);
    }
    for url in elasticsearch {
        check(url)?;
    }
    let engine = Engine::new(elasticsearch.clone(), &engine.settings()?)?;
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
