//! A DNS client in a pod that does what it is told, one line at a time (`src/bin/dns-client.rs`): a test decides when
//! a socket is opened, connected, used, handed on and closed.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
};

use anyhow::{Context as _, Result, bail};

use crate::wait::PATIENCE;

/// Name that the kernel and `process.name` know the client by.
pub const CLIENT_NAME: &str = "dns-client";

/// A running client; it ends when this value is dropped.
#[derive(Debug)]
pub struct Client {
    child: Child,
    input: Option<ChildStdin>,
    replies: Receiver<String>,
}

impl Client {
    /// Where cargo put the client's binary: beside this program, or one folder up for a test.
    pub fn program() -> Result<PathBuf> {
        let here = std::env::current_exe()?;
        here.ancestors()
            .skip(1)
            .take(2)
            .map(|folder| folder.join(CLIENT_NAME))
            .find(|path| path.is_file())
            .context("dns-client is not built: `cargo build -p namewarden-tests` makes it")
    }

    /// Starts `command`, which must lead to the client's program, and returns when it waits for its first line.
    pub fn spawn(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("no standard output")?;
        let (sender, replies) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(std::io::Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let client = Self { child, input, replies };
        // Once it speaks it is in its cgroup and namespace.
        client.reply("start")?;
        Ok(client)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it do one line and returns what it says; an error of its own is an error here.
    pub fn tell(&mut self, line: &str) -> Result<String> {
        self.begin(line)?;
        self.reply(line)
    }

    /// Lets it begin one line without waiting for the end.
    pub fn begin(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("the client has ended")?;
        writeln!(input, "{line}").with_context(|| format!("cannot tell the client to {line}"))
    }

    /// Waits for the end of what was begun.
    pub fn reply(&self, line: &str) -> Result<String> {
        let reply = self.replies.recv_timeout(PATIENCE).with_context(|| format!("no reply to {line}"))?;
        match reply.split_once(' ') {
            Some(("ok", said)) => Ok(said.to_owned()),
            _ => bail!("{line}: {reply}"),
        }
    }

    /// Lets it do several lines, one after the other.
    pub fn tell_all(&mut self, lines: &[&str]) -> Result<()> {
        lines.iter().try_for_each(|line| self.tell(line).map(drop))
    }

    /// Closes its input and waits until it has ended.
    pub fn finish(mut self) -> Result<()> {
        self.input = None;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the client ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.input = None;
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
