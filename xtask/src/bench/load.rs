//! A steady rate, and as much as the machine can do: what the agent uses, and what it loses.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::agent::{Account, Agent};
use super::figure::Figures;
use super::traffic::{Asked, STEADY, Traffic};

/// How long each rate is held, in seconds.
const SECONDS: u32 = 10;

/// Entries of the set.
const ENTRIES: u32 = 1_000_000;

/// Measures both rates.
pub fn measure(binary: &Path, figures: &mut Figures) -> Result<()> {
    let traffic = Traffic::start()?;
    let feed = feed(traffic.node().folder(), 1)?;
    let agent = Agent::start(binary, &traffic, traffic.node().cgroup(), &feed)?;
    // Caches, page tables and the client's own start are not what is measured.
    traffic.ask(2, Some(STEADY))?;

    let steady = run(&agent, || traffic.ask(SECONDS, Some(STEADY)))?;
    figures.add("steady_rate", steady.asked.rate)?;
    figures.add("agent_cpu_20k", steady.percent())?;
    figures.add("agent_lost_20k", steady.lost())?;

    let top = run(&agent, || traffic.ask(SECONDS, None))?;
    figures.add("top_rate", top.asked.rate)?;
    figures.add("agent_cpu_top", top.percent())?;
    figures.add("agent_lost_top", top.lost())?;
    agent.stop()
}

/// What was asked, and what the agent did meanwhile.
pub struct Run {
    /// The client's count.
    pub asked: Asked,
    before: Account,
    after: Account,
}

/// Runs `ask`, with the agent's account from before it began to when the agent had caught up with it.
pub fn run(agent: &Agent, ask: impl FnOnce() -> Result<Asked>) -> Result<Run> {
    let before = agent.account()?;
    let asked = ask()?;
    let after = agent.caught_up(before, asked.sent + asked.answered)?;
    Ok(Run { asked, before, after })
}

impl Run {
    /// Processor time of the agent, in hundredths of a core.
    pub fn percent(&self) -> f64 {
        percent(self.after.used - self.before.used, self.asked)
    }

    /// Messages that the agent counted as lost, and those that were on the wire and that it did not see.
    pub fn lost(&self) -> f64 {
        let unseen = (self.asked.sent + self.asked.answered)
            .saturating_sub(self.after.screened - self.before.screened);
        let counted = self.after.lost - self.before.lost;
        counted.max(unseen) as f64
    }
}

/// Microseconds of processor time over the seconds that `asked` took, in hundredths of a core.
pub fn percent(microseconds: u64, asked: Asked) -> f64 {
    let seconds = asked.answered as f64 / asked.rate;
    microseconds as f64 / 1e6 / seconds * 100.0
}

/// A feed that lists nothing.
pub fn empty_feed(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("empty.txt");
    fs::write(&path, "# nothing is listed\n")?;
    Ok(path)
}

/// A text feed of as many made-up names as the budgets speak of; another `edition` has other names.
pub fn feed(folder: &Path, edition: u32) -> Result<PathBuf> {
    let path = folder.join("feed.txt");
    let text = (0..ENTRIES).fold(String::new(), |mut text, number| {
        // A multiplication by an odd constant mixes the digits and keeps names different; writing cannot fail.
        let mixed = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
        _ = writeln!(text, "{mixed:x}-{number}.listed{edition}.example");
        text
    });
    fs::write(&path, text)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(screened: u64, lost: u64) -> Run {
        let account = |screened, lost, used| Account { screened, lost, used };
        Run {
            asked: Asked { sent: 100, answered: 100, rate: 50.0 },
            before: account(10, 1, 0),
            after: account(10 + screened, 1 + lost, 40_000),
        }
    }

    #[test]
    fn what_the_agent_did_not_see_is_lost() {
        assert_eq!(run(200, 0).lost(), 0.0);
        assert_eq!(run(190, 0).lost(), 10.0);
        assert_eq!(run(200, 3).lost(), 3.0);
    }

    #[test]
    fn processor_time_is_taken_over_the_time_of_the_traffic() {
        assert_eq!(run(200, 0).percent(), 2.0);
    }

    #[test]
    fn a_feed_has_as_many_different_names_as_lines() {
        let folder = tempfile::tempdir().unwrap();
        let text = fs::read_to_string(feed(folder.path(), 1).unwrap()).unwrap();
        let names: std::collections::HashSet<&str> = text.lines().collect();
        assert_eq!(names.len(), ENTRIES as usize);
    }
}
