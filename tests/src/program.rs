//! Other programs: run one to its end; its failure is an error that shows the command and what it said.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Runs `program` to its end and returns its standard output.
pub fn run(program: &str, arguments: &[&str]) -> Result<String> {
    finish(Command::new(program).args(arguments))
}

/// Runs `command` to its end and returns its standard output.
pub fn finish(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    checked(command, output)
}

/// Runs `program` with `input` on its standard input and returns its standard output.
pub fn feed(program: &str, arguments: &[&str], input: &str) -> Result<String> {
    finish_fed(Command::new(program).args(arguments), input)
}

/// Runs `command` with `input` on its standard input and returns its standard output.
pub fn finish_fed(command: &mut Command, input: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    child.stdin.take().context("no standard input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    checked(command, output)
}

fn checked(command: &Command, output: Output) -> Result<String> {
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed ({}): {}", output.status, said.trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
