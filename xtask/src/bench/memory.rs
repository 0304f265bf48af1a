//! Resident memory: without feeds, and while one set of a million replaces another under traffic.

use std::path::Path;
use std::thread;

use anyhow::{Result, anyhow};

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
    figures.add("rss_empty", agent.memory("VmRSS")?)?;
    agent.stop()?;

    let first = feed(traffic.node().folder(), 1)?;
    let agent = Agent::start(binary, &traffic, cgroup, &first)?;
    traffic.ask(2, Some(STEADY))?;
    figures.add("rss_1m", agent.memory("VmRSS")?)?;
    // The same file with other names: what an operator's update is.
    feed(traffic.node().folder(), 2)?;
    agent.reset_peak()?;
    let run = thread::scope(|scope| {
        let replaced = scope.spawn(|| agent.replace_set());
        let run = run(&agent, || traffic.ask(5, Some(STEADY)));
        replaced.join().map_err(|_| anyhow!("replacing the set stopped"))??;
        run
    })?;
    figures.add("rss_peak_replace", agent.memory("VmHWM")?)?;
    figures.add("replace_lost", run.lost())?;
    agent.stop()
}
