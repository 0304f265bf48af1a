//! Runs a program: its output kept back, time shown, its end judged.
//!
//! A step is quiet while it goes well: a line every ten seconds, and all of its output only when it fails.

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
    let status = logged(title, command, log)?;
    if !status.success() {
        let output = tail(log);
        bail!("{title} failed ({status}):\n{output}\nIts whole output: {}", log.display());
    }
    Ok(started.elapsed())
}

/// Runs `command` with its output going to `log`, whatever its end.
pub fn logged(title: &str, command: &mut Command, log: &Path) -> Result<ExitStatus> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    ticking(title, || run(command))
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
        bail!("{program} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Does `work`, saying every ten seconds that `title` is still at it.
pub fn ticking<T>(title: &str, work: impl FnOnce() -> T) -> T {
    let (done, ended) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            let started = Instant::now();
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                say(&format!("{title}: {} s", started.elapsed().as_secs()));
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

fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n")
}
