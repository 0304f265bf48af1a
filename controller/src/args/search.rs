//! Options on search engines. No option holds a secret: the command line is there for all to see.

use std::path::PathBuf;

use clap::Args;
use reqwest::Url;

/// A search engine, and who asks it. Secrets are read from files, or from the environment: `NAMEWARDEN_SEARCH_PASSWORD`,
/// `NAMEWARDEN_SEARCH_API_KEY`, `NAMEWARDEN_SEARCH_TOKEN`.
#[derive(Clone, Debug, Args)]
pub struct SearchArgs {
    /// Elasticsearch (8 or later) or OpenSearch (2 or later), `http[s]://HOST[:PORT][/PATH]`. Repeatable: other nodes of the
    /// same cluster, asked when the first does not answer; separated by commas in the environment.
    #[arg(long, env = "NAMEWARDEN_ELASTICSEARCH", value_delimiter = ',', value_name = "URL")]
    pub elasticsearch: Vec<Url>,

    /// Days that alerts are kept there.
    #[arg(
        long,
        env = "NAMEWARDEN_ALERT_DAYS",
        default_value_t = 91,
        value_parser = clap::value_parser!(u16).range(1..=3650),
        value_name = "DAYS"
    )]
    pub alert_days: u16,

    /// Days that DNS logs are kept there.
    #[arg(
        long,
        env = "NAMEWARDEN_DNS_LOG_DAYS",
        default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=3650),
        value_name = "DAYS"
    )]
    pub dns_log_days: u16,

    /// User of the search engine; the password is in --search-password-file or in `NAMEWARDEN_SEARCH_PASSWORD`.
    #[arg(long, env = "NAMEWARDEN_SEARCH_USER", value_name = "NAME")]
    pub search_user: Option<String>,

    /// File with that user's password; files with secrets are read anew for each request.
    #[arg(long, env = "NAMEWARDEN_SEARCH_PASSWORD_FILE", value_name = "PATH", requires = "search_user")]
    pub search_password_file: Option<PathBuf>,

    /// File with an API key of Elasticsearch, as it was handed out; or the key in `NAMEWARDEN_SEARCH_API_KEY`.
    #[arg(long, env = "NAMEWARDEN_SEARCH_API_KEY_FILE", value_name = "PATH")]
    pub search_api_key_file: Option<PathBuf>,

    /// File with a bearer token; or the token in `NAMEWARDEN_SEARCH_TOKEN`.
    #[arg(long, env = "NAMEWARDEN_SEARCH_TOKEN_FILE", value_name = "PATH")]
    pub search_token_file: Option<PathBuf>,

    /// Certificate authorities (PEM) that vouch for the search engine, beside the compiled-in ones.
    #[arg(long, env = "NAMEWARDEN_SEARCH_CA", value_name = "PATH")]
    pub search_ca: Option<PathBuf>,

    /// Certificate (PEM) by which the search engine knows this controller.
    #[arg(long, env = "NAMEWARDEN_SEARCH_CERTIFICATE", value_name = "PATH", requires = "search_key")]
    pub search_certificate: Option<PathBuf>,

    /// Key (PEM) of that certificate.
    #[arg(long, env = "NAMEWARDEN_SEARCH_KEY", value_name = "PATH", requires = "search_certificate")]
    pub search_key: Option<PathBuf>,
}

/// Options of `setup-search`.
#[derive(Debug, Args)]
pub struct SetupSearchArgs {
    /// The search engine.
    #[command(flatten)]
    pub search: SearchArgs,

    /// Name of the cluster: part of the alias that feeds are pushed to.
    #[arg(long, env = "NAMEWARDEN_CLUSTER_NAME", default_value = "cluster", value_name = "NAME")]
    pub cluster_name: String,
}
