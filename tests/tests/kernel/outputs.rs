//! Where documents go and how they look: files, names, DNS logs, lines for people.

use std::{
    fs::{self, File},
    io::pipe,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result};
use namewarden_tests::{
    agent::{AgentBuilder, program},
    expect::{Alert, expect_alerts, text},
    message::Reply,
    node::Node,
    server::{Server, Zone},
    wait,
};
use serde_json::Value;

use crate::scene::{DNS, Scene};

fn agent(arguments: &[&str]) -> AgentBuilder {
    AgentBuilder::new("agent").feed("bad", "evil.example\n").arguments(arguments)
}

fn ask(name: &str) -> String {
    format!("ask {name} A {DNS}")
}

/// Documents of a file.
fn read(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

#[test]
fn documents_go_to_files_and_bear_the_names_that_the_operator_gave() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let (alert_file, log_file) = (node.folder().join("alerts.json"), node.folder().join("dns.json"));
    let logs = format!("file:{}", log_file.display());
    let names = ["--cluster-name", "blue", "--node-name", "node-7", "--dns-logs", &logs];
    let agent = agent(&names).alerts(&format!("file:{}", alert_file.display())).start(&node)?;
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    client.tell_all(&["udp4", &ask("evil.example"), &ask("good.example")])?;
    assert_eq!(agent.stop()?.documents, [] as [Value; 0], "nothing on standard output");
    let written = read(&alert_file)?;
    expect_alerts(&written, &[Alert::on("evil.example").by(&pod, &client)])?;
    let logs = read(&log_file)?;
    let asked: Vec<_> = logs.iter().filter_map(|log| text(log, "/dns/question/name")).collect();
    assert_eq!(asked, ["evil.example", "good.example"]);
    for document in written.iter().chain(&logs) {
        assert_eq!(text(document, "/orchestrator/cluster/name").as_deref(), Some("blue"));
        assert_eq!(text(document, "/host/name").as_deref(), Some("node-7"));
    }
    Ok(())
}

/// DNS logs of five exchanges, three of them equal: what each document stands for.
fn dns_logs(arguments: &[&str]) -> Result<Vec<(String, u64)>> {
    let mut all = vec!["--dns-logs", "stdout"];
    all.extend(arguments);
    let scene = Scene::with(Zone::new(), &agent(&all))?;
    let (_pod, mut client) = scene.pod()?;
    client.tell("udp4")?;
    for name in ["a.example", "a.example", "b.example", "a.example", "c.example"] {
        client.tell(&ask(name))?;
    }
    let ended = scene.expect(&[])?;
    let said = |log: &Value| {
        let name = text(log, "/dns/question/name").or_else(|| text(log, "/event/action"));
        Some((name?, log.pointer("/namewarden/count")?.as_u64()?))
    };
    ended.documents.iter().map(|log| said(log).with_context(|| format!("{log:#}"))).collect()
}

fn logs(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// Full after a mebibyte of DNS logs of two to three kilobytes each.
#[test]
fn a_full_file_is_moved_away_and_each_document_is_in_one_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("dns.json");
    let file = format!("file:{}", path.display());
    let scene = Scene::with(Zone::new(), &agent(&["--dns-logs", &file, "--rotate-mib", "1"]))?;
    let (_pod, mut client) = scene.pod()?;
    client.tell("udp4")?;
    for number in 0..1_000 {
        client.tell(&ask(&format!("n{number}.example")))?;
    }
    wait::until("a thousand DNS logs", || {
        Ok((scene.agent.counter("dns_log_documents_written")? == 1_000).then_some(()))
    })?;
    let rotations = scene.agent.counter("document_files_rotations")?;
    scene.expect(&[])?;
    let mut all = read(&path)?;
    for number in 1..=rotations {
        let moved = format!("{}.{number}", path.display());
        assert!(fs::metadata(&moved)?.len() <= 1 << 20, "{moved}");
        all.extend(read(Path::new(&moved))?);
    }
    let mut names: Vec<_> = all.iter().filter_map(|log| text(log, "/dns/question/name")).collect();
    names.sort_unstable();
    names.dedup();
    assert!(rotations > 0);
    assert_eq!((all.len(), names.len()), (1_000, 1_000));
    Ok(())
}

#[test]
fn every_exchange_has_a_dns_log_of_its_own() -> Result<()> {
    let each = ["a.example", "a.example", "b.example", "a.example", "c.example"].map(|name| (name, 1));
    assert_eq!(dns_logs(&[])?, logs(&each));
    Ok(())
}

#[test]
fn equal_exchanges_are_counted_in_one_dns_log() -> Result<()> {
    let counted = [("a.example", 3), ("b.example", 1), ("c.example", 1)];
    assert_eq!(dns_logs(&["--dns-log-aggregation", "0", "--dns-log-interval", "3600"])?, logs(&counted));
    Ok(())
}

/// One workload alone may use half of the limit.
#[test]
fn dns_logs_beyond_the_limit_are_counted_in_one_document() -> Result<()> {
    let limited = [("a.example", 1), ("a.example", 1), ("unlogged", 3)];
    assert_eq!(dns_logs(&["--dns-log-limit", "4", "--dns-log-interval", "3600"])?, logs(&limited));
    Ok(())
}

