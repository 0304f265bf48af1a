//! Pods, a DNS server, clients and alerts on this machine.

use anyhow::Result;

use crate::agent_binary::{self, Profile};
use crate::layout::Layout;

/// What the demo is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Leave everything running until Ctrl-C
    #[arg(long)]
    keep: bool,
}

/// Builds the agent and shows it at work.
pub fn run(layout: &Layout, arguments: &Arguments) -> Result<()> {
    let agent = agent_binary::ready(layout, Profile::Fast)?;
    println!("{} keep={}", agent.display(), arguments.keep);
    Ok(())
}
