//! The last words: what was seen, what became of it, in sums that close.

use std::time::Duration;

use crate::{
    kernel::Reading,
    pipeline::{
        PipelineCounts,
        dns_log::DnsLogCounts,
        sink::{SinkCounts, search::LaneView},
    },
};

/// The totals as a person reads them; each line is a sum.
pub fn in_words(
    readings: &[Reading],
    counts: &PipelineCounts,
    written: &SinkCounts,
    uptime: Duration,
) -> String {
    let exit = |name: &str| {
        readings.iter().find(|reading| reading.info.name == name).map_or(0, |reading| reading.value)
    };
    let lost = exit("lost") + exit("partly_lost") + exit("copy_failed");
    let budget = exit("flood_socket") + exit("flood_cgroup");
    let submitted = exit("submitted");
    let screen = &counts.screen;
    let roll_up = &counts.roll_up;
    let handed = submitted + exit("partly_lost") + exit("continuations");
    let wanted = submitted + lost + budget + exit("muted");
    let dropped: u64 = [written.alerts, written.logs].iter().map(|kind| kind.dropped + kind.failed).sum();
    [
        format!("Totals of {:.1} s\n", uptime.as_secs_f64()),
        format!("  packets   {wanted} wanted = {submitted} captured + {lost} lost + {budget} over budget"),
        format!(" + {} muted\n", exit("muted")),
        format!("  records   {handed} submitted = {} read\n", counts.decode.records),
        format!("  messages  {} screened, {} malformed, ", screen.messages, screen.malformed),
        format!("{} with a listed name\n", counts.listed_messages),
        withheld(counts),
        format!("  sightings {} = {} first + {} answers", roll_up.sightings, roll_up.first, roll_up.answers),
        format!(" + {} repeats + {} beyond a workload's limit\n", roll_up.repeats, roll_up.left_out),
        exchanges(&counts.dns_log),
        format!(
            "  documents {} alerts and {} DNS logs written, ",
            written.alerts.written, written.logs.written
        ),
        format!("{dropped} dropped\n"),
    ]
    .concat()
}

/// What was counted and not told, where anything was; a sum.
fn withheld(counts: &PipelineCounts) -> String {
    let (findings, withheld) = (counts.matching.findings, &counts.withheld);
    if findings == counts.roll_up.sightings {
        return String::new();
    }
    format!(
        "  findings  {findings} = {} sighted + {} of resolvers + {} of pods left out\n",
        counts.roll_up.sightings, withheld.resolver_findings, withheld.excluded_findings
    )
}

/// What became of the exchanges that came to be logged, where any did; a sum.
fn exchanges(counts: &DnsLogCounts) -> String {
    if counts.messages == 0 {
        return String::new();
    }
    format!(
        "  exchanges {} = {} logged + {} beyond the limit + {} excluded + {} sampled out + {} waiting\n",
        counts.queries + counts.lone_answers,
        counts.logged,
        counts.unlogged,
        counts.excluded,
        counts.sampled_out,
        counts.waiting
    )
}

/// What became of the documents of one lane that goes to search engines; a sum.
pub fn of_lane(lane: &LaneView) -> String {
    let counts = &lane.counts;
    let dropped = counts.dropped_size + counts.dropped_age + counts.dropped_disk;
    format!(
        "  {:<9} {} found + {} spooled = {} taken + {} refused + {dropped} dropped + {} damaged + {} wait\n",
        lane.kind.name(),
        counts.found,
        counts.appended,
        counts.acknowledged,
        counts.refused,
        counts.damaged,
        counts.waiting
    )
}

#[cfg(test)]
mod tests {
    use namewarden_agent_common::counters::COUNTERS;

    use super::*;

    #[test]
    fn the_sums_close() {
        let value = |name: &str| match name {
            "submitted" => 90,
            "lost" => 5,
            "partly_lost" | "muted" | "copy_failed" => 1,
            "flood_cgroup" => 3,
            "continuations" => 7,
            _ => 0,
        };
        let readings: Vec<_> =
            COUNTERS.iter().map(|info| Reading { info, value: value(info.name) }).collect();
        let mut counts = PipelineCounts::default();
        counts.decode.records = 98;
        let text = in_words(&readings, &counts, &SinkCounts::default(), Duration::from_millis(1_500));
        assert!(text.starts_with("Totals of 1.5 s\n"), "{text}");
        assert!(text.contains("101 wanted = 90 captured + 7 lost + 3 over budget + 1 muted\n"), "{text}");
        assert!(text.contains("98 submitted = 98 read\n"), "{text}");
        assert!(!text.contains("exchanges") && !text.contains("findings"), "{text}");
        (counts.matching.findings, counts.roll_up.sightings) = (9, 4);
        (counts.withheld.resolver_findings, counts.withheld.excluded_findings) = (3, 2);
        (counts.dns_log.messages, counts.dns_log.queries, counts.dns_log.lone_answers) = (20, 11, 4);
        (counts.dns_log.logged, counts.dns_log.unlogged, counts.dns_log.excluded) = (8, 1, 2);
        (counts.dns_log.sampled_out, counts.dns_log.waiting) = (3, 1);
        let text = in_words(&readings, &counts, &SinkCounts::default(), Duration::from_millis(1_500));
        let sum = "15 = 8 logged + 1 beyond the limit + 2 excluded + 3 sampled out + 1 waiting\n";
        assert!(text.contains(sum), "{text}");
        assert!(text.contains("9 = 4 sighted + 3 of resolvers + 2 of pods left out\n"), "{text}");
    }
}
