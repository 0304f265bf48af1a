//! The options of `run`, each by what it changes.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Command,
};

use anyhow::{Context as _, Result};
use namewarden_tests::{
    agent::{self, AgentBuilder},
    expect::{Alert, alerts, expect_alerts, text},
    https::Https,
    node::Node,
    program,
    server::{Server, Zone},
    wait,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::scene::{DNS, Scene};

fn agent(arguments: &[&str]) -> AgentBuilder {
    AgentBuilder::new("agent").feed("bad", "evil.example\n").arguments(arguments)
}

fn ask(name: &str) -> String {
    format!("ask {name} A {DNS}")
}

/// Runs another subcommand of the agent.
fn run(arguments: &[&str]) -> Result<String> {
    program::finish(Command::new(agent::program()?).args(arguments))
}

/// What the kernel half logged.
fn of_kernel_half(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("packet left by")).collect()
}

/// Sends an IPv4 packet that ends inside its UDP header.
const SHORT: &str = "import socket,sys
s=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_RAW)
ends=b''.join(socket.inet_aton(a) for a in sys.argv[1:])
s.sendto(bytes([0x45,0,0,23,0,0,0,0,64,17,0,0])+ends+b'abc',(sys.argv[2],0))";

/// An ordinary exchange, then a packet that goes wrong in the kernel half; what that half logged of each.
fn kernel_log(arguments: &[&str]) -> Result<(usize, usize)> {
    let scene = Scene::with(Zone::new(), &agent(arguments))?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &ask("good.example"), &format!("tcp {DNS}"), "ask good.example A", "close"])?;
    let before = of_kernel_half(&scene.agent.log()).len();
    pod.run("/usr/bin/python3", &["-c", SHORT, &pod.v4.to_string(), "10.99.0.53"])?;
    wait::until("the packet is counted", || {
        Ok((scene.agent.counter("kernel_short_header")? == 1).then_some(()))
    })?;
    let log = scene.expect(&[])?.log;
    Ok((before, of_kernel_half(&log).len()))
}

#[test]
fn with_its_log_switched_on_the_kernel_half_says_what_goes_wrong_and_nothing_else() -> Result<()> {
    assert_eq!(kernel_log(&["--kernel-log"])?, (0, 1));
    Ok(())
}

#[test]
fn with_its_log_switched_off_the_kernel_half_says_nothing() -> Result<()> {
    assert_eq!(kernel_log(&[])?, (0, 0));
    Ok(())
}

#[test]
fn an_allow_list_wins_over_every_feed() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let list = node.folder().join("allowed");
    fs::write(&list, "good.evil.example\n")?;
    let agent = agent(&["--allow", &list.to_string_lossy()]).start(&node)?;
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    client.tell_all(&["udp4", &ask("good.evil.example"), &ask("bad.evil.example")])?;
    let alert = Alert::on("evil.example").asked("bad.evil.example").by(&pod, &client);
    expect_alerts(&agent.stop()?.documents, &[alert])
}

#[test]
fn the_operator_says_which_names_a_plain_list_speaks_of() -> Result<()> {
    let agent = AgentBuilder::new("agent")
        .feed("bad", "evil.example\n")
        .feed("wide", "wide.example\n")
        .arguments(&["--feed-matching", "bad=exact", "--feed-matching", "subdomains"]);
    let scene = Scene::with(Zone::new(), &agent)?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&[
        "udp4",
        &ask("evil.example"),
        &ask("www.evil.example"),
        &ask("wide.example"),
        &ask("www.wide.example"),
    ])?;
    let alerts = [
        Alert::on("evil.example").listed_by(&["bad"], "exact").by(&pod, &client),
        Alert::on("wide.example")
            .asked("www.wide.example")
            .listed_by(&["wide"], "subdomains")
            .by(&pod, &client),
    ];
    scene.expect(&alerts).map(drop)
}

