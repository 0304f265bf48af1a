//! How search engines are reached, as typed. No option holds a secret: the command line is there for all to see.

use std::path::PathBuf;

use clap::Args;

/// How search engines are reached, and what is kept until they have it. Secrets are read from files, or from the environment:
/// `NAMEWARDEN_SEARCH_PASSWORD`, `NAMEWARDEN_SEARCH_API_KEY`, `NAMEWARDEN_SEARCH_TOKEN`.
#[derive(Clone, Debug, Args)]
pub struct SearchArgs {
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

    /// Certificate (PEM) by which the search engine knows this agent.
    #[arg(long, env = "NAMEWARDEN_SEARCH_CERTIFICATE", value_name = "PATH", requires = "search_key")]
    pub search_certificate: Option<PathBuf>,

    /// Key (PEM) of that certificate.
    #[arg(long, env = "NAMEWARDEN_SEARCH_KEY", value_name = "PATH", requires = "search_certificate")]
    pub search_key: Option<PathBuf>,

    /// MiB of documents that are kept in the state folder until a search engine has them; beyond, DNS logs give way first,
    /// the oldest before newer ones.
    #[arg(
        long,
        env = "NAMEWARDEN_SPOOL_MIB",
        default_value_t = 512,
        value_parser = clap::value_parser!(u64).range(1..=1_048_576),
        value_name = "MIB"
    )]
    pub spool_mib: u64,

    /// Hours after which documents that no search engine took are dropped.
    #[arg(
        long,
        env = "NAMEWARDEN_SPOOL_HOURS",
        default_value_t = 72,
        value_parser = clap::value_parser!(u64).range(1..=8_760),
        value_name = "HOURS"
    )]
    pub spool_hours: u64,
}
