//! A kernel by its version: from Debian's mirror that apt knows, fetched once and kept. The lists of other releases than
//! this machine's go to folders of our own: apt's are not touched, and nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{output, quietly, say};
use crate::layout::Layout;
use crate::pinned;

/// The version that stands for the newest of them.
const NEWEST: &str = "newest";

const FLAVOUR: &str = "-cloud-amd64";

/// Packages with a kernel in them; where both are there, the first is the one that has it.
const PREFIXES: [&str; 2] = ["linux-binary-", "linux-image-"];

/// Debian's keys, where its package for them is installed; else apt's own are asked.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The kernel `version`, or the file that it names.
pub fn find(layout: &Layout, version: &str, update: bool) -> Result<PathBuf> {
    if version.contains('/') {
        if !Path::new(version).is_file() {
            bail!("there is no file {version}: name a kernel (vmlinuz), or a version as 5.10");
        }
        return Ok(version.into());
    }
    let folder = layout.tool("linux", version);
    let image = folder.join("vmlinuz");
    if image.exists() && !update {
        return Ok(image);
    }
    fetch(layout, version, &folder)
        .with_context(|| format!("no kernel {version}: name a file instead, or a version that is there"))?;
    Ok(image)
}

fn fetch(layout: &Layout, version: &str, folder: &Path) -> Result<()> {
    let apt = Apt { folder: layout.tools.join("apt"), log: layout.tools.join("log/kernels.log") };
    let mut packages = apt.packages().unwrap_or_default();
    if choose(version, &packages).is_none() {
        // There are no lists yet, or they are older than the wish for it.
        apt.update(layout)?;
        packages = apt.packages()?;
    }
    let package = choose(version, &packages).with_context(|| {
        format!("Debian's mirror has no cloud kernel {version}, it has {}", versions(&packages).join(", "))
    })?;
    let scratch = layout.tools.join("build").join(package);
    // What a fetch that was broken off left is not trusted.
    _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch)?;
    let mut download = apt.command("apt-get");
    download.args(["download", package]).current_dir(&scratch);
    quietly(&format!("kernel {version}: fetching {package}"), &mut download, &apt.log)?;
    let archive = only_file(&scratch, "deb")?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--extract").arg(archive).arg(&scratch);
    quietly(&format!("kernel {version}: unpacking"), &mut unpack, &apt.log)?;
    fs::create_dir_all(folder)?;
    let image = image(&scratch).with_context(|| format!("the package {package} has no vmlinuz"))?;
    // Renamed, so that a kernel that is there is whole.
    fs::rename(image, folder.join("vmlinuz"))?;
    _ = fs::remove_dir_all(scratch);
    say(&format!("kernel {version}: {package}"));
    Ok(())
}

/// An apt with folders and sources of its own.
struct Apt {
    folder: PathBuf,
    log: PathBuf,
}

impl Apt {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (option, place) in [("State", "state"), ("Cache", "cache"), ("Etc::sourcelist", "sources.list")] {
            command.arg(format!("--option=Dir::{option}={}", self.folder.join(place).display()));
        }
        command.args(["--option=Dir::Etc::sourceparts=-", "--option=Acquire::Languages=none"]);
        command.arg("--option=Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false");
        if rustix::process::geteuid().is_root() {
            // The folders are root's.
            command.arg("--option=APT::Sandbox::User=root");
        }
        command
    }

    /// Names of the packages with kernels of our flavour.
    fn packages(&self) -> Result<Vec<String>> {
        let mut search = self.command("apt-cache");
        search.args(["search", "--names-only", &format!("^linux-(binary|image)-[0-9].*{FLAVOUR}$")]);
        let found = output(&mut search)?;
        Ok(found.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
    }

    fn update(&self, layout: &Layout) -> Result<()> {
        let mirror = Mirror::find(layout)?;
        for place in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(self.folder.join(place))?;
        }
        fs::write(self.folder.join("sources.list"), mirror.sources())?;
        let mut update = self.command("apt-get");
        update.arg("update");
        quietly("kernels: reading Debian's lists", &mut update, &self.log).map(drop)
    }
}

/// Where apt fetches Debian from.
#[derive(Debug, PartialEq, Eq)]
struct Mirror {
    releases: String,
    security: String,
}

impl Mirror {
    fn find(layout: &Layout) -> Result<Self> {
        if let Some(mirror) = Self::read(&targets()?) {
            return Ok(mirror);
        }
        // Before its lists are read apt does not know whose they are.
        let mut update = Command::new("apt-get");
        update.args(["update", "--quiet"]);
        quietly("setup: apt-get update", &mut update, &layout.tools.join("log/apt-update.log"))?;
        Self::read(&targets()?).context(
            "the kernels are Debian's, and apt on this machine knows no mirror of Debian with its security updates: run this on Debian",
        )
    }

