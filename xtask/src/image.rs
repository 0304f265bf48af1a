//! Images of agent and controller: from scratch, one static program each, as an archive that every container engine takes.
//!
//! No engine is needed to make one. The same sources give the same bytes. What they are made of stands in `deploy/images`.

// Files as a tar archive.
pub mod layer;

// The archive: layers, configuration, index.
pub mod oci;

// What a program is made of.
mod sbom;

// The folder that an image is made from.
mod context;

// What goes where in it.
mod recipe;

// By a container engine.
mod engine;

// Once more, in another folder.
mod verify;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::agent_binary::Profile;
use crate::compiler::Architecture;
use crate::layout::Layout;

use engine::Builder;
use oci::Image;
use recipe::Recipe;

/// The version of all of it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Bytes that an image may have.
const BUDGET: usize = 15_000_000;

/// What `cargo xtask image` is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Which images; both when none is named
    #[arg(value_name = "IMAGE")]
    images: Vec<What>,
    /// Processor that it is for: this machine's, or another one that is compiled for
    #[arg(long, value_name = "PROCESSOR")]
    target: Option<Architecture>,
    /// Build as tests do: in a third of the time, and somewhat larger
    #[arg(long)]
    fast: bool,
    /// Folder for the archives
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Build for both processors, and put both into one more archive with an index over them: what is pushed to a registry
    #[arg(long, conflicts_with = "target")]
    index: bool,
    /// Who makes them; an engine leaves them in its own store
    #[arg(long, value_name = "BUILDER", default_value = "archive", conflicts_with_all = ["index", "output", "verify"])]
    with: Builder,
    /// Build once more from a clone in another folder, and fail unless every byte is the same
    #[arg(long, conflicts_with = "output")]
    verify: bool,
}

/// How a program is built.
#[derive(Clone, Copy)]
struct Made {
    profile: Profile,
    target: Architecture,
}

/// One of the images.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum What {
    /// The agent of a node
    Agent,
    /// The controller
    Controller,
}

/// Both.
pub const ALL: [What; 2] = [What::Agent, What::Controller];

impl What {
    /// Its name among images, and that of its program.
    pub fn name(self) -> &'static str {
        match self {
            What::Agent => "namewarden-agent",
            What::Controller => "namewarden-controller",
        }
    }

    /// What it is in a cluster.
    fn component(self) -> &'static str {
        match self {
            What::Agent => "agent",
            What::Controller => "controller",
        }
    }

    /// Name of its archive, without the ending.
    fn stem(self, target: Architecture) -> String {
        format!("{}-{VERSION}-{}", self.name(), target.go_name())
    }

    /// Packages that are compiled for themselves and put into the program.
    fn embedded(self) -> &'static [&'static str] {
        match self {
            What::Agent => &["namewarden-agent-ebpf"],
            What::Controller => &[],
        }
    }
}

/// `cargo xtask image`: builds, and prints place and size of each.
pub fn run(layout: &Layout, arguments: &Arguments) -> Result<()> {
    let images = if arguments.images.is_empty() { &ALL[..] } else { &arguments.images };
    let target = arguments.target.unwrap_or_else(Architecture::host);
    let made = Made { profile: if arguments.fast { Profile::Fast } else { Profile::Release }, target };
    if arguments.verify {
        return verify::run(layout, images, made);
    }
    if let Some(engine) = arguments.with.engine()? {
        return by_engine(layout, images, made, engine);
    }
    let folder = arguments.output.clone().unwrap_or_else(|| folder(layout));
    let targets = if arguments.index { &Architecture::ALL[..] } else { &[target] };
    let mut is_large = false;
    for what in images {
        let mut parts = Vec::new();
        for target in targets {
            let (path, size, image) = make(layout, *what, Made { target: *target, ..made }, &folder)?;
            println!("{} ({size} bytes, {}:{VERSION}, {})", path.display(), what.name(), target.go_name());
            is_large |= size > BUDGET && made.profile == Profile::Release;
            parts.push(image);
        }
        if arguments.index {
            let path = folder.join(format!("{}-{VERSION}.tar", what.name()));
            let size = oci::write_index(&parts, &path)?;
            println!("{} ({size} bytes, {}:{VERSION}, both)", path.display(), what.name());
        }
    }
    if is_large {
        bail!("an image is larger than {BUDGET} bytes, its budget");
    }
    Ok(())
}

fn by_engine(layout: &Layout, images: &[What], made: Made, engine: &str) -> Result<()> {
    for what in images {
        let folder = context::write(layout, *what, made)?;
        let log = layout.target.join("xtask/image.log");
        let name = engine::build(engine, *what, made.target, &folder, &context::arguments(layout)?, &log)?;
        println!("{name} ({}, in the store of {engine})", made.target.go_name());
    }
    Ok(())
}

/// Where archives are put unless told otherwise.
fn folder(layout: &Layout) -> PathBuf {
    layout.target.join("images")
}

/// Builds programs and archives of both for this machine; the archives.
pub fn ready(layout: &Layout, profile: Profile) -> Result<Vec<PathBuf>> {
    let made = Made { profile, target: Architecture::host() };
    ALL.into_iter().map(|what| Ok(make(layout, what, made, &folder(layout))?.0)).collect()
}

/// Builds one; where it is, how many bytes it has, and what it is.
fn make(layout: &Layout, what: What, made: Made, folder: &Path) -> Result<(PathBuf, usize, Image)> {
    let files = context::write(layout, what, made)?;
    let image = describe(layout, what, made.target, &files)?;
    let stem = what.stem(made.target);
    let path = folder.join(format!("{stem}.tar"));
    let size = oci::write(&image, &path)?;
    let parts = folder.join(format!("{stem}.cdx.json"));
    fs::copy(files.join(context::SBOM), &parts)
        .with_context(|| format!("cannot write {}", parts.display()))?;
    Ok((path, size, image))
}

/// What the Containerfile in `folder` makes of it.
fn describe(layout: &Layout, what: What, target: Architecture, folder: &Path) -> Result<Image> {
    let arguments = context::arguments(layout)?;
    let text = fs::read_to_string(folder.join("Containerfile"))?;
    let recipe =
        Recipe::parse(&text, &arguments).with_context(|| format!("the Containerfile of {}", what.name()))?;
    Ok(Image {
        name: what.name().to_owned(),
        tag: VERSION.to_owned(),
        architecture: target.go_name(),
        layer: recipe.files(folder)?,
        user: recipe.user,
        entrypoint: recipe.entrypoint,
        environment: recipe.environment,
        folder: recipe.folder,
        created: arguments.get("CREATED").cloned().unwrap_or_default(),
        labels: recipe.labels,
        is_packed: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_is_from_scratch_and_the_controller_is_not_root() {
        let arguments = ["VERSION", "CREATED", "REVISION"].map(|name| (name, name.to_lowercase()));
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/images");
        for (what, user) in [(What::Agent, "0:0"), (What::Controller, "65532:65532")] {
            let text = fs::read_to_string(place.join(format!("{}.Containerfile", what.component()))).unwrap();
            let recipe = Recipe::parse(&text, &arguments.clone().into()).unwrap();
            assert_eq!(recipe.user, user);
            assert_eq!(recipe.entrypoint, [format!("/usr/bin/{}", what.name())]);
            assert_eq!(recipe.environment, ["PATH=/usr/local/bin:/usr/bin:/bin"]);
            let labels: Vec<&str> = recipe
                .labels
                .keys()
                .filter_map(|key| key.strip_prefix("org.opencontainers.image."))
                .collect();
            assert_eq!(labels, ["created", "description", "licenses", "revision", "title", "version"]);
        }
    }
}
