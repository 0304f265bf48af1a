//! Who asked: short lives, moves, forks, threads, many at once.

use std::thread;

use anyhow::{Context as _, Result, anyhow};
use namewarden_tests::{
    agent::AgentBuilder,
    cgroup,
    expect::{Alert, alerts, counts, expect_alerts, text},
    message::Record,
    node::Node,
    pod::Driver,
    program,
    server::{Server, Zone},
};

use crate::scene::{DNS, Scene};

fn ask() -> String {
    format!("ask evil.example A {DNS}")
}

#[test]
fn a_pod_of_the_cgroupfs_driver_is_named() -> Result<()> {
    let scene = Scene::new()?;
    let pod = scene.node.pod().driver(Driver::Cgroupfs).start()?;
    let mut client = pod.client()?;
    client.tell_all(&["udp4", &ask()])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_pod_older_than_the_agent_is_named() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    let agent = AgentBuilder::new("agent").feed("bad", "evil.example\n").start(&node)?;
    client.tell_all(&["udp4", &ask()])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    expect_alerts(&agent.stop()?.documents, &[alert])
}

#[test]
fn a_unit_outside_any_pod_is_named() -> Result<()> {
    let scene = Scene::new()?;
    let mut dig = scene.node.unit_command("backup.service", std::path::Path::new("nsenter"))?;
    dig.arg(format!("--net={}", scene.node.host().path().display()));
    dig.args(["dig", "@10.99.0.53", "evil.example"]);
    program::finish(&mut dig)?;
    let ended = scene.agent.stop()?;
    let found = alerts(&ended.documents)?;
    let facts: Vec<_> = found.iter().map(|alert| (alert.process.as_deref(), alert.pod.as_deref())).collect();
    assert_eq!(facts, [(Some("dig"), None)]);
    let units: Vec<_> =
        ended.documents.iter().filter_map(|document| text(document, "/service/name")).collect();
    assert_eq!(units, ["backup.service"]);
    Ok(())
}

