//! The agent that ships: one static file, built with musl and mimalloc.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::command::{quietly, say};
use crate::compiler::{self, Architecture};
use crate::ebpf;
use crate::layout::Layout;
use crate::reproducible;
use crate::setup::{self, Part};

/// What `cargo xtask build` is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Optimise over all crates, as what ships is built: takes about three times as long
    #[arg(long)]
    release: bool,
}

/// How much the compiler optimises.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// What tests and the demo run.
    Fast,
    /// What ships.
    Release,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Profile::Fast => "fast",
            Profile::Release => "release",
        }
    }
}

/// `cargo xtask build`: builds, and prints path and size.
pub fn run(layout: &Layout, arguments: &Arguments) -> Result<()> {
    let binary = ready(layout, if arguments.release { Profile::Release } else { Profile::Fast })?;
    let bytes = fs::metadata(&binary)?.len();
    println!("{} ({bytes} bytes, static)", binary.display());
    Ok(())
}

/// The agent that `NAMEWARDEN_AGENT` names, else one built now.
pub fn named_or_ready(layout: &Layout, profile: Profile) -> Result<PathBuf> {
    match crate::layout::set("NAMEWARDEN_AGENT") {
        Some(named) => Ok(named.into()),
        None => ready(layout, profile),
    }
}

/// Sets up and builds the agent with its kernel half, where something changed.
pub fn ready(layout: &Layout, profile: Profile) -> Result<PathBuf> {
    setup::ensure(layout, &[Part::UserCompiler, Part::BpfCompiler, Part::BpfLinker, Part::Packages])?;
    ebpf::ready(layout)?;
    static_binary(layout, profile, "agent")
}

/// Builds `program`, agent or controller, for a processor.
pub fn ready_for(
    layout: &Layout,
    profile: Profile,
    processor: Architecture,
    program: &str,
) -> Result<PathBuf> {
    setup::ensure(layout, &[Part::UserCompiler, Part::Packages])?;
    // The agent alone has a kernel half in it.
    if program == "namewarden-agent" {
        ebpf::ready(layout)?;
    }
    build(layout, profile, processor, program, &[program])?.pop().context("cargo built nothing")
}

/// Builds one of the programs as a static file.
pub fn static_binary(layout: &Layout, profile: Profile, what: &str) -> Result<PathBuf> {
    let program = format!("namewarden-{what}");
    let path = static_programs(layout, profile, &program, &[&program])?.pop();
    path.with_context(|| format!("no program {program} was asked for"))
}

/// Builds programs of a package as static files.
pub fn static_programs(
    layout: &Layout,
    profile: Profile,
    package: &str,
    programs: &[&str],
) -> Result<Vec<PathBuf>> {
    build(layout, profile, Architecture::host(), package, programs)
}

fn build(
    layout: &Layout,
    profile: Profile,
    processor: Architecture,
    package: &str,
    programs: &[&str],
) -> Result<Vec<PathBuf>> {
    let target = compiler::static_target_of(processor);
    let mut cargo = compiler::user_cargo(layout, "build");
    cargo.args(["--package", package]).args(programs.iter().flat_map(|program| ["--bin", program]));
    cargo.args(["--profile", profile.name(), "--target", &target]);
    set_compilers(layout, profile, processor, &mut cargo)?;
    let log = layout.target.join("xtask/build.log");
    let names = programs.join(", ");
    let took =
        quietly(&format!("{names} ({} build, {})", profile.name(), processor.name()), &mut cargo, &log)?;
    if took.as_secs() >= 5 {
        say(&format!("built {names} in {} s", took.as_secs()));
    }
    let folder = layout.target.join(target).join(profile.name());
    Ok(programs.iter().map(|program| folder.join(program)).collect())
}

/// Which compilers make it. What ships names no folder of this machine.
fn set_compilers(
    layout: &Layout,
    profile: Profile,
    processor: Architecture,
    cargo: &mut Command,
) -> Result<()> {
    let target = compiler::static_target_of(processor);
    let low = target.replace('-', "_");
    let mut variables = vec![(format!("CC_{low}"), "musl-gcc".to_owned())];
    if processor != Architecture::host() {
        setup::ensure(layout, &[Part::CrossCompiler])?;
        variables = setup::cross_variables(layout)?;
    }
    if profile == Profile::Release {
        let folders = reproducible::folders(layout)?;
        cargo.args(["--config", &reproducible::option(&folders, &target)?]);
        let (name, flags) = (format!("CFLAGS_{low}"), reproducible::c_flags(&folders)?);
        match variables.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = format!("{known} {flags}"),
            None => variables.push((name, flags)),
        }
    }
    cargo.envs(variables);
    Ok(())
}
