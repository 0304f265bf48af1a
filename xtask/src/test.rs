//! The test suites, and the one line that counts them all.
//!
//! A suite that cannot run fails; it never passes by skipping. The others still run.

// Which cargo targets make up which suite.
mod suite;

// Results read from what the test runners print.
mod tally;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::agent_binary::{self, Profile};
use crate::command::{logged, say};
use crate::compiler;
use crate::controller_binary;
use crate::ebpf;
use crate::image;
use crate::kernels;
use crate::layout::Layout;
use crate::setup::{self, Part};

use suite::Suite;
pub use tally::Tally;

/// What `cargo xtask test` is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Suites to run: unit, fuzz, feeds, replay, kernel, demo, search, cluster, node, kernels. All of them when none is named
    #[arg(value_name = "SUITE")]
    suites: Vec<String>,
    /// What follows `--` goes to the test runners: a part of a test's name, or their options
    #[arg(last = true, value_name = "RUNNER")]
    runner: Vec<String>,
}

/// `cargo xtask test`: the last line of its output is `N passed, N failed`.
pub fn run(layout: &Layout, arguments: &Arguments) -> Result<()> {
    let suites = Suite::named(&arguments.suites)?;
    let mut total = Tally::default();
    for suite in suites {
        let started = Instant::now();
        let tally = match run_suite(layout, suite, &arguments.runner) {
            Ok(tally) => tally,
            Err(error) => {
                println!("{}: {error:#}", suite.name());
                Tally { passed: 0, failed: 1 }
            }
        };
        say(&format!("test {}: {tally} ({:.0} s)", suite.name(), started.elapsed().as_secs_f64()));
        total += tally;
    }
    println!("{total}");
    if total.failed > 0 {
        std::process::exit(1);
    }
    if total.passed == 0 {
        bail!("no test ran: nothing is called `{}`", arguments.runner.join(" "));
    }
    Ok(())
}

fn run_suite(layout: &Layout, suite: Suite, runner: &[String]) -> Result<Tally> {
    if suite == Suite::Kernels {
        return kernels::suite(layout);
    }
    let programs = prepare(layout, suite)?;
    let targets = suite.targets(layout)?;
    let mut cargo = compiler::user_cargo(layout, "test");
    cargo.args(["--no-fail-fast", "--color", "never"]).args(targets).arg("--").args(runner).envs(programs);
    // The tests of the demo run it by this very program.
    cargo.env("NAMEWARDEN_XTASK", std::env::current_exe()?);
    let log = layout.target.join(format!("xtask/test-{}.log", suite.name()));
    let status = logged(&format!("test {}", suite.name()), &mut cargo, &log)?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let mut tally = Tally::read(&text);
    if !status.success() {
        println!("{}\n{}: whole output in {}", tally::complaint(&text), suite.name(), log.display());
        // A runner that died, or a test that does not compile, has counted nothing.
        tally.failed = tally.failed.max(1);
    }
    Ok(tally)
}

/// Sets up what the suite needs; the variables that name the programs which its tests run.
fn prepare(layout: &Layout, suite: Suite) -> Result<Vec<(&'static str, PathBuf)>> {
    if suite.needs_root() && !rustix::process::geteuid().is_root() {
        bail!("needs root: run `sudo --preserve-env cargo xtask test {}`", suite.name());
    }
    setup::ensure(layout, &[Part::UserCompiler, Part::BpfCompiler, Part::BpfLinker, Part::Packages])?;
    ebpf::ready(layout)?;
    let mut programs = Vec::new();
    if suite.needs_agent() {
        programs.push(("NAMEWARDEN_AGENT", agent_binary::named_or_ready(layout, Profile::Fast)?));
    }
    if suite.needs_kubernetes() {
        setup::ensure(layout, &[Part::Kubernetes, Part::Helm, Part::Promtool, Part::Definitions])?;
        programs.extend(setup::kubernetes_variables(layout)?);
        programs.push((setup::HELM_VARIABLE, setup::helm(layout)?));
        programs.push((setup::PROMTOOL_VARIABLE, setup::promtool(layout)?));
        programs.push((setup::DEFINITIONS_VARIABLE, setup::definitions(layout)?));
    }
    if suite.needs_node() {
        setup::ensure(layout, &[Part::Kubernetes, Part::Node])?;
        let images = image::ready(layout, Profile::Fast)?;
        programs.push(("NAMEWARDEN_IMAGES", std::env::join_paths(images)?.into()));
    }
    if suite.needs_search() {
        setup::ensure(layout, &[Part::Search])?;
        programs.extend(setup::search_variables(layout)?);
    }
    if suite.needs_controller() {
        programs.push((
            "NAMEWARDEN_CONTROLLER_BINARY",
            controller_binary::named_or_ready(layout, Profile::Fast)?,
        ));
    }
    Ok(programs)
}
