//! Files as a tar archive whose bytes depend on nothing but them: sorted, no times, everything root's.
//!
//! The form is ustar (POSIX.1-1988), which every reader knows.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

/// Bytes of a block.
const BLOCK: usize = 512;

/// Characters that a name, or what a link leads to, may have.
const NAME: usize = 100;

/// What stands under a name.
#[derive(Clone, Debug)]
pub enum Node {
    /// A folder with its mode.
    Folder(u32),
    /// A file with its mode.
    File(u32, Vec<u8>),
    /// A symbolic link with what it leads to.
    Link(String),
}

/// Nodes by path, without a leading slash; folders above them come by themselves.
#[derive(Clone, Default, Debug)]
pub struct Layer {
    nodes: BTreeMap<String, Node>,
}

impl Layer {
    /// Puts `node` at `path`.
    pub fn put(&mut self, path: &str, node: Node) {
        let mut folder = path;
        while let Some((above, _)) = folder.rsplit_once('/') {
            self.nodes.entry(above.to_owned()).or_insert(Node::Folder(0o755));
            folder = above;
        }
        self.nodes.insert(path.to_owned(), node);
    }

    /// The archive.
    pub fn archive(&self) -> Result<Vec<u8>> {
        let mut archive = Vec::new();
        for (path, node) in &self.nodes {
            append(&mut archive, path, node).with_context(|| format!("cannot pack {path}"))?;
        }
        // Two empty blocks end it.
        archive.resize(archive.len() + 2 * BLOCK, 0);
        Ok(archive)
    }
}

fn append(archive: &mut Vec<u8>, path: &str, node: &Node) -> Result<()> {
    let (kind, mode, bytes, target) = match node {
        Node::Folder(mode) => (b'5', *mode, &[][..], ""),
        Node::File(mode, bytes) => (b'0', *mode, bytes.as_slice(), ""),
        Node::Link(target) => (b'2', 0o777, &[][..], target.as_str()),
    };
    let path = if kind == b'5' { format!("{path}/") } else { path.to_owned() };
    archive.extend_from_slice(&header(kind, mode, bytes.len(), &path, target)?);
    archive.extend_from_slice(bytes);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    Ok(())
}

/// One block: name, mode, user, group, size, time, sum, kind, target, magic, and nothing in the rest.
fn header(kind: u8, mode: u32, size: usize, path: &str, target: &str) -> Result<Vec<u8>> {
    if path.len() > NAME || target.len() > NAME {
        bail!("a name in an image may have {NAME} characters at most");
    }
    let before =
        [field(path, NAME), format!("{mode:07o}\0{0:07o}\0{0:07o}\0{size:011o}\0{0:011o}\0", 0).into_bytes()]
            .concat();
    let after = [vec![kind], field(target, NAME), b"ustar\x0000".to_vec()].concat();
    // The sum is taken with blanks in its own place.
    let sum = before.iter().chain(&after).map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
    let mut block = [before, format!("{sum:06o}\0 ").into_bytes(), after].concat();
    block.resize(BLOCK, 0);
    Ok(block)
}

fn field(text: &str, width: usize) -> Vec<u8> {
    let mut field = text.as_bytes().to_vec();
    field.resize(width, 0);
    field
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn tar_reads_what_was_packed() {
        let mut layer = Layer::default();
        layer.put("usr/bin/program", Node::File(0o755, b"#!/bin/sh\n".to_vec()));
        layer.put("bin/sh", Node::Link("busybox".to_owned()));
        layer.put("tmp", Node::Folder(0o1777));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("layer.tar");
        fs::write(&file, layer.archive().unwrap()).unwrap();
        let mut tar = Command::new("tar");
        assert!(tar.arg("-xpf").arg(&file).arg("-C").arg(folder.path()).status().unwrap().success());
        let program = folder.path().join("usr/bin/program");
        assert_eq!(fs::read(&program).unwrap(), b"#!/bin/sh\n");
        assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(fs::read_link(folder.path().join("bin/sh")).unwrap().to_str(), Some("busybox"));
        assert_eq!(fs::metadata(folder.path().join("tmp")).unwrap().permissions().mode() & 0o7777, 0o1777);
    }

    #[test]
    fn the_order_of_packing_does_not_matter() {
        let packed = |names: [&str; 3]| {
            let mut layer = Layer::default();
            for name in names {
                layer.put(name, Node::File(0o644, name.as_bytes().to_vec()));
            }
            layer.archive().unwrap()
        };
        assert_eq!(packed(["a/b", "a/c", "d"]), packed(["d", "a/c", "a/b"]));
    }

    #[test]
    fn a_name_that_is_too_long_is_refused() {
        let mut layer = Layer::default();
        layer.put(&"x".repeat(101), Node::Folder(0o755));
        assert!(layer.archive().is_err());
    }
}
