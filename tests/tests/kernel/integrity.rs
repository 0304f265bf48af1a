//! Every byte of a million records is right, with receive packet steering on: then answers arrive in softirq on any
//! CPU, in the middle of another packet's way out.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use namewarden_agent::kernel::{Kernel, KernelSettings};
use namewarden_agent_common::record::{FLAG_EGRESS, RecordHeader};
use namewarden_tests::{
    message::{kind, query, read_question},
    node::Node,
    program,
    server::{Server, Zone, default_reply},
};
use zerocopy::FromBytes as _;

const RECORDS: u64 = 1_000_000;
/// Queries of one client in one go.
const ROUND: u32 = 20_000;

/// Lets every CPU take packets that arrive at the devices of a namespace, and reads back that each device does so.
fn steer_packets(network: &std::path::Path) -> Result<()> {
    let cpus = thread::available_parallelism()?.get().min(32);
    ensure!(cpus >= 2, "one CPU has no other to steer packets to: this test needs two");
    let mask = format!("{:x}", u64::MAX >> (64 - cpus));
    let script = format!(
        "mount -t sysfs none /sys && for file in /sys/class/net/*/queues/rx-*/rps_cpus; do echo {mask} > $file && cat $file; done"
    );
    let net = format!("--net={}", network.display());
    let masks = program::run("nsenter", &[&net, "unshare", "--mount", "sh", "-c", &script])?;
    ensure!(masks.lines().count() >= 2 && masks.lines().all(|line| line == mask), "{masks}");
    Ok(())
}

/// Packets that another CPU handed over, of all CPUs: the tenth column of `/proc/net/softnet_stat`.
fn steered() -> Result<u64> {
    let table = fs::read_to_string("/proc/net/softnet_stat")?;
    let column = |line: &str| {
        let word = line.split_whitespace().nth(9).with_context(|| format!("no tenth column: {line}"))?;
        Ok(u64::from_str_radix(word, 16)?)
    };
    table.lines().map(column).sum()
}

/// What the records say that were read.
#[derive(Debug, Default)]
struct Read {
    wrong: Vec<anyhow::Error>,
    /// How many by direction and CPU.
    of: BTreeMap<(bool, u32), u64>,
}

impl Read {
    fn record(&mut self, record: &[u8]) {
        match check(record) {
            Ok(header) => *self.of.entry((header.flags & FLAG_EGRESS != 0, header.cpu)).or_default() += 1,
            Err(error) => self.wrong.push(error),
        }
    }

    /// CPUs on which the hook saw answers.
    fn cpus_of_answers(&self) -> usize {
        self.of.keys().filter(|(egress, _)| !egress).count()
    }
}

/// Compares a record with what its own message says that it must be.
fn check(record: &[u8]) -> Result<RecordHeader> {
    let (header, payload) = RecordHeader::read_from_prefix(record).ok().context("a short record")?;
    let question = read_question(payload).context("a payload without a question")?;
    let expected = if header.flags & FLAG_EGRESS != 0 {
        query(question.id, &question.name, kind::A)
    } else {
        default_reply(&question).message(&question)
    };
    let payload =
        payload.get(..usize::try_from(header.chunk_length)?).context("a length beyond the record")?;
    if payload != expected || header.payload_length != header.chunk_length {
        bail!("{header:?}\nholds    {payload:02x?}\nexpected {expected:02x?}");
    }
    let index: u32 = question.name.split('.').next().context("no label")?.parse()?;
    // The client's ids count on with its names.
    let port = if header.flags & FLAG_EGRESS != 0 { header.destination_port } else { header.source_port };
    if index >= ROUND || port != 53_u16.to_be_bytes() || header.ip_version != 4 || header.protocol != 17 {
        bail!("{header:?} of {}", question.name);
    }
    Ok(header)
}

#[test]
fn every_byte_of_a_million_records_is_right_with_packet_steering_on() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let pods = [node.pod().start()?, node.pod().start()?];
    steer_packets(node.host().path())?;
    steer_packets(node.dns().path())?;
    for pod in &pods {
        steer_packets(pod.namespace()?.path())?;
    }
    let settings = KernelSettings {
        cgroup_root: Some(node.cgroup().to_owned()),
        ring_bytes: 8 << 20,
        ..KernelSettings::default()
    };
    let (_attached, mut ring) = Kernel::load(&settings)?.attach()?;
    let before = steered()?;
    let (read, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut all = Read::default();
            while !ended.load(Ordering::Relaxed) {
                ring.wait(Duration::from_millis(20))?;
                let records = ring.drain(4_096, |record| all.record(record));
                read.fetch_add(records as u64, Ordering::Relaxed);
            }
            anyhow::Ok(all)
        });
        let flooded = flood(&pods, || read.load(Ordering::Relaxed) < RECORDS && !reader.is_finished());
        ended.store(true, Ordering::Relaxed);
        let all = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
        flooded?;
        let first = all.wrong.first().map(ToString::to_string).unwrap_or_default();
        assert_eq!(all.wrong.len(), 0, "the first: {first}");
        let right: u64 = all.of.values().sum();
        assert!(right >= RECORDS && right == read.load(Ordering::Relaxed), "{right} records were read");
        // Steering took effect: packets were handed over to another CPU, and answers came in on more than one.
        let handed_over = steered()? - before;
        assert!(handed_over > RECORDS / 100, "{handed_over} packets were steered: {:?}", all.of);
        assert!(all.cpus_of_answers() >= 2, "{:?}", all.of);
        Ok(())
    })
}

/// Queries from both pods at once, while `more` says so.
fn flood(pods: &[namewarden_tests::pod::Pod], more: impl Fn() -> bool) -> Result<()> {
    let mut clients = pods.iter().map(namewarden_tests::pod::Pod::client).collect::<Result<Vec<_>>>()?;
    let line = format!("flood {ROUND} 10.99.0.53:53 steady.benign.example");
    while more() {
        for client in &mut clients {
            client.tell("udp4")?;
            client.begin(&line)?;
        }
        for client in &clients {
            client.reply(&line)?;
        }
    }
    Ok(())
}