/// Gone, with its processes and its cgroup, before the agent can look at any of them.
#[test]
fn a_pod_that_is_gone_at_once_is_named() -> Result<()> {
    let scene = Scene::new()?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &ask()])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    client.finish()?;
    cgroup::remove(&pod.cgroup)?;
    drop(pod);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_query_on_a_socket_of_a_former_pod_names_the_pod_that_sends() -> Result<()> {
    let scene = Scene::new()?;
    let (_former, mut client) = scene.pod()?;
    let latter = scene.node.pod().start()?;
    client.tell("udp4")?;
    cgroup::move_process(client.pid(), &latter.cgroup)?;
    client.tell(&ask())?;
    let alert = Alert::on("evil.example").by(&latter, &client).found_by("process");
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_query_on_a_socket_made_after_the_move_names_the_pod_that_the_process_is_in() -> Result<()> {
    let scene = Scene::new()?;
    let (_former, mut client) = scene.pod()?;
    let latter = scene.node.pod().start()?;
    client.tell_all(&["udp4", "ask benign.example A 10.99.0.53:53"])?;
    cgroup::move_process(client.pid(), &latter.cgroup)?;
    client.tell_all(&["udp4", &ask()])?;
    let alert = Alert::on("evil.example").by(&latter, &client);
    scene.expect(&[alert]).map(drop)
}

/// The kernel says where a socket was made and who connected it, not where its process went since.
#[test]
fn a_query_on_a_connection_of_a_former_pod_names_the_former_pod() -> Result<()> {
    let scene = Scene::new()?;
    let (former, mut client) = scene.pod()?;
    let latter = scene.node.pod().start()?;
    client.tell(&format!("tcp {DNS}"))?;
    cgroup::move_process(client.pid(), &latter.cgroup)?;
    client.tell("ask evil.example A")?;
    let alert = Alert::on("evil.example").by(&former, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_child_over_tcp_on_its_parents_connection_is_taken_for_its_parent() -> Result<()> {
    let scene = Scene::new()?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&[&format!("tcp {DNS}"), "child ask evil.example A"])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_child_that_sends_on_its_parents_socket_is_named() -> Result<()> {
    let scene = Scene::new()?;
    let (pod, mut client) = scene.pod()?;
    client.tell("udp4")?;
    let child = client.tell(&format!("child {}", ask()))?.parse()?;
    let alert = Alert::on("evil.example").from(&pod).process(child, "dns-client");
    scene.expect(&[alert]).map(drop)
}

/// The kernel says who connected, not who writes: the pod is right, the process is the one that connected.
#[test]
fn a_child_on_its_parents_connected_socket_is_taken_for_its_parent() -> Result<()> {
    let scene = Scene::new()?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &format!("connect {DNS}"), "child ask evil.example A"])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_thread_with_a_name_of_its_own_is_named_beside_its_process() -> Result<()> {
    names_the_thread(Scene::new()?)
}

/// The kernel half may not say it on newer kernels then; the process table does.
#[test]
fn a_thread_is_named_to_an_agent_with_two_capabilities_too() -> Result<()> {
    let agent = AgentBuilder::new("agent").feed("bad", "evil.example\n").capabilities("+bpf,+net_admin");
    names_the_thread(Scene::with(Zone::new(), &agent)?)
}

fn names_the_thread(scene: Scene) -> Result<()> {
    let (pod, mut client) = scene.pod()?;
    // It lives on: of one that ends with its answer, the process table may say nothing any more.
    client.tell_all(&["udp4", "in-thread resolver-7", &ask()])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    let ended = scene.expect(&[alert])?;
    let threads: Vec<_> =
        ended.documents.iter().filter_map(|document| text(document, "/process/thread/name")).collect();
    assert_eq!(threads, ["resolver-7"]);
    Ok(())
}

#[test]
fn two_pods_that_ask_the_same_name_at_once_are_two_alerts() -> Result<()> {
    let scene = Scene::new()?;
    let (first, mut one) = scene.pod()?;
    let (second, mut two) = scene.pod()?;
    one.tell("udp4")?;
    two.tell("udp4")?;
    let ask = ask();
    for _ in 0..50 {
        one.begin(&ask)?;
        two.begin(&ask)?;
        one.reply(&ask)?;
        two.reply(&ask)?;
    }
    let alerts = [Alert::on("evil.example").by(&first, &one), Alert::on("evil.example").by(&second, &two)];
    scene.expect(&alerts).map(drop)
}

#[test]
fn repeats_are_counted_in_a_second_document_of_the_group() -> Result<()> {
    let scene = Scene::new()?;
    let (pod, mut client) = scene.pod()?;
    client.tell("udp4")?;
    for _ in 0..10 {
        client.tell(&ask())?;
    }
    let alert = Alert::on("evil.example").by(&pod, &client);
    let ended = scene.expect(&[alert])?;
    let counts = counts(&ended.documents);
    assert_eq!((counts.len(), counts.iter().sum::<u64>()), (2, 10), "{counts:?}");
    Ok(())
}

/// Made as fast as the machine goes (20 a second and more), each gone before the next is made.
#[test]
fn every_one_of_many_short_lived_pods_is_named() -> Result<()> {
    let scene = Scene::new()?;
    let mut expected = Vec::new();
    for _ in 0..40 {
        let (pod, mut client) = scene.pod()?;
        client.tell_all(&["udp4", &ask()])?;
        expected.push(Alert::on("evil.example").by(&pod, &client));
        client.finish()?;
        cgroup::remove(&pod.cgroup)?;
    }
    scene.expect(&expected).map(drop)
}

/// Twenty pods at once, each with a name of its own that only its answer lists, gone when they have it.
#[test]
fn pods_that_start_and_end_at_once_are_all_named() -> Result<()> {
    const PODS: usize = 20;
    let asked = |number: usize| format!("www.good-{number}.example");
    let zone = (0..PODS).fold(Zone::new(), |zone, number| {
        zone.answer(&asked(number), vec![Record::cname(&asked(number), "evil.example")])
    });
    let scene = Scene::answering(zone)?;
    let pods = (0..PODS).map(|_| scene.node.pod().start()).collect::<Result<Vec<_>>>()?;
    let alerts = thread::scope(|scope| {
        let pods = pods.iter().enumerate().map(|(number, pod)| {
            scope.spawn(move || {
                let mut client = pod.client()?;
                client.tell_all(&["udp4", &format!("ask {} A {DNS}", asked(number))])?;
                let alert = Alert::on("evil.example")
                    .answered(&asked(number), "dns.answers.data", "evil.example")
                    .by(pod, &client);
                client.finish()?;
                cgroup::remove(&pod.cgroup)?;
                anyhow::Ok(alert)
            })
        });
        let pods: Vec<_> = pods.collect();
        pods.into_iter()
            .map(|pod| pod.join().map_err(|_| anyhow!("a pod panicked"))?)
            .collect::<Result<Vec<_>>>()
    })?;
    scene.expect(&alerts).map(drop)
}

/// The entry bears the node's name, since the agent sees what else runs on the machine.
#[test]
fn the_root_of_the_cgroup_tree_is_found_without_being_named() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let entry = format!("{}.example", node.name());
    let agent = AgentBuilder::new("agent").feed("bad", &entry).whole_machine().start(&node)?;
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    client.tell_all(&["udp4", &format!("ask {entry} A {DNS}")])?;
    let alert = Alert::on(&entry).by(&pod, &client);
    expect_alerts(&agent.stop()?.documents, &[alert])
}

/// Binds a UDP socket that asks for nothing, says so, and ends with what it receives.
const LISTENER: &str = "import socket,sys
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('0.0.0.0',9999))
print('bound',flush=True); s.recv(512)";

/// Sends from port 53 what looks like an answer on a listed name.
const FORGER: &str = "import socket,sys
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('0.0.0.0',53))
s.sendto(b'\\x12\\x34\\x81\\x80\\0\\1\\0\\0\\0\\0\\0\\0\\4evil\\7example\\0\\0\\1\\0\\1',(sys.argv[1],9999))";

#[test]
fn an_answer_that_a_pod_never_asked_for_is_not_held_against_it() -> Result<()> {
    let scene = Scene::new()?;
    let victim = scene.node.pod().start()?;
    let forger = scene.node.pod().start()?;
    let mut listener = victim.command("python3");
    let mut listener = listener.args(["-c", LISTENER]).stdout(std::process::Stdio::piped()).spawn()?;
    let mut bound = [0; 6];
    std::io::Read::read_exact(&mut listener.stdout.take().context("no pipe")?, &mut bound)?;
    forger.run("python3", &["-c", FORGER, &victim.v4.to_string()])?;
    assert!(listener.wait()?.success());
    namewarden_tests::wait::until("the packet is counted", || {
        Ok((scene.agent.counter("kernel_unasked")? == 1).then_some(()))
    })?;
    scene.expect(&[]).map(drop)
}
