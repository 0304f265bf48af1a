//! Names and feeds: exceptions, scopes, case, internationalised names, several feeds.

use anyhow::Result;
use namewarden_tests::{agent::AgentBuilder, expect::Alert, server::Zone};

use crate::scene::{DNS, Scene};

fn ask(name: &str) -> String {
    format!("ask {name} A {DNS}")
}

#[test]
fn a_name_that_the_feed_excepts_does_not_alert() -> Result<()> {
    let feed = "! a list\n||evil.example^\n@@||good.evil.example^\n";
    let agent = AgentBuilder::new("agent").feed("bad", feed).arguments(&["--feed-format", "bad=adblock"]);
    let scene = Scene::with(Zone::new(), &agent)?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&[
        "udp4",
        &ask("good.evil.example"),
        &ask("very.good.evil.example"),
        &ask("bad.evil.example"),
    ])?;
    let alert = Alert::on("evil.example").asked("bad.evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn the_case_of_a_question_does_not_matter() -> Result<()> {
    let scene = Scene::new()?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &ask("eViL.ExAmPlE")])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn internationalised_names_match_however_the_feed_writes_them() -> Result<()> {
    let agent = AgentBuilder::new("agent").feed("bad", "bücher.example\nxn--mnchen-3ya.example\n");
    let scene = Scene::with(Zone::new(), &agent)?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &ask("xn--bcher-kva.example"), &ask("xn--mnchen-3ya.example")])?;
    let alerts =
        ["xn--bcher-kva.example", "xn--mnchen-3ya.example"].map(|name| Alert::on(name).by(&pod, &client));
    scene.expect(&alerts).map(drop)
}

#[test]
fn a_hosts_file_lists_exact_names() -> Result<()> {
    let feed = "# hosts\n0.0.0.0 evil.example\n0.0.0.0 worse.example\n";
    let agent = AgentBuilder::new("agent").feed("bad", feed).arguments(&["--feed-format", "bad=hosts"]);
    let scene = Scene::with(Zone::new(), &agent)?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &ask("evil.example"), &ask("www.worse.example")])?;
    let alert = Alert::on("evil.example").listed_by(&["bad"], "exact").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn an_entry_for_subdomains_leaves_out_the_name_itself() -> Result<()> {
    let agent = AgentBuilder::new("agent").feed("bad", "*.evil.example\n");
    let scene = Scene::with(Zone::new(), &agent)?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &ask("evil.example"), &ask("www.evil.example")])?;
    let alert = Alert::on("evil.example")
        .asked("www.evil.example")
        .listed_by(&["bad"], "subdomains")
        .by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn all_feeds_that_list_the_entry_are_named_in_one_alert() -> Result<()> {
    let agent = AgentBuilder::new("agent").feed("bad", "evil.example\n").feed("other", "evil.example\n");
    let scene = Scene::with(Zone::new(), &agent)?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &ask("evil.example")])?;
    let alert = Alert::on("evil.example").listed_by(&["bad", "other"], "both").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn the_longest_of_two_entries_alerts() -> Result<()> {
    let agent = AgentBuilder::new("agent").feed("bad", "evil.example\ndeep.evil.example\n");
    let scene = Scene::with(Zone::new(), &agent)?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &ask("www.deep.evil.example")])?;
    let alert = Alert::on("deep.evil.example").asked("www.deep.evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}