/// A list that only an authority of the operator's vouches for: first without, then with it.
#[test]
fn an_authority_of_the_operators_vouches_for_feeds_fetched_by_https() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let folder = node.folder().join("https");
    fs::create_dir(&folder)?;
    fs::write(folder.join("list.txt"), "worse.example\n")?;
    let https = Https::start(&folder)?;
    let feed = ["--feed".to_owned(), format!("far={}", https.url("list.txt"))];
    let feed = feed.each_ref().map(String::as_str);
    let stranger = agent(&feed).start(&node)?;
    let problem = text(&stranger.status()?, "/feeds/1/problem").context("no problem")?;
    assert!(problem.contains("certificate"), "{problem}");
    stranger.stop()?;
    let authority = https.authority().to_string_lossy().into_owned();
    let friend = agent(&feed).arguments(&["--feed-ca", &authority]).start(&node)?;
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    client.tell_all(&["udp4", &ask("worse.example")])?;
    let alert = Alert::on("worse.example").listed_by(&["far"], "both").by(&pod, &client);
    expect_alerts(&friend.stop()?.documents, &[alert])
}

/// Body of `GET path` over TCP, with the status line before it.
fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(wait::PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The address of the pages, as the agent logs it.
fn pages(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("pages at http://")?;
    rest.split('/').next()?.parse().ok()
}

#[test]
fn pages_and_status_are_served_on_address_and_socket() -> Result<()> {
    let scene = Scene::with(Zone::new(), &agent(&["--listen", "127.0.0.1:0", "--cluster-name", "blue"]))?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &ask("evil.example")])?;
    let address = pages(&scene.agent.log()).context("no address in the log")?;
    for path in ["/healthz", "/readyz"] {
        assert!(get(address, path)?.starts_with("HTTP/1.1 200"), "{path}");
    }
    wait::until("the alert counted", || {
        let metrics = get(address, "/metrics")?;
        Ok(metrics.contains("\nnamewarden_roll_up_first_total 1\n").then_some(()))
    })?;
    let (address, socket) = (address.to_string(), scene.agent.socket().to_string_lossy().into_owned());
    for place in [["status", "--address", &address], ["status", "--status-socket", &socket]] {
        let said = run(&place)?;
        assert!(said.contains("(cluster blue)") && said.contains("Nothing was lost"), "{said}");
        let json: Value = serde_json::from_str(&run(&[&place[..], &["--json"]].concat())?)?;
        assert_eq!(json.pointer("/threat_set/entries"), Some(&1.into()));
    }
    scene.expect(&[Alert::on("evil.example").by(&pod, &client)]).map(drop)
}

#[test]
fn what_the_agent_sees_is_told_to_its_own_machine_only() -> Result<()> {
    let scene = Scene::with(Zone::new(), &agent(&["--listen", "0.0.0.0:0"]))?;
    let address = wait::until("the address", || Ok(pages(&scene.agent.log())))?;
    assert!(get(address, "/metrics")?.starts_with("HTTP/1.1 200"));
    assert!(get(address, "/status")?.starts_with("HTTP/1.1 404"));
    assert!(scene.agent.get("/status")?.starts_with("HTTP/1.1 200"));
    scene.expect(&[]).map(drop)
}

/// dig asks in a thread that is not its process's first: only the process table knows the process's name.
#[test]
fn process_names_are_read_in_the_process_table_that_the_operator_names() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let table = node.folder().join("proc");
    fs::create_dir_all(table.join("self"))?;
    let agent = agent(&["--proc-root", &table.to_string_lossy()]).start(&node)?;
    let pod = node.pod().start()?;
    pod.run("dig", &["@10.99.0.53", "+tcp", "evil.example"])?;
    let found = alerts(&agent.stop()?.documents)?;
    let facts: Vec<_> = found
        .iter()
        .map(|alert| (alert.pid.is_some(), alert.process.as_deref(), alert.pod.as_deref()))
        .collect();
    assert_eq!(facts, [(true, None, Some(&*pod.uid))]);
    Ok(())
}

