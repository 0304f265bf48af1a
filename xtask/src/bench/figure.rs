//! Every figure: its budget, what it means. What is measured is looked up here by name, so nothing goes unreported.

use anyhow::{Context, Result};

/// Which way is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    /// The less the better.
    Lower,
    /// The more the better.
    Higher,
}

/// A figure before it is measured.
#[derive(Debug)]
pub struct Kind {
    /// Its name in the JSON.
    pub name: &'static str,
    /// What it is, for the page.
    pub meaning: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// What it may be; `None` for what is shown for scale.
    pub budget: Option<f64>,
    /// Which way is good.
    pub better: Better,
    /// The part of the bench that measures it.
    pub part: &'static str,
}

const fn budget(
    part: &'static str,
    name: &'static str,
    unit: &'static str,
    most: f64,
    meaning: &'static str,
) -> Kind {
    Kind { name, meaning, unit, budget: Some(most), better: Better::Lower, part }
}

const fn at_least(
    part: &'static str,
    name: &'static str,
    unit: &'static str,
    least: f64,
    meaning: &'static str,
) -> Kind {
    Kind { name, meaning, unit, budget: Some(least), better: Better::Higher, part }
}

const fn scale(
    part: &'static str,
    name: &'static str,
    unit: &'static str,
    better: Better,
    meaning: &'static str,
) -> Kind {
    Kind { name, meaning, unit, budget: None, better, part }
}

use Better::{Higher, Lower};

