//! Versions: what did not change is not sent again.

use anyhow::Result;
use namewarden_protocol::obtain::{copy::Origin, fetch::Fetched};
use namewarden_tests::feed_server::{Answer, FeedServer};

use crate::fetching::{Fetch, settings};

const CHANGED: &str = "Sun, 22 Nov 2026 10:00:00 GMT";

#[test]
fn a_list_comes_with_its_version_and_not_again_while_it_stays() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::text("evil.example\n").etag("v1").header("last-modified", CHANGED)]);
    let fetch = Fetch::new(&server.url("/list"))?;
    let came = fetch.with(&settings())??;
    let (etag, last_modified) = (Some("\"v1\"".to_owned()), Some(CHANGED.to_owned()));
    assert_eq!(came.body, "evil.example\n");
    assert_eq!(came.fetched, Fetched::Body { etag: etag.clone(), last_modified: last_modified.clone() });
    let known = Origin { etag, last_modified, ..Origin::default() };
    let came = fetch.known(known).with(&settings())??;
    assert_eq!((came.fetched, came.body.as_str()), (Fetched::NotModified, ""));
    let asked = server.last("/list")?;
    assert_eq!(asked.header("if-none-match"), "\"v1\"");
    assert_eq!(asked.header("if-modified-since"), CHANGED);
    Ok(())
}

#[test]
fn another_version_comes_whole() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::text("worse.example\n").etag("v2")]);
    let known = Origin { etag: Some("\"v1\"".to_owned()), ..Origin::default() };
    assert_eq!(Fetch::new(&server.url("/list"))?.known(known).body()?, "worse.example\n");
    Ok(())
}

#[test]
fn not_modified_to_who_has_nothing_is_an_error() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::status(304)]);
    let error = Fetch::new(&server.url("/list"))?.error()?;
    assert!(error.to_string().contains("304"), "{error}");
    Ok(())
}

#[test]
fn a_version_damaged_on_disk_is_not_sent() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::text("evil.example\n").etag("v1")]);
    let known = Origin { etag: Some("\"v1\"\r\nx: y".to_owned()), ..Origin::default() };
    assert_eq!(Fetch::new(&server.url("/list"))?.known(known).body()?, "evil.example\n");
    assert_eq!(server.last("/list")?.header("if-none-match"), "");
    Ok(())
}
