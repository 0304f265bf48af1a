//! `completion SHELL`: prints the completion script.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::{AgentArgs, CompletionArgs};

/// Writes the script of `arguments.shell` to standard output.
///
/// # Errors
/// Standard output takes nothing.
pub fn run(arguments: &CompletionArgs) -> anyhow::Result<ExitCode> {
    match io::stdout().write_all(&script(arguments.shell)?) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => written.map(|()| ExitCode::SUCCESS).context("cannot write to standard output"),
    }
}

/// Made in memory first: what is written to directly must not fail.
fn script(shell: Shell) -> anyhow::Result<Vec<u8>> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut AgentArgs::command(), "namewarden-agent", &mut script);
    if shell != Shell::Bash {
        return Ok(script);
    }
    // clap_complete 4.6 spells a hyphen of the program's name in two ways, so that nothing after a subcommand is
    // completed (clap-rs/clap issue 6421).
    let script = String::from_utf8(script).context("the script is no text")?;
    Ok(script.replace("namewarden__subcmd__agent", "namewarden__agent").into_bytes())
}