/// All figures, in the order of the page.
pub const KINDS: &[Kind] = &[
    budget("in-process", "screen_query", "ns", 130.0, "screen a query against 1 M entries"),
    budget(
        "in-process",
        "screen_answer",
        "ns",
        400.0,
        "screen an answer of five records against 1 M entries",
    ),
    budget(
        "in-process",
        "set_bytes_per_domain",
        "bytes",
        9.5,
        "resident memory of a set of 1 M, for each domain",
    ),
    budget("in-process", "set_load_1m", "ms", 150.0, "a set of 1 M from its file to its first lookup"),
    budget("in-process", "set_load_10m", "ms", 1500.0, "a set of 10 M from its file to its first lookup"),
    budget("in-process", "feed_parse_1m", "ms", 1000.0, "read a text feed of 1 M lines"),
    budget("in-process", "publish_1m", "ms", 3000.0, "a text feed of 1 M lines read, compiled and packed"),
    budget("in-process", "publish_10m", "s", 30.0, "the same for 10 M lines"),
    budget("in-process", "publish_10m_peak", "MB", 400.0, "the most memory that this takes"),
    budget("in-process", "wire_full", "bytes", 6.0, "a set of 1 M on the wire, for each domain"),
    scale("in-process", "wire_full_apply", "ms", Lower, "the set file made from it"),
    budget("in-process", "wire_delta", "kB", 20.0, "a change of 0.1 % of 1 M on the wire"),
    scale("in-process", "wire_delta_make", "ms", Lower, "finding it, given both sets"),
    budget("in-process", "wire_delta_apply", "ms", 150.0, "the new set file made from it"),
    budget(
        "in-process",
        "document_json",
        "us",
        1.5,
        "the alert of the reference, with every field that it can have, written as JSON",
    ),
    at_least(
        "in-process",
        "sink_rate",
        "documents/s",
        50_000.0,
        "such alerts from the pipeline's end to a search engine that keeps nothing, on one core",
    ),
    budget("hooks", "hook_captured", "ns", 260.0, "the kernel half, for a packet that is captured"),
    scale("hooks", "hook_captured_out", "ns", Lower, "of these, queries"),
    scale("hooks", "hook_captured_in", "ns", Lower, "of these, answers"),
    budget("hooks", "hook_other", "ns", 40.0, "the kernel half, for any other packet, over an empty program"),
    scale(
        "hooks",
        "hook_floor",
        "ns",
        Lower,
        "an empty program on the same packets: the floor of the statistics",
    ),
    scale(
        "hooks",
        "hook_loop_captured",
        "ns",
        Lower,
        "the same query again and again: the program without cold caches",
    ),
    scale("hooks", "hook_loop_other", "ns", Lower, "the same for another packet"),
    scale("hooks", "hook_loop_floor", "ns", Lower, "the same for an empty program"),
    scale("load", "steady_rate", "queries/s", Higher, "what the client asked at the steady rate of 20,000"),
    budget(
        "load",
        "agent_cpu_20k",
        "% of a core",
        3.0,
        "the agent at 20,000 queries a second against 1 M entries",
    ),
    budget("load", "agent_lost_20k", "messages", 0.0, "messages lost at that rate"),
    scale(
        "load",
        "top_rate",
        "queries/s",
        Higher,
        "what this machine's client and server do at most, the agent beside",
    ),
    scale("load", "agent_cpu_top", "% of a core", Lower, "the agent at that rate"),
    budget("load", "agent_lost_top", "messages", 0.0, "messages lost at that rate"),
    scale(
        "logs",
        "dns_logs_rate",
        "queries/s",
        Higher,
        "what the client asked at the rate of 20,000, at least",
    ),
    budget(
        "logs",
        "dns_logs_cpu_20k",
        "% of a core",
        15.0,
        "what DNS logs counted by owner add at 20,000 queries a second, for 1,000 names",
    ),
    scale(
        "logs",
        "dns_logs_random_cpu_20k",
        "% of a core",
        Lower,
        "the same for 100,000 names, most of them beyond what is counted in an interval",
    ),
    budget("logs", "dns_logs_lost_20k", "messages", 0.0, "messages and documents lost meanwhile"),
    budget("memory", "rss_empty", "MB", 25.0, "resident memory with an empty set"),
    scale("memory", "rss_1m", "MB", Lower, "resident memory with a set of 1 M"),
    budget(
        "memory",
        "rss_peak_replace",
        "MB",
        45.0,
        "its peak while a set of 1 M replaces another, under traffic",
    ),
    budget("memory", "replace_lost", "messages", 0.0, "messages lost meanwhile"),
    budget(
        "controller",
        "controller_rss_idle",
        "MB",
        40.0,
        "the controller at rest, its set of 1 M published",
    ),
    budget("controller", "controller_cpu_idle", "% of a core", 0.1, "the same: its processor time"),
    scale("controller", "agents_whole", "s", Lower, "until 1,000 agents that come at once have a set of 1 M"),
    budget(
        "controller",
        "agents_change",
        "s",
        30.0,
        "from the order to pull a list of 1 M, of which 0.1 % changed, to its set at 1,000 agents",
    ),
    scale(
        "controller",
        "agents_change_cpu",
        "s",
        Lower,
        "the controller's processor time for that, on one core",
    ),
    budget("controller", "agents_rss_peak", "MB", 512.0, "its peak over both"),
    budget(
        "controller",
        "feed_added",
        "s",
        5.0,
        "from a manifest, beside 1 M entries, to an agent that matches it",
    ),
    budget("controller", "feed_deleted", "s", 5.0, "the same for one that is deleted"),
    at_least(
        "store",
        "store_append",
        "documents/s",
        20_000.0,
        "alerts of 2.4 kB that the embedded store keeps, a million, sent by four at once",
    ),
    budget("store", "store_page", "ms", 100.0, "among them: the slowest of eleven searches for a page of 50"),
    budget("store", "store_histogram_day", "ms", 100.0, "a histogram of 100 steps over their last day"),
    budget("store", "store_histogram", "ms", 100.0, "the same over all of them"),
    budget("store", "store_top_day", "ms", 100.0, "the most frequent values of a field over the last day"),
    budget("store", "store_top", "ms", 100.0, "the same over all of them"),
    scale("store", "store_bytes", "bytes", Lower, "what each takes on disk, indices included"),
    budget(
        "search",
        "alert_acknowledged",
        "ms",
        1000.0,
        "from a question in a pod to its alert acknowledged by OpenSearch, 99 of 100",
    ),
    scale("search", "alert_acknowledged_median", "ms", Lower, "the same, half of them"),
    budget("search", "alert_searchable", "ms", 2000.0, "the same until a search finds it, 99 of 100"),
    budget("nodes", "image_agent", "MB", 15.0, "the agent's image, as a node pulls it"),
    budget("nodes", "image_controller", "MB", 15.0, "the controller's"),
    budget(
        "nodes",
        "first_alert",
        "s",
        60.0,
        "from helm install on a cluster of one node to the first alert",
    ),
    budget("nodes", "attribution", "ns", 60.0, "saying whose a message is, of 250 pods that are known"),
    budget(
        "nodes",
        "rss_250_pods",
        "MB",
        45.0,
        "resident memory with a set of 1 M and 250 pods, all of which ask",
    ),
    budget(
        "nodes",
        "rss_250_pods_peak",
        "MB",
        60.0,
        "its peak while a set of 1 M replaces another, under traffic",
    ),
    scale(
        "nodes",
        "lists_per_node",
        "lists",
        Lower,
        "lists of pods that 1,000 agents ask for which start at once beside the API server, each",
    ),
    budget("nodes", "watches_per_node", "watches", 1.0, "watches of pods that they hold, each"),
    budget(
        "nodes",
        "lists_steady",
        "lists",
        0.0,
        "lists that all of them ask for later, while each node gets a pod",
    ),
    scale("peers", "peers_rate", "queries/s", Higher, "what the client asked beside the slowest of these"),
    scale("peers", "tcpdump_cpu", "% of a core", Lower, "tcpdump -w on the same traffic"),
    scale("peers", "tcpdump_ratio", "times the agent", Lower, "that, beside the agent in the same seconds"),
    scale("peers", "dnscap_cpu", "% of a core", Lower, "dnscap -g on the same traffic"),
    scale("peers", "dnscap_ratio", "times the agent", Lower, "that, beside the agent in the same seconds"),
    scale("peers", "tshark_cpu", "% of a core", Lower, "tshark, printing names, on the same traffic"),
    scale("peers", "tshark_ratio", "times the agent", Lower, "that, beside the agent in the same seconds"),
];

