//! Other programs: run one to its end; its failure is an error that shows the command and what it said.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// Path of a program of this workspace: as `variable` says, or beside this program.
pub fn built(name: &str, variable: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(path.into());
    }
    let here = std::env::current_exe()?;
    let beside = here.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    beside.with_context(|| format!("no {name}: set {variable} or run `cargo xtask test`"))
}

/// Ends every process that is one of ours, and returns when all are gone: what a killed run left.
pub(crate) fn end_all(is_ours: impl Fn(i32) -> bool) -> Result<()> {
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<i32>() else { continue };
        if is_ours(pid)
            && let Some(number) = Pid::from_raw(pid)
        {
            let _ = kill_process(number, Signal::KILL);
            wait::until("what an earlier run left ends", || Ok((!is_ours(pid)).then_some(())))?;
        }
    }
    Ok(())
}

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
