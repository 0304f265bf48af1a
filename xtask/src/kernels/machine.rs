//! The emulated machine: boots a kernel with the archive, and reads what its first process says on the console.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::command::ticking;
use crate::layout::Layout;
use crate::test::Tally;

/// The emulator.
pub const EMULATOR: &str = "qemu-system-x86_64";

/// How long a kernel may take; the oldest takes most of a minute on an idle machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// Lines of the console that are shown where a machine died.
const LAST_LINES: usize = 15;

/// Nothing is emulated but two processors, memory and a console. What guards against speculation stays on: it makes the
/// verifier refuse more to a loader without `CAP_PERFMON`. Both processors take turns on one thread: on a thread each, the emulator
/// may run a breakpoint that the kernel has already taken back from its own code (static branches), which 6.12 once died of; it is
/// no slower.
const MACHINE: &[&str] = &[
    "-M",
    "q35",
    "-accel",
    "tcg,thread=single",
    "-cpu",
    "max",
    "-smp",
    "2",
    "-m",
    "512",
    "-nodefaults",
    "-display",
    "none",
    "-serial",
    "stdio",
    "-no-reboot",
];

const COMMAND_LINE: &str = "console=ttyS0 panic=-1 quiet edd=off no_timer_check";

/// What was proven on a kernel.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// As it was asked for.
    pub version: String,
    /// As the kernel says it; empty where it never came so far.
    pub release: String,
    /// What holds.
    pub proven: Vec<String>,
    /// What does not, and why.
    pub failed: Vec<String>,
    /// What the agent says that it goes without.
    pub without: Vec<String>,
}

impl Report {
    /// Reads the console.
    fn read(version: &str, console: &str) -> Self {
        let mut report = Self { version: version.to_owned(), ..Self::default() };
        let mut ended = false;
        for line in console.lines().filter_map(|line| line.trim_end().strip_prefix("guest: ")) {
            let (word, text) = line.split_once(' ').unwrap_or((line, ""));
            let text = text.to_owned();
            match word {
                "release" => report.release = text,
                "ok" => report.proven.push(text),
                "failed" => report.failed.push(text),
                "without" if !report.without.contains(&text) => report.without.push(text),
                "end" => ended = true,
                _ => {}
            }
        }
        if !ended {
            let lines: Vec<&str> = console.lines().collect();
            let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("\n    ");
            report.failed.push(format!("the machine came to no end; its last lines:\n    {last}"));
        }
        report
    }

    /// Each proof counts as one test.
    pub fn tally(&self) -> Tally {
        Tally { passed: self.proven.len() as u64, failed: self.failed.len() as u64 }
    }

    /// For the person who waits.
    pub fn in_words(&self, seconds: u64) -> String {
        let mut text = format!("{} ({}, {seconds} s)", self.version, self.release);
        let lines = [("ok     ", &self.proven), ("FAILED ", &self.failed), ("without", &self.without)];
        for (word, lines) in lines {
            for line in lines {
                // Writing to a string cannot fail.
                _ = write!(text, "\n  {word}  {line}");
            }
        }
        text
    }
}

/// Boots the kernel and waits until the machine is switched off.
pub fn boot(layout: &Layout, version: &str, image: &Path, archive: &Path) -> Result<Report> {
    let name = version.rsplit('/').next().unwrap_or(version);
    let log = layout.target.join(format!("xtask/kernel-{name}.log"));
    let console = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    // It ends in time, also where nobody waits for it any longer.
    let mut emulator = Command::new("timeout");
    emulator.arg("--signal=KILL").arg(PATIENCE.as_secs().to_string()).arg(EMULATOR);
    emulator.args(MACHINE).arg("-kernel").arg(image).arg("-initrd").arg(archive);
    emulator.args(["-append", COMMAND_LINE]);
    emulator.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console);
    let mut child = emulator.spawn().context("cannot run timeout, of coreutils")?;
    ticking(&format!("kernel {name}"), || child.wait())?;
    Ok(Report::read(version, &String::from_utf8_lossy(&fs::read(&log)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "[    0.1] odd\r\nguest: release 6.1.0-50\r\nguest: ok refuses\r\nguest: without names\r\n\
                           guest: without names\r\nguest: failed captures: no alert\r\nguest: end \r\n";

    #[test]
    fn what_the_guest_says_is_read_from_the_console() {
        let report = Report::read("6.1", CONSOLE);
        assert_eq!(report.release, "6.1.0-50");
        assert_eq!(report.proven, ["refuses"]);
        assert_eq!(report.failed, ["captures: no alert"]);
        assert_eq!(report.without, ["names"]);
        assert_eq!(report.tally(), Tally { passed: 1, failed: 1 });
    }

    #[test]
    fn a_machine_that_died_has_failed() {
        let report = Report::read("6.1", "guest: ok refuses\r\nKernel panic - not syncing\r\n");
        assert_eq!(report.tally(), Tally { passed: 1, failed: 1 });
        assert!(report.failed[0].ends_with("Kernel panic - not syncing"));
    }
}