    /// From lines of address, release and origin.
    fn read(targets: &str) -> Option<Self> {
        let debian: Vec<(&str, &str)> = targets
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let (address, release) = (words.next()?, words.next()?);
                (words.next()? == "Debian").then_some((address, release))
            })
            .collect();
        let releases = debian.iter().find(|(_, release)| !release.contains('-'))?;
        let security = debian.iter().find(|(_, release)| release.ends_with("-security"))?;
        Some(Self { releases: releases.0.to_owned(), security: security.0.to_owned() })
    }

    /// One line for each release that has one of the kernels.
    fn sources(&self) -> String {
        let signed =
            if Path::new(KEYRING).exists() { format!(" [signed-by={KEYRING}]") } else { String::new() };
        let line = |(_, release): &(&str, &str)| {
            let address = if release.ends_with("-security") { &self.security } else { &self.releases };
            format!("deb{signed} {address} {release} main\n")
        };
        pinned::KERNELS.iter().map(line).collect()
    }
}

fn targets() -> Result<String> {
    let mut targets = Command::new("apt-get");
    targets.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(ORIGIN)", "Created-By: Packages"]);
    output(&mut targets).context("the kernels are fetched by apt-get")
}

/// The newest of the packages whose kernel is of this version.
fn choose<'p>(version: &str, packages: &'p [String]) -> Option<&'p str> {
    let start = format!("{version}.");
    let fits = |package: &&String| {
        let release = release(package);
        // One without a third number only asks for another package.
        release.matches('.').count() >= 2 && (version == NEWEST || release.starts_with(&start))
    };
    let key = |package: &&String| (numbers(release(package)), package.starts_with(PREFIXES[0]));
    packages.iter().filter(fits).max_by_key(key).map(String::as_str)
}

/// `linux-image-5.10.0-46-cloud-amd64` -> `5.10.0-46`.
fn release(package: &str) -> &str {
    let name = PREFIXES.iter().find_map(|prefix| package.strip_prefix(prefix)).unwrap_or(package);
    name.strip_suffix(FLAVOUR).unwrap_or(name)
}

fn numbers(release: &str) -> Vec<u64> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Each version that there is, as it would be asked for.
fn versions(packages: &[String]) -> Vec<String> {
    let mut versions: Vec<Vec<u64>> =
        packages.iter().map(|package| numbers(release(package)).into_iter().take(2).collect()).collect();
    versions.sort();
    versions.dedup();
    versions.iter().map(|numbers| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")).collect()
}

/// The kernel of an unpacked package.
fn image(folder: &Path) -> Option<PathBuf> {
    let in_boot = fs::read_dir(folder.join("boot")).into_iter().flatten();
    let with_modules = fs::read_dir(folder.join("usr/lib/modules")).into_iter().flatten();
    in_boot
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz")))
        .chain(with_modules.filter_map(Result::ok).map(|entry| entry.path().join("vmlinuz")))
        .find(|path| path.is_file())
}

fn only_file(folder: &Path, extension: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut found = entries.filter(|path| path.extension().is_some_and(|end| end == extension));
    found.next().with_context(|| format!("apt-get left no .{extension} file in {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_newest_package_of_a_version_is_chosen_by_number() {
        let packages = packages(&[
            "linux-image-6.1-cloud-amd64",
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-image-6.1.0-0.deb11.52-cloud-amd64",
            "linux-image-6.12.117+deb13-cloud-amd64",
        ]);
        assert_eq!(choose("6.1", &packages), Some("linux-image-6.1.0-50-cloud-amd64"));
        assert_eq!(choose("newest", &packages), Some("linux-image-6.12.117+deb13-cloud-amd64"));
        assert_eq!(choose("5.15", &packages), None);
        assert_eq!(versions(&packages), ["6.1", "6.12"]);
    }

    #[test]
    fn where_a_kernel_has_a_package_of_its_own_that_is_chosen() {
        let packages =
            packages(&["linux-binary-7.2.13+deb14-cloud-amd64", "linux-image-7.2.13+deb14-cloud-amd64"]);
        assert_eq!(choose("7.2", &packages), Some("linux-binary-7.2.13+deb14-cloud-amd64"));
    }

    #[test]
    fn the_mirror_is_the_one_that_apt_knows() {
        let targets = "http://a.example/other stable Somebody\nhttp://m.example/debian/ bookworm Debian\n\
                       http://m.example/debian/ bookworm-updates Debian\n\
                       http://s.example/security/ bookworm-security Debian\n";
        let mirror = Mirror::read(targets).unwrap();
        assert_eq!(mirror.releases, "http://m.example/debian/");
        assert_eq!(mirror.security, "http://s.example/security/");
        assert_eq!(mirror.sources().lines().count(), pinned::KERNELS.len());
        assert_eq!(Mirror::read("http://u.example/ubuntu/ noble Ubuntu\n"), None);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let layout = Layout { root: "/".into(), target: "/".into(), tools: "/".into() };
        let error = find(&layout, "/no/vmlinuz", false).unwrap_err().to_string();
        assert!(error.starts_with("there is no file /no/vmlinuz"), "{error}");
    }
}
