//! A folder of lists served over HTTP on this machine's loopback, by Python: who publishes feeds.

use std::{
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, Result};

use crate::{lines::Lines, node::Node, wait::PATIENCE};

/// A running server; it ends when this value is dropped.
#[derive(Debug)]
pub struct Lists {
    child: Child,
    url: String,
    _log: Arc<Lines>,
}

impl Lists {
    /// Serves `folder` as a unit of `node`; it answers once this returns.
    pub fn serve(node: &Node, folder: &Path) -> Result<Self> {
        let mut command = node.unit_command("lists.service", Path::new("python3"))?;
        command.args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0", "--directory"]).arg(folder);
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("cannot start python3")?;
        let (log, _) = Lines::follow(child.stdout.take().context("no standard output")?);
        // Serving HTTP on 127.0.0.1 port 40371 (http://127.0.0.1:40371/) ...
        let port = log.find(0, PATIENCE, |line| line.split(' ').nth(5)?.parse::<u16>().ok());
        let mut server = Self { child, url: String::new(), _log: log };
        server.url = format!("http://127.0.0.1:{}", port.context("python3's http.server says no port")?);
        Ok(server)
    }

    /// Where it is, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Lists {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
