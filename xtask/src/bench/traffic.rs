//! A node with a DNS server and a client that asks at a steady rate: real nsd, real dnsperf, own namespaces.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use namewarden_tests::node::{self, DNS_V4, Node};
use namewarden_tests::nsd::{Nsd, ZoneText};
use namewarden_tests::pod::Pod;

/// The zone that is asked for; it answers every name, with an alias and two addresses.
const ZONE: ZoneText<'_> =
    ZoneText { name: "load.example", records: "* CNAME edge\nedge A 192.0.2.1\nedge A 192.0.2.2" };

/// Different names that are asked for: more than any cache of the agent's could hold cheaply.
const NAMES: u32 = 100_000;

/// Names that are asked for over and over, as a node's programs do.
const FEW: u32 = 1_000;

/// Queries a second of the steady rate.
pub const STEADY: u32 = 20_000;

/// Node, server, and a pod for the client. Everything ends when the value is dropped.
pub struct Traffic {
    pod: Pod,
    // Before the node: the server's cgroup and namespace are the node's.
    _server: Nsd,
    queries: PathBuf,
    few: PathBuf,
    node: Node,
}

/// What dnsperf counted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Asked {
    /// Queries sent.
    pub sent: u64,
    /// Queries answered.
    pub answered: u64,
    /// Answers a second.
    pub rate: f64,
}

impl Traffic {
    /// Starts the server.
    pub fn start() -> Result<Traffic> {
        let node = Node::start().context("cannot make cgroups and network namespaces")?;
        let server = Nsd::start(&node, &[ZONE])?;
        let pod = node.pod().start()?;
        let queries = node.folder().join("queries");
        fs::write(&queries, names(NAMES))?;
        let few = node.folder().join("few");
        fs::write(&few, names(FEW))?;
        Ok(Traffic { pod, _server: server, queries, few, node })
    }

    /// The node that it all happens on.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The cgroup of the pods alone: the client's packets, not the server's.
    pub fn pods(&self) -> PathBuf {
        self.node.cgroup().join("kubepods.slice")
    }

    /// Asks for `seconds`: `rate` queries a second, or as many as can be.
    pub fn ask(&self, seconds: u32, rate: Option<u32>) -> Result<Asked> {
        self.ask_port(53, seconds, rate)
    }

    /// Asks for few names over and over: `rate` queries a second.
    pub fn repeat(&self, seconds: u32, rate: u32) -> Result<Asked> {
        self.ask_for(&self.few, 53, seconds, Some(rate))
    }

    /// Lets the server answer on another port too: it never sees that port, the client sees no other.
    pub fn add_port(&self, port: u16) -> Result<()> {
        self.node.iptables(&format!(
            "-t nat -A PREROUTING -d {DNS_V4} -p udp --dport {port} -j DNAT --to-destination {DNS_V4}:53"
        ))
    }

    /// Asks another port of the server.
    pub fn ask_port(&self, port: u16, seconds: u32, rate: Option<u32>) -> Result<Asked> {
        self.ask_for(&self.queries, port, seconds, rate)
    }

    fn ask_for(&self, names: &Path, port: u16, seconds: u32, rate: Option<u32>) -> Result<Asked> {
        let (server, port, seconds) = (DNS_V4.to_string(), port.to_string(), seconds.to_string());
        let queries = names.to_string_lossy();
        let rate = rate.map(|rate| rate.to_string());
        let mut arguments =
            vec!["-s", &server, "-p", &port, "-d", &queries, "-l", &seconds, "-c", "4", "-t", "2"];
        if let Some(rate) = &rate {
            arguments.extend(["-Q", rate]);
        }
        read(&self.pod.run("dnsperf", &arguments)?)
    }

    /// A command in the server's namespace, in a unit of its own; its standard output is thrown away.
    pub fn beside_server(&self, unit: &str, program: &str) -> Result<Command> {
        let group = self.unit(unit);
        namewarden_tests::cgroup::create(&group)?;
        let mut command = node::command_in(&group, Some(self.node.dns().path()), Path::new(program));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command)
    }

    /// The cgroup of a unit.
    pub fn unit(&self, unit: &str) -> PathBuf {
        self.node.cgroup().join("system.slice").join(unit)
    }
}

/// Microseconds of processor time that the programs of a cgroup used so far.
pub fn used(cgroup: &Path) -> Result<u64> {
    let path = cgroup.join("cpu.stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
    usage.and_then(|usage| usage.parse().ok()).with_context(|| format!("{} has no usage", path.display()))
}

/// Names as long as those of real traffic, drawn by a fixed generator: every run asks the same.
fn names(count: u32) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..count).fold(String::new(), |mut text, _| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Writing to a string cannot fail.
        _ = writeln!(text, "{:x}.{:x}.load.example A", state >> 44, state & 0xff_ffff);
        text
    })
}

fn read(printed: &str) -> Result<Asked> {
    let asked = Asked {
        sent: number(printed, "Queries sent:")?,
        answered: number(printed, "Queries completed:")?,
        rate: number(printed, "Queries per second:")?,
    };
    if asked.answered == 0 {
        bail!("the server answered nothing:\n{printed}");
    }
    Ok(asked)
}

/// The number behind `what` in dnsperf's statistics.
fn number<T: FromStr>(printed: &str, what: &str) -> Result<T> {
    let line = printed.lines().find_map(|line| line.trim().strip_prefix(what));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse().ok())
        .with_context(|| format!("dnsperf said nothing of `{what}`:\n{printed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_what_dnsperf_prints() {
        let printed = "Statistics:\n\n  Queries sent:         200000\n  Queries completed:    199998 (100.00%)\n  \
                       Queries lost:         2 (0.00%)\n\n  Queries per second:   19999.7\n";
        assert_eq!(read(printed).unwrap(), Asked { sent: 200_000, answered: 199_998, rate: 19999.7 });
    }

    #[test]
    fn a_server_that_answers_nothing_is_an_error() {
        assert!(read("  Queries sent: 5\n  Queries completed: 0\n  Queries per second: 0.0\n").is_err());
    }

    #[test]
    fn every_name_is_asked_in_the_zone() {
        let names = names(NAMES);
        assert_eq!(names.lines().count(), NAMES as usize);
        assert!(names.lines().all(|line| line.ends_with(".load.example A")));
    }
}
