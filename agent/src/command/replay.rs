//! `replay`: capture files instead of a kernel. With `--messages`, one JSON line for each DNS message; without, the
//! alerts and DNS logs that `run` would have written.

use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;

use crate::args::{FeedArgs, OutputArgs, StateArgs};
use crate::pipeline::packet::{Packet, RawMessage, Timestamp, Transport};
use crate::pipeline::parse::{Flag, Question, Record, parse};
use crate::pipeline::reassemble::{Limits, Reassembler};
use crate::replay::{self, ReplayCounts};

// Capture files -> alerts and DNS logs.
mod alerts;

/// Options of `replay`; those of the pipeline are `run`'s.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplayArgs {
    /// Capture files, pcap or pcapng; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Print one JSON line for each DNS message, and raise no alerts
    #[arg(long)]
    pub messages: bool,

    /// A port that DNS is spoken on, on either side. Repeatable.
    #[arg(
        long = "dns-port",
        env = "NAMEWARDEN_DNS_PORTS",
        value_delimiter = ' ',
        default_value = "53",
        value_parser = clap::value_parser!(u16).range(1..),
        value_name = "PORT"
    )]
    pub dns_ports: Vec<u16>,

    /// Which feeds make the threat set
    #[command(flatten, next_help_heading = "Feeds")]
    pub feeds: FeedArgs,

    /// What outlives the process
    #[command(flatten, next_help_heading = "State")]
    pub state: StateArgs,

    /// Where documents go
    #[command(flatten, next_help_heading = "Documents")]
    pub output: OutputArgs,
}

/// Replays capture files.
///
/// # Errors
/// A file, a feed or an option cannot be used.
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    if args.messages {
        run_messages(args, &args.dns_ports)?;
        return Ok(ExitCode::SUCCESS);
    }
    alerts::run(args)
}

/// One DNS message as `--messages` prints it.
#[derive(Serialize)]
struct Line<'m> {
    frame: u64,
    time: String,
    source: Endpoint,
    destination: Endpoint,
    transport: &'static str,
    id: u16,
    response: bool,
    opcode: &'m str,
    rcode: &'m str,
    flags: &'m [Flag],
    question: &'m [Question],
    answer: &'m [Record],
    authority: &'m [Record],
    additional: &'m [Record],
    #[serde(skip_serializing_if = "Option::is_none")]
    malformed: Option<String>,
}

#[derive(Serialize)]
struct Endpoint {
    ip: IpAddr,
    port: u16,
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { ip: address.ip(), port: address.port() }
    }
}

/// Prints each message of each file to standard output, and to standard error what could not be read.
fn run_messages(args: &ReplayArgs, ports: &[u16]) -> anyhow::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for path in &args.files {
        let shown = path.display();
        let read = messages(path, ports, &mut out).with_context(|| format!("replay of {shown} stopped"))?;
        // Whoever reads the lines has seen enough.
        let Some(counts) = read else { return Ok(()) };
        if counts.cut_short {
            eprintln!("{shown}: the file ends inside a record; all before it was read");
        }
        if counts.unknown_link > 0 {
            eprintln!("{shown}: {} frames have an unsupported link type", counts.unknown_link);
        }
    }
    match out.flush() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        flushed => Ok(flushed?),
    }
}

/// The messages of one file; nothing when the lines are no longer wanted.
fn messages(path: &Path, ports: &[u16], out: &mut impl Write) -> anyhow::Result<Option<ReplayCounts>> {
    let mut stage = Reassembler::new(Limits::REPLAY);
    let mut written = Ok(());
    let mut each = |message: &RawMessage<'_>| {
        if written.is_ok() {
            written = print(message, out);
        }
    };
    let read = replay::packets(path, ports, &mut |packet: &Packet<'_>| {
        stage.expire(packet.time, &mut each);
        stage.segment(packet, &mut each);
    });
    stage.finish(&mut each);
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(Some(read?)),
    }
}

fn print(message: &RawMessage<'_>, out: &mut impl Write) -> io::Result<()> {
    let parsed = parse(message.bytes);
    let line = Line {
        frame: message.frame,
        time: rfc3339(message.time),
        source: message.source.into(),
        destination: message.destination.into(),
        transport: match message.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        },
        id: parsed.id,
        response: parsed.response,
        opcode: &parsed.opcode,
        rcode: &parsed.response_code,
        flags: &parsed.flags,
        question: &parsed.question,
        answer: &parsed.answer,
        authority: &parsed.authority,
        additional: &parsed.additional,
        malformed: parsed.malformed.as_ref().map(ToString::to_string),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// UTC to the nanosecond.
fn rfc3339(time: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time.0))
        .map_or_else(|_| String::new(), |time| format!("{time:.9}"))
}