#[test]
fn the_log_is_as_loud_as_the_operator_says() -> Result<()> {
    let loud = Scene::with(Zone::new(), &agent(&[]))?.expect(&[])?.log;
    let quiet = Scene::with(Zone::new(), &agent(&["--log", "warn"]))?.expect(&[])?.log;
    assert!(loud.contains("ready: capturing") && !quiet.contains("ready: capturing"), "{loud}\n---\n{quiet}");
    Ok(())
}

#[test]
fn log_lines_are_json_where_the_operator_says_so() -> Result<()> {
    let log = Scene::with(Zone::new(), &agent(&["--log-format", "json"]))?.expect(&[])?.log;
    let (events, totals) = log.split_once("Totals of").context("no totals")?;
    let events: Vec<Value> = events.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let said = |event: &Value| text(event, "/message").as_deref() == Some("ready: capturing");
    assert!(events.iter().any(said), "{events:#?}\n{totals}");
    Ok(())
}

/// Every option is a variable of the environment, too; what is on the command line wins.
#[test]
fn options_are_taken_from_the_environment() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let list = node.folder().join("more of it");
    fs::write(&list, "worse.example\n")?;
    let describe = AgentBuilder::new("agent")
        .arguments(&["--node-name", "typed"])
        .variable("NAMEWARDEN_FEEDS", &format!("more={}\n{}", list.display(), list.display()))
        .variable("NAMEWARDEN_FEED_MATCHING", "exact")
        .variable("NAMEWARDEN_DNS_PORTS", "53 5300")
        .variable("NAMEWARDEN_CLUSTER_NAME", "green")
        .variable("NAMEWARDEN_NODE_NAME", "unused")
        .variable("NAMEWARDEN_KERNEL_LOG", "true");
    let agent = describe.start(&node)?;
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    client.tell_all(&["udp4", "send worse.example A 10.99.0.77:5300", &ask("www.worse.example")])?;
    let ended = agent.stop()?;
    let alert = Alert::on("worse.example").listed_by(&["more", "more-of-it"], "exact").by(&pod, &client);
    expect_alerts(&ended.documents, &[alert])?;
    let names = |path| ended.documents.iter().filter_map(move |document| text(document, path));
    assert!(names("/orchestrator/cluster/name").all(|name| name == "green"));
    assert!(names("/host/name").all(|name| name == "typed"));
    Ok(())
}

/// A state folder keeps the numbers of sets, and a feed that has become bad while no agent ran.
#[test]
fn a_restarted_agent_goes_on_with_the_last_good_copy_of_a_feed_that_has_become_bad() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let list = node.folder().join("list");
    fs::write(&list, "worse.example\n")?;
    let feed = format!("other={}", list.display());
    let describe = agent(&["--feed", &feed]);
    let first = describe.start(&node)?;
    let number = first.set_number()?;
    first.stop()?;
    fs::write(&list, "<!DOCTYPE html>\n<html><body>not found</body></html>\n")?;
    let second = describe.start(&node)?;
    assert!(second.set_number()? > number);
    let status = second.status()?;
    assert!(status.pointer("/feeds/1/problem").is_some_and(Value::is_string), "{status:#}");
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    client.tell_all(&["udp4", &ask("worse.example")])?;
    let alert = Alert::on("worse.example").listed_by(&["other"], "both").by(&pod, &client);
    expect_alerts(&second.stop()?.documents, &[alert])
}

#[test]
fn ctrl_c_ends_the_agent_as_sigterm_does() -> Result<()> {
    let scene = Scene::new()?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &ask("evil.example")])?;
    scene.agent.signal(Signal::INT)?;
    let ended = scene.agent.stop()?;
    expect_alerts(&ended.documents, &[Alert::on("evil.example").by(&pod, &client)])?;
    assert!(ended.log.contains("Totals of"), "{}", ended.log);
    Ok(())
}
