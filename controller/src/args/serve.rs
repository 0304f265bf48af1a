//! Options of `run` on who is served, and how.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

/// Who is served, and how.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Address to serve on, over TLS. Port 0 picks one.
    #[arg(long, env = "NAMEWARDEN_LISTEN", default_value = "127.0.0.1:8443", value_name = "ADDR")]
    pub listen: SocketAddr,

    /// Address to serve /metrics, /healthz and /readyz on, without TLS and to everybody.
    #[arg(long, env = "NAMEWARDEN_METRICS_LISTEN", value_name = "ADDR")]
    pub metrics_listen: Option<SocketAddr>,

    /// Certificate chain (PEM) to serve with, read anew when it changes (default: one by an authority of the
    /// controller's own, whose certificate is tls/ca.crt in the state folder).
    #[arg(long, env = "NAMEWARDEN_TLS_CERT", requires = "tls_key", value_name = "PATH")]
    pub tls_cert: Option<PathBuf>,

    /// Private key (PEM) of --tls-cert.
    #[arg(long, env = "NAMEWARDEN_TLS_KEY", requires = "tls_cert", value_name = "PATH")]
    pub tls_key: Option<PathBuf>,

    /// Host name or address that the controller's own certificate is good for, besides localhost. Repeatable; separated
    /// by commas in the environment.
    #[arg(
        long,
        env = "NAMEWARDEN_TLS_NAME",
        value_delimiter = ',',
        conflicts_with = "tls_cert",
        value_name = "NAME"
    )]
    pub tls_name: Vec<String>,

    /// File with the token that agents and people show. With --manifests only; without it, programs on this machine may
    /// do everything and others nothing.
    #[arg(long, env = "NAMEWARDEN_TOKEN_FILE", requires = "manifests", value_name = "PATH")]
    pub token_file: Option<PathBuf>,

    /// File of users who may push (`htpasswd -B`), read anew when it changes.
    #[arg(long, env = "NAMEWARDEN_HTPASSWD_FILE", value_name = "PATH")]
    pub htpasswd_file: Option<PathBuf>,

    /// Audience of the service-account tokens that agents and controllers show.
    #[arg(
        long,
        env = "NAMEWARDEN_AUDIENCE",
        default_value = namewarden_protocol::endpoint::controller::TOKEN_AUDIENCE,
        value_name = "NAME"
    )]
    pub audience: String,

    /// Service account that agents run under, as NAME or NAMESPACE/NAME; the controller's namespace where none is given.
    /// Repeatable; separated by commas in the environment.
    #[arg(
        long,
        env = "NAMEWARDEN_AGENT_SERVICE_ACCOUNT",
        value_delimiter = ',',
        default_value = "namewarden-agent",
        value_name = "ACCOUNT"
    )]
    pub agent_service_account: Vec<String>,

    /// Service account that the controllers run under, likewise.
    #[arg(
        long,
        env = "NAMEWARDEN_CONTROLLER_SERVICE_ACCOUNT",
        default_value = "namewarden-controller",
        value_name = "ACCOUNT"
    )]
    pub controller_service_account: String,

    /// Where other controllers reach this one while it leads (default: nowhere, they serve what they have).
    #[arg(long, env = "NAMEWARDEN_ADVERTISE_URL", value_name = "URL")]
    pub advertise_url: Option<reqwest::Url>,

    /// Certificate authorities (PEM) of the other controllers (default: ca.crt beside --tls-cert).
    #[arg(long, env = "NAMEWARDEN_PEER_CA", value_name = "PATH")]
    pub peer_ca: Option<PathBuf>,

    /// Name that every controller's certificate carries (default: the address that a controller is reached at).
    #[arg(long, env = "NAMEWARDEN_PEER_NAME", value_name = "NAME")]
    pub peer_name: Option<String>,

    /// File with the token that this controller shows to the leader: a service-account token for --audience.
    #[arg(long, env = "NAMEWARDEN_PEER_TOKEN_FILE", value_name = "PATH")]
    pub peer_token_file: Option<PathBuf>,
}
