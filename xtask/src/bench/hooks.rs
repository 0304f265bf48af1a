//! The kernel half, by the kernel's own statistics (`kernel.bpf_stats_enabled`): nanoseconds a run of each program.
//!
//! Beside the agent's programs an empty one hangs at the same cgroup and sees the same packets: what it costs is what
//! the statistics themselves cost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use namewarden_tests::program;
use object::write::{Object, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope};
use serde::Deserialize;

use super::agent::Agent;
use super::figure::Figures;
use super::load::empty_feed;
use super::traffic::{STEADY, Traffic};

/// How long each kind of packet is measured, in seconds.
const SECONDS: u32 = 8;

/// A port that is none of DNS.
const OTHER_PORT: u16 = 5300;

/// Return 1 (let the packet pass): `mov r0, 1; exit`.
const EMPTY_PROGRAM: [u8; 16] = [0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];

/// Runs of a program and the time they took together.
#[derive(Clone, Copy, Default, Debug)]
struct Runs {
    nanoseconds: u64,
    count: u64,
}

/// Measures captured packets and others.
pub fn measure(binary: &Path, figures: &mut Figures) -> Result<()> {
    let traffic = Traffic::start()?;
    traffic.add_port(OTHER_PORT)?;
    let pods = traffic.pods();
    let statistics = Statistics::on()?;
    let agent = Agent::start(binary, &traffic, &pods, &empty_feed(traffic.node().folder())?)?;
    let empty = EmptyProgram::attach(&pods, traffic.node().folder())?;

    let before = snapshot(&pods)?;
    traffic.ask(SECONDS, Some(STEADY))?;
    let captured = before.until(&snapshot(&pods)?)?;
    figures.add("hook_captured", captured.ours())?;
    figures.add("hook_captured_out", mean(captured.egress))?;
    figures.add("hook_captured_in", mean(captured.ingress))?;

    let before = snapshot(&pods)?;
    traffic.ask_port(OTHER_PORT, SECONDS, Some(STEADY))?;
    let other = before.until(&snapshot(&pods)?)?;
    figures.add("hook_other", other.ours() - mean(other.empty))?;
    figures.add("hook_floor", mean(other.empty))?;

    // A loop is timed as a whole: what the statistics cost would only be added to it.
    drop(statistics);
    let listed = listed(&pods)?;
    let loops = Loops { folder: traffic.node().folder(), listed: &listed };
    figures.add("hook_loop_captured", loops.fastest("packet_out", 53)?)?;
    figures.add("hook_loop_other", loops.fastest("packet_out", OTHER_PORT)?)?;
    figures.add("hook_loop_floor", loops.fastest("empty", OTHER_PORT)?)?;
    drop(empty);
    agent.stop()
}

/// Runs of one program over one packet, by the kernel itself.
struct Loops<'a> {
    folder: &'a Path,
    listed: &'a [Attached],
}

/// Few enough for the ring buffer to hold all records of a loop.
const REPEAT: &str = "3000";

impl Loops<'_> {
    /// Nanoseconds of a run, the best of five loops.
    fn fastest(&self, name: &str, port: u16) -> Result<f64> {
        let packet = self.folder.join("packet");
        fs::write(&packet, query(port))?;
        let program = self.listed.iter().find(|attached| attached.name == name);
        let id = program.with_context(|| format!("no program {name} is attached"))?.id.to_string();
        let packet = packet.to_string_lossy();
        let arguments = ["--json", "prog", "run", "id", &id, "data_in", &packet, "repeat", REPEAT];
        let mut fastest = f64::INFINITY;
        for _ in 0..5 {
            let ran: Ran = serde_json::from_str(&program::run("bpftool", &arguments)?)?;
            fastest = fastest.min(ran.duration);
        }
        Ok(fastest)
    }
}

#[derive(Deserialize)]
struct Ran {
    duration: f64,
}

/// An Ethernet frame with a query over UDP to `port`.
fn query(port: u16) -> Vec<u8> {
    const NAME: &[u8] = b"\x05first\x06second\x04load\x07example\0";
    let dns = [&[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], NAME, &[0, 1, 0, 1]].concat();
    let length = |headers: u8| [0, headers.saturating_add(u8::try_from(dns.len()).unwrap_or(u8::MAX))];
    let ip = [&[0x45, 0][..], &length(28), &[0, 0, 0, 0, 64, 17, 0, 0, 10, 88, 1, 0, 10, 99, 0, 53]].concat();
    let udp = [&40_000_u16.to_be_bytes()[..], &port.to_be_bytes(), &length(8), &[0, 0]].concat();
    [&[0; 12][..], &[8, 0], &ip, &udp, &dns].concat()
}

/// What each program did up to a moment.
#[derive(Clone, Copy, Default, Debug)]
struct Snapshot {
    egress: Runs,
    ingress: Runs,
    empty: Runs,
}

impl Snapshot {
    /// What was done between `self` and `later`.
    fn until(self, later: &Snapshot) -> Result<Snapshot> {
        let between = |before: Runs, after: Runs| Runs {
            nanoseconds: after.nanoseconds - before.nanoseconds,
            count: after.count - before.count,
        };
        let difference = Snapshot {
            egress: between(self.egress, later.egress),
            ingress: between(self.ingress, later.ingress),
            empty: between(self.empty, later.empty),
        };
        if difference.egress.count == 0 || difference.empty.count == 0 {
            bail!("the kernel counted no runs: {difference:?}");
        }
        Ok(difference)
    }

    /// Nanoseconds of a packet in the agent's programs.
    fn ours(&self) -> f64 {
        mean(Runs {
            nanoseconds: self.egress.nanoseconds + self.ingress.nanoseconds,
            count: self.egress.count + self.ingress.count,
        })
    }
}

