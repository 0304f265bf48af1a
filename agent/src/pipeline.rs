//! The journey of a packet: the only file that knows every stage.
//!
//! Everything from `decode` to `dns_log` is sans-IO: bytes and time come in as arguments, values go out. `run` puts in
//! records of the kernel half, `replay` packets of capture files; both get documents.

// The values that are handed from stage to stage.
pub mod packet;

// Drain the ring buffer in batches.
pub mod capture;

// Record bytes -> packets: checked, chunks joined, coalesced datagrams split, time made civil.
pub mod decode;

// TCP segments -> DNS messages, in order, bounded.
pub mod reassemble;

// Raw message -> the names in it that may be listed; no allocation.
pub mod screen;

// Raw message -> header, questions and records, as far as they can be read.
pub mod parse;

// Candidate names x threat set -> findings.
pub mod matching;

// Origin -> workload and process.
pub mod attribute;

// What resolvers ask for others, and what is left out: counted, not told.
pub mod withhold;

// One message, or a query and its answer: what alerts and DNS logs are made of.
pub mod exchange;

// Findings x workload -> alerts, once per window.
pub mod roll_up;

// Queries and answers -> DNS logs, joined and counted.
pub mod dns_log;

// What the kernel half did not copy of workloads over their budget -> reports.
pub mod flood;

// Which document bears its group's name; numbers for all others.
pub mod numbering;

// Alerts of pods without names -> the same, a moment later.
pub mod naming;

// Alerts and DNS logs -> documents.
pub mod compose;

// Documents -> where they are written.
pub mod sink;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use namewarden_protocol::{
    document::{Document, Identity},
    threat_set::Current,
};

use self::{
    attribute::{AttributeCounts, Attributed, Attributor, Machine, pod::Pods},
    compose::{Composer, LogFields},
    decode::{DecodeCounts, Decoder, WallOffset},
    dns_log::{DnsLogCounts, DnsLogger},
    exchange::UnreadExchange,
    matching::{Finding, MatchingCounts},
    naming::{Naming, NamingCounts},
    packet::{Packet, RawMessage, Timestamp},
    reassemble::{Limits, ReassembleCounts, Reassembler},
    roll_up::{Alert, RollUp, RollUpCounts, Sighting},
    screen::{Screen, ScreenCounts},
    withhold::{Accounts, WithheldCounts, Withholder},
};

/// How one pipeline works.
#[derive(Debug)]
pub struct PipelineSettings {
    /// Who writes documents.
    pub identity: Identity,
    /// What reassembly may take: less live than in a replay.
    pub limits: Limits,
    /// How sightings are rolled up.
    pub roll_up: roll_up::Settings,
    /// How DNS logs are made; `None` for none.
    pub dns_log: Option<dns_log::Settings>,
    /// What each of them bears.
    pub log_fields: LogFields,
    /// What is counted and not told.
    pub withhold: withhold::Settings,
}

/// What every stage counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct PipelineCounts {
    /// Records -> packets.
    pub decode: DecodeCounts,
    /// Packets -> messages.
    pub reassemble: ReassembleCounts,
    /// Messages -> candidates.
    pub screen: ScreenCounts,
    /// Messages in which at least one entry was found.
    pub listed_messages: u64,
    /// Candidates -> findings.
    pub matching: MatchingCounts,
    /// Whose they were.
    pub attribute: AttributeCounts,
    /// What was counted and not told.
    pub withheld: WithheldCounts,
    /// Findings -> alerts.
    pub roll_up: RollUpCounts,
    /// Alerts that waited for their pods' names.
    pub naming: NamingCounts,
    /// Messages -> DNS logs.
    pub dns_log: DnsLogCounts,
}

/// All stages from `decode` to `dns_log`, joined.
pub struct Pipeline<M> {
    decoder: Decoder,
    streams: Reassembler,
    inspection: Inspection<M>,
}

impl<M: Machine> Pipeline<M> {
    /// A pipeline that matches against whatever `set` holds at the moment.
    pub fn new(settings: PipelineSettings, set: Arc<Current>, machine: M, pods: Arc<dyn Pods>) -> Self {
        let PipelineSettings { identity, limits, roll_up, dns_log, log_fields, withhold } = settings;
        Self {
            decoder: Decoder::new(),
            streams: Reassembler::new(limits),
            inspection: Inspection {
                composer: Composer::new(identity).with_pods(Arc::clone(&pods)).with_log_fields(log_fields),
                set,
                screen: Screen::new(),
                attributor: Attributor::new(machine),
                withholder: Withholder::new(withhold, Arc::clone(&pods)),
                roll_up: RollUp::new(roll_up),
                dns_log: dns_log.map(|settings| DnsLogger::new(settings).with_pods(Arc::clone(&pods))),
                naming: Naming::new(Arc::clone(&pods)),
                pods,
                listed_messages: 0,
                matching: MatchingCounts::default(),
            },
        }
    }

    /// DNS is logged from this moment on (nanoseconds since the epoch): of two agents on a node one does.
    #[must_use]
    pub fn logging_since(mut self, moment: Arc<AtomicU64>) -> Self {
        self.inspection.dns_log = self.inspection.dns_log.map(|dns_log| dns_log.with_turn(moment));
        self
    }

    /// Takes one record of the kernel half.
    pub fn record(&mut self, bytes: &[u8], clock: WallOffset) {
        let Self { decoder, streams, inspection } = self;
        decoder.record(bytes, clock, &mut |packet| {
            streams.segment(packet, &mut |message| inspection.message(message));
        });
    }

