//! What it costs, against the budgets: measured on the binary that ships, on this machine, in a few minutes.
//!
//! A budget that is missed is reported, with by how much; it fails nothing: the machine may be a slow or a busy one.

#![expect(clippy::cast_precision_loss, reason = "what is counted stays far below 2^53")]

// Every figure: its budget, what it means, how to get it again.
mod figure;

// One process: screen, set, feed, store, as examples of the crates print them.
mod in_process;

// A node with a DNS server and a client that asks at a steady rate.
mod traffic;

// The agent under load: its work, its loss, its memory.
mod agent;

// The kernel half, by the kernel's own statistics.
mod hooks;

// A steady rate, and as much as the machine can do.
mod load;

// DNS logs, with and without.
mod logs;

// Resident memory: without feeds, and while one set replaces another.
mod memory;

// The controller at rest and with many agents.
mod controller;

// Alerts on their way into a search engine.
mod search;

// Other programs on the same traffic.
mod peers;

// A full node, and an API server with many.
mod nodes;

// The page and the JSON.
mod report;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::agent_binary::{self, Profile};
use crate::command::{say, ticking};
use crate::layout::Layout;

use figure::Figures;

/// What `cargo xtask bench` is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Write the figures to this file too: {name: {value, unit, budget, better}}
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure only these; what docs/benchmarks.md says of the others stays as it is
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
}

/// Figures that are measured together.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Screen, set and feed in one process
    InProcess,
    /// The hooks, by the kernel's statistics
    Hooks,
    /// The agent at 20,000 queries a second, and at the machine's top rate
    Load,
    /// What DNS logs add at 20,000 queries a second
    Logs,
    /// Resident memory
    Memory,
    /// The controller at rest, with a thousand agents, and from a manifest to an agent
    Controller,
    /// The controller's embedded store with a million documents
    Store,
    /// From a question to the alert in a real OpenSearch
    Search,
    /// Images, a cluster of one node, a node of 250 pods, an API server with a thousand nodes
    Nodes,
    /// tcpdump, dnscap and tshark beside the agent
    Peers,
}

/// `cargo xtask bench`.
pub fn run(layout: &Layout, arguments: &Arguments) -> Result<()> {
    let parts = if arguments.only.is_empty() { Part::value_variants() } else { &arguments.only };
    if !rustix::process::geteuid().is_root() {
        bail!("measuring needs root: run `sudo --preserve-env cargo xtask bench`");
    }
    let binary = agent_binary::named_or_ready(layout, Profile::Release)?;
    let mut figures = Figures::default();
    for part in parts {
        let started = Instant::now();
        let name = part.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        ticking(&format!("bench {name}"), || match part {
            Part::InProcess => in_process::measure(layout, &mut figures),
            Part::Hooks => hooks::measure(&binary, &mut figures),
            Part::Load => load::measure(&binary, &mut figures),
            Part::Logs => logs::measure(&binary, &mut figures),
            Part::Memory => memory::measure(&binary, &mut figures),
            Part::Controller => controller::measure(layout, &binary, &mut figures),
            Part::Store => in_process::measure_store(layout, &mut figures),
            Part::Search => search::measure(layout, &binary, &mut figures),
            Part::Nodes => nodes::measure(layout, &binary, &mut figures),
            Part::Peers => peers::measure(&binary, &mut figures),
        })?;
        say(&format!("bench {name}: {:.0} s", started.elapsed().as_secs_f64()));
    }
    print!("{}", report::lines(&figures));
    if let Some(path) = &arguments.json {
        report::write_json(path, &figures)?;
    }
    report::write_page(layout, &figures, arguments.only.is_empty())
}
