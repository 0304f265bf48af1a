//! OpenSearch with its security plugin: a copy of the plain one, with the plugin in it.
//!
//! The server without modules lacks one that the plugin names, for labels of workloads, and a library of another one; the
//! plugin does without the first and gets the second.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{log, maven};
use crate::command::quietly;
use crate::compiler::bare;
use crate::layout::Layout;
use crate::pinned;

/// Makes one at `place` of the plain one.
pub fn make(layout: &Layout, plain: &Path, place: &Path) -> Result<()> {
    let scratch = layout.tools.join("build").join("opensearch-secured");
    // What an attempt that was broken off left is not trusted.
    _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make the folder {}", scratch.display()))?;
    let server = scratch.join("server");
    let mut copy = bare("cp");
    copy.arg("-a").arg(plain).arg(&server);
    let log = log(layout, "opensearch-secured");
    quietly("setup: a copy of opensearch", &mut copy, &log)?;
    let plugin = server.join("plugins/opensearch-security");
    fs::create_dir_all(&plugin)?;
    let version = pinned::OPENSEARCH;
    let artifacts = [
        ("unpack", format!("org.opensearch.plugin:opensearch-security:{version}.0:zip")),
        ("copy", format!("org.apache.commons:commons-collections4:{}:jar", pinned::COLLECTIONS)),
    ];
    for (goal, artifact) in artifacts {
        let mut fetch = bare(maven("the security plugin of opensearch")?);
        fetch.args(["--batch-mode", &format!("dependency:{goal}")]).current_dir(&scratch);
        fetch.arg(format!("-Dartifact={artifact}")).arg(format!("-DoutputDirectory={}", plugin.display()));
        quietly(&format!("setup: {artifact}"), &mut fetch, &log)?;
    }
    let descriptor = plugin.join("plugin-descriptor.properties");
    let text =
        fs::read_to_string(&descriptor).with_context(|| format!("cannot read {}", descriptor.display()))?;
    let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("extended.plugins")).collect();
    fs::write(&descriptor, kept.join("\n") + "\n")?;
    // Renamed, so that a server that is there is whole.
    fs::rename(&server, place).with_context(|| format!("cannot put {} in place", place.display()))?;
    // A failure to clean up costs disk, nothing else.
    _ = fs::remove_dir_all(scratch);
    Ok(())
}
