//! promtool, for the chart's alerts: named by the user (`NAMEWARDEN_PROMTOOL`), or Debian's, unpacked into the cache. Nothing of that
//! package is installed, so no server starts.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::log;
use crate::command::{output, quietly};
use crate::layout::{self, Layout};

/// The variable with the program's path, for the tests too.
pub const VARIABLE: &str = "NAMEWARDEN_PROMTOOL";

/// Where the package has it.
const PROGRAM: &str = "usr/bin/promtool";

/// Where it is, or will be once it is fetched; what the user names must be there.
pub fn program(layout: &Layout) -> Result<PathBuf> {
    match layout::set(VARIABLE).map(PathBuf::from) {
        Some(path) if !path.is_file() => {
            bail!("{VARIABLE} leads to {}, where no program is: mend it or unset it", path.display())
        }
        Some(path) => Ok(path),
        None => Ok(folder(layout).join(PROGRAM)),
    }
}

/// The release of Debian decides which one it is; any that knows unit tests of rules will do.
fn folder(layout: &Layout) -> PathBuf {
    layout.tool("promtool", "debian")
}

/// The program, where it is missing.
pub fn missing(layout: &Layout) -> Result<Vec<String>> {
    Ok(if program(layout)?.exists() { Vec::new() } else { vec!["promtool".to_owned()] })
}

/// Fetches the package and takes the program out of it.
pub fn install(layout: &Layout) -> Result<String> {
    let scratch = layout.tools.join("build/promtool");
    // What was broken off is not trusted.
    _ = fs::remove_dir_all(&scratch);
    let unpacked = scratch.join("unpacked");
    fs::create_dir_all(&unpacked)
        .with_context(|| format!("cannot make the folder {}", unpacked.display()))?;
    let download = || {
        let mut apt = Command::new("apt-get");
        apt.args(["--option=APT::Sandbox::User=root", "download", "prometheus"]).current_dir(&scratch);
        quietly("setup: promtool", &mut apt, &log(layout, "promtool"))
    };
    // Lists that are there may be too old for what they name: they are read when the first try fails.
    if download().is_err() {
        let mut update = Command::new("apt-get");
        quietly("setup: apt-get update", update.args(["update", "--quiet"]), &log(layout, "apt-update"))?;
        download()
            .with_context(|| format!("promtool is of Debian's package prometheus: name one in {VARIABLE}"))?;
    }
    let files = fs::read_dir(&scratch)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut archives = files.filter(|path| path.extension().is_some_and(|end| end == "deb"));
    let archive = archives.next().context("apt-get left no package")?;
    output(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&unpacked))?;
    let place = folder(layout).join(PROGRAM);
    if let Some(above) = place.parent() {
        fs::create_dir_all(above)?;
    }
    // Renamed, so that a program that is there is whole.
    fs::rename(unpacked.join(PROGRAM), &place)
        .with_context(|| format!("cannot put {} in place", place.display()))?;
    _ = fs::remove_dir_all(scratch);
    Ok("fetched promtool".to_owned())
}
