//! A folder served over HTTPS on this machine's loopback, by `openssl s_server`, with a certificate of an authority that
//! nobody but the test knows.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::program;

/// A running server; it ends when this value is dropped.
#[derive(Debug)]
pub struct Https {
    child: Child,
    authority: PathBuf,
    address: SocketAddr,
}

impl Https {
    /// Makes keys and certificates in `folder` and serves its files; it answers once this returns.
    pub fn start(folder: &Path) -> Result<Self> {
        certify(folder)?;
        let mut command = openssl(folder);
        command.args([
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-cert",
            "server.pem",
            "-key",
            "server.key",
            "-WWW",
        ]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let said = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut server = Self {
            child,
            authority: folder.join("authority.pem"),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let mut lines = said.lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("ACCEPT ")?.trim().parse().ok());
        server.address = address.context("openssl does not say where it listens")?;
        // What it says of each connection is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.count());
        Ok(server)
    }

    /// The certificate of its authority.
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// URL of a file of the folder.
    pub fn url(&self, file: &str) -> String {
        format!("https://{}/{file}", self.address)
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl(folder: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// An authority, and a server's certificate that it signed for 127.0.0.1.
fn certify(folder: &Path) -> Result<()> {
    fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n")?;
    let steps = [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout authority.key \
         -out authority.pem",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server -keyout server.key -out server.req",
        "x509 -req -in server.req -CA authority.pem -CAkey authority.key -set_serial 1 -days 2 -extfile names \
         -out server.pem",
    ];
    for step in steps {
        program::finish(openssl(folder).args(step.split_whitespace()))?;
    }
    Ok(())
}
