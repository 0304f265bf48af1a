//! Feeds read anew under traffic: without a gap, and without harm where a feed has become bad.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use namewarden_tests::{
    agent::{Agent, AgentBuilder},
    client::Client,
    expect::{Alert, counts, text},
    server::Zone,
    wait,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::scene::{DNS, Scene};

/// Entries that nobody asks for: they make the reading of the feed take its time.
const BALLAST: usize = 200_000;

/// How often the feed is read anew.
const TURNS: u64 = 8;

/// A feed that lists these names.
fn feed(names: &[String]) -> String {
    let mut text = names.join("\n");
    for index in 0..BALLAST {
        let _ = write!(text, "\n{index}.ballast.example");
    }
    text
}

fn ask(name: &str) -> String {
    format!("ask {name} A {DNS}")
}

/// A node whose agent has one feed, and a file that stands for it. The ring has room for what comes while the agent
/// waits for a busy CPU: half full it would bring down the budget of the client that asks without pause.
fn scene() -> Result<(Scene, PathBuf)> {
    let names = ["evil.example".to_owned()];
    let agent = AgentBuilder::new("agent").feed("bad", &feed(&names)).arguments(&["--ring-kib", "65536"]);
    let scene = Scene::with(Zone::new(), &agent)?;
    let file = scene.node.folder().join("agent/bad");
    Ok((scene, file))
}

/// What is wrong with the feed, by `status`.
fn problem(agent: &Agent) -> Result<Option<String>> {
    Ok(text(&agent.status()?, "/feeds/0/problem"))
}

/// Asks for the listed name without pause until told to end, and does so once more then; says how often.
fn ask_until(client: &mut Client, end: &AtomicBool) -> Result<u64> {
    let mut asked = 0;
    client.tell("udp4")?;
    loop {
        let last = end.load(Ordering::Relaxed);
        client.tell(&ask("evil.example"))?;
        asked += 1;
        if last {
            return Ok(asked);
        }
    }
}

/// Does `work` while the client asks without pause; returns how often it asked.
fn while_asking(client: &mut Client, work: impl FnOnce() -> Result<()>) -> Result<u64> {
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        let traffic = scope.spawn(|| ask_until(client, &end));
        let worked = work();
        end.store(true, Ordering::Relaxed);
        let asked = traffic.join().map_err(|_| anyhow!("the traffic panicked"))??;
        worked.map(|()| asked)
    })
}

/// Sightings of the listed name that all documents stand for.
fn sightings(documents: &[Value], entry: &str) -> u64 {
    let of_entry = |document: &&Value| text(document, "/threat/indicator/name").as_deref() == Some(entry);
    counts(&documents.iter().filter(of_entry).cloned().collect::<Vec<_>>()).iter().sum()
}

/// Each reading adds a name, which another pod asks for at once.
#[test]
fn feeds_are_read_anew_under_traffic_without_a_gap() -> Result<()> {
    let (scene, file) = scene()?;
    let (steady, mut asks) = scene.pod()?;
    let (other, mut gains) = scene.pod()?;
    gains.tell("udp4")?;
    let mut names = vec!["evil.example".to_owned()];
    let mut alerts = vec![Alert::on("evil.example").by(&steady, &asks)];
    let asked = while_asking(&mut asks, || {
        for number in 0..TURNS {
            let gained = format!("gained-{number}.example");
            let before = scene.agent.set_number()?;
            // Not yet listed.
            gains.tell(&ask(&gained))?;
            names.push(gained.clone());
            fs::write(&file, feed(&names))?;
            scene.agent.signal(Signal::HUP)?;
            wait::until("the new set in use", || Ok((scene.agent.set_number()? != before).then_some(())))?;
            gains.tell(&ask(&gained))?;
            alerts.push(Alert::on(&gained).by(&other, &gains));
        }
        Ok(())
    })?;
    // Question and answer of each exchange; the other pod asked twice in each turn.
    let messages = 2 * (asked + 2 * TURNS);
    let screened = wait::until("every message screened", || {
        let screened = scene.agent.counter("screen_messages")?;
        Ok((screened >= messages).then_some(screened))
    });
    let screened = screened.with_context(|| format!("of {messages}: {:?}", scene.agent.get("/metrics")))?;
    assert_eq!(screened, messages);
    let ended = scene.expect(&alerts)?;
    assert_eq!(sightings(&ended.documents, "evil.example"), asked);
    assert!((0..TURNS).all(|number| sightings(&ended.documents, &format!("gained-{number}.example")) == 1));
    Ok(())
}

#[test]
fn a_feed_that_has_become_bad_stays_as_it_was_under_traffic_and_is_shown() -> Result<()> {
    let (scene, file) = scene()?;
    let (steady, mut asks) = scene.pod()?;
    let agent = &scene.agent;
    let bad = |what: &str| {
        agent.signal(Signal::HUP)?;
        wait::until(what, || Ok(problem(agent)?.filter(|problem| problem.contains(what))))
    };
    let asked = while_asking(&mut asks, || {
        assert_eq!(problem(agent)?, None);
        fs::write(&file, "<!DOCTYPE html>\n<html><body>evil.example</body></html>\n")?;
        bad("HTML")?;
        fs::remove_file(&file)?;
        bad("No such file")?;
        let entries = agent.status()?.pointer("/threat_set/entries").and_then(Value::as_u64);
        assert_eq!(entries, Some(BALLAST as u64 + 1));
        fs::write(&file, feed(&["evil.example".to_owned(), "worse.example".to_owned()]))?;
        agent.signal(Signal::HUP)?;
        wait::until("the feed is good again", || Ok(problem(agent)?.is_none().then_some(())))
    })?;
    let alert = Alert::on("evil.example").by(&steady, &asks);
    let ended = scene.expect(&[alert])?;
    assert_eq!(sightings(&ended.documents, "evil.example"), asked);
    Ok(())
}

/// Hangups that come while feeds are being read are not lost: what was written before the last of them counts.
#[test]
fn the_last_of_many_hangups_counts() -> Result<()> {
    let (scene, file) = scene()?;
    let (pod, mut client) = scene.pod()?;
    for number in 0..5 {
        fs::write(&file, feed(&[format!("turn-{number}.example")]))?;
        scene.agent.signal(Signal::HUP)?;
    }
    let lookup = || {
        client.tell_all(&["udp4", &ask("turn-4.example")])?;
        let found = scene.agent.counter("roll_up_first")?;
        Ok((found > 0).then_some(()))
    };
    wait::until("the last feed in use", lookup).context("turn-4.example is not listed")?;
    let alert = Alert::on("turn-4.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}
