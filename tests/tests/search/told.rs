//! A controller that keeps no documents tells those of its search engine: `events`, followed and not, and `annotate`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use namewarden_tests::controller::{Controller, ControllerBuilder};
use namewarden_tests::search_engine::{Kind, SearchEngine};
use namewarden_tests::wait;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// An alert, as an agent of the cluster writes it.
pub fn write(engine: &SearchEngine, cluster: &str, id: &str, entry: &str) -> Result<()> {
    let now = jiff::Timestamp::now();
    let document = json!({
        "@timestamp": format!("{now:.9}"),
        "event": {"id": id, "kind": "alert", "action": "listed-name", "severity": 70},
        "namewarden": {"group": format!("group-of-{id}")},
        "orchestrator": {"cluster": {"name": cluster}},
        "threat": {"indicator": {"name": entry}},
        "dns": {"question": {"name": entry}},
        "message": format!("somebody asked for {entry}"),
    });
    let lines = format!("{{\"create\":{{\"_id\":\"{id}\"}}}}\n{document}\n");
    let answer = engine.ask("POST", "/logs-namewarden.alert-told/_bulk", &lines)?;
    ensure!(answer.pointer("/errors") == Some(&json!(false)), "{answer}");
    Ok(())
}

/// Entries of the events that are printed, given these options.
pub fn entries(controller: &Controller, options: &[&str]) -> Result<Vec<String>> {
    let options = [&["--output", "json"], options].concat();
    let printed = controller.events(&options, 80)?;
    let entry = |line: &str| {
        let document: Value = serde_json::from_str(line)?;
        let entry = document.pointer("/threat/indicator/name").and_then(Value::as_str);
        Ok(entry.context("no entry")?.to_owned())
    };
    printed.lines().map(entry).collect()
}

struct Scene {
    engine: Arc<SearchEngine>,
    controller: Controller,
    cluster: String,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn start(kind: Kind) -> Result<Self> {
        let (engine, folder) = (SearchEngine::shared(kind)?, tempfile::tempdir()?);
        let cluster = format!("told-{kind:?}").to_lowercase();
        let options = ["--elasticsearch", &engine.url(), "--cluster-name", &cluster];
        let controller = ControllerBuilder::embedded(folder.path())?.arguments(&options).start()?;
        Ok(Self { engine, controller, cluster, _folder: folder })
    }
}

fn tells(kind: Kind) -> Result<()> {
    let Scene { engine, controller, cluster, _folder } = Scene::start(kind)?;
    write(&engine, &cluster, &format!("{cluster}-1"), "evil.example")?;
    write(&engine, "another", &format!("{cluster}-2"), "elsewhere.example")?;
    // What is asked sees to it that it is found.
    let found = entries(&controller, &[])?;
    ensure!(found == ["evil.example"], "{found:?}");

    let following = controller.follow(200)?;
    let first = following.line(1, PATIENCE).context("the first one is not told")?;
    ensure!(first.contains("evil.example"), "{first}");
    write(&engine, &cluster, &format!("{cluster}-3"), "worse.example")?;
    let second = following.line(2, PATIENCE).context("the second one is not told")?;
    ensure!(second.contains("worse.example"), "{second}");

    let group = format!("group-of-{cluster}-1");
    let said = controller.annotate(&["--state", "dismissed", "--reason", "a test", "--by", "ann", &group])?;
    ensure!(said == format!("{group} dismissed by ann\n"), "{said}");
    let (dismissed, others) =
        (entries(&controller, &["--state", "dismissed"])?, entries(&controller, &["--state", "new"])?);
    ensure!(dismissed == ["evil.example"] && others == ["worse.example"], "{dismissed:?}, {others:?}");
    let unknown =
        controller.annotate(&["--state", "new", "no-such-group"]).err().context("it was found")?.to_string();
    ensure!(unknown.contains("there is no alert of the group no-such-group"), "{unknown}");

    // Agents send documents to the search engine, not here.
    let refused =
        controller.curl("/_bulk", &["--data-binary", "{}"]).unwrap_or_else(|error| format!("{error:#}"));
    ensure!(refused.contains("404") || refused.contains("keeps no documents"), "{refused}");
    wait::until("it is counted", || {
        let page = controller.curl("/metrics", &[])?;
        Ok(page.contains("namewarden_controller_store_documents{stream=\"alerts\"}").then_some(()))
    })
}

#[test]
fn a_controller_tells_follows_and_annotates_what_is_in_opensearch() -> Result<()> {
    tells(Kind::OpenSearch)
}

#[test]
fn a_controller_tells_follows_and_annotates_what_is_in_elasticsearch() -> Result<()> {
    tells(Kind::Elasticsearch)
}

#[test]
fn a_search_engine_that_is_away_is_said_with_a_remedy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let builder = ControllerBuilder::embedded(folder.path())?;
    let controller = builder.arguments(&["--elasticsearch", "http://127.0.0.1:1"]).start()?;
    let said = format!("{:#}", controller.events(&[], 80).err().context("it answers")?);
    for part in ["http://127.0.0.1:1 cannot be reached", "--elasticsearch names it"] {
        ensure!(said.contains(part), "{said}");
    }
    Ok(())
}
