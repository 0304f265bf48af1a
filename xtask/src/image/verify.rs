//! Is what ships the same when it is built in another folder? The commit is cloned, built there with a target folder of its own, and
//! compared by digest. Takes as long as two builds from nothing.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest as _, Sha256};

use super::context::{SBOM, git, revision};
use super::{Made, What};
use crate::command::output;
use crate::layout::Layout;

/// Makes `images` here and there; says the digest of each, and fails where one is another.
pub fn run(layout: &Layout, images: &[What], made: Made) -> Result<()> {
    let commit =
        revision(layout).context("--verify clones the commit: commit what was changed here first")?;
    // Of another length, and outside this checkout: cargo would add the settings of both.
    let place = layout.tools.join("build/verify/another-folder-of-another-length");
    _ = fs::remove_dir_all(&place);
    let clone =
        Layout { root: place.join("sources"), target: place.join("target"), tools: layout.tools.clone() };
    fs::create_dir_all(&place).with_context(|| format!("cannot make the folder {}", place.display()))?;
    output(git(layout).args(["clone", "--quiet", "--no-checkout", "."]).arg(&clone.root))?;
    output(git(&clone).args(["checkout", "--quiet", "--detach", &commit]))?;
    let mut differ = Vec::new();
    for what in images {
        for layout in [layout, &clone] {
            super::make(layout, *what, made, &layout.target.join("images"))?;
        }
        let folder = format!("{}-{}", what.name(), made.target.go_name());
        let [program, parts] = [what.name(), SBOM].map(|name| format!("images/{folder}/{name}"));
        for file in [program, parts, format!("images/{}.tar", what.stem(made.target))] {
            let [here, there] = [layout, &clone].map(|layout| digest(&layout.target.join(&file)));
            let (here, there) = (here?, there?);
            println!("{here} {file}{}", if here == there { ", here and there" } else { "" });
            if here != there {
                println!("{there} {file}, there");
                differ.push(file);
            }
        }
    }
    if !differ.is_empty() {
        bail!("not the same when built in {}: {}", place.display(), differ.join(", "));
    }
    // Gigabytes that nobody needs any longer.
    _ = fs::remove_dir_all(&place);
    Ok(())
}

fn digest(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)))
}
