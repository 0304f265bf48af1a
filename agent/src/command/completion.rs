//! `completion SHELL`: prints the completion script.

use std::{io, process::ExitCode};

use clap::CommandFactory;

use crate::args::{AgentArgs, CompletionArgs};

/// Writes the script of `arguments.shell` to standard output.
pub fn run(arguments: &CompletionArgs) -> ExitCode {
    clap_complete::generate(
        arguments.shell,
        &mut AgentArgs::command(),
        "namewarden-agent",
        &mut io::stdout(),
    );
    ExitCode::SUCCESS
}
