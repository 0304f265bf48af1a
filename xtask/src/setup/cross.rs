//! What ships, for the other processor: its Rust target, Debian's compiler for it, and musl's headers, which the C code of some
//! crates is compiled with.
//!
//! Those headers are Debian's package for that processor, unpacked into the cache: nothing of it is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{debian, log, rust};
use crate::command::{output, quietly};
use crate::compiler::{Architecture, bare, static_target_of, toolchain_folder};
use crate::layout::Layout;
use crate::pinned;

/// The processor that is compiled for elsewhere than on it.
pub fn foreign() -> Architecture {
    match Architecture::host() {
        Architecture::X86 => Architecture::Arm,
        Architecture::Arm => Architecture::X86,
    }
}

/// What is missing.
pub fn missing(layout: &Layout) -> Result<Vec<String>> {
    let mut missing = debian::missing(pinned::CROSS_PACKAGES)?;
    let target = static_target_of(foreign());
    let components = toolchain_folder(pinned::USER_TOOLCHAIN)?.join("lib/rustlib/components");
    let installed = fs::read_to_string(components).unwrap_or_default();
    if !installed.lines().any(|line| line == format!("rust-std-{target}")) {
        missing.push(format!("{target} of Rust {}", pinned::USER_TOOLCHAIN));
    }
    if !headers(layout).is_dir() {
        missing.push(format!("musl's headers for {}", foreign().name()));
    }
    Ok(missing)
}

/// The folder of the headers.
fn headers(layout: &Layout) -> PathBuf {
    let name = foreign().name();
    layout.tool("musl-headers", name).join(format!("usr/include/{name}-linux-musl"))
}

/// Installs it.
pub fn install(layout: &Layout) -> Result<String> {
    if !debian::missing(pinned::CROSS_PACKAGES)?.is_empty() {
        debian::install(layout, pinned::CROSS_PACKAGES)?;
    }
    let target = static_target_of(foreign());
    rust::demand_rustup("rustup")?;
    let mut rustup = bare("rustup");
    rustup.args(["target", "add", &target, "--toolchain", pinned::USER_TOOLCHAIN]);
    quietly(&format!("setup: {target}"), &mut rustup, &log(layout, "rust-target"))?;
    if !headers(layout).is_dir() {
        fetch_headers(layout)?;
    }
    Ok(format!("installed what compiles for {}", foreign().name()))
}

/// Debian's own words for the processor stand in its lists, which are read into a folder of ours.
fn fetch_headers(layout: &Layout) -> Result<()> {
    let folder = layout.tools.join("build/musl-headers");
    // What was broken off is not trusted.
    _ = fs::remove_dir_all(&folder);
    for place in ["state/lists/partial", "cache/archives/partial", "unpacked"] {
        fs::create_dir_all(folder.join(place))?;
    }
    let mut targets = Command::new("apt-get");
    targets.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(ORIGIN)", "Created-By: Packages"]);
    let known = output(&mut targets).context("musl's headers are fetched by apt-get")?;
    let source =
        source(&known).context("apt on this machine knows no mirror of Debian: run this on Debian")?;
    fs::write(folder.join("sources.list"), source)?;
    let log = log(layout, "musl-headers");
    quietly("setup: reading Debian's lists", apt(&folder).arg("update"), &log)?;
    let package = format!("musl-dev:{}", foreign().go_name());
    quietly("setup: musl's headers", apt(&folder).args(["download", &package]).current_dir(&folder), &log)?;
    let files = fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut archives = files.filter(|path| path.extension().is_some_and(|end| end == "deb"));
    let archive = archives.next().context("apt-get left no package")?;
    let unpacked = folder.join("unpacked");
    output(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&unpacked))?;
    let place = layout.tool("musl-headers", foreign().name());
    _ = fs::remove_dir_all(&place);
    fs::rename(unpacked, &place).with_context(|| format!("cannot put {} in place", place.display()))?;
    _ = fs::remove_dir_all(folder);
    Ok(())
}

/// This machine's own release, for the other processor.
fn source(known: &str) -> Option<String> {
    known.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (address, release, origin) = (words.next()?, words.next()?, words.next()?);
        let architecture = foreign().go_name();
        let is_it = origin == "Debian" && !release.contains('-');
        is_it.then(|| format!("deb [arch={architecture}] {address} {release} main\n"))
    })
}

fn apt(folder: &Path) -> Command {
    let mut apt = Command::new("apt-get");
    for (option, place) in [("State", "state"), ("Cache", "cache"), ("Etc::sourcelist", "sources.list")] {
        apt.arg(format!("--option=Dir::{option}={}", folder.join(place).display()));
    }
    let (ours, theirs) = (Architecture::host().go_name(), foreign().go_name());
    apt.args(["--option=Dir::Etc::sourceparts=-", "--option=Acquire::Languages=none"]);
    apt.arg(format!("--option=APT::Architectures={ours},{theirs}"));
    if rustix::process::geteuid().is_root() {
        // The folders are root's.
        apt.arg("--option=APT::Sandbox::User=root");
    }
    apt
}

/// Variables by which cargo compiles C code for that processor and links for it.
pub fn variables(layout: &Layout) -> Result<Vec<(String, String)>> {
    let processor = foreign().name();
    let target = static_target_of(foreign());
    let low = target.replace('-', "_");
    let gcc = format!("{processor}-linux-gnu-gcc");
    let own = output(Command::new(&gcc).arg("-print-file-name=include"))?;
    let own = own.trim();
    if !Path::new(own).is_dir() {
        bail!("{gcc} does not say where its headers are: {own}");
    }
    let flags = format!("-nostdinc -isystem {} -isystem {own}", headers(layout).display());
    Ok(vec![
        (format!("CC_{low}"), gcc.clone()),
        (format!("AR_{low}"), format!("{processor}-linux-gnu-ar")),
        (format!("CFLAGS_{low}"), flags),
        (format!("CARGO_TARGET_{}_LINKER", low.to_uppercase()), gcc),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_are_of_this_machines_release() {
        let known = "http://a.example/other stable Somebody\nhttp://s.example/security bookworm-security Debian\n\
                     http://m.example/debian/ bookworm Debian\n";
        let architecture = foreign().go_name();
        let line = format!("deb [arch={architecture}] http://m.example/debian/ bookworm main\n");
        assert_eq!(source(known), Some(line));
        assert_eq!(source("http://u.example/ubuntu/ noble Ubuntu\n"), None);
    }
}
