//! The folder that an image is made from, whoever makes it: program, SBOM, licence, an empty tree, and the file that says what goes
//! where.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Made, VERSION, What, sbom};
use crate::agent_binary;
use crate::command::output;
use crate::compiler;
use crate::layout::{self, Layout};

/// Name of the SBOM there.
pub const SBOM: &str = "sbom.cdx.json";

/// Builds the program and puts the folder together; where it is.
pub fn write(layout: &Layout, what: What, made: Made) -> Result<PathBuf> {
    let program = agent_binary::ready_for(layout, made.profile, made.target, what.name())?;
    let parts = sbom::write(layout, what.name(), what.embedded(), &compiler::static_target_of(made.target))?;
    let folder = layout.target.join("images").join(format!("{}-{}", what.name(), made.target.go_name()));
    _ = fs::remove_dir_all(&folder);
    let tree = folder.join("folders/tmp");
    fs::create_dir_all(&tree).with_context(|| format!("cannot make the folder {}", tree.display()))?;
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let recipe = layout.root.join("deploy/images").join(format!("{}.Containerfile", what.component()));
    for (name, mode, bytes) in [
        (what.name(), 0o755, read(&program)?),
        (SBOM, 0o644, parts.into_bytes()),
        ("LICENSE", 0o644, read(&layout.root.join("LICENSE"))?),
        ("Containerfile", 0o644, read(&recipe)?),
    ] {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        set_mode(&path, mode)?;
    }
    // Whatever the mask of whoever runs this is.
    set_mode(&tree, 0o1777)?;
    Ok(folder)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))
}

/// Values of what the file asks for.
pub fn arguments(layout: &Layout) -> Result<BTreeMap<&'static str, String>> {
    Ok(BTreeMap::from([
        ("VERSION", VERSION.to_owned()),
        ("CREATED", created(layout)?),
        ("REVISION", revision(layout).unwrap_or_default()),
    ]))
}

/// The commit that was built, where the sources are exactly its.
pub fn revision(layout: &Layout) -> Option<String> {
    let changed = output(git(layout).args(["status", "--porcelain"])).ok()?;
    let revision = output(git(layout).args(["rev-parse", "HEAD"])).ok()?;
    changed.is_empty().then(|| revision.trim().to_owned())
}

/// git in the workspace.
pub fn git(layout: &Layout) -> Command {
    let mut git = Command::new("git");
    git.current_dir(&layout.root).env("TZ", "UTC");
    git
}

/// The time that the sources bear: `SOURCE_DATE_EPOCH`, else the last commit's, else none at all.
fn created(layout: &Layout) -> Result<String> {
    if let Some(seconds) = layout::set("SOURCE_DATE_EPOCH") {
        let seconds = seconds.to_string_lossy().into_owned();
        let time = output(Command::new("date").args(["-u", "-d", &format!("@{seconds}"), "+%FT%TZ"]))
            .with_context(|| format!("SOURCE_DATE_EPOCH is {seconds}: it must be seconds since 1970"))?;
        return Ok(time.trim().to_owned());
    }
    let mut log = git(layout);
    log.args(["log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd"]);
    Ok(output(&mut log).map_or_else(|_| "1970-01-01T00:00:00Z".to_owned(), |time| time.trim().to_owned()))
}
