//! Folders of this machine are kept out of what ships: panics, file names of the kernel half's BTF and of C code name `/namewarden`,
//! `/crates` and `/rustc` in their place. So two checkouts in two folders give the same bytes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use crate::command::quietly;
use crate::compiler;
use crate::layout::{self, Layout};
use crate::pinned;

/// A folder, and what is written for it.
type Renamed = (PathBuf, String);

/// Folders whose names would get into programs; of two that hold a file the later one counts.
pub fn folders(layout: &Layout) -> Result<Vec<Renamed>> {
    let home = match layout::set("CARGO_HOME") {
        Some(folder) => std::path::absolute(folder)?,
        None => layout::home()?.join(".cargo"),
    };
    let mut folders = vec![
        (layout.root.clone(), "/namewarden".to_owned()),
        (layout.target.clone(), "/target".to_owned()),
        (home.clone(), "/cargo".to_owned()),
    ];
    // Each registry, a mirror too, has a folder with a name of its own.
    for registry in registries(layout, &home.join("registry/src"))? {
        folders.push((registry, "/crates".to_owned()));
    }
    let core = compiler::toolchain_folder(pinned::BPF_TOOLCHAIN)?.join("lib/rustlib/src/rust");
    folders.push((core, "/rustc".to_owned()));
    Ok(folders)
}

/// Folders of unpacked crates; they are fetched where this machine has none yet, for their names have to be known.
fn registries(layout: &Layout, sources: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> Vec<PathBuf> {
        let entries = fs::read_dir(sources).into_iter().flatten().filter_map(Result::ok);
        let mut folders: Vec<PathBuf> =
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        folders.sort();
        folders
    };
    if list().is_empty() {
        let mut fetch = compiler::user_cargo(layout, "fetch");
        quietly("crates", fetch.arg("--locked"), &layout.target.join("xtask/fetch.log"))?;
    }
    Ok(list())
}

/// The option of cargo by which the compiler renames `folders` in what it makes for `target`.
pub fn option(folders: &[Renamed], target: &str) -> Result<String> {
    let flags: Vec<String> = folders
        .iter()
        .map(|(folder, name)| Ok(format!("--remap-path-prefix={}={name}", text(folder)?)))
        .collect::<Result<_>>()?;
    // A JSON list of texts without control characters is one of TOML.
    Ok(format!("target.{target}.rustflags={}", json!(flags)))
}

/// What a C compiler would read off its clock, said once for all: mimalloc has both in its version's line. No flag may hold a space.
const NO_CLOCK: [&str; 3] = ["-Wno-builtin-macro-redefined", "-D__DATE__=\"none\"", "-D__TIME__=\"none\""];

/// The same for the C compiler, and no clock. It takes no folder with a space in its name.
pub fn c_flags(folders: &[Renamed]) -> Result<String> {
    let mut flags = NO_CLOCK.map(str::to_owned).to_vec();
    for (folder, name) in folders {
        let folder = text(folder)?;
        if !folder.contains(char::is_whitespace) {
            flags.push(format!("-ffile-prefix-map={folder}={name}"));
        }
    }
    Ok(flags.join(" "))
}

fn text(folder: &Path) -> Result<&str> {
    folder.to_str().with_context(|| format!("{} is no UTF-8: build in another folder", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_are_told_of_every_folder() {
        let folders = [(PathBuf::from("/a b"), "/x".to_owned()), (PathBuf::from("/c"), "/y".to_owned())];
        assert_eq!(
            option(&folders, "t").unwrap(),
            r#"target.t.rustflags=["--remap-path-prefix=/a b=/x","--remap-path-prefix=/c=/y"]"#
        );
        assert_eq!(c_flags(&folders).unwrap(), format!("{} -ffile-prefix-map=/c=/y", NO_CLOCK.join(" ")));
    }
}