/// What was measured.
#[derive(Default)]
pub struct Figures {
    measured: Vec<(&'static Kind, f64)>,
}

impl Figures {
    /// Takes a value; its name must be one of [`KINDS`].
    pub fn add(&mut self, name: &str, value: f64) -> Result<()> {
        let kind = KINDS.iter().find(|kind| kind.name == name);
        self.measured.push((kind.with_context(|| format!("no figure is called {name}"))?, value));
        Ok(())
    }

    /// Each figure with its value, in the order of the page.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Kind, f64)> {
        KINDS
            .iter()
            .flat_map(|kind| self.measured.iter().filter(move |(measured, _)| measured.name == kind.name))
            .copied()
    }
}

impl Kind {
    /// "ok", or by how much the budget is missed.
    pub fn verdict(&self, value: f64) -> String {
        let Some(budget) = self.budget else { return String::new() };
        let over = match self.better {
            Better::Lower => value - budget,
            Better::Higher => budget - value,
        };
        if over <= 0.0 {
            return "ok".to_owned();
        }
        if budget == 0.0 {
            return format!("missed by {}", round(over));
        }
        format!("missed by {} ({:.0} %)", round(over), over / budget * 100.0)
    }
}

/// Three significant digits are all that a shared machine repeats.
pub fn round(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 100.0 || magnitude.fract() == 0.0 {
        format!("{value:.0}")
    } else if magnitude >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> &'static Kind {
        KINDS.iter().find(|kind| kind.name == name).unwrap()
    }

    #[test]
    fn a_missed_budget_says_by_how_much() {
        assert_eq!(kind("screen_query").verdict(156.0), "missed by 26 (20 %)");
        assert_eq!(kind("agent_lost_20k").verdict(3.0), "missed by 3");
    }

    #[test]
    fn a_budget_that_is_just_met_is_met() {
        assert_eq!(kind("screen_query").verdict(130.0), "ok");
        assert_eq!(kind("agent_lost_20k").verdict(0.0), "ok");
    }

    #[test]
    fn what_has_no_budget_has_no_verdict() {
        assert_eq!(kind("tshark_cpu").verdict(76.0), "");
    }

    #[test]
    fn an_unknown_figure_is_refused() {
        assert!(Figures::default().add("screen_speed", 1.0).is_err());
    }

    #[test]
    fn names_are_used_once() {
        let names: std::collections::HashSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
    }
}
