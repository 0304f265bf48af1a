//! `check`: what would be made of manifests or lists, offline but for the URLs that are named.

use std::process::ExitCode;

use clap::Args;

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Manifests, lists, or http(s) URLs of lists.
    #[arg(required = true, value_name = "FILE|URL")]
    pub targets: Vec<String>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Prints what would be made of each.
pub fn run(_arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not yet")
}
