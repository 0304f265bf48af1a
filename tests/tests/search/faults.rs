//! Servers that end, answers that are lost, requests that are cut, streams that roll over meanwhile: every alert is in the
//! stream at the end, and none twice.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use namewarden_agent::pipeline::sink::spool::{Kind as Lane, Limits};
use namewarden_protocol::document::Action;
use namewarden_tests::search_engine::{Kind, SearchEngine};
use namewarden_tests::wait;
use serde_json::json;

use crate::relay::{Mode, Relay};
use crate::rig::{AMPLE, PATIENCE, Rig, double, expect, ids, stream};

fn lost_answers(kind: Kind) -> Result<()> {
    let (engine, folder) = (SearchEngine::shared(kind)?, tempfile::tempdir()?);
    let relay = Relay::to(engine.address())?;
    let rig = Rig::open(&relay.url(), folder.path(), "answers")?;
    rig.write(Action::ListedName, 0..100);
    rig.settled(100)?;
    for round in 1..=6 {
        let lost = relay.lost();
        relay.turn(if round % 3 == 0 { Mode::CutRequests } else { Mode::LoseAnswers });
        rig.write(Action::ListedName, round * 100..round * 100 + 100);
        wait::until("an answer is lost", || Ok((relay.lost() > lost).then_some(())))?;
        if round % 2 == 0 {
            // What the old index holds collides with nothing in the new one.
            engine.roll_over(&stream(Lane::Alerts, "answers"))?;
        }
        relay.turn(Mode::Whole);
        rig.settled(round * 100 + 100)?;
    }
    let counts = rig.settled(700)?;
    ensure!(counts.acknowledged == 700 && counts.recognised > 0, "{counts:?}");
    expect(&engine, "answers", 0..700)
}

#[test]
fn lost_answers_and_rollovers_double_nothing_in_opensearch() -> Result<()> {
    lost_answers(Kind::OpenSearch)
}

#[test]
fn lost_answers_and_rollovers_double_nothing_in_elasticsearch() -> Result<()> {
    lost_answers(Kind::Elasticsearch)
}

fn storms(kind: Kind) -> Result<()> {
    let (engine, folder) = (SearchEngine::shared(kind)?, tempfile::tempdir()?);
    let relay = Relay::to(engine.address())?;
    let rig = Rig::open(&relay.url(), folder.path(), "storms")?;
    rig.write(Action::ListedName, 0..200);
    rig.settled(200)?;
    for round in 1..=3 {
        let refused = relay.lost();
        relay.turn(Mode::TooMany);
        rig.write(Action::ListedName, round * 200..round * 200 + 200);
        wait::until("several refusals", || Ok((relay.lost() >= refused + 3).then_some(())))?;
        relay.turn(Mode::Slow);
        rig.settled(round * 200 + 200)?;
    }
    let counts = rig.settled(800)?;
    // Nobody took what was refused: nothing has to be asked for.
    ensure!((counts.acknowledged, counts.recognised, counts.refused) == (800, 0, 0), "{counts:?}");
    expect(&engine, "storms", 0..800)
}

#[test]
fn storms_of_refusals_and_a_slow_opensearch_cost_nothing() -> Result<()> {
    storms(Kind::OpenSearch)
}

#[test]
fn storms_of_refusals_and_a_slow_elasticsearch_cost_nothing() -> Result<()> {
    storms(Kind::Elasticsearch)
}

/// As many alerts as come in ten minutes at a hundred a second, or in one at a thousand.
const OUTAGE: u64 = 60_000;

#[test]
fn a_server_that_is_away_for_long_gets_every_alert_once() -> Result<()> {
    let (engine, folder) = (SearchEngine::start(Kind::OpenSearch)?, tempfile::tempdir()?);
    engine.set_up(&[])?;
    let relay = Relay::to(engine.address())?;
    relay.turn(Mode::Away);
    let limits = Limits { bytes: 256 << 20, ..AMPLE };
    let rig = Rig::limited(&relay.url(), folder.path(), "outage", limits)?;
    rig.write(Action::ListedName, 0..OUTAGE);
    wait::within(PATIENCE, "all came in", || {
        Ok((rig.lane(Lane::Alerts)?.counts.appended == OUTAGE).then_some(()))
    })?;
    relay.turn(Mode::Whole);
    let counts = rig.settled(OUTAGE)?;
    ensure!(counts.acknowledged == OUTAGE, "{counts:?}");
    expect(&engine, "outage", 0..OUTAGE)
}

