//! `status`: asks the running agent and says in words what it sees.

use std::{collections::BTreeMap, fmt::Write as _, io::Write as _, process::ExitCode, time::Duration};

use anyhow::{Context, anyhow, bail};
use namewarden_protocol::endpoint::{
    AgentStatus, ControllerStatus, FeedStatus, STATUS_PATH, SearchStatus, Withheld,
};

use crate::args::StatusArgs;

/// How long the agent may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Many times what an agent with a thousand feeds says; whatever sends more is none.
const ANSWER_MAX: usize = 16 << 20;

/// Asks the agent and prints its answer.
///
/// # Errors
/// No agent answers, or what answers is not one.
pub fn run(arguments: &StatusArgs) -> anyhow::Result<ExitCode> {
    let body =
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(ask(arguments))?;
    let status: AgentStatus =
        serde_json::from_slice(&body).context("what answered is not a Namewarden agent of this version")?;
    let mut out = anstream::stdout().lock();
    if arguments.json {
        out.write_all(&body)?;
        writeln!(out)?;
    } else {
        out.write_all(in_words(&status).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(arguments: &StatusArgs) -> anyhow::Result<Vec<u8>> {
    let builder = reqwest::Client::builder().timeout(PATIENCE).no_proxy();
    let (client, url, place) = match arguments.address {
        Some(address) => (builder.build()?, format!("http://{address}{STATUS_PATH}"), address.to_string()),
        None => (
            builder.unix_socket(arguments.status_socket.clone()).build()?,
            format!("http://localhost{STATUS_PATH}"),
            arguments.status_socket.display().to_string(),
        ),
    };
    let mut answer = client.get(url).send().await.map_err(|error| {
        anyhow!(
            "no agent answers at {place} ({}); is `namewarden-agent run` running, and with the same --status-socket \
             or --listen?",
            root_cause(&error)
        )
    })?;
    if !answer.status().is_success() {
        bail!("{place} answered {}; is that a Namewarden agent?", answer.status());
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > ANSWER_MAX {
            bail!("{place} answered with more than {} MiB; is that a Namewarden agent?", ANSWER_MAX >> 20);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What the system said: what a library wraps around it tells a person nothing.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// The account as a person reads it.
pub fn in_words(status: &AgentStatus) -> String {
    let mut text = format!(
        "Agent {} on node {} (cluster {}), attached for {}.\n",
        status.version,
        status.node,
        status.cluster,
        span(status.uptime_seconds)
    );
    let _ = writeln!(
        text,
        "It sees {} DNS packets a second, screens {} messages and finds {} listed names a second (last {:.0} s).",
        rate(status.rates.packets),
        rate(status.rates.messages),
        rate(status.rates.findings),
        status.rates.window_seconds
    );
    text.push_str(&loss(status));
    let set = &status.threat_set;
    let _ = writeln!(
        text,
        "Threat set {} holds {} entries, in use for {} (digest {}).",
        set.number,
        grouped(set.entries),
        span(set.age_seconds),
        set.digest.get(..12).unwrap_or(&set.digest)
    );
    if let Some(controller) = &status.controller {
        text.push_str(&controller_line(controller));
    }
    text.push_str(&dns_log_line(&status.counters));
    status.search.iter().for_each(|search| text.push_str(&search_line(search)));
    status.feeds.iter().for_each(|feed| text.push_str(&feed_line(feed)));
    text.push_str(&workloads(status));
    text
}

/// Who is there, who is not told of, who floods.
fn workloads(status: &AgentStatus) -> String {
    let mut text = format!("{} workloads are known by their cgroup.\n", grouped(status.workloads));
    status.withheld.iter().for_each(|withheld| text.push_str(&withheld_line(withheld)));
    for flood in &status.flooding {
        let _ = writeln!(
            text,
            "{} floods: {} packets beyond its budget were counted, not read.",
            flood.workload,
            grouped(flood.packets)
        );
    }
    text
}

fn loss(status: &AgentStatus) -> String {
    let loss = &status.loss;
    let parts = [
        (loss.ring_full, "packets for want of room in the ring"),
        (loss.over_budget, "packets beyond a workload's budget"),
        (loss.unreadable, "packets that could not be read"),
        (loss.gaps, "gaps in streams"),
        (loss.documents, "documents"),
    ];
    let said: Vec<_> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", grouped(*count)))
        .collect();
    if said.is_empty() {
        return "Nothing was lost since the start.\n".to_owned();
    }
    format!("Lost since the start: {}.\n", said.join(", "))
}

/// What became of exchanges, where DNS logs are made.
fn dns_log_line(counters: &BTreeMap<String, u64>) -> String {
    let count = |name: &str| {
        let total = counters.get(&format!("namewarden_dns_log_{name}_total"));
        total.copied().unwrap_or_default()
    };
    if count("messages") == 0 {
        return String::new();
    }
    let mut line = format!("  DNS logs: {} exchanges logged", grouped(count("logged")));
    for (name, what) in
        [("unlogged", "beyond the limit"), ("excluded", "excluded"), ("sampled_out", "sampled out")]
    {
        if count(name) > 0 {
            let _ = write!(line, ", {} {what}", grouped(count(name)));
        }
    }
    line.push('\n');
    line
}

fn controller_line(controller: &ControllerStatus) -> String {
    let mut line = format!("  controller {}: ", controller.location);
    match &controller.threat_set {
        Some(set) => {
            let _ = write!(line, "set {}.{}, {} entries", set.epoch, set.number, grouped(set.entries));
            if let Some(age) = set.published_seconds {
                let _ = write!(line, ", made {} ago", span(age));
            }
        }
        None => line.push_str("no set yet"),
    }
    match (&controller.problem, controller.answered_seconds) {
        (Some(problem), _) => {
            let _ = write!(line, "; NO ANSWER: {problem}");
        }
        (None, Some(seconds)) => {
            let _ = write!(line, ", answered {} ago", span(seconds));
        }
        (None, None) => line.push_str(", not asked yet"),
    }
    line.push('\n');
    line
}

fn search_line(search: &SearchStatus) -> String {
    let mut line = format!(
        "  {} to {}: {} taken, {} wait ({} KiB)",
        search.documents,
        search.locations.join(", "),
        grouped(search.acknowledged),
        grouped(search.waiting),
        grouped(search.spool_bytes.div_ceil(1024))
    );
    for (count, what) in [(search.refused, "refused"), (search.lost, "LOST")] {
        if count > 0 {
            let _ = write!(line, ", {} {what}", grouped(count));
        }
    }
    match (&search.problem, search.answered_seconds) {
        (Some(problem), _) => {
            let _ = write!(line, "; NOT TAKEN: {problem}");
        }
        (None, Some(seconds)) => {
            let _ = write!(line, ", answered {} ago", span(seconds));
        }
        (None, None) => line.push_str(", not asked yet"),
    }
    line.push('\n');
    line
}

fn feed_line(feed: &FeedStatus) -> String {
    let mut line =
        format!("  {} ({}, {}): {} entries", feed.name, feed.format, feed.location, grouped(feed.entries));
    if feed.rejected > 0 {
        let _ = write!(line, ", {} lines rejected", grouped(feed.rejected));
    }
    if feed.guarded > 0 {
        let _ = write!(line, ", {} public suffixes kept as exact", grouped(feed.guarded));
    }
    if let Some(age) = feed.age_seconds {
        let _ = write!(line, ", read {} ago", span(age));
    }
    if feed.pending {
        line.push_str("; being fetched for the first time");
    }
    if let Some(problem) = &feed.problem {
        let _ = write!(line, "; NOT READ: {problem}");
    }
    line.push('\n');
    line
}

fn withheld_line(withheld: &Withheld) -> String {
    let place = if withheld.namespace.is_empty() { "" } else { " in " };
    let why = if withheld.reason == "resolver" { "asks on behalf of others" } else { "is left out" };
    let mut line = format!("{}{place}{} {why}: ", withheld.workload, withheld.namespace);
    let parts = [
        (withheld.findings, "findings raised no alert"),
        (withheld.alerts, "alerts were not told"),
        (withheld.messages, "messages were not logged"),
    ];
    let said = parts.iter().filter(|(count, _)| *count > 0);
    line.push_str(
        &said.map(|(count, what)| format!("{} {what}", grouped(*count))).collect::<Vec<_>>().join(", "),
    );
    line.push_str(".\n");
    line
}

/// Seconds as a person says them: the two largest units.
fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

fn rate(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// A count with its thousands apart.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use namewarden_protocol::endpoint::{Loss, Rates, ThreatSetStatus};

    use super::*;

    fn mk_status() -> AgentStatus {
        AgentStatus {
            version: "0.1.0".into(),
            node: "node-1".into(),
            cluster: "cluster".into(),
            uptime_seconds: 4_000,
            rates: Rates { window_seconds: 60.0, packets: 1234.4, messages: 1234.4, findings: 0.25 },
            threat_set: ThreatSetStatus {
                number: 3,
                entries: 1_000_000,
                digest: "ab".repeat(32),
                ..Default::default()
            },
            workloads: 41,
            ..Default::default()
        }
    }

    #[test]
    fn a_healthy_agent_is_told_in_five_lines() {
        insta::assert_snapshot!(in_words(&mk_status()), @r"
        Agent 0.1.0 on node node-1 (cluster cluster), attached for 1 h 6 min.
        It sees 1234 DNS packets a second, screens 1234 messages and finds 0.2 listed names a second (last 60 s).
        Nothing was lost since the start.
        Threat set 3 holds 1,000,000 entries, in use for 0 s (digest abababababab).
        41 workloads are known by their cgroup.
        ");
    }

    #[test]
    fn what_dns_logs_leave_out_is_said() {
        let counters = |counts: &[(&str, u64)]| {
            let name = |name: &str| format!("namewarden_dns_log_{name}_total");
            dns_log_line(&counts.iter().map(|(of, count)| (name(of), *count)).collect())
        };
        assert_eq!(counters(&[("messages", 0)]), "");
        assert_eq!(counters(&[("messages", 3), ("logged", 2)]), "  DNS logs: 2 exchanges logged\n");
        let all = [("messages", 9), ("logged", 1), ("unlogged", 2), ("excluded", 3_000), ("sampled_out", 4)];
        let said = "  DNS logs: 1 exchanges logged, 2 beyond the limit, 3,000 excluded, 4 sampled out\n";
        assert_eq!(counters(&all), said);
    }

    #[test]
    fn what_is_not_told_is_said_of_each_workload() {
        let of = |reason: &str, findings, messages| Withheld {
            reason: reason.into(),
            namespace: "kube-system".into(),
            workload: "Deployment/coredns".into(),
            findings,
            messages,
            ..Default::default()
        };
        let resolver =
            "Deployment/coredns in kube-system asks on behalf of others: 1,200 findings raised no alert.\n";
        assert_eq!(withheld_line(&of("resolver", 1_200, 0)), resolver);
        let excluded = "Deployment/coredns in kube-system is left out: 2 findings raised no alert, 3 messages were not logged.\n";
        assert_eq!(withheld_line(&of("excluded", 2, 3)), excluded);
    }

    #[test]
    fn loss_and_a_bad_feed_are_said() {
        let mut status = mk_status();
        status.loss = Loss { ring_full: 12_345, documents: 2, ..Default::default() };
        status.feeds = vec![FeedStatus {
            name: "urlhaus".into(),
            location: "/feeds/urlhaus.txt".into(),
            format: "hosts".into(),
            entries: 7,
            rejected: 2,
            age_seconds: Some(11_000),
            problem: Some("it is an HTML page".into()),
            ..Default::default()
        }];
        let text = in_words(&status);
        let lost = "Lost since the start: 12,345 packets for want of room in the ring, 2 documents.\n";
        assert!(text.contains(lost), "{text}");
        let feed = "urlhaus (hosts, /feeds/urlhaus.txt): 7 entries, 2 lines rejected, read 3 h 3 min ago; \
                    NOT READ: it is an HTML page";
        assert!(text.contains(feed), "{text}");
    }
    #[test]
    fn what_the_controller_gave_is_told_with_its_age_or_why_it_gave_nothing() {
        let set = ThreatSetStatus {
            epoch: 7,
            number: 3,
            entries: 1_000,
            published_seconds: Some(7_300),
            ..Default::default()
        };
        let mut controller = ControllerStatus {
            location: "https://c.example".into(),
            answered_seconds: Some(4),
            threat_set: Some(set),
            ..Default::default()
        };
        let line =
            "  controller https://c.example: set 7.3, 1,000 entries, made 2 h 1 min ago, answered 4 s ago\n";
        assert_eq!(controller_line(&controller), line);
        controller.threat_set = None;
        controller.problem = Some("it refuses the token".into());
        let line = "  controller https://c.example: no set yet; NO ANSWER: it refuses the token\n";
        assert_eq!(controller_line(&controller), line);
    }
}
