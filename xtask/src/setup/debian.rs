//! Debian's packages, by apt-get: DNS servers and clients, captures, network namespaces, the C compiler for musl.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::log;
use crate::command::{output, quietly};
use crate::layout::Layout;

/// Services must not start because a test's package was installed; Debian asks this program.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Packages, each with a program by which it is known where there is no dpkg.
type Packages = &'static [(&'static str, &'static str)];

/// Those of `wanted` that are missing.
pub fn missing(wanted: Packages) -> Result<Vec<String>> {
    let absent = if found("dpkg-query") {
        absent_packages(wanted, &installed()?)
    } else {
        wanted.iter().filter(|(_, program)| !found(program)).map(|(package, _)| *package).collect()
    };
    Ok(absent.into_iter().map(|package| format!("the package {package}")).collect())
}

fn installed() -> Result<String> {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${db:Status-Status} ${Package}\n"]);
    output(&mut query).context("dpkg cannot say what is installed")
}

fn absent_packages(wanted: &[(&'static str, &str)], installed: &str) -> Vec<&'static str> {
    let present: std::collections::HashSet<&str> =
        installed.lines().filter_map(|line| line.strip_prefix("installed ")).collect();
    wanted.iter().map(|(package, _)| *package).filter(|package| !present.contains(package)).collect()
}

/// Installs those of `wanted` that are missing.
pub fn install(layout: &Layout, wanted: Packages) -> Result<String> {
    if !found("apt-get") {
        bail!(
            "this machine has no apt-get: install what gives these programs, then run again: {}",
            programs(wanted)
        );
    }
    let absent = absent_packages(wanted, &installed()?);
    apt_install(layout, &absent)?;
    Ok(format!("installed {}", absent.join(", ")))
}

fn programs(wanted: Packages) -> String {
    let absent: Vec<&str> =
        wanted.iter().map(|(_, program)| *program).filter(|program| !found(program)).collect();
    absent.join(", ")
}

/// Installs `packages`, reading the lists first where that is needed.
fn apt_install(layout: &Layout, packages: &[&str]) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("packages need root: run `sudo apt-get install {}`, then this again", packages.join(" "));
    }
    let silence = Silence::start()?;
    let install = |title: &str| {
        let mut apt = apt("install");
        apt.arg("--no-install-recommends").args(packages);
        quietly(title, &mut apt, &log(layout, "packages"))
    };
    let title = format!("setup: apt-get install ({})", packages.len());
    // Lists that are there may be too old for what they name: read them when the first try fails, not before.
    if install(&title).is_err() {
        quietly("setup: apt-get update", &mut apt("update"), &log(layout, "apt-update"))?;
        install(&title)?;
    }
    drop(silence);
    Ok(())
}

fn apt(verb: &str) -> Command {
    let mut apt = Command::new("apt-get");
    apt.args([verb, "--yes", "--quiet", "--option", "DPkg::Lock::Timeout=600"]);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

/// While this lives, packages do not start their services (a resolver on port 53 is not what anyone asked for).
struct Silence {
    ours: bool,
}

impl Silence {
    fn start() -> Result<Silence> {
        use std::os::unix::fs::PermissionsExt;
        if Path::new(POLICY).exists() {
            return Ok(Silence { ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {POLICY}"))?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        Ok(Silence { ours: true })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if self.ours {
            _ = fs::remove_file(POLICY);
        }
    }
}

/// True where PATH, or the system's folders that an ordinary user's PATH lacks, have the program.
fn found(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(Into::into);
    env::split_paths(&path).chain(system).any(|folder| folder.join(program).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_was_removed_counts_as_missing() {
        let wanted = [("nsd", "nsd"), ("tshark", "tshark"), ("unbound", "unbound")];
        let installed = "installed nsd\nconfig-files tshark\ninstalled libunbound8\n";
        assert_eq!(absent_packages(&wanted, installed), ["tshark", "unbound"]);
    }

    #[test]
    fn a_program_is_found_in_the_path() {
        assert!(found("sh"));
        assert!(!found("no-program-has-this-name"));
    }
}
