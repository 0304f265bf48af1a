//! Images of what runs in the cluster from the first moment, made of programs that are here: CoreDNS, Debian's busybox for
//! workloads, and what holds a pod's namespaces.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::place::Place;
use crate::command::output;
use crate::compiler::Architecture;
use crate::image::layer::{Layer, Node};
use crate::image::oci::{self, Image};
use crate::pinned;

/// What holds a pod's namespaces.
pub const PAUSE: &str = "docker.io/library/pause:1";

/// A shell and its usual programs, for workloads.
pub const BUSYBOX: &str = "busybox:1";

/// Where Debian has it.
const PROGRAM: &str = "/bin/busybox";

/// Name and tag of CoreDNS.
pub fn coredns() -> String {
    format!("coredns:{}", pinned::COREDNS)
}

/// Writes the archives; where they are.
pub fn write(place: &Place) -> Result<Vec<PathBuf>> {
    let dns = program(&place.programs().join("coredns"))?;
    let mut files = Layer::default();
    files.put("coredns", dns);
    let run = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let images = [
        image("coredns", pinned::COREDNS, files, run(&["/coredns"])),
        image("pause", "1", busybox()?, run(&["/bin/busybox", "sleep", "2147483647"])),
        image("busybox", "1", busybox()?, Vec::new()),
    ];
    let mut paths = Vec::new();
    for image in images {
        let path = place.path(&format!("images/{}.tar", image.name));
        oci::write(&image, &path)?;
        paths.push(path);
    }
    Ok(paths)
}

fn image(name: &str, tag: &str, layer: Layer, entrypoint: Vec<String>) -> Image {
    Image {
        name: name.to_owned(),
        tag: tag.to_owned(),
        architecture: Architecture::host().go_name(),
        layer,
        user: "0:0".to_owned(),
        entrypoint,
        environment: vec!["PATH=/usr/local/bin:/usr/bin:/bin".to_owned()],
        folder: "/".to_owned(),
        created: "1970-01-01T00:00:00Z".to_owned(),
        labels: BTreeMap::new(),
        is_packed: false,
    }
}

/// The program with a link for each of its names.
fn busybox() -> Result<Layer> {
    let mut files = Layer::default();
    files.put("bin/busybox", program(Path::new(PROGRAM))?);
    for name in output(Command::new(PROGRAM).arg("--list"))?.lines().filter(|name| *name != "busybox") {
        files.put(&format!("bin/{name}"), Node::Link("busybox".to_owned()));
    }
    files.put("tmp", Node::Folder(0o1777));
    files.put("etc/passwd", Node::File(0o644, b"root:x:0:0:root:/:/bin/sh\n".to_vec()));
    files.put("etc/group", Node::File(0o644, b"root:x:0:\n".to_vec()));
    Ok(files)
}

fn program(path: &Path) -> Result<Node> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Node::File(0o755, bytes))
}