    /// Takes one packet of a capture file.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        let Self { streams, inspection, .. } = self;
        streams.segment(packet, &mut |message| inspection.message(message));
    }

    /// Hands out the documents that are due; cheap when called often.
    pub fn poll(&mut self, now: Timestamp, each: &mut impl FnMut(Document)) {
        let Self { decoder, streams, inspection } = self;
        decoder.expire(now, &mut |packet| {
            streams.segment(packet, &mut |message| inspection.message(message));
        });
        streams.expire(now, &mut |message| inspection.message(message));
        inspection.poll(now, each);
    }

    /// Hands out everything that waits: no more packets will come.
    pub fn finish(&mut self, now: Timestamp, each: &mut impl FnMut(Document)) {
        let Self { decoder, streams, inspection } = self;
        decoder.expire(Timestamp(u64::MAX), &mut |packet| {
            streams.segment(packet, &mut |message| inspection.message(message));
        });
        streams.finish(&mut |message| inspection.message(message));
        inspection.finish(now, each);
    }

    /// Sockets shown not to be DNS since the last call.
    pub fn not_dns(&mut self) -> Vec<u64> {
        self.streams.not_dns()
    }

    /// What was counted and not told, of whom.
    pub fn withheld(&self) -> Arc<Accounts> {
        self.inspection.withholder.accounts()
    }

    /// What every stage counted so far.
    pub fn counts(&self) -> PipelineCounts {
        let inspection = &self.inspection;
        PipelineCounts {
            decode: self.decoder.counts(),
            reassemble: self.streams.counts(),
            screen: inspection.screen.counts(),
            listed_messages: inspection.listed_messages,
            matching: inspection.matching,
            attribute: inspection.attributor.counts(),
            withheld: inspection.withholder.counts(),
            roll_up: inspection.roll_up.counts(),
            naming: inspection.naming.counts(),
            dns_log: inspection.dns_log.as_ref().map(DnsLogger::counts).unwrap_or_default(),
        }
    }
}

/// The stages that take messages.
struct Inspection<M> {
    composer: Composer,
    set: Arc<Current>,
    screen: Screen,
    attributor: Attributor<M>,
    withholder: Withholder,
    roll_up: RollUp,
    naming: Naming,
    pods: Arc<dyn Pods>,
    dns_log: Option<DnsLogger>,
    listed_messages: u64,
    matching: MatchingCounts,
}

impl<M: Machine> Inspection<M> {
    fn message(&mut self, raw: &RawMessage<'_>) {
        let set = self.set.load();
        let screened = self.screen.candidates(raw.bytes, &set);
        let dropped = screened.dropped;
        let findings = matching::findings(raw.bytes, screened.candidates, &set, &mut self.matching);
        if findings.is_empty() && self.dns_log.is_none() {
            return;
        }
        let mut attributed = self.attributor.attribute(raw, &*self.pods);
        let withheld = self.withholder.look(&mut attributed, raw.origin.server);
        self.listed_messages += u64::from(!findings.is_empty());
        match &withheld {
            Some(pod) if !findings.is_empty() => self.withholder.findings(pod, findings.len() as u64),
            None if !findings.is_empty() => {
                self.sightings(raw, findings, &attributed, dropped);
            }
            _ => {}
        }
        if let Some(dns_log) = &mut self.dns_log
            && !withheld.is_some_and(|pod| self.withholder.keeps_from_logs(&pod))
        {
            dns_log.message(UnreadExchange::new(raw, attributed, dropped));
        }
    }

    /// Whatever becomes of the DNS log: an alert does not depend on it.
    fn sightings(
        &mut self,
        raw: &RawMessage<'_>,
        findings: Vec<Finding>,
        attributed: &Attributed,
        dropped: u64,
    ) {
        let mut exchange = UnreadExchange::new(raw, attributed.clone(), dropped).read();
        exchange.hints = self.attributor.hints(attributed, &*self.pods, raw.time);
        let exchange = Arc::new(exchange);
        for finding in findings {
            self.roll_up.sighting(Sighting { exchange: Arc::clone(&exchange), finding });
        }
    }

    fn poll(&mut self, now: Timestamp, each: &mut impl FnMut(Document)) {
        let Self { composer, naming, withholder, .. } = self;
        let mut tell = |alert: Alert| {
            if !withholder.keeps_back(&alert) {
                each(composer.alert(&alert));
            }
        };
        naming.poll(now, &mut tell);
        self.roll_up.poll(now, &mut |alert| naming.alert(alert, now, &mut tell));
        if let Some(dns_log) = &mut self.dns_log {
            dns_log.poll(now, &mut |log| each(composer.log(&log, now)));
        }
    }

    fn finish(&mut self, now: Timestamp, each: &mut impl FnMut(Document)) {
        let Self { composer, naming, withholder, .. } = self;
        let mut tell = |alert: Alert| {
            if !withholder.keeps_back(&alert) {
                each(composer.alert(&alert));
            }
        };
        self.roll_up.flush(now, &mut |alert| naming.alert(alert, now, &mut tell));
        naming.finish(&mut tell);
        if let Some(dns_log) = &mut self.dns_log {
            dns_log.flush(now, &mut |log| each(composer.log(&log, now)));
        }
    }
}

#[cfg(test)]
mod tests;
