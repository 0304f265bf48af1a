//! Capture files through the pipeline of `run`: what it would have written, by the clock of the packets.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use namewarden_protocol::threat_set::Current;

use super::ReplayArgs;
use crate::{
    pipeline::{
        Pipeline,
        attribute::{NoMachine, pod::NoPods},
        packet::Timestamp,
        reassemble::Limits,
        sink::Sink,
    },
    replay,
    settings::{self, SourceSettings},
    threat_source::ThreatSource,
};

/// How long documents may take to be written at the end.
const LAST_WRITES: Duration = Duration::from_secs(60);

/// Writes the alerts and DNS logs of each file.
pub fn run(arguments: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let output = settings::sink(&arguments.output)?;
    let source = SourceSettings::new(&arguments.feeds, arguments.state.state_dir.as_deref())?;
    if source.feeds.is_empty() && arguments.output.dns_logs == "off" {
        bail!(
            "nothing to do: give at least one --feed [NAME=]PATH|URL, --dns-logs stdout|file:PATH or --messages"
        );
    }
    let settings = settings::pipeline(&arguments.output, Limits::REPLAY, &output)?;
    let loaded = ThreatSource::new(source.feeds, source.options)?.load()?;
    for feed in loaded.feeds.iter().filter(|feed| feed.problem.is_some()) {
        tracing::warn!("{feed}");
    }
    let sink = Sink::open(&output)?;
    let mut pipeline =
        Pipeline::new(settings, Arc::new(Current::new(loaded.set)), NoMachine, Arc::new(NoPods));
    let mut last = Timestamp::default();
    for path in &arguments.files {
        let shown = path.display();
        let counts = replay::packets(path, &arguments.dns_ports, &mut |packet| {
            pipeline.poll(packet.time, &mut |document| sink.write_waiting(document));
            pipeline.packet(packet);
            last = last.max(packet.time);
        })
        .with_context(|| format!("replay of {shown} stopped"))?;
        if counts.cut_short {
            tracing::warn!("{shown}: the file ends inside a record; all before it was read");
        }
        if counts.unknown_link > 0 {
            tracing::warn!("{shown}: {} frames have an unsupported link type", counts.unknown_link);
        }
    }
    pipeline.finish(last, &mut |document| sink.write_waiting(document));
    sink.close(LAST_WRITES);
    let counts = pipeline.counts();
    tracing::info!(
        messages = counts.screen.messages,
        malformed = counts.screen.malformed,
        listed = counts.listed_messages,
        alerts = counts.roll_up.alerts,
        "replayed"
    );
    Ok(ExitCode::SUCCESS)
}
