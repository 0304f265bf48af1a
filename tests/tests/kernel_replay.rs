//! Captures of real exchanges on this machine's network stack, read by `replay` and by tshark: needs root.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use namewarden_tests::{
    agent,
    differential::compare,
    message::{Record, Reply},
    namespace::Namespace,
    node::Node,
    program,
    server::{Delivery, Server, Zone},
    wait,
};
use rustix::process::{Pid, Signal, kill_process};

/// tcpdump at work in a network namespace.
struct Capture {
    tcpdump: Child,
    file: PathBuf,
}

impl Capture {
    /// Returns when packets of the interface are being captured, with headers of this link type.
    fn start(namespace: &Namespace, interface: &str, link_type: &str, file: PathBuf) -> Result<Self> {
        let mut tcpdump = Command::new("ip")
            .args(["netns", "exec", namespace.name(), "tcpdump", "--immediate-mode", "-U", "-n"])
            // In immediate mode the buffer holds whole snapshots: the default of 2 MiB has room for eight packets.
            .args(["-s", "65535", "-B", "65536", "-Z", "root", "-i", interface, "-y", link_type, "-w"])
            .arg(&file)
            .args(["port", "53", "or", "ip[6:2] & 0x1fff != 0"])
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(tcpdump.stderr.take().context("no standard error")?);
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            ensure!(said.read_line(&mut line)? > 0, "tcpdump ended before it captured");
        }
        Ok(Self { tcpdump, file })
    }

    /// Waits until this many messages are in the file; ends tcpdump.
    fn finish(mut self, messages: usize) -> Result<PathBuf> {
        wait::until("all messages are captured", || Ok((replayed(&self.file)? >= messages).then_some(())))?;
        let pid = Pid::from_child(&self.tcpdump);
        kill_process(pid, Signal::INT)?;
        self.tcpdump.wait()?;
        Ok(self.file.clone())
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Ended already, unless the test failed before.
        let _ = self.tcpdump.kill();
        let _ = self.tcpdump.wait();
    }
}

/// Messages in a file that may still be growing; the agent says on standard error where it is cut.
fn replayed(file: &Path) -> Result<usize> {
    let mut command = Command::new(agent::program()?);
    Ok(program::finish(command.args(["replay", "--messages"]).arg(file))?.lines().count())
}

/// Asks in many ways, captures that at the server, compares.
fn exchanges(delivery: Delivery, interface: &str, link_type: &str) -> Result<()> {
    let node = Node::start()?;
    let large = Reply { answer: vec![Record::txt("large.example", 3800)], ..Reply::default() };
    let zone = Zone::new().reply("large.example", large).delivery(delivery);
    let server = Server::start(node.dns(), zone)?;
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    let capture = Capture::start(node.dns(), interface, link_type, node.folder().join("capture.pcap"))?;
    client.tell_all(&[
        "udp4",
        "ask a.example A 10.99.0.53:53",
        "ask large.example TXT 10.99.0.53:53",
        "udp6",
        "ask a.example A [fd99::53]:53",
        "ask a.example AAAA [::ffff:10.99.0.53]:53",
        "tcp 10.99.0.53:53",
        "pieces 2 a.example A",
        "receive",
        "pieces 5 large.example TXT",
        "receive",
        "batch a.example b.example",
        "receive",
        "receive",
        "tcp [fd99::53]:53",
        "ask a.example A",
    ])?;
    let messages = 2 * usize::try_from(server.answered())?;
    assert_eq!(messages, 18);
    let file = capture.finish(messages)?;
    let compared = compare(&file)?;
    assert!(compared.messages >= messages, "{compared:?}");
    fs::remove_file(file)?;
    Ok(())
}

#[test]
fn exchanges_with_lengths_in_segments_of_their_own_are_read_as_tshark_reads_them() -> Result<()> {
    exchanges(Delivery::LengthApart, "any", "LINUX_SLL2")
}

#[test]
fn exchanges_with_answers_in_many_segments_are_read_as_tshark_reads_them() -> Result<()> {
    exchanges(Delivery::Pieces(97), "any", "LINUX_SLL")
}

#[test]
fn exchanges_captured_on_ethernet_are_read_as_tshark_reads_them() -> Result<()> {
    exchanges(Delivery::Whole, "eth0", "EN10MB")
}
