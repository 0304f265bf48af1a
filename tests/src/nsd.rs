//! Debian's nsd in a node's DNS namespace, with zones that a caller gives as text.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Child, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    node::{DNS_V4, DNS_V6, Node, command_in},
    wait,
};

/// A zone: its name and the records below the SOA and NS that every zone gets.
#[derive(Clone, Debug)]
pub struct ZoneText<'t> {
    /// Name of the zone.
    pub name: &'t str,
    /// Records in the format of a zone file.
    pub records: &'t str,
}

/// A running nsd; it ends when this value is dropped.
#[derive(Debug)]
pub struct Nsd {
    child: Child,
}

impl Nsd {
    /// Starts nsd on `node` with these zones and returns when it answers.
    pub fn start(node: &Node, zones: &[ZoneText<'_>]) -> Result<Self> {
        let folder = node.folder().join("nsd");
        fs::create_dir_all(&folder)?;
        let mut settings = settings(&folder);
        for zone in zones {
            let path = folder.join(format!("{}.zone", zone.name));
            fs::write(&path, zone_file(zone))?;
            write!(settings, "zone:\n  name: {}\n  zonefile: {}\n", zone.name, path.display())?;
        }
        let file = folder.join("nsd.conf");
        fs::write(&file, settings)?;
        let group = node.cgroup().join("system.slice/nsd.service");
        crate::cgroup::create(&group)?;
        let mut command = command_in(&group, Some(node.dns().path()), Path::new("/usr/sbin/nsd"));
        command
            .arg("-d")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut server = Self { child: command.spawn().context("cannot start nsd (Debian package nsd)")? };
        let asked = zones.first().context("nsd needs a zone")?.name;
        wait::until("nsd answers", || server.answers(node, asked))?;
        Ok(server)
    }

    fn answers(&mut self, node: &Node, zone: &str) -> Result<Option<()>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("nsd ended with {status}");
        }
        node.dns().enter(|| {
            let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
            socket.set_read_timeout(Some(std::time::Duration::from_millis(200)))?;
            socket.connect((DNS_V4, 53))?;
            let asked = crate::message::query(1, zone, crate::message::kind::A);
            let mut answer = [0; 512];
            Ok((socket.send(&asked).is_ok() && socket.recv(&mut answer).is_ok()).then_some(()))
        })
    }
}

impl Drop for Nsd {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn settings(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "server:\n  ip-address: {DNS_V4}\n  ip-address: {DNS_V6}\n  username: \"\"\n  chroot: \"\"\n  \
         zonesdir: {folder}\n  pidfile: {folder}/nsd.pid\n  database: \"\"\n  xfrdfile: {folder}/xfrd.state\n  \
         zonelistfile: {folder}/zone.list\n  xfrdir: {folder}\n  logfile: {folder}/nsd.log\n  server-count: 1\n  \
         rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\nremote-control:\n  control-enable: no\n"
    )
}

fn zone_file(zone: &ZoneText<'_>) -> String {
    format!(
        "$ORIGIN {0}.\n$TTL 300\n@ SOA ns.{0}. admin.{0}. 1 3600 600 86400 60\n@ NS ns.{0}.\nns A {DNS_V4}\n{1}\n",
        zone.name, zone.records
    )
}
