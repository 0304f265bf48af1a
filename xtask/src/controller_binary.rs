//! The controller that ships: one static file, built as the agent is.

use std::path::PathBuf;

use anyhow::Result;

use crate::agent_binary::{self, Profile};
use crate::layout::Layout;
use crate::setup::{self, Part};

/// The controller that `NAMEWARDEN_CONTROLLER_BINARY` names, else one built now.
pub fn named_or_ready(layout: &Layout, profile: Profile) -> Result<PathBuf> {
    match crate::layout::set("NAMEWARDEN_CONTROLLER_BINARY") {
        Some(named) => Ok(named.into()),
        None => ready(layout, profile),
    }
}

/// Sets up and builds the controller, where something changed.
pub fn ready(layout: &Layout, profile: Profile) -> Result<PathBuf> {
    setup::ensure(layout, &[Part::UserCompiler, Part::Packages])?;
    agent_binary::static_binary(layout, profile, "controller")
}
