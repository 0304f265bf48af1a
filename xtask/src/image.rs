//! Images of agent and controller: from scratch, one static program each, as an archive that every container engine takes.
//!
//! No engine is needed to make one. The same sources give the same bytes.

// Files as a tar archive.
pub mod layer;

// The archive: layers, configuration, index.
pub mod oci;

// What a program is made of.
mod sbom;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::agent_binary::{self, Profile};
use crate::command::output;
use crate::compiler::{self, Architecture};
use crate::layout::{self, Layout};

use layer::{Layer, Node};
use oci::Image;

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

    fn title(self) -> &'static str {
        match self {
            What::Agent => "Namewarden agent",
            What::Controller => "Namewarden controller",
        }
    }

    fn description(self) -> &'static str {
        match self {
            What::Agent => "Tells which pod asked for a name that a threat feed lists",
            What::Controller => "Pulls threat feeds, makes the threat set, keeps alerts and DNS logs",
        }
    }

    /// User and group. The agent's capabilities are those of a process that is root in its container.
    fn user(self) -> &'static str {
        match self {
            What::Agent => "0:0",
            What::Controller => "65532:65532",
        }
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
    let profile = if arguments.fast { Profile::Fast } else { Profile::Release };
    let folder = arguments.output.clone().unwrap_or_else(|| folder(layout));
    let mut is_large = false;
    for what in images {
        let (path, size) = make(layout, *what, profile, target, &folder)?;
        println!("{} ({size} bytes, {}:{VERSION}, {})", path.display(), what.name(), target.go_name());
        is_large |= size > BUDGET && profile == Profile::Release;
    }
    if is_large {
        bail!("an image is larger than {BUDGET} bytes, its budget");
    }
    Ok(())
}

/// Where archives are put unless told otherwise.
fn folder(layout: &Layout) -> PathBuf {
    layout.target.join("images")
}

/// Builds programs and archives of both for this machine; the archives.
pub fn ready(layout: &Layout, profile: Profile) -> Result<Vec<PathBuf>> {
    let make = |what| make(layout, what, profile, Architecture::host(), &folder(layout));
    ALL.into_iter().map(|what| Ok(make(what)?.0)).collect()
}

/// Builds one; where it is and how many bytes it has.
fn make(
    layout: &Layout,
    what: What,
    profile: Profile,
    target: Architecture,
    folder: &Path,
) -> Result<(PathBuf, usize)> {
    let program = agent_binary::ready_for(layout, profile, target, what.name())?;
    let triple = compiler::static_target_of(target);
    let parts = sbom::write(layout, what.name(), what.embedded(), &triple)?;
    let image = describe(layout, what, target, &program, &parts)?;
    let stem = format!("{}-{VERSION}-{}", what.name(), target.go_name());
    let path = folder.join(format!("{stem}.tar"));
    let size = oci::write(&image, &path)?;
    fs::write(folder.join(format!("{stem}.cdx.json")), parts)?;
    Ok((path, size))
}

fn describe(layout: &Layout, what: What, target: Architecture, program: &Path, parts: &str) -> Result<Image> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let place = format!("usr/bin/{}", what.name());
    let mut files = Layer::default();
    files.put(&place, Node::File(0o755, bytes));
    files.put(
        &format!("usr/share/sbom/{}.cdx.json", what.name()),
        Node::File(0o644, parts.as_bytes().to_vec()),
    );
    files.put(
        &format!("usr/share/doc/{}/LICENSE", what.name()),
        Node::File(0o644, fs::read(layout.root.join("LICENSE"))?),
    );
    files.put("tmp", Node::Folder(0o1777));
    let created = created(layout)?;
    Ok(Image {
        name: what.name().to_owned(),
        tag: VERSION.to_owned(),
        architecture: target.go_name(),
        layer: files,
        user: what.user().to_owned(),
        entrypoint: vec![format!("/{place}")],
        labels: labels(layout, what, &created),
        created,
        is_packed: true,
    })
}

fn labels(layout: &Layout, what: What, created: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut put = |name: &str, value: &str| {
        labels.insert(format!("org.opencontainers.image.{name}"), value.to_owned());
    };
    put("title", what.title());
    put("description", what.description());
    put("version", VERSION);
    put("licenses", "Apache-2.0");
    put("created", created);
    if let Some(revision) = revision(layout) {
        put("revision", &revision);
    }
    labels
}

/// The commit that was built, where the sources are exactly its.
fn revision(layout: &Layout) -> Option<String> {
    let changed = output(git(layout).args(["status", "--porcelain"])).ok()?;
    let revision = output(git(layout).args(["rev-parse", "HEAD"])).ok()?;
    changed.is_empty().then(|| revision.trim().to_owned())
}

fn git(layout: &Layout) -> Command {
    let mut git = Command::new("git");
    git.current_dir(&layout.root).env("TZ", "UTC");
    git
}

/// The time that the sources bear: `SOURCE_DATE_EPOCH`, else the last commit's, else none at all.
fn created(layout: &Layout) -> Result<String> {
    if let Some(seconds) = layout::set("SOURCE_DATE_EPOCH") {
        let seconds = seconds.to_string_lossy().into_owned();
        let time = output(Command::new("date").args(["-u", "-d", &format!("@{seconds}"), "+%FT%TZ"]))
            .with_context(|| format!("SOURCE_DATE_EPOCH is {seconds}: it must be seconds since 1970"))?;
        return Ok(time.trim().to_owned());
    }
    let mut log = git(layout);
    log.args(["log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd"]);
    Ok(output(&mut log).map_or_else(|_| "1970-01-01T00:00:00Z".to_owned(), |time| time.trim().to_owned()))
}
