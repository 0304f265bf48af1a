//! Which cargo targets make up which suite: integration tests by the first word of their name, the rest is `unit`.

use std::fmt::Write;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::command::output;
use crate::compiler;
use crate::layout::Layout;

/// A part of the tests that can be run by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Suite {
    /// Every test beside the code, and integration tests of no other suite.
    Unit,
    /// Random and hostile input against stated properties (`fuzz_*.rs`).
    Fuzz,
    /// Feeds fetched from a real web server, and everything that one can do wrong (`feeds_*.rs`).
    Feeds,
    /// `replay` against other programs on the same captures (`replay_*.rs`).
    Replay,
    /// The agent on this machine's kernel (`kernel_*.rs`).
    Kernel,
    /// `cargo xtask demo` from its first line to what it leaves behind (`demo.rs`).
    Demo,
    /// The sink against real search engines, and the controller in their place (`search_*.rs`).
    Search,
    /// The controller against a real API server (`cluster_*.rs`).
    Cluster,
    /// The chart on a real node, with pods of every kind (`node.rs`).
    Node,
    /// The agent on other kernels than this machine's, in emulated machines (`cargo xtask kernels`).
    Kernels,
}

/// In the order in which they are run: what fails fastest comes first.
const ALL: [Suite; 10] = [
    Suite::Unit,
    Suite::Fuzz,
    Suite::Feeds,
    Suite::Replay,
    Suite::Kernel,
    Suite::Demo,
    Suite::Search,
    Suite::Cluster,
    Suite::Node,
    Suite::Kernels,
];

impl Suite {
    /// The suites that `names` name; all of them for no name.
    pub fn named(names: &[String]) -> Result<Vec<Suite>> {
        if names.is_empty() {
            return Ok(ALL.to_vec());
        }
        names.iter().map(|name| Suite::parse(name)).collect()
    }

    fn parse(name: &str) -> Result<Suite> {
        let known = || ALL.map(Suite::name).join(", ");
        let found = ALL.into_iter().find(|suite| suite.name() == name);
        found.with_context(|| format!("there is no suite `{name}`; the suites are: {}", known()))
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Suite::Unit => "unit",
            Suite::Fuzz => "fuzz",
            Suite::Feeds => "feeds",
            Suite::Replay => "replay",
            Suite::Kernel => "kernel",
            Suite::Demo => "demo",
            Suite::Search => "search",
            Suite::Cluster => "cluster",
            Suite::Node => "node",
            Suite::Kernels => "kernels",
        }
    }

    /// Makes network namespaces, cgroups and loads programs into the kernel.
    pub fn needs_root(self) -> bool {
        matches!(self, Suite::Kernel | Suite::Demo | Suite::Cluster | Suite::Node | Suite::Search)
    }

    /// Runs the controller as a program.
    pub fn needs_controller(self) -> bool {
        matches!(self, Suite::Kernel | Suite::Demo | Suite::Cluster | Suite::Search)
    }

    /// Starts an API server.
    pub fn needs_kubernetes(self) -> bool {
        self == Suite::Cluster
    }

    /// Installs images on a node.
    pub fn needs_node(self) -> bool {
        self == Suite::Node
    }

    /// Starts search engines.
    pub fn needs_search(self) -> bool {
        matches!(self, Suite::Search | Suite::Demo | Suite::Node)
    }

    /// Runs the agent as a program.
    pub fn needs_agent(self) -> bool {
        matches!(self, Suite::Kernel | Suite::Replay | Suite::Demo | Suite::Cluster | Suite::Search)
    }

    /// The suite that an integration test belongs to.
    fn of(test: &str) -> Suite {
        let word = test.split('_').next().unwrap_or_default();
        ALL.into_iter().find(|suite| suite.name() == word).unwrap_or(Suite::Unit)
    }

    /// The options by which `cargo test` runs exactly this suite.
    pub fn targets(self, layout: &Layout) -> Result<Vec<String>> {
        let mut cargo = compiler::user_cargo(layout, "metadata");
        cargo.args(["--no-deps", "--format-version", "1", "--offline"]);
        let metadata: Metadata = serde_json::from_str(&output(&mut cargo)?)?;
        self.options(&metadata)
    }

    fn options(self, metadata: &Metadata) -> Result<Vec<String>> {
        let mut options = Vec::new();
        if self == Suite::Unit {
            options.extend(
                ["--workspace", "--exclude", "namewarden-agent-ebpf", "--lib", "--bins"].map(String::from),
            );
        }
        for package in &metadata.packages {
            let tests = package.targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "test"));
            for test in tests.filter(|test| Suite::of(&test.name) == self) {
                if self != Suite::Unit {
                    options.extend(["--package".to_owned(), package.name.clone()]);
                }
                options.extend(["--test".to_owned(), test.name.clone()]);
            }
        }
        if options.is_empty() {
            let mut reason = String::new();
            write!(reason, "the suite has no tests: no file `{}_*.rs` in a folder `tests`", self.name())?;
            bail!(reason);
        }
        Ok(options)
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> Metadata {
        let target = |kind: &str, name: &str| Target { name: name.to_owned(), kind: vec![kind.to_owned()] };
        let targets = vec![
            target("lib", "namewarden_tests"),
            target("test", "kernel_transports"),
            target("test", "screen_allocations"),
            target("test", "fuzz_screen"),
        ];
        Metadata { packages: vec![Package { name: "namewarden-tests".to_owned(), targets }] }
    }

    #[test]
    fn a_test_belongs_to_the_suite_its_name_begins_with() {
        let options = Suite::Kernel.options(&workspace()).unwrap();
        assert_eq!(options, ["--package", "namewarden-tests", "--test", "kernel_transports"]);
    }

    #[test]
    fn a_test_of_no_other_suite_is_a_unit_test() {
        let options = Suite::Unit.options(&workspace()).unwrap();
        assert_eq!(options.last().unwrap(), "screen_allocations");
        assert!(!options.contains(&"fuzz_screen".to_owned()));
    }

    #[test]
    fn a_suite_without_tests_fails() {
        assert!(Suite::Replay.options(&workspace()).is_err());
    }

    #[test]
    fn an_unknown_suite_lists_the_known_ones() {
        let error = Suite::named(&["web".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no suite `web`; the suites are: unit, fuzz, feeds, replay, kernel, demo, search, cluster, node, kernels"
        );
    }
}
