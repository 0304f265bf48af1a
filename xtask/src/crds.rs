//! The `CustomResourceDefinition`s of both groups, as the controller itself prints them: for kubectl, and for the chart, which reads
//! files of its own folder only.

use std::path::Path;

use anyhow::Result;

use crate::agent_binary::Profile;
use crate::command::output;
use crate::compiler::bare;
use crate::controller_binary;
use crate::layout::Layout;
use crate::tidy;

/// The API groups.
const GROUPS: [&str; 2] = ["projectcalico.org", "namewarden.dev"];

/// Where they are written to.
const FOLDERS: [&str; 2] = ["deploy/crds", "deploy/chart/files/crds"];

/// `cargo xtask crds`: writes each one that differs.
pub fn run(layout: &Layout) -> Result<()> {
    let controller = controller_binary::named_or_ready(layout, Profile::Fast)?;
    tidy::write_files(layout, files(&controller)?)
}

/// Name and text of each, for `cargo xtask tidy` too.
pub fn files(controller: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for group in GROUPS {
        let text = output(bare(controller).args(["crd", group]))?;
        for folder in FOLDERS {
            files.push((format!("{folder}/globalthreatfeeds.{group}.yaml"), text.clone()));
        }
    }
    Ok(files)
}
