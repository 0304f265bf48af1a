//! What DNS logs cost: the agent at the steady rate with DNS logs counted by owner, less the same without.

use std::path::Path;

use anyhow::Result;

use super::agent::Agent;
use super::figure::Figures;
use super::load::{empty_feed, run};
use super::traffic::{STEADY, Traffic};

/// How long each traffic goes on, in seconds.
const SECONDS: u32 = 10;

/// The lower rate of both traffics; processor time in hundredths of a core, on names that repeat themselves and on names that
/// do not; what was lost.
struct Cost {
    rate: f64,
    few: f64,
    many: f64,
    lost: f64,
}

/// Measures with and without DNS logs.
pub fn measure(binary: &Path, figures: &mut Figures) -> Result<()> {
    let traffic = Traffic::start()?;
    let file = format!("file:{}", traffic.node().folder().join("dns.json").display());
    let without = cost(binary, &traffic, &[])?;
    let with = cost(binary, &traffic, &["--dns-logs", &file, "--dns-log-aggregation", "1"])?;
    figures.add("dns_logs_rate", with.rate.min(without.rate))?;
    figures.add("dns_logs_cpu_20k", (with.few - without.few).max(0.0))?;
    figures.add("dns_logs_random_cpu_20k", (with.many - without.many).max(0.0))?;
    figures.add("dns_logs_lost_20k", with.lost)
}

fn cost(binary: &Path, traffic: &Traffic, options: &[&str]) -> Result<Cost> {
    let feed = empty_feed(traffic.node().folder())?;
    let agent = Agent::start_with(binary, traffic, traffic.node().cgroup(), &feed, options)?;
    // Caches and the client's own start are not what is measured.
    traffic.repeat(2, STEADY)?;
    let few = run(&agent, || traffic.repeat(SECONDS, STEADY))?;
    let many = run(&agent, || traffic.ask(SECONDS, Some(STEADY)))?;
    let cost = Cost {
        rate: few.asked.rate.min(many.asked.rate),
        few: few.percent(),
        many: many.percent(),
        lost: few.lost() + many.lost(),
    };
    agent.stop()?;
    Ok(cost)
}
