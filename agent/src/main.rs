//! `namewarden-agent`: reads the command line, runs one subcommand, says in one sentence what went wrong.

use std::{io, process::ExitCode};

use clap::{Parser, error::ErrorKind};
use mimalloc::MiMalloc;
use namewarden_agent::{
    args::{AgentArgs, CommandArgs, LogFormat},
    command,
};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What a subcommand that could not do its work ends with; `lookup` uses 1 for "not listed".
const FAILED: u8 = 2;

fn main() -> ExitCode {
    // Whoever was first is as good: there is one provider in this program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = match AgentArgs::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    if let Err(error) = start_log(&arguments) {
        return fail(&error);
    }
    let ended = match &arguments.command {
        CommandArgs::Run(run) => command::run::run(run),
        CommandArgs::Replay(replay) => command::replay::run(replay),
        CommandArgs::Lookup(lookup) => command::lookup::run(lookup),
        CommandArgs::Status(status) => command::status::run(status),
        CommandArgs::Completion(completion) => command::completion::run(completion),
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
    anstream::eprintln!("namewarden-agent: {}", sentence(error));
    ExitCode::from(FAILED)
}

/// The error and its causes, each said once: a sentence may hold the words of its cause already.
fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !sentence.contains(&cause) {
            sentence = format!("{sentence}: {cause}");
        }
    }
    sentence
}

/// Sends log lines to standard error: standard output belongs to documents.
fn start_log(arguments: &AgentArgs) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&arguments.log)
        .map_err(|error| anyhow::anyhow!("--log {:?} is no level and no filter: {error}", arguments.log))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match arguments.log_format {
        LogFormat::Text => {
            let choice = anstream::AutoStream::choice(&io::stderr());
            builder.with_target(false).with_ansi(choice != anstream::ColorChoice::Never).init();
        }
        LogFormat::Json => {
            builder.json().flatten_event(true).init();
        }
    }
    Ok(())
}
