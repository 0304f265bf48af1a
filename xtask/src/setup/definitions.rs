//! Definitions of other projects' kinds that the chart makes objects of: named by the user (`NAMEWARDEN_DEFINITIONS`, a folder of
//! manifests), or taken out of what those projects publish as Go modules.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{go, log};
use crate::command::{output, quietly};
use crate::layout::{self, Layout};
use crate::pinned;

/// The variable with the folder's path, for the tests too.
pub const VARIABLE: &str = "NAMEWARDEN_DEFINITIONS";

/// What Go says of a module that it has fetched.
#[derive(Deserialize)]
struct Fetched {
    #[serde(rename = "Dir")]
    folder: PathBuf,
}

/// Where they are, or will be once they are fetched; what the user names must be there.
pub fn folder(layout: &Layout) -> Result<PathBuf> {
    match layout::set(VARIABLE).map(PathBuf::from) {
        Some(path) if !path.is_dir() => {
            bail!("{VARIABLE} leads to {}, where no folder is: mend it or unset it", path.display())
        }
        Some(path) => Ok(path),
        None => {
            let versions: Vec<&str> = pinned::DEFINITIONS.iter().map(|(_, version, _)| *version).collect();
            Ok(layout.tool("definitions", &versions.join("-")))
        }
    }
}

/// The modules of which one is missing.
pub fn missing(layout: &Layout) -> Result<Vec<String>> {
    let folder = folder(layout)?;
    if layout::set(VARIABLE).is_some() {
        return Ok(Vec::new());
    }
    let lacks = |files: &[&str]| files.iter().any(|file| !folder.join(name(file)).is_file());
    let modules = pinned::DEFINITIONS.iter().filter(|(_, _, files)| lacks(files));
    Ok(modules.map(|(module, ..)| format!("definitions of {module}")).collect())
}

/// What a manifest is called in the folder.
fn name(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// Fetches the modules and copies the manifests out of them.
pub fn install(layout: &Layout) -> Result<String> {
    let (folder, scratch) = (folder(layout)?, layout.tools.join("build/definitions"));
    for path in [&folder, &scratch] {
        fs::create_dir_all(path).with_context(|| format!("cannot make the folder {}", path.display()))?;
    }
    for (module, version, files) in pinned::DEFINITIONS {
        let source = fetch(layout, &scratch, &format!("{module}@v{version}"))?;
        for file in *files {
            copy(&source.join(file), &folder, name(file))?;
        }
    }
    // A failure to clean up costs disk, nothing else.
    _ = fs::remove_dir_all(scratch);
    Ok("fetched definitions of other projects' kinds".to_owned())
}

/// The folder in Go's cache with the module's files.
fn fetch(layout: &Layout, scratch: &Path, module: &str) -> Result<PathBuf> {
    let go = go::find(module)?;
    let mut download = go::command(&go, scratch);
    quietly(
        &format!("setup: {module}"),
        download.args(["mod", "download", module]),
        &log(layout, "definitions"),
    )?;
    let said = output(go::command(&go, scratch).args(["mod", "download", "-json", module]))?;
    let fetched: Fetched =
        serde_json::from_str(&said).with_context(|| format!("go says something else of {module}: {said}"))?;
    Ok(fetched.folder)
}

/// Renamed, so that a manifest that is there is whole.
fn copy(source: &Path, folder: &Path, name: &str) -> Result<()> {
    let (unfinished, place) = (folder.join(format!(".{name}")), folder.join(name));
    let copied = fs::read(source).and_then(|manifest| fs::write(&unfinished, manifest));
    copied
        .and_then(|()| fs::rename(&unfinished, &place))
        .with_context(|| format!("cannot copy {} to {}", source.display(), place.display()))
}
