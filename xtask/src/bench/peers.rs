//! Other programs on the same traffic, one after the other, each beside the agent: what it uses, and how often the
//! agent's share that is.

use std::path::Path;
use std::process::Child;

use anyhow::{Context, Result, bail};
use namewarden_tests::wait;

use super::agent::Agent;
use super::figure::Figures;
use super::load::{feed, percent, run};
use super::traffic::{STEADY, Traffic, used};

/// How long each is watched, in seconds.
const SECONDS: u32 = 10;

/// A program and what it is told.
struct Peer {
    name: &'static str,
    arguments: &'static [&'static str],
    cpu: &'static str,
    ratio: &'static str,
}

const PEERS: &[Peer] = &[
    Peer {
        name: "tcpdump",
        arguments: &["-i", "eth0", "-n", "-w", "/dev/null", "port", "53"],
        cpu: "tcpdump_cpu",
        ratio: "tcpdump_ratio",
    },
    Peer { name: "dnscap", arguments: &["-i", "eth0", "-g"], cpu: "dnscap_cpu", ratio: "dnscap_ratio" },
    Peer {
        name: "tshark",
        arguments: &[
            "-i",
            "eth0",
            "-n",
            "-l",
            "-f",
            "port 53",
            "-T",
            "fields",
            "-e",
            "dns.qry.name",
            "-e",
            "dns.cname",
        ],
        cpu: "tshark_cpu",
        ratio: "tshark_ratio",
    },
];

/// Measures each.
pub fn measure(binary: &Path, figures: &mut Figures) -> Result<()> {
    let traffic = Traffic::start()?;
    let feed = feed(traffic.node().folder(), 1)?;
    let agent = Agent::start(binary, &traffic, traffic.node().cgroup(), &feed)?;
    let mut slowest = f64::INFINITY;
    for peer in PEERS {
        let unit = format!("{}.service", peer.name);
        let mut running = Running(traffic.beside_server(&unit, peer.name)?.args(peer.arguments).spawn()?);
        running.captures(&traffic).with_context(|| format!("{} does not capture", peer.name))?;
        let cgroup = traffic.unit(&unit);
        let before = used(&cgroup)?;
        let run = run(&agent, || traffic.ask(SECONDS, Some(STEADY)))?;
        let cpu = percent(used(&cgroup)? - before, run.asked);
        running.still_there().with_context(|| format!("{} ended early", peer.name))?;
        slowest = slowest.min(run.asked.rate);
        figures.add(peer.cpu, cpu)?;
        figures.add(peer.ratio, cpu / run.percent())?;
    }
    figures.add("peers_rate", slowest)?;
    agent.stop()
}

/// A peer that is ended when the value is dropped.
struct Running(Child);

impl Running {
    /// Asks a little until the kernel shows a packet socket in the server's namespace: then it captures.
    fn captures(&mut self, traffic: &Traffic) -> Result<()> {
        wait::until("a packet socket", || {
            self.still_there()?;
            let sockets = traffic
                .node()
                .dns()
                .enter(|| Ok(std::fs::read_to_string("/proc/thread-self/net/packet")?))?;
            // One line of headings.
            Ok((sockets.lines().count() > 1).then_some(()))
        })
    }

    fn still_there(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            Some(status) => bail!("it ended: {status}"),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already. What it started ends with the node's cgroup.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
