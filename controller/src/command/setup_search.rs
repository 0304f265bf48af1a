//! `setup-search`: what documents and pushed feeds need in a search engine, installed once and said line by line.

use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::args::SetupSearchArgs;
use crate::search::install::install;
use crate::search::step::Step;
use crate::settings::{check_cluster_name, search};

/// Done, and something is short.
const SHORT: u8 = 1;

/// Installs it and prints what was done.
///
/// # Errors
///
/// Options that cannot be used, no answer, a refusal.
pub fn run(arguments: &SetupSearchArgs) -> anyhow::Result<ExitCode> {
    check_cluster_name(&arguments.cluster_name)?;
    let Some(settings) = search::settings(&arguments.search, &arguments.cluster_name)? else {
        bail!("no search engine is named; give --elasticsearch URL");
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let (server, steps) = runtime.block_on(install(&settings.engine, &settings.plan))?;
    let version = format!(" {}", server.version);
    println!("{:?}{} at {}", server.product, version.trim_end(), settings.engine.location());
    for step in &steps {
        println!("{step}");
    }
    Ok(if steps.iter().any(Step::is_short) { ExitCode::from(SHORT) } else { ExitCode::SUCCESS })
}
