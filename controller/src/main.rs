//! `namewarden-controller`: reads the command line, runs one subcommand, says in one sentence what went wrong.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::{Parser as _, error::ErrorKind};
use namewarden_controller::args::{CommandArgs, ControllerArgs, LogFormat};
use namewarden_controller::{command, feed};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a subcommand that could not do its work ends with; `check` uses 1 for "refused".
const FAILED: u8 = 2;

fn main() -> ExitCode {
    // Whoever was first is as good: there is one provider in this program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = match ControllerArgs::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    if let Err(error) = start_log(&arguments) {
        return fail(&error);
    }
    let ended = match &arguments.command {
        CommandArgs::Run(run) => command::run::run(run),
        CommandArgs::Events(events) => command::events::run(events),
        CommandArgs::Annotate(annotate) => command::annotate::run(annotate),
        CommandArgs::Check(check) => command::check::run(check),
        CommandArgs::SetupSearch(setup) => command::setup_search::run(setup),
        CommandArgs::Crd(crd) => feed::resource::crd_yaml(crd.group).map(|text| {
            print!("{text}");
            ExitCode::SUCCESS
        }),
    };
    ended.unwrap_or_else(|error| fail(&error))
}

/// Help and version are answers, not errors; everything else clap has to say ends with `FAILED`.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(FAILED),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("namewarden-controller: {error:#}");
    ExitCode::from(FAILED)
}

/// Sends log lines to standard error: standard output belongs to answers.
fn start_log(arguments: &ControllerArgs) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&arguments.log)
        .map_err(|error| anyhow::anyhow!("--log {:?} is no level and no filter: {error}", arguments.log))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match arguments.log_format {
        LogFormat::Text => builder.with_target(false).with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
