//! What the demo plays on: a node with three pods, Debian's nsd, a web server to reach, and the agent with two feeds.

use std::fs::{self, Permissions};
use std::io::Write;
use std::net::{Ipv6Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};
use namewarden_tests::agent::{Agent, AgentBuilder};
use namewarden_tests::node::{DNS_V4, Node};
use namewarden_tests::nsd::{Nsd, ZoneText};
use namewarden_tests::pod::Pod;
use namewarden_tests::program;

use crate::layout::Layout;

use super::script::{PODS, Step, ZONE};

/// The feeds, in the order in which they are named.
const FEEDS: [(&str, &str); 2] = [("phishing", "phishing.adblock"), ("malware", "malware.hosts")];

/// Gives what it becomes a resolver's file of its own.
const MOUNT: &str = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";

/// Everything that runs; it ends in this order when the value is dropped.
pub struct Stage {
    pub agent: Agent,
    pub pods: Vec<Pod>,
    resolver: PathBuf,
    _dns: Nsd,
    node: Node,
}

impl Stage {
    /// Starts all of it; the agent captures when this returns.
    pub fn build(layout: &Layout, agent: &Path) -> Result<Self> {
        let node = Node::start()?;
        let dns = Nsd::start(&node, &[ZoneText { name: "example", records: ZONE }])?;
        serve_web(&node)?;
        let resolver = node.folder().join("resolv.conf");
        fs::write(&resolver, format!("nameserver {DNS_V4}\n"))?;
        let pods = PODS.iter().map(|_| node.pod().start()).collect::<Result<_>>()?;
        let mut builder = AgentBuilder::new("agent").program(agent).readable(super::screen::alert_columns());
        for (name, file) in FEEDS {
            let path = layout.root.join("deploy/examples/feeds").join(file);
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            builder = builder.feed(name, &text);
        }
        let agent = builder.start(&node)?;
        Ok(Self { agent, pods, resolver, _dns: dns, node })
    }

    /// Runs the client of a step to its end; the last line that it printed.
    pub fn ask(&self, step: &Step) -> Result<String> {
        let pod = self.pods.get(step.pod).context("no such pod")?;
        // The resolver's file is the pod's own: mounted where only this client sees it.
        let mut command = pod.command("unshare");
        command.args(["--mount", "sh", "-c", MOUNT]);
        command.arg(&self.resolver).args(step.command);
        let said = program::finish(&mut command)?;
        Ok(said.lines().last().unwrap_or_default().to_owned())
    }

    /// Writes a small program for each pod that runs its arguments inside; returns their folder.
    pub fn doors(&self) -> Result<&Path> {
        let folder = self.node.folder();
        for (name, pod) in PODS.iter().zip(&self.pods) {
            let path = folder.join(name);
            let text = format!(
                "#!/bin/sh\n\
                 # Runs its arguments in this pod: cgroup, network and resolver.\n\
                 echo 0 > {group}/cgroup.procs || exit\n\
                 exec nsenter --net={network} unshare --mount sh -c '{MOUNT}' {resolver} \"$@\"\n",
                group = pod.cgroup.display(),
                network = pod.namespace()?.path().display(),
                resolver = self.resolver.display(),
            );
            fs::write(&path, text)?;
            fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        }
        Ok(folder)
    }
}

/// Answers every request to port 80 of the DNS server's address, so that curl has somebody to talk to.
fn serve_web(node: &Node) -> Result<()> {
    let listener = node.dns().enter(|| Ok(TcpListener::bind((Ipv6Addr::UNSPECIFIED, 80))?))?;
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(std::io::Result::ok) {
            // A client that has gone is no concern of ours.
            _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    Ok(())
}
