//! Runs a program: its output kept back, time shown, its end judged.
//!
//! A step is quiet while it goes well: a line every ten seconds, and all of its output only when it fails.

// Whether a step failed for want of a network.
mod network;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Time between two lines that say that a step still runs.
const TICK: Duration = Duration::from_secs(10);

/// Lines of a failed step's output that are shown.
const TAIL: usize = 120;

/// Runs `command` as the step `title`, its output going to `log`; fails with the end of that output.
pub fn quietly(title: &str, command: &mut Command, log: &Path) -> Result<Duration> {
    let started = Instant::now();
    judged(title, log, logged(title, command, log)?)?;
    Ok(started.elapsed())
}

fn judged(title: &str, log: &Path, status: ExitStatus) -> Result<()> {
    if !status.success() {
        let output = tail(log);
        if network::is_missing(&output) {
            bail!(
                "{title} cannot fetch what it needs: give this machine a network, or its proxy's address (whole \
                 output: {})",
                log.display()
            );
        }
        bail!("{title} failed ({status}):\n{output}\nIts whole output: {}", log.display());
    }
    Ok(())
}

/// Runs `command` with its output going to `log`, whatever its end.
pub fn logged(title: &str, command: &mut Command, log: &Path) -> Result<ExitStatus> {
    logged_and(title, String::new, command, log)
}

fn logged_and(
    title: &str,
    progress: impl Fn() -> String + Send,
    command: &mut Command,
    log: &Path,
) -> Result<ExitStatus> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    ticking_and(title, progress, || run(command))
}

/// Like [`quietly`], and says how many lines, each of which is one of `things`, the log has by then.
pub fn quietly_counting(title: &str, things: &str, command: &mut Command, log: &Path) -> Result<()> {
    let count = || format!(", {} {things}", lines(log));
    judged(title, log, logged_and(title, count, command, log)?)
}

/// Runs `command` in sight of the user.
pub fn run(command: &mut Command) -> Result<ExitStatus> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.status().with_context(|| format!("cannot run {program}: is it installed and in PATH?"))
}

/// What `command` prints, or its complaint as the error.
pub fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}: is it installed and in PATH?"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        if network::is_missing(&said) {
            bail!("{program} reaches no network: {}", said.trim());
        }
        bail!("{program} failed ({}): {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Does `work`, saying every ten seconds that `title` is still at it.
pub fn ticking<T>(title: &str, work: impl FnOnce() -> T) -> T {
    ticking_and(title, String::new, work)
}

fn ticking_and<T>(title: &str, progress: impl Fn() -> String + Send, work: impl FnOnce() -> T) -> T {
    let (done, ended) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let started = Instant::now();
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                say(&format!("{title}: {} s{}", started.elapsed().as_secs(), progress()));
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// One line for the person who waits. What a task is asked for goes to standard output, everything else here.
pub fn say(line: &str) {
    // A closed standard error is no reason to stop.
    _ = writeln!(std::io::stderr().lock(), "xtask: {line}");
}

fn lines(log: &Path) -> usize {
    fs::read(log).map_or(0, |bytes| String::from_utf8_lossy(&bytes).lines().count())
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n")
}
