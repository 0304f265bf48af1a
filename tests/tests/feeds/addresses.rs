//! Addresses that no feed may reach: named in the URL, by a name, or by a redirect.

use std::net::IpAddr;

use anyhow::Result;
use namewarden_protocol::obtain::{address::Reach, client::Settings, failure::FetchError};
use namewarden_tests::feed_server::{Answer, FeedServer};

use crate::fetching::{Fetch, settings};

/// The metadata service of most clouds, and other spellings of it.
const METADATA: [&str; 5] = [
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9.0xfea9fe/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
];

fn refused(error: &FetchError) -> Option<IpAddr> {
    match error {
        FetchError::Address(forbidden) => Some(forbidden.address),
        _ => None,
    }
}

#[test]
fn a_metadata_address_in_the_url_is_refused_in_every_spelling() -> Result<()> {
    for url in METADATA {
        let error = Fetch::new(url)?.error()?;
        assert!(refused(&error).is_some(), "{url}: {error}");
    }
    Ok(())
}

#[test]
fn a_metadata_address_that_a_redirect_leads_to_is_refused() -> Result<()> {
    let server = FeedServer::start()?;
    for url in METADATA {
        server.answer("/list", [Answer::redirect(url)]);
        let error = Fetch::new(&server.url("/list"))?.error()?;
        assert!(refused(&error).is_some(), "{url}: {error}");
    }
    Ok(())
}

#[test]
fn a_metadata_address_behind_a_name_is_refused_at_the_moment_of_connecting() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::redirect("http://rebound.example/latest/meta-data/")]);
    for address in ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254"] {
        let hosts = vec![("rebound.example".to_owned(), address.parse()?)];
        let settings = Settings { hosts, ..settings() };
        for url in ["http://rebound.example/latest/meta-data/".to_owned(), server.url("/list")] {
            let error = Fetch::new(&url)?.error_with(&settings)?;
            assert_eq!(refused(&error), Some(address.parse()?), "{error}");
        }
    }
    Ok(())
}

#[test]
fn this_machine_is_refused_unless_it_is_allowed() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::text("evil.example\n")]);
    let by_name = server.url("/list").replace("127.0.0.1", "localhost");
    let far = Settings { reach: Reach::Network, ..settings() };
    for url in [server.url("/list"), by_name] {
        let error = Fetch::new(&url)?.error_with(&far)?;
        assert!(refused(&error).is_some_and(|address| address.is_loopback()), "{error}");
        assert_eq!(Fetch::new(&url)?.body()?, "evil.example\n");
    }
    assert_eq!(server.seen("/list").len(), 2);
    Ok(())
}

#[test]
fn of_the_addresses_of_a_name_those_out_of_reach_are_passed_over() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::text("evil.example\n")]);
    let hosts = ["169.254.169.254".parse()?, server.address().ip()];
    let settings =
        Settings { hosts: hosts.map(|address| ("two.example".to_owned(), address)).to_vec(), ..settings() };
    let url = server.url("/list").replace("127.0.0.1", "two.example");
    assert_eq!(Fetch::new(&url)?.with(&settings)??.body, "evil.example\n");
    Ok(())
}

#[test]
fn a_name_without_an_address_is_told_by_name() -> Result<()> {
    // No name server is asked for a label of 64 letters.
    let host = format!("{}.example", "a".repeat(64));
    let error = Fetch::new(&format!("http://{host}/list"))?.error()?;
    assert!(matches!(&error, FetchError::Name(text) if text.contains(&host)), "{error}");
    Ok(())
}
