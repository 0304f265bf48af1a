//! The last words: what was seen, what became of it, in sums that close.

use std::time::Duration;

use crate::{
    kernel::Reading,
    pipeline::{PipelineCounts, sink::SinkCounts},
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
    let mut text = format!("Totals of {:.1} s\n", uptime.as_secs_f64());
    text.push_str(&format!(
        "  packets   {} wanted = {submitted} captured + {lost} lost + {budget} over budget + {} muted\n",
        submitted + lost + budget + exit("muted"),
        exit("muted"),
    ));
    text.push_str(&format!(
        "  records   {} submitted = {} read\n",
        submitted + exit("partly_lost") + exit("continuations"),
        counts.decode.records
    ));
    text.push_str(&format!(
        "  messages  {} screened, {} malformed, {} with a listed name\n",
        screen.messages, screen.malformed, counts.listed_messages
    ));
    text.push_str(&format!(
        "  sightings {} = {} first + {} answers + {} repeats + {} beyond a workload's limit\n",
        roll_up.sightings, roll_up.first, roll_up.answers, roll_up.repeats, roll_up.left_out
    ));
    text.push_str(&format!(
        "  documents {} alerts and {} DNS logs written, {} dropped\n",
        written.alerts.written,
        written.logs.written,
        [written.alerts, written.logs].iter().map(|kind| kind.dropped + kind.failed).sum::<u64>()
    ));
    text
}
