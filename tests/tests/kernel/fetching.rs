//! Feeds from a web server: an agent captures without waiting for one, and takes the feed in when it comes.

use anyhow::Result;
use namewarden_tests::{
    agent::{Agent, AgentBuilder},
    expect::Alert,
    feed_server::{Answer, FeedServer},
    node::Node,
    server::{Server, Zone},
    wait,
};

use crate::scene::{DNS, Scene};

/// An agent with a file that lists `evil.example` and a feed from the server, fetched directly.
fn agent(server: &FeedServer) -> AgentBuilder {
    let feed = format!("web={}", server.url("/list"));
    AgentBuilder::new("agent").feed("bad", "evil.example\n").arguments(&[
        "--feed",
        &feed,
        "--feed-proxy",
        "none",
    ])
}

fn scene(builder: &AgentBuilder) -> Result<Scene> {
    let node = Node::start()?;
    let server = Server::start(node.dns(), Zone::new())?;
    let agent = builder.spawn(&node)?;
    Ok(Scene { agent, server, node })
}

/// Waits until the agent's page says `words`.
fn wait_for_page(agent: &Agent, words: &str) -> Result<String> {
    wait::until(words, || Ok(agent.get("/readyz").ok().filter(|page| page.contains(words))))
}

#[test]
fn an_agent_captures_while_its_feed_is_still_being_fetched_and_ends_when_told() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::silence()]);
    let scene = scene(&agent(&server))?;
    let page = wait_for_page(&scene.agent, "missing: feed web")?;
    assert!(page.starts_with("HTTP/1.1 503") && page.contains("fetched for the first time"), "{page}");
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &format!("ask evil.example A {DNS}")])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_feed_is_taken_in_when_it_comes() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::dripping("late.example\n")]);
    let mut scene = scene(&agent(&server))?;
    scene.agent.wait_until_ready()?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &format!("ask late.example A {DNS}")])?;
    let alert = Alert::on("late.example").by(&pod, &client).listed_by(&["web"], "both");
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_feed_that_cannot_be_fetched_is_said_and_does_not_keep_the_agent_from_being_ready() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::status(500)]);
    let mut scene = scene(&agent(&server))?;
    scene.agent.wait_until_ready()?;
    let page = scene.agent.get("/readyz")?;
    assert!(page.contains("ready\n") && page.contains("missing: feed web") && page.contains("500"), "{page}");
    scene.expect(&[]).map(drop)
}

#[test]
fn an_agent_without_a_network_goes_on_with_its_last_good_copy() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::text("late.example\n"), Answer::silence()]);
    let builder = agent(&server);
    let mut first = scene(&builder)?;
    first.agent.wait_until_ready()?;
    let Scene { agent, server: dns, node } = first;
    agent.stop()?;
    let agent = builder.start(&node)?;
    let scene = Scene { agent, server: dns, node };
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &format!("ask late.example A {DNS}")])?;
    scene.agent.wait_for("an alert by the copy", |document| {
        document.pointer("/threat/indicator/name").is_some_and(|name| name == "late.example")
    })?;
    drop((pod, client));
    scene.agent.stop().map(drop)
}
