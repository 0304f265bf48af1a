//! Programs built with Go from its module proxy. Go itself is found, never installed: where it is missing or too old, a
//! sentence says so.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::log;
use crate::command::{output, quietly_counting};
use crate::compiler::bare;
use crate::layout::Layout;
use crate::pinned;

/// Where an unpacked Go lies that `sudo`, or a desktop's session, has not in its PATH.
const USUAL: &str = "/usr/local/go/bin";

/// A module that programs are built from.
#[derive(PartialEq, Eq)]
pub struct Module {
    /// What the folder in the cache is called.
    pub name: &'static str,
    /// Its path in Go.
    pub path: &'static str,
    /// Its version, without the `v`.
    pub version: &'static str,
    /// The packages in which a program keeps the version that it states; none where the source says it.
    pub version_packages: &'static [&'static str],
    /// Variables of its source that are set when it is linked, each with its value.
    pub variables: &'static [(&'static str, &'static str)],
    /// What of its source is left out, or taken in, as Go's build tags.
    pub tags: &'static str,
    /// Part of it is written in C: a compiler and the libraries' headers are needed.
    pub needs_c: bool,
    /// A program of our own that is made of its packages.
    pub main: Option<&'static str>,
}

/// A program of a module.
pub struct Package {
    /// Its path in Go.
    pub path: &'static str,
    /// The file name that Go gives it.
    pub made_as: &'static str,
    /// The file name that it has in the cache.
    pub name: &'static str,
}

impl Module {
    /// One that is built as it is published.
    pub const fn plain(name: &'static str, path: &'static str, version: &'static str) -> Module {
        Module {
            name,
            path,
            version,
            version_packages: &[],
            variables: &[],
            tags: "",
            needs_c: false,
            main: None,
        }
    }

    /// Its folder in the cache; programs are in `bin` below it.
    pub fn folder(&self, layout: &Layout) -> PathBuf {
        layout.tool(self.name, self.version)
    }

    /// Builds `packages` with one command: what they share is compiled once.
    pub fn build(&self, layout: &Layout, packages: &[&Package]) -> Result<()> {
        let title = format!("setup: {} {}", self.name, self.version);
        let go = find(&format!("{} {}", self.name, self.version))?;
        let scratch = layout.tools.join("build").join(format!("{}-{}", self.name, self.version));
        // What a build that was broken off left is not trusted; what it compiled is in Go's own cache.
        _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(scratch.join("bin"))
            .with_context(|| format!("cannot make the folder {}", scratch.display()))?;
        self.write_module(&go, &scratch)?;
        let mut build = command(&go, &scratch);
        build.args(["build", "-v", "-tags", self.tags, "-ldflags", &self.link_flags(), "-o", "bin/"]);
        build.env("CGO_ENABLED", if self.needs_c { "1" } else { "0" });
        build.args(packages.iter().map(|package| package.path));
        quietly_counting(&title, "packages compiled", &mut build, &log(layout, self.name))?;
        let bin = self.folder(layout).join("bin");
        fs::create_dir_all(&bin)?;
        for package in packages {
            let place = bin.join(package.name);
            // Renamed, so that a program that is there is whole.
            fs::rename(scratch.join("bin").join(package.made_as), &place)
                .with_context(|| format!("cannot put {} in place", place.display()))?;
        }
        // A failure to clean up costs disk, nothing else.
        _ = fs::remove_dir_all(scratch);
        Ok(())
    }

    /// Writes a module of our own that asks for this one; what this one needs is pinned by its own list.
    fn write_module(&self, go: &Path, scratch: &Path) -> Result<()> {
        let version = format!("{}@v{}", self.path, self.version);
        let file = output(command(go, scratch).args(["list", "-m", "-f", "{{.GoMod}}", &version]))?;
        let listed =
            fs::read_to_string(file.trim()).with_context(|| format!("cannot read {}", file.trim()))?;
        fs::write(scratch.join("go.mod"), self.module_text(&listed))?;
        if let Some(main) = self.main {
            fs::write(scratch.join("main.go"), main)?;
        }
        Ok(())
    }

