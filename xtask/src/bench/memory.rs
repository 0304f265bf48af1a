//! Resident memory: without feeds, and while one set of a million replaces another under traffic.

use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, anyhow};

use super::agent::Agent;
use super::figure::Figures;
use super::load::{empty_feed, feed, run};
use super::traffic::{STEADY, Traffic};

/// Measures both.
pub fn measure(binary: &Path, figures: &mut Figures) -> Result<()> {
    let traffic = Traffic::start()?;
    let cgroup = traffic.node().cgroup();
    let agent = Agent::start(binary, &traffic, cgroup, &empty_feed(traffic.node().folder())?)?;
    traffic.ask(2, Some(STEADY))?;
    figures.add("rss_empty", resident(agent.pid(), "VmRSS")?)?;
    agent.stop()?;

    let first = feed(traffic.node().folder(), 1)?;
    let agent = Agent::start(binary, &traffic, cgroup, &first)?;
    traffic.ask(2, Some(STEADY))?;
    figures.add("rss_1m", resident(agent.pid(), "VmRSS")?)?;
    // The same file with other names: what an operator's update is.
    feed(traffic.node().folder(), 2)?;
    reset_peak(agent.pid())?;
    let run = thread::scope(|scope| {
        let replaced = scope.spawn(|| agent.replace_set());
        let run = run(&agent, || traffic.ask(5, Some(STEADY)));
        replaced.join().map_err(|_| anyhow!("replacing the set stopped"))??;
        run
    })?;
    figures.add("rss_peak_replace", resident(agent.pid(), "VmHWM")?)?;
    figures.add("replace_lost", run.lost())?;
    agent.stop()
}

/// Resident memory by a line of the kernel's account of a process (`VmRSS`, `VmHWM`), in megabytes.
pub fn resident(pid: u32, line: &str) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let value = text.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kilobytes = value.and_then(|value| value.trim().strip_suffix(" kB")?.trim().parse::<u32>().ok());
    Ok(f64::from(kilobytes.with_context(|| format!("{path} has no {line}"))?) * 1024.0 / 1e6)
}

/// Forgets the highest resident memory of a process so far.
pub fn reset_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot reset the peak")
}
