//! A feed through the agent's threat source: what is no list, or no longer believed, leaves the last good copy in use.

use anyhow::Result;
use namewarden_agent::threat_source::{Loaded, Options, ThreatSource, spec::FeedSpec};
use namewarden_protocol::feed::Format;
use namewarden_tests::feed_server::{Answer, FeedServer};

use crate::fetching::settings;

const LIST: &str = "evil.example\nworse.example\n";
const PAGE: &str = "<!DOCTYPE html>\n<html><body>Sign in to see evil.example</body></html>\n";

fn source(server: &FeedServer, format: Format) -> Result<ThreatSource> {
    let feeds = FeedSpec::parse_all(&[server.url("/list")], &[format.to_string()], &[])?;
    Ok(ThreatSource::new(feeds, Options { fetching: settings(), ..Options::default() })?)
}

fn problem(loaded: &Loaded) -> &str {
    loaded.feeds.first().and_then(|feed| feed.problem.as_deref()).unwrap_or_default()
}

#[test]
fn a_page_instead_of_a_list_is_refused_in_every_format_the_first_time_too() -> Result<()> {
    for format in Format::ALL {
        let server = FeedServer::start()?;
        server.answer("/list", [Answer::text(PAGE).header("content-type", "text/html")]);
        let loaded = source(&server, format)?.load()?;
        assert!(loaded.set.is_empty() && problem(&loaded).contains("HTML"), "{format}: {}", loaded.feeds[0]);
    }
    Ok(())
}

#[test]
fn a_page_with_the_type_of_a_list_leaves_the_list_in_use() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::text(LIST), Answer::text(PAGE)]);
    let mut source = source(&server, Format::Auto)?;
    source.load()?;
    let loaded = source.reload()?;
    assert!(loaded.set.find("evil.example").is_some());
    assert!(loaded.feeds[0].last_good && problem(&loaded).contains("HTML"), "{}", loaded.feeds[0]);
    Ok(())
}

#[test]
fn a_list_that_is_mostly_rejected_is_refused_the_first_time_too() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::text("evil.example\nnot a name\nneither is this\n")]);
    let loaded = source(&server, Format::Plain)?.load()?;
    assert!(loaded.set.is_empty() && !problem(&loaded).is_empty(), "{}", loaded.feeds[0]);
    Ok(())
}

#[test]
fn a_list_that_shrank_by_more_than_half_has_to_say_so_twice() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::text("a.example\nb.example\nc.example\n"), Answer::text("a.example\n")]);
    let mut source = source(&server, Format::Auto)?;
    source.load()?;
    let doubted = source.reload()?;
    assert!(
        doubted.set.find("c.example").is_some() && problem(&doubted).contains("shrank"),
        "{}",
        doubted.feeds[0]
    );
    let believed = source.reload()?;
    assert!(
        believed.set.find("c.example").is_none() && problem(&believed).is_empty(),
        "{}",
        believed.feeds[0]
    );
    Ok(())
}

#[test]
fn whatever_a_server_does_wrong_leaves_the_list_in_use() -> Result<()> {
    for answer in [
        Answer::status(500),
        Answer::status(429).header("retry-after", "60"),
        Answer::redirect("/list"),
        Answer::cut(LIST),
        Answer::bomb(32 << 20)?,
        Answer::packed(b"no gzip".to_vec()),
        Answer::redirect("http://169.254.169.254/list"),
    ] {
        let server = FeedServer::start()?;
        server.answer("/list", [Answer::text(LIST), answer]);
        let mut source = source(&server, Format::Auto)?;
        source.load()?;
        let loaded = source.reload()?;
        assert!(loaded.set.find("worse.example").is_some(), "{}", loaded.feeds[0]);
        assert!(loaded.feeds[0].last_good && !problem(&loaded).is_empty(), "{}", loaded.feeds[0]);
    }
    Ok(())
}
