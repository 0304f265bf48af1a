//! The one door: set-up, build, test, demo, bench, tidy. Each task does its own set-up.
//!
//! Builds and runs with plain stable Rust, so that it can install the pinned toolchains; it calls those by name.

// Where things are: sources, target folder, cache of tools.
mod layout;

// What is pinned: toolchains, tools, Debian packages.
mod pinned;

// Runs a program: its output kept back, time shown, its end judged.
mod command;

// The cargo commands of the pinned compilers.
mod compiler;

// Keeps this machine's folders out of what ships.
mod reproducible;

// Installs what is missing.
mod setup;

// The kernel half: object with BTF.
mod ebpf;

// The agent that ships: one static file.
mod agent_binary;

// The controller that ships: one static file.
mod controller_binary;

// Images of both.
mod image;

// A cluster of one node on this machine.
mod cluster;

// CustomResourceDefinitions as files.
mod crds;

// Dashboards as files.
mod dashboards;

// Suites, and the one line that counts them all.
mod test;

// Format, clippy, licences, tidiness.
mod lint;

// Is the tree as the house wants it?
mod tidy;

// What it costs, against the budgets.
mod bench;

// The agent on other kernels than this machine's.
mod kernels;

// Pods, a DNS server, clients and alerts on this machine.
mod demo;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::layout::Layout;

/// Builds, tests and measures Namewarden. Each command does its own set-up, and is quick the second time.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing: compilers, bpf-linker, Debian packages, cargo-deny; by name, an API server
    Setup(setup::Arguments),
    /// Build the kernel half, an eBPF object with BTF; the agent's build embeds it
    BuildEbpf,
    /// Build the agent as one static file (musl, mimalloc)
    Build(agent_binary::Arguments),
    /// Run the test suites, all of them unless some are named
    Test(test::Arguments),
    /// Boot other kernels in an emulated machine and run the agent on each; docs/reference/kernels.md says what was seen
    Kernels(kernels::Arguments),
    /// Measure every budget on the binary that ships, and write docs/benchmarks.md
    Bench(bench::Arguments),
    /// Build images of agent and controller as OCI archives, without a container engine. `docker load --input FILE`, `podman load
    /// --input FILE` and `ctr --namespace k8s.io images import FILE` take them in
    Image(image::Arguments),
    /// A cluster of one node on this machine: API server, kubelet, containerd, kube-proxy, CoreDNS
    Cluster(cluster::Arguments),
    /// Write the custom resource definitions of both API groups to deploy/crds and the chart
    Crds,
    /// Write the dashboards for Kibana, OpenSearch Dashboards and Grafana to deploy/dashboards, the last one to the chart too
    Dashboards,
    /// Check format, clippy on both targets, licences and sources, tidiness
    Lint,
    /// Write generated files anew; report files and functions that are too long, headers, words
    Tidy(tidy::Arguments),
    /// Show real alerts for real DNS traffic of pods made on this machine
    Demo(demo::Arguments),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The sentence, not where in xtask it was made.
            command::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments = Arguments::parse();
    let layout = Layout::find()?;
    match arguments.task {
        Task::Setup(arguments) => setup::run(&layout, &arguments),
        Task::BuildEbpf => ebpf::run(&layout),
        Task::Build(arguments) => agent_binary::run(&layout, &arguments),
        Task::Test(arguments) => test::run(&layout, &arguments),
        Task::Kernels(arguments) => kernels::run(&layout, &arguments),
        Task::Bench(arguments) => bench::run(&layout, &arguments),
        Task::Image(arguments) => image::run(&layout, &arguments),
        Task::Cluster(arguments) => cluster::run(&layout, &arguments),
        Task::Crds => crds::run(&layout),
        Task::Dashboards => dashboards::run(&layout),
        Task::Lint => lint::run(&layout),
        Task::Tidy(arguments) => tidy::run(&layout, &arguments),
        Task::Demo(arguments) => demo::run(&layout, &arguments),
    }
}
