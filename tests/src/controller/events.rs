//! `namewarden-controller events`: what a controller keeps, printed at once or as it comes in.

use std::{
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::Controller;
use crate::{lines::Lines, program, wait};

impl Controller {
    /// What `events` prints of the documents that it keeps, given these options; `columns` is the width of a table.
    pub fn events(&self, options: &[&str], columns: usize) -> Result<String> {
        program::finish(&mut self.events_command(options, columns))
    }

    /// Follows what comes in, line by line of the table; returns when the table's head is there.
    pub fn follow(&self, columns: usize) -> Result<Following> {
        let mut command = self.events_command(&["--follow"], columns);
        // Ctrl-C is for who follows: it decides when this ends.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let (lines, _) = Lines::follow(child.stdout.take().context("no standard output")?);
        let (log, _) = Lines::follow(child.stderr.take().context("no standard error")?);
        let following = Following { child, lines };
        wait::until("events followed", || Ok(following.line(0, Duration::ZERO)))
            .with_context(|| log.copy().join("\n"))?;
        Ok(following)
    }

    /// What `annotate` prints, given these options and groups.
    pub fn annotate(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(["annotate", "--url", &self.url(), "--ca"]).arg(&self.authority).args(arguments);
        program::finish(&mut command)
    }

    fn events_command(&self, options: &[&str], columns: usize) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["events", "--url", &self.url(), "--ca"]).arg(&self.authority).args(options);
        command.env("COLUMNS", columns.to_string());
        command
    }
}

/// `events --follow`; it ends when this value is dropped.
#[derive(Debug)]
pub struct Following {
    child: Child,
    lines: Arc<Lines>,
}

impl Following {
    /// The line at `index`, once it is printed, the table's head being the first; none when that takes longer than `patience`.
    pub fn line(&self, index: usize, patience: Duration) -> Option<String> {
        self.lines.find(index, patience, |line| Some(line.to_owned()))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