#[test]
fn a_search_lists_noise_is_folded_into_the_log_of_what_was_meant() -> Result<()> {
    let endings = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"];
    let noise = endings.map(|ending| format!("a.example.{ending}"));
    let nothing = Reply { response_code: 3, ..Reply::default() };
    let zone = || noise.iter().fold(Zone::new(), |zone, name| zone.reply(name, nothing.clone()));
    for aggregation in ["every", "0", "1"] {
        let arguments = ["--dns-logs", "stdout", "--dns-log-aggregation", aggregation];
        let fold = ["--dns-log-fold-search", "cluster.local"];
        let scene = Scene::with(zone(), &agent(&arguments).arguments(&fold))?;
        let (_pod, mut client) = scene.pod()?;
        client.tell("udp4")?;
        for name in noise.iter().map(String::as_str).chain(["a.example", "b.example.cluster.local"]) {
            client.tell(&ask(name))?;
        }
        let ended = scene.expect(&[])?;
        let said = |log: &Value| {
            let folded = log.pointer("/namewarden/folded").and_then(Value::as_u64);
            (text(log, "/dns/question/name").unwrap_or_default(), folded)
        };
        let logs: Vec<_> = ended.documents.iter().map(said).collect();
        let expected = [("a.example".to_owned(), Some(3)), ("b.example.cluster.local".to_owned(), None)];
        assert_eq!(logs, expected, "{aggregation}");
    }
    Ok(())
}

#[test]
fn excluded_and_sampled_exchanges_are_counted_and_alerts_do_not_depend_on_it() -> Result<()> {
    for aggregation in ["every", "0", "1"] {
        let arguments = ["--dns-logs", "stdout", "--dns-log-aggregation", aggregation];
        let choice = ["--dns-log-exclude", "example", "--dns-log-sample", "1000000", "--dns-log-limit", "1"];
        let scene = Scene::with(Zone::new(), &agent(&arguments).arguments(&choice))?;
        let (pod, mut client) = scene.pod()?;
        client.tell_all(&["udp4", &ask("evil.example"), &ask("a.example"), &ask("b.test")])?;
        let said = |name| scene.agent.counter(name);
        wait::until("three exchanges", || Ok((said("dns_log_joined")? == 3).then_some(())))?;
        assert_eq!((said("dns_log_excluded")?, said("dns_log_sampled_out")?), (2, 1), "{aggregation}");
        let ended = scene.expect(&[Alert::on("evil.example").by(&pod, &client)])?;
        assert!(ended.log.contains("exchanges 3 = 0 logged"), "{}", ended.log);
    }
    Ok(())
}

#[test]
fn counted_dns_logs_are_written_when_their_interval_ends() -> Result<()> {
    let arguments = ["--dns-logs", "stdout", "--dns-log-aggregation", "0", "--dns-log-interval", "1"];
    let scene = Scene::with(Zone::new(), &agent(&arguments))?;
    let (_pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &ask("a.example")])?;
    scene.agent.wait_for("a log while the agent runs", |document| {
        text(document, "/dns/question/name").as_deref() == Some("a.example")
    })?;
    scene.expect(&[]).map(drop)
}

#[test]
fn alerts_are_lines_for_people_where_the_operator_says_so() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let agent = agent(&[]).readable(110).start(&node)?;
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    client.tell_all(&["udp4", &ask("evil.example")])?;
    let (lines, _, _) = agent.end()?;
    let short = pod.container.get(..12).context("no id")?;
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["\x1b[", short, "dns-client", "evil.example", "bad"] {
        assert!(lines.iter().all(|line| line.contains(part)), "{part:?} in {lines:?}");
    }
    Ok(())
}

/// As behind `| head`: there is nothing left to do for it.
#[test]
fn an_agent_whose_alerts_nobody_reads_any_more_ends() -> Result<()> {
    let scene = Scene::new()?;
    let (feed, log) = (scene.node.folder().join("second"), scene.node.folder().join("second.log"));
    fs::write(&feed, "evil.example\n")?;
    let (_, writer) = pipe()?;
    let mut second = Command::new(program()?)
        .args(["run", "--feed", &feed.display().to_string(), "--cgroup-root"])
        .arg(scene.node.cgroup())
        .arg("--status-socket")
        .arg(scene.node.folder().join("second.sock"))
        .stdout(writer)
        .stderr(File::create(&log)?)
        .spawn()?;
    let ended = wait::until("the second agent captures", || {
        Ok(fs::read_to_string(&log)?.contains("ready: capturing").then_some(()))
    })
    .and_then(|()| {
        let (pod, mut client) = scene.pod()?;
        client.tell_all(&["udp4", &ask("evil.example")])?;
        let status = wait::until("the second agent ends", || Ok(second.try_wait()?))?;
        let said = fs::read_to_string(&log)?;
        scene.expect(&[Alert::on("evil.example").by(&pod, &client)])?;
        Ok((status, said))
    });
    // Fails where it has ended, as it should.
    let _ = second.kill();
    second.wait()?;
    let (status, said) = ended?;
    assert!(status.success() && said.contains("whoever read the alerts has gone"), "{said}");
    Ok(())
}
