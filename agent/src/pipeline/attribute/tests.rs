use std::collections::HashMap;

use super::super::packet::Transport;
use super::*;

const POD: u64 = 10;
const OTHER_POD: u64 = 11;
const INSIDE_POD: u64 = 12;
const ROOT: u64 = 1;
const UNKNOWN: u64 = 99;
const PATH: &str = "/kubepods/pod1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9/";

fn container(digit: char) -> String {
    format!("{PATH}{}", digit.to_string().repeat(64))
}

#[derive(Default)]
struct Table {
    cgroups: HashMap<u64, Arc<Workload>>,
    names: HashMap<u32, &'static str>,
    threads: HashMap<(u32, u32), &'static str>,
    processes: HashMap<u32, String>,
}

impl Machine for Table {
    fn cgroup(&mut self, id: u64) -> Option<Arc<Workload>> {
        self.cgroups.get(&id).cloned()
    }

    fn process_name(&mut self, pid: u32, _: Timestamp) -> Option<Arc<str>> {
        self.names.get(&pid).map(|name| Arc::from(*name))
    }

    fn thread_name(&mut self, pid: u32, tid: u32, _: Timestamp) -> Option<Arc<str>> {
        self.threads.get(&(pid, tid)).map(|name| Arc::from(*name))
    }

    fn process_cgroup(&mut self, pid: u32, _: Timestamp) -> Option<Arc<Workload>> {
        self.processes.get(&pid).map(|path| Arc::new(cgroup_path::workload(path)))
    }
}

/// A pod whose address is known.
#[derive(Debug)]
struct OnePod;

impl Pods for OnePod {
    fn pod(&self, _: &str) -> Option<Arc<Pod>> {
        None
    }

    fn pod_at(&self, address: IpAddr) -> Option<Arc<Pod>> {
        (address.to_string() == "10.1.2.3").then(Arc::default)
    }

    fn is_asked(&self) -> bool {
        true
    }
}

fn table() -> Table {
    let paths = [
        (POD, container('a')),
        (OTHER_POD, container('b')),
        (INSIDE_POD, format!("{}/init.scope", container('a'))),
        (ROOT, "/".to_owned()),
    ];
    let cgroups = paths.into_iter().map(|(id, path)| (id, Arc::new(cgroup_path::workload(&path)))).collect();
    Table { cgroups, ..Table::default() }
}

fn attribute(machine: Table, origin: Origin) -> Attributed {
    attribute_from(machine, origin, "10.0.0.7:4000")
}

fn attribute_from(machine: Table, origin: Origin, source: &str) -> Attributed {
    let message = RawMessage {
        time: Timestamp(0),
        transport: Transport::Udp,
        direction: Direction::Egress,
        source: source.parse().unwrap(),
        destination: "10.0.0.53:53".parse().unwrap(),
        origin,
        frame: 0,
        bytes: &[],
    };
    Attributor::new(machine).attribute(&message, &OnePod)
}

fn found(attributed: &Attributed) -> (String, Attribution) {
    (
        attributed.workload.key().replace(&"a".repeat(64), "A").replace(&"b".repeat(64), "B"),
        attributed.attribution,
    )
}

fn name(text: &str) -> [u8; 16] {
    let mut name = [0; 16];
    name[..text.len()].copy_from_slice(text.as_bytes());
    name
}

#[test]
fn the_sockets_cgroup_names_the_workload() {
    let origin = Origin { cgroup_id: POD, ..Origin::default() };
    assert_eq!(found(&attribute(table(), origin)), ("container/A".into(), Attribution::Cgroup));
}

#[test]
fn the_task_that_sent_wins_over_the_one_that_made_the_socket() {
    let origin = Origin { cgroup_id: POD, owner_cgroup_id: OTHER_POD, ..Origin::default() };
    assert_eq!(found(&attribute(table(), origin)), ("container/B".into(), Attribution::Process));
}

#[test]
fn another_cgroup_of_the_same_container_is_no_other_workload() {
    let origin = Origin { cgroup_id: POD, owner_cgroup_id: INSIDE_POD, ..Origin::default() };
    assert_eq!(found(&attribute(table(), origin)), ("container/A".into(), Attribution::Cgroup));
}

#[test]
fn an_owner_whose_cgroup_is_unknown_leaves_the_sockets() {
    let origin = Origin { cgroup_id: POD, owner_cgroup_id: UNKNOWN, ..Origin::default() };
    assert_eq!(found(&attribute(table(), origin)), ("container/A".into(), Attribution::Cgroup));
}

#[test]
fn an_owner_at_the_root_is_the_host_when_its_pid_says_no_more() {
    let origin = Origin { cgroup_id: POD, owner_cgroup_id: ROOT, pid: 7, ..Origin::default() };
    assert_eq!(found(&attribute(table(), origin)), ("host".into(), Attribution::Process));
}

#[test]
fn a_pid_leads_to_the_cgroup_v1_path_where_the_packet_carries_the_root() {
    let mut machine = table();
    machine.processes.insert(7, container('b'));
    let origin = Origin { cgroup_id: ROOT, owner_cgroup_id: ROOT, pid: 7, ..Origin::default() };
    assert_eq!(found(&attribute(machine, origin)), ("container/B".into(), Attribution::Process));
}

