//! A feed's document, written into a search engine as the reference says, is found by the controller.

use anyhow::{Context as _, Result, ensure};
use namewarden_tests::controller::{Controller, ControllerBuilder};
use namewarden_tests::search_engine::{Kind, SearchEngine};
use namewarden_tests::wait;
use serde_json::{Value, json};

pub const FEED: &str = "apiVersion: projectcalico.org/v3
kind: GlobalThreatFeed
metadata:
  name: listed
spec:
  content: DomainNameSet
  mode: Enabled
";

/// A cluster of each test: they share a server.
struct Pushed {
    engine: std::sync::Arc<SearchEngine>,
    controller: Controller,
    alias: String,
    _folder: tempfile::TempDir,
}

impl Pushed {
    fn start(kind: Kind, cluster: &str) -> Result<Self> {
        let (engine, folder) = (SearchEngine::shared(kind)?, tempfile::tempdir()?);
        let builder = ControllerBuilder::embedded(folder.path())?;
        builder.write("listed.yaml", FEED)?;
        let options = ["--elasticsearch", &engine.url(), "--cluster-name", cluster];
        let controller = builder.arguments(&options).start()?;
        controller.wait_for_log("the search engine is set up")?;
        let alias = format!("tigera_secure_ee_threatfeeds_domainnameset.{cluster}.");
        Ok(Self { engine, controller, alias, _folder: folder })
    }

    fn write(&self, index: &str, names: &[&str]) -> Result<()> {
        let body = json!({"domains": names}).to_string();
        let answer = self.engine.ask("PUT", &format!("/{index}/_doc/listed"), &body)?;
        ensure!(answer.pointer("/_id") == Some(&"listed".into()), "{answer}");
        Ok(())
    }

    /// Waits until the feed contributes so many entries.
    fn until(&self, entries: u64) -> Result<()> {
        let mut last = String::new();
        let found = wait::until("the document is found", || {
            last = self.controller.curl("/v1/feeds", &[])?;
            let answer: Value = serde_json::from_str(&last)?;
            let feeds = answer.pointer("/feeds").and_then(Value::as_array).context("no feeds")?;
            let feed = feeds.iter().find(|feed| feed.pointer("/name") == Some(&"listed".into()));
            let count = feed.and_then(|feed| feed.pointer("/status/entries")?.as_u64()).unwrap_or_default();
            Ok((count == entries).then_some(()))
        });
        found.with_context(|| format!("{entries} entries: {last}\n{}", self.controller.log()))
    }
}

fn is_found(kind: Kind) -> Result<()> {
    let pushed = Pushed::start(kind, "found")?;
    let (engine, alias) = (&pushed.engine, &pushed.alias);
    pushed.write(alias, &["evil.example"])?;
    pushed.until(1)?;
    pushed.write(alias, &["evil.example", "worse.example"])?;
    pushed.until(2)?;

    // The date-math name of the reference: an index of its own, newer than the first one.
    let newer =
        "%3Ctigera_secure_ee_threatfeeds_domainnameset.found.linseed-%7Bnow%2Fs%7ByyyyMMdd%7D%7D-000001%3E";
    pushed.write(newer, &["a.example", "b.example", "c.example"])?;
    pushed.until(3)?;
    // What changes in the older one counts no more. The feed after it does, so that it was surely looked at.
    pushed.write(alias, &["evil.example"])?;
    pushed.write(newer, &["a.example", "b.example", "c.example", "d.example"])?;
    pushed.until(4)?;

    // Pushed to the controller itself: the last one who pushes wins.
    let options = ["--request", "PUT", "--json", "{\"domains\":[\"here.example\"]}"];
    pushed.controller.curl(&format!("/{alias}/_doc/listed"), &options)?;
    pushed.until(1)?;
    pushed.write(newer, &["a.example", "b.example"])?;
    pushed.until(2)?;

    engine.ask("DELETE", &format!("/{newer}/_doc/listed"), "")?;
    pushed.until(1)?;
    engine.ask("DELETE", &format!("/{alias}/_doc/listed"), "")?;
    pushed.until(0)
}

#[test]
fn a_document_pushed_to_opensearch_is_found_changed_and_removed() -> Result<()> {
    is_found(Kind::OpenSearch)
}

#[test]
fn a_document_pushed_to_elasticsearch_is_found_changed_and_removed() -> Result<()> {
    is_found(Kind::Elasticsearch)
}

#[test]
fn what_is_no_list_is_said_once_and_changes_nothing() -> Result<()> {
    let pushed = Pushed::start(Kind::OpenSearch, "nonsense")?;
    pushed.write(&pushed.alias, &["evil.example"])?;
    pushed.until(1)?;
    let path = format!("/{}/_doc/listed", pushed.alias);
    pushed.engine.ask("PUT", &path, &json!({"domains": "evil.example"}).to_string())?;
    pushed.controller.wait_for_log("a document of the search engine is no list")?;
    pushed.until(1)?;
    pushed.write(&pushed.alias, &["a.example", "b.example"])?;
    pushed.until(2)?;
    let said = pushed.controller.log().matches("is no list").count();
    ensure!(said == 1, "said {said} times");
    Ok(())
}
