//! Real search engines for the suite `search`: OpenSearch and Elasticsearch, named by the user or fetched by Maven.
//!
//! Neither Java nor Maven is installed: where one is missing or too old, a sentence says so. Only that suite needs this
//! part.

// OpenSearch with its security plugin.
mod secured;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::log;
use crate::command::quietly;
use crate::compiler::bare;
use crate::layout::{self, Layout};
use crate::pinned;

/// Where Debian, and those who follow it, put Java.
const USUAL: &str = "/usr/lib/jvm";

/// One of the servers.
struct Engine {
    /// The variable with its folder.
    variable: &'static str,
    /// Its name, as its folder is called.
    name: &'static str,
    version: &'static str,
    /// Group of its Maven coordinates; empty for one that is made of another one.
    group: &'static str,
    /// A file of a whole one.
    proof: &'static str,
}

/// Those that are made of others stand behind these.
const ENGINES: [Engine; 3] = [
    Engine {
        variable: "NAMEWARDEN_OPENSEARCH_HOME",
        name: "opensearch",
        version: pinned::OPENSEARCH,
        group: "org.opensearch.distribution.integ-test-zip",
        proof: "bin/opensearch",
    },
    Engine {
        variable: "NAMEWARDEN_ELASTICSEARCH_HOME",
        name: "elasticsearch",
        version: pinned::ELASTICSEARCH,
        group: "org.elasticsearch.distribution.integ-test-zip",
        proof: "bin/elasticsearch",
    },
    Engine {
        variable: "NAMEWARDEN_OPENSEARCH_SECURED_HOME",
        name: "opensearch-secured",
        version: pinned::OPENSEARCH,
        group: "",
        proof: "plugins/opensearch-security/plugin-descriptor.properties",
    },
];

impl Engine {
    /// Its folder, or where that will be; what the user names must be there.
    fn folder(&self, layout: &Layout) -> Result<PathBuf> {
        match layout::set(self.variable).map(PathBuf::from) {
            Some(folder) if !folder.join(self.proof).is_file() => {
                bail!(
                    "{} leads to {}, where no {} is: mend it or unset it",
                    self.variable,
                    folder.display(),
                    self.name
                )
            }
            Some(folder) => Ok(folder),
            None => Ok(layout.tool(self.name, self.version)),
        }
    }

    fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    fn fetch(&self, layout: &Layout) -> Result<()> {
        let Self { name, version, group, .. } = self;
        if group.is_empty() {
            let [plain, ..] = &ENGINES;
            return secured::make(layout, &plain.folder(layout)?, &layout.tool(name, version));
        }
        let maven = maven(&self.title())?;
        let scratch = layout.tools.join("build").join(format!("{name}-{version}"));
        // What an attempt that was broken off left is not trusted.
        _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch)
            .with_context(|| format!("cannot make the folder {}", scratch.display()))?;
        let mut fetch = bare(&maven);
        fetch.args(["--batch-mode", "dependency:unpack"]).current_dir(&scratch);
        fetch.arg(format!("-Dartifact={group}:{name}:{version}:zip"));
        fetch.arg(format!("-DoutputDirectory={}", scratch.display()));
        quietly(&format!("setup: {}", self.title()), &mut fetch, &log(layout, name))?;
        let place = layout.tool(name, version);
        // Renamed, so that a server that is there is whole.
        fs::rename(scratch.join(format!("{name}-{version}")), &place)
            .with_context(|| format!("cannot put {} in place", place.display()))?;
        // A failure to clean up costs disk, nothing else.
        _ = fs::remove_dir_all(scratch);
        Ok(())
    }
}

/// The servers that are missing, and Java where it is.
pub fn missing(layout: &Layout) -> Result<Vec<String>> {
    let mut missing: Vec<String> = absent(layout)?.into_iter().map(Engine::title).collect();
    if java().is_err() {
        missing.push(format!("Java {} or newer", pinned::JAVA));
    }
    Ok(missing)
}

fn absent(layout: &Layout) -> Result<Vec<&'static Engine>> {
    let mut absent = Vec::new();
    for engine in &ENGINES {
        if !engine.folder(layout)?.join(engine.proof).is_file() {
            absent.push(engine);
        }
    }
    Ok(absent)
}

/// The variables by which the tests find the servers and the Java that runs them.
pub fn variables(layout: &Layout) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut variables = vec![("NAMEWARDEN_SEARCH_JAVA", java()?)];
    for engine in &ENGINES {
        variables.push((engine.variable, engine.folder(layout)?));
    }
    Ok(variables)
}

/// Fetches what is missing.
pub fn install(layout: &Layout) -> Result<String> {
    java()?;
    let absent = absent(layout)?;
    for engine in &absent {
        engine.fetch(layout)?;
    }
    let titles: Vec<String> = absent.into_iter().map(Engine::title).collect();
    Ok(format!("fetched {}", titles.join(", ")))
}

/// Maven, in PATH.
fn maven(what: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("mvn")).find(|program| program.is_file());
    found.with_context(|| {
        format!("there is no mvn in PATH to fetch {what} with: install Maven (Debian's package is maven)")
    })
}

/// The folder of a Java that is new enough: the user's, else the newest where Debian puts them.
fn java() -> Result<PathBuf> {
    let named = ["NAMEWARDEN_SEARCH_JAVA", "JAVA_HOME"].into_iter().filter_map(layout::set);
    let mut homes: Vec<PathBuf> = named.map(PathBuf::from).collect();
    if let Ok(folders) = fs::read_dir(USUAL) {
        homes.extend(folders.flatten().map(|folder| folder.path()));
    }
    let versions = homes.iter().filter_map(|home| Some((version(home)?, home)));
    let mut newest = None;
    for (version, home) in versions {
        if version >= pinned::JAVA && newest.is_none_or(|(known, _)| known < version) {
            newest = Some((version, home));
        }
    }
    newest.map(|(_, home)| home.clone()).with_context(|| {
        format!(
            "the search engines need Java {0} or newer and there is none: install one (Debian's package is \
             openjdk-{0}-jre-headless), or set JAVA_HOME to the folder of one",
            pinned::JAVA
        )
    })
}

/// Major version of the Java in `home`, as its file `release` states it.
fn version(home: &Path) -> Option<u32> {
    if !home.join("bin/java").is_file() {
        return None;
    }
    parse(&fs::read_to_string(home.join("release")).ok()?)
}

fn parse(release: &str) -> Option<u32> {
    let line = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    let digits: String = line.trim_matches('"').chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_java_is_read_from_its_release_file() {
        assert_eq!(parse("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"25.0.3\"\n"), Some(25));
        assert_eq!(parse("JAVA_VERSION=\"1.8.0_402\"\n"), Some(1));
        assert_eq!(parse("nothing of the kind"), None);
    }

    #[test]
    fn a_folder_without_java_has_no_version() {
        assert_eq!(version(Path::new("/")), None);
    }
}