#[test]
fn a_pid_leads_to_its_path_where_no_cgroup_is_known() {
    let mut machine = table();
    machine.processes.insert(7, container('b'));
    let origin = Origin { cgroup_id: UNKNOWN, pid: 7, ..Origin::default() };
    assert_eq!(found(&attribute(machine, origin)), ("container/B".into(), Attribution::Process));
}

#[test]
fn the_host_is_the_host() {
    let origin = Origin { cgroup_id: ROOT, pid: 7, ..Origin::default() };
    assert_eq!(found(&attribute(table(), origin)), ("host".into(), Attribution::Cgroup));
}

#[test]
fn a_pods_address_is_no_hosts_where_the_root_is_all_that_is_known() {
    let root = |pid| Origin { cgroup_id: ROOT, owner_cgroup_id: ROOT, pid, ..Origin::default() };
    for pid in [0, 7] {
        let gone = attribute_from(table(), root(pid), "10.1.2.3:4000");
        assert_eq!(found(&gone), ("address/10.1.2.3".into(), Attribution::Address));
    }
    let mut machine = table();
    machine.processes.insert(7, container('b'));
    let there = attribute_from(machine, root(7), "10.1.2.3:4000");
    assert_eq!(found(&there), ("container/B".into(), Attribution::Process));
    let mut machine = table();
    machine.processes.insert(7, "/".to_owned());
    let shell = attribute_from(machine, root(7), "10.1.2.3:4000");
    assert_eq!(found(&shell), ("host".into(), Attribution::Cgroup), "the host's, in a pod's network");
}

#[test]
fn without_a_cgroup_the_own_address_is_said() {
    let origin = Origin::default();
    assert_eq!(found(&attribute(table(), origin)), ("address/10.0.0.7".into(), Attribution::Address));
    let mapped = attribute_from(table(), origin, "[::ffff:10.0.0.7]:4000");
    assert_eq!(found(&mapped), ("address/10.0.0.7".into(), Attribution::Address));
}

#[test]
fn a_loopback_address_says_nothing() {
    assert_eq!(
        found(&attribute_from(table(), Origin::default(), "[::1]:4000")),
        ("unknown".into(), Attribution::None)
    );
}

#[test]
fn the_leaders_thread_names_the_process() {
    let origin = Origin { pid: 7, tid: 7, thread_name: name("curl"), ..Origin::default() };
    let process = attribute(table(), origin).process;
    assert_eq!((process.name.as_deref(), process.thread_name.as_deref()), (Some("curl"), Some("curl")));
}

#[test]
fn another_thread_does_not_name_the_process() {
    let mut machine = table();
    machine.names.insert(7, "java");
    let origin = Origin { pid: 7, tid: 8, thread_name: name("http-nio-exec-1"), ..Origin::default() };
    let process = attribute(machine, origin).process;
    assert_eq!(
        (process.name.as_deref(), process.thread_name.as_deref()),
        (Some("java"), Some("http-nio-exec-1"))
    );
    assert_eq!(attribute(table(), origin).process.name, None);
}

#[test]
fn where_the_kernel_names_no_thread_the_process_table_does() {
    let mut machine = table();
    machine.names.insert(7, "java");
    machine.threads.insert((7, 8), "http-nio-exec-1");
    let process = attribute(machine, Origin { pid: 7, tid: 8, ..Origin::default() }).process;
    assert_eq!(
        (process.name.as_deref(), process.thread_name.as_deref()),
        (Some("java"), Some("http-nio-exec-1"))
    );
}

#[test]
fn the_name_of_the_moment_of_sending_is_not_read_anew() {
    let mut machine = table();
    machine.threads.insert((7, 8), "renamed");
    let origin = Origin { pid: 7, tid: 8, thread_name: name("sender"), ..Origin::default() };
    assert_eq!(attribute(machine, origin).process.thread_name.as_deref(), Some("sender"));
}

#[test]
fn every_message_is_counted_by_how_it_was_found() {
    let mut attributor = Attributor::new(table());
    let message = |origin, source: &str| RawMessage {
        time: Timestamp(0),
        transport: Transport::Udp,
        direction: Direction::Ingress,
        source: "10.0.0.53:53".parse().unwrap(),
        destination: source.parse().unwrap(),
        origin,
        frame: 0,
        bytes: &[],
    };
    attributor.attribute(&message(Origin { cgroup_id: POD, ..Origin::default() }, "10.0.0.7:1"), &OnePod);
    attributor
        .attribute(&message(Origin { owner_cgroup_id: POD, ..Origin::default() }, "10.0.0.7:1"), &OnePod);
    attributor.attribute(&message(Origin::default(), "10.0.0.7:1"), &OnePod);
    attributor.attribute(&message(Origin::default(), "127.0.0.1:1"), &OnePod);
    let expected =
        AttributeCounts { seen: 4, process: 1, cgroup: 1, address: 1, none: 1, named_processes: 0 };
    assert_eq!(attributor.counts(), expected);
}