fn mean(runs: Runs) -> f64 {
    runs.nanoseconds as f64 / runs.count.max(1) as f64
}

#[derive(Deserialize)]
struct Attached {
    id: u32,
    attach_type: String,
    name: String,
}

#[derive(Deserialize)]
struct Program {
    #[serde(default)]
    run_time_ns: u64,
    #[serde(default)]
    run_cnt: u64,
}

/// The programs at `cgroup`.
fn listed(cgroup: &Path) -> Result<Vec<Attached>> {
    let listed = program::run("bpftool", &["--json", "cgroup", "show", &cgroup.to_string_lossy()])?;
    Ok(serde_json::from_str(&listed)?)
}

/// What the programs at `cgroup` did so far.
fn snapshot(cgroup: &Path) -> Result<Snapshot> {
    let mut snapshot = Snapshot::default();
    for attached in listed(cgroup)? {
        let shown = program::run("bpftool", &["--json", "prog", "show", "id", &attached.id.to_string()])?;
        let program: Program = serde_json::from_str(&shown)?;
        let runs = Runs { nanoseconds: program.run_time_ns, count: program.run_cnt };
        match (attached.name.as_str(), attached.attach_type.as_str()) {
            // One program at both hooks: listed twice, counted together.
            ("empty", _) => snapshot.empty = runs,
            (_, "egress" | "cgroup_inet_egress") => snapshot.egress = runs,
            (_, "ingress" | "cgroup_inet_ingress") => snapshot.ingress = runs,
            _ => {}
        }
    }
    Ok(snapshot)
}

/// While this lives, the kernel takes the time of every program.
struct Statistics {
    before: String,
}

const SETTING: &str = "/proc/sys/kernel/bpf_stats_enabled";

impl Statistics {
    fn on() -> Result<Statistics> {
        let before = fs::read_to_string(SETTING).context("this kernel has no statistics of eBPF programs")?;
        fs::write(SETTING, "1").with_context(|| format!("cannot write {SETTING}"))?;
        Ok(Statistics { before })
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        _ = fs::write(SETTING, &self.before);
    }
}

/// A program that does nothing, at both hooks of a cgroup.
struct EmptyProgram {
    cgroup: PathBuf,
    pins: PathBuf,
}

impl EmptyProgram {
    fn attach(cgroup: &Path, folder: &Path) -> Result<EmptyProgram> {
        let file = folder.join("empty.o");
        fs::write(&file, object_file()?)?;
        let pins = folder.join("bpf");
        fs::create_dir_all(&pins)?;
        program::run("mount", &["-t", "bpf", "bpf", &pins.to_string_lossy()])?;
        let empty = EmptyProgram { cgroup: cgroup.to_path_buf(), pins };
        let pin = empty.pin();
        program::run("bpftool", &["prog", "load", &file.to_string_lossy(), &pin, "type", "cgroup/skb"])?;
        empty.at_both("attach", &["multi"])?;
        Ok(empty)
    }

    fn pin(&self) -> String {
        self.pins.join("empty").to_string_lossy().into_owned()
    }

    fn at_both(&self, verb: &str, flags: &[&str]) -> Result<()> {
        let (cgroup, pin) = (self.cgroup.to_string_lossy(), self.pin());
        for hook in ["egress", "ingress"] {
            let mut arguments = vec!["cgroup", verb, &cgroup, hook, "pinned", &pin];
            arguments.extend(flags);
            program::run("bpftool", &arguments)?;
        }
        Ok(())
    }
}

impl Drop for EmptyProgram {
    fn drop(&mut self) {
        // Whatever was not attached cannot be detached; the pin goes with its file system.
        _ = self.at_both("detach", &[]);
        _ = Command::new("umount").arg(&self.pins).status();
    }
}

/// The empty program as an object that bpftool loads.
fn object_file() -> Result<Vec<u8>> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let code = object.add_section(Vec::new(), b"cgroup/skb".to_vec(), SectionKind::Text);
    object.append_section_data(code, &EMPTY_PROGRAM, 8);
    object.add_symbol(Symbol {
        name: b"empty".to_vec(),
        value: 0,
        size: EMPTY_PROGRAM.len() as u64,
        kind: SymbolKind::Text,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(code),
        flags: SymbolFlags::None,
    });
    let licence = object.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    object.append_section_data(licence, b"GPL\0", 1);
    object.write().context("cannot write the empty program")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_costs_the_mean_over_both_hooks() {
        let runs = |nanoseconds, count| Runs { nanoseconds, count };
        let before = Snapshot { egress: runs(100, 1), ingress: runs(0, 0), empty: runs(50, 1) };
        let after = Snapshot { egress: runs(700, 4), ingress: runs(300, 1), empty: runs(90, 2) };
        let between = before.until(&after).unwrap();
        assert_eq!((between.ours(), mean(between.empty)), (225.0, 40.0));
    }

    #[test]
    fn the_packet_says_its_own_length() {
        let packet = query(53);
        assert_eq!(u16::from_be_bytes([packet[16], packet[17]]) as usize, packet.len() - 14);
        assert_eq!(packet[36..38], [0, 53]);
    }

    #[test]
    fn programs_that_never_ran_are_an_error() {
        assert!(Snapshot::default().until(&Snapshot::default()).is_err());
    }

    #[test]
    fn the_empty_program_is_an_object_with_a_licence() {
        use object::{Object as _, ObjectSection as _};
        let bytes = object_file().unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        assert_eq!(file.section_by_name("cgroup/skb").unwrap().data().unwrap(), EMPTY_PROGRAM);
        assert_eq!(file.section_by_name("license").unwrap().data().unwrap(), b"GPL\0");
    }
}
