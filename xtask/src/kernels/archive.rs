//! What the machine starts with: folders and programs, in the form of cpio that the kernel reads ("newc", see
//! `Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// Writes the archive of these folders and of these programs, each with its name in the machine.
pub fn write(path: &Path, folders: &[&str], programs: &[(&str, &PathBuf)]) -> Result<()> {
    let mut archive = Vec::new();
    for folder in folders {
        entry(&mut archive, folder, FOLDER, &[]);
    }
    for (name, program) in programs {
        let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
        entry(&mut archive, name, PROGRAM, &bytes);
    }
    entry(&mut archive, "TRAILER!!!", 0, &[]);
    fs::write(path, archive).with_context(|| format!("cannot write {}", path.display()))
}

fn entry(archive: &mut Vec<u8>, name: &str, mode: u32, bytes: &[u8]) {
    let (size, name_size) = (bytes.len(), name.len() + 1);
    // Number, mode, user, group, links, time, size, two device numbers of the place and two of the file, name, sum.
    let header = format!(
        "070701{0:08x}{mode:08x}{0:08x}{0:08x}{1:08x}{0:08x}{size:08x}{0:08x}{0:08x}{0:08x}{0:08x}{name_size:08x}{0:08x}",
        0, 1
    );
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    pad(archive);
    archive.extend_from_slice(bytes);
    pad(archive);
}

/// Name and content end at a multiple of four.
fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_begins_at_a_multiple_of_four() {
        let mut archive = Vec::new();
        entry(&mut archive, "init", PROGRAM, b"12345");
        // A header of 110 bytes, five of the name, one of padding; five of content, three of padding.
        assert_eq!(archive.len(), 124);
        assert!(archive.starts_with(b"070701"));
        assert_eq!(&archive[54..62], b"00000005");
        assert_eq!(&archive[110..124], b"init\0\x0012345\0\0\0");
    }
}