#[test]
fn a_spool_that_somebody_damaged_costs_what_was_damaged_and_says_how_much() -> Result<()> {
    let (engine, folder) = (SearchEngine::shared(Kind::OpenSearch)?, tempfile::tempdir()?);
    let relay = Relay::to(engine.address())?;
    relay.turn(Mode::Away);
    let rig = Rig::open(&relay.url(), folder.path(), "damaged")?;
    rig.write(Action::ListedName, 0..300);
    wait::until("all came in", || Ok((rig.lane(Lane::Alerts)?.counts.appended == 300).then_some(())))?;
    rig.sink.close(Duration::ZERO);
    drop(rig);
    let damaged = damage(folder.path())?;
    relay.turn(Mode::Whole);
    // A thread of the other one may have the spool a moment longer.
    let rig =
        wait::until("the spool is free", || Ok(Rig::open(&relay.url(), folder.path(), "damaged").ok()))?;
    let counts = rig.settled(300)?;
    ensure!(counts.damaged > 0 && counts.damaged <= damaged, "{counts:?}");
    let found = ids(&engine, &stream(Lane::Alerts, "damaged"))?;
    ensure!(found.len() as u64 + counts.damaged == 300 && double(&found).is_empty(), "{counts:?}");
    Ok(())
}

/// Overwrites a few bytes at several places of each segment; how many places.
fn damage(folder: &Path) -> Result<u64> {
    let mut places = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "spool") {
            let mut bytes = fs::read(&path)?;
            for part in bytes.chunks_mut(20_000).filter(|part| part.len() > 10_000) {
                part.iter_mut().skip(5_000).take(8).for_each(|byte| *byte = 0xff);
                places += 1;
            }
            fs::write(&path, bytes)?;
        }
    }
    ensure!(places > 2, "{places} places were damaged");
    Ok(places)
}

#[test]
fn a_server_that_ends_in_the_middle_has_everything_once_it_is_back() -> Result<()> {
    let (engine, folder) = (SearchEngine::start(Kind::OpenSearch)?, tempfile::tempdir()?);
    engine.set_up(&[])?;
    let rig = Rig::open(&engine.url(), folder.path(), "restart")?;
    rig.write(Action::ListedName, 0..1000);
    wait::until("some alerts are there", || {
        Ok((rig.lane(Lane::Alerts)?.counts.acknowledged > 0).then_some(()))
    })?;
    rig.write(Action::ListedName, 1000..4000);
    engine.kill();
    rig.write(Action::ListedName, 4000..6000);
    wait::until("trouble is said", || Ok(rig.lane(Lane::Alerts)?.contact.problem))?;
    engine.resume()?;
    let counts = rig.settled(6000)?;
    ensure!(counts.acknowledged == 6000, "{counts:?}");
    expect(&engine, "restart", 0..6000)
}

fn waits_for_its_template(kind: Kind) -> Result<()> {
    let (engine, folder) = (SearchEngine::shared(kind)?, tempfile::tempdir()?);
    let streams = ["later-alerts", "later-logs"].map(str::to_owned);
    let rig = Rig::into(&engine.url(), folder.path(), "later", AMPLE, streams)?;
    rig.write(Action::ListedName, 0..10);
    wait::until("trouble is said", || Ok(rig.lane(Lane::Alerts)?.contact.problem))?;
    let made = engine.ask("GET", "/_resolve/index/later-*", "")?;
    ensure!(made.pointer("/indices") == Some(&json!([])), "an index was made: {made}");
    let template = json!({"index_patterns": ["later-*"], "priority": 300, "data_stream": {}});
    engine.ask("PUT", "/_index_template/later", &template.to_string())?;
    rig.settled(10)?;
    ensure!(ids(&engine, "later-alerts")?.len() == 10);
    Ok(())
}

#[test]
fn opensearch_makes_no_index_where_the_template_is_missing() -> Result<()> {
    waits_for_its_template(Kind::OpenSearch)
}

#[test]
fn elasticsearch_makes_no_index_where_the_template_is_missing() -> Result<()> {
    waits_for_its_template(Kind::Elasticsearch)
}