    /// Kubernetes replaces its staging modules by folders of its own repository: here, by what is published of them.
    fn module_text(&self, listed: &str) -> String {
        let Module { path, version, .. } = self;
        let (major, minor) = pinned::GO;
        let mut text =
            format!("module namewarden.dev/tools\n\ngo {major}.{minor}.0\n\nrequire {path} v{version}\n");
        let published = format!("v{}", version.replacen("1.", "0.", 1));
        for line in listed.lines() {
            let Some((name, _)) = line.split_once(" => ./staging/") else { continue };
            let name = name.trim().trim_start_matches("replace ");
            // Writing to a string cannot fail.
            _ = writeln!(text, "replace {name} => {name} {published}");
        }
        text
    }

    fn link_flags(&self) -> String {
        // Neither symbols nor what a debugger wants: half the size.
        let mut flags = String::from("-s -w");
        let mut numbers = self.version.split('.');
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let stated =
            [("gitVersion", &*format!("v{}", self.version)), ("gitMajor", major), ("gitMinor", minor)];
        for package in self.version_packages {
            for (variable, value) in stated.iter().chain(&[("gitTreeState", "clean")]) {
                _ = write!(flags, " -X {package}.{variable}={value}");
            }
        }
        for (variable, value) in self.variables {
            _ = write!(flags, " -X {variable}={value}");
        }
        flags
    }
}

/// A go command in the folder `scratch`, whatever the user's settings for modules of his own are.
pub fn command(go: &Path, scratch: &Path) -> Command {
    let mut command = bare(go);
    command.current_dir(scratch).env_remove("GOOS").env_remove("GOARCH");
    command.env("GOFLAGS", "-trimpath -buildvcs=false -mod=mod").env("GOWORK", "off");
    command
}

/// The Go to build `what` with: the first in PATH that is new enough.
pub fn find(what: &str) -> Result<PathBuf> {
    let (major, minor) = pinned::GO;
    let remedy = format!("install Go {major}.{minor} or newer (golang-go where Debian's is new enough)");
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from(USUAL)]);
    let mut old = None;
    for go in folders.map(|folder| folder.join("go")).filter(|go| go.is_file()) {
        let version = version(&go)?;
        if version >= pinned::GO {
            return Ok(go);
        }
        old.get_or_insert((go, version));
    }
    match old {
        Some((go, (major, minor))) => {
            bail!("{} is Go {major}.{minor}, too old to build {what}: {remedy}", go.display())
        }
        None => bail!("there is no Go in PATH to build {what} with: {remedy}"),
    }
}

fn version(go: &Path) -> Result<(u32, u32)> {
    let text = output(bare(go).arg("version"))?;
    parse(&text).with_context(|| format!("{} does not say its version: {}", go.display(), text.trim()))
}

/// Major and minor number in `go version go1.26.8 linux/amd64`.
fn parse(text: &str) -> Option<(u32, u32)> {
    let version = text.split_whitespace().find_map(|word| word.strip_prefix("go1."))?;
    let minor: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((1, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: Module = Module {
        version_packages: &["k8s.io/v"],
        variables: &[("k8s.io/w.minor", "30")],
        ..Module::plain("k", "k8s.io/k", "1.30.2")
    };

    #[test]
    fn staging_folders_become_published_modules() {
        let listed = "module k8s.io/k\n\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n";
        let text = MODULE.module_text(listed);
        assert!(
            text.ends_with("\nrequire k8s.io/k v1.30.2\nreplace k8s.io/api => k8s.io/api v0.30.2\n"),
            "{text}"
        );
    }

    #[test]
    fn a_module_without_staging_folders_replaces_nothing() {
        assert!(!MODULE.module_text("module k8s.io/k\n\nrequire a v1.0.0\n").contains("replace"));
    }

    #[test]
    fn a_program_states_the_pinned_version() {
        assert_eq!(
            MODULE.link_flags(),
            "-s -w -X k8s.io/v.gitVersion=v1.30.2 -X k8s.io/v.gitMajor=1 -X k8s.io/v.gitMinor=30 \
             -X k8s.io/v.gitTreeState=clean -X k8s.io/w.minor=30"
        );
    }

    #[test]
    fn the_version_is_read_from_releases_and_candidates() {
        assert_eq!(parse("go version go1.26.8 linux/amd64\n"), Some((1, 26)));
        assert_eq!(parse("go version go1.27rc1 linux/arm64\n"), Some((1, 27)));
        assert_eq!(parse("go version devel +abc linux/amd64\n"), None);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(parse("go version go1.9 linux/amd64").unwrap() < pinned::GO);
    }
}
