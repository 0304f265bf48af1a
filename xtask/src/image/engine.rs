//! An image by a container engine of this machine, of the same files as ours.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::{VERSION, What};
use crate::command::{output, quietly};
use crate::compiler::Architecture;

/// Who makes the images.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Builder {
    /// This program, as archives: no engine is needed
    Archive,
    /// Podman
    Podman,
    /// Buildah
    Buildah,
    /// Docker
    Docker,
    /// The first of podman, buildah and docker that answers here
    Auto,
}

impl Builder {
    /// The engine that is meant; none for archives.
    pub fn engine(self) -> Result<Option<&'static str>> {
        Ok(Some(match self {
            Builder::Archive => return Ok(None),
            Builder::Podman => "podman",
            Builder::Buildah => "buildah",
            Builder::Docker => "docker",
            Builder::Auto => {
                let answers = |engine: &&str| output(Command::new(engine).arg("info")).is_ok();
                let Some(engine) = ["podman", "buildah", "docker"].into_iter().find(answers) else {
                    bail!(
                        "neither podman nor buildah nor docker answers here: leave out --with, no engine is needed"
                    );
                };
                engine
            }
        }))
    }
}

/// Builds an image out of `folder` and leaves it in the engine's store; its name there.
pub fn build(
    engine: &str,
    what: What,
    target: Architecture,
    folder: &Path,
    arguments: &BTreeMap<&str, String>,
    log: &Path,
) -> Result<String> {
    let name = format!("{}:{VERSION}", what.name());
    let mut command = Command::new(engine);
    command.args(["build", "--tag", &name, "--platform", &format!("linux/{}", target.go_name())]);
    for (argument, value) in arguments {
        command.args(["--build-arg", &format!("{argument}={value}")]);
    }
    command.arg("--file").arg(folder.join("Containerfile")).arg(folder);
    command.env("DOCKER_BUILDKIT", "1");
    quietly(&format!("{name} by {engine}"), &mut command, log)?;
    Ok(name)
}
