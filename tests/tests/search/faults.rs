//! Servers that end, answers that are lost, requests that are cut, streams that roll over meanwhile: every alert is in the
//! stream at the end, and none twice.

use anyhow::{Result, ensure};
use namewarden_agent::pipeline::sink::spool::Kind as Lane;
use namewarden_protocol::document::Action;
use namewarden_tests::search_engine::{Kind, SearchEngine};
use namewarden_tests::wait;
use serde_json::json;

use crate::relay::{Mode, Relay};
use crate::rig::{AMPLE, Rig, expect, ids, stream};

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
