//! Files as a tar archive whose bytes depend on nothing but them: sorted, no times, everything root's.

use std::collections::BTreeMap;
use std::io;

use anyhow::{Context, Result};
use tar::{Builder, EntryType, Header};

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
        let mut archive = Builder::new(Vec::new());
        for (path, node) in &self.nodes {
            append(&mut archive, path, node).with_context(|| format!("cannot pack {path}"))?;
        }
        Ok(archive.into_inner()?)
    }
}

fn append(archive: &mut Builder<Vec<u8>>, path: &str, node: &Node) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    match node {
        Node::Folder(mode) => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(*mode);
            archive.append_data(&mut header, format!("{path}/"), io::empty())
        }
        Node::File(mode, bytes) => {
            header.set_size(bytes.len() as u64);
            header.set_mode(*mode);
            archive.append_data(&mut header, path, bytes.as_slice())
        }
        Node::Link(target) => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            archive.append_link(&mut header, path, target)
        }
    }
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
    fn a_long_name_is_read_whole() {
        let (mut layer, name) = (Layer::default(), format!("{0}/{0}", "x".repeat(200)));
        layer.put(&name, Node::File(0o644, b"long".to_vec()));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("layer.tar");
        fs::write(&file, layer.archive().unwrap()).unwrap();
        let mut tar = Command::new("tar");
        assert!(tar.arg("-xf").arg(&file).arg("-C").arg(folder.path()).status().unwrap().success());
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"long");
    }
}
