//! Bodies: slow, cut, packed, without end. No error leaves more on disk than the limit.

use std::{io, time::Duration};

use anyhow::Result;
use namewarden_protocol::obtain::{
    client::Settings, failure::FetchError, fetch::Fetcher, receive::Pace, request::Request,
};
use namewarden_tests::feed_server::{Answer, FeedServer};

use crate::fetching::{Fetch, settings};

fn served(answer: Answer) -> Result<(FeedServer, Fetch)> {
    let server = FeedServer::start()?;
    server.answer("/list", [answer]);
    let fetch = Fetch::new(&server.url("/list"))?;
    Ok((server, fetch))
}

fn list(names: u32) -> String {
    (0..names).map(|number| format!("a{number:x}.evil.example\n")).collect::<Vec<_>>().concat()
}

/// No patience: what is not there at once is late.
fn impatient() -> Settings {
    let pace = Pace { stretch: Duration::from_millis(200), stretch_bytes: 1_000, ..Pace::default() };
    Settings { pace, ..settings() }
}

#[test]
fn a_packed_body_is_asked_for_and_unpacked() -> Result<()> {
    let (server, fetch) = served(Answer::gzip("evil.example\nworse.example\n")?)?;
    assert_eq!(fetch.body()?, "evil.example\nworse.example\n");
    assert_eq!(server.last("/list")?.header("accept-encoding"), "gzip");
    Ok(())
}

#[test]
fn a_packed_body_may_be_larger_than_it_was_sent_by_as_much_as_lists_are() -> Result<()> {
    let list = list(1_000_000);
    let (_server, fetch) = served(Answer::gzip(&list)?)?;
    assert_eq!(fetch.body()?.len(), list.len());
    Ok(())
}

#[test]
fn a_bomb_is_noticed_long_before_the_limit() -> Result<()> {
    struct Counting(u64);
    impl io::Write for Counting {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (server, _) = served(Answer::bomb(256 << 20)?)?;
    let url = server.url("/list").parse()?;
    let request = Request { url: &url, headers: &[], known: None, bytes_max: 1 << 30 };
    let mut draft = Counting(0);
    let error = Fetcher::new(&settings())?.fetch(&request, &mut draft).unwrap_err();
    assert!(matches!(error, FetchError::Bomb { .. }), "{error}");
    assert!(draft.0 <= 64 << 20, "{} bytes were written", draft.0);
    Ok(())
}

#[test]
fn a_body_larger_than_the_limit_is_not_taken_packed_or_not() -> Result<()> {
    let list = "evil.example\n".repeat(1_000);
    for answer in [Answer::text(&list), Answer::gzip(&list)?, Answer::endless("evil.example\n")] {
        let (_server, fetch) = served(answer)?;
        let error = fetch.bytes_max(1_000).error()?;
        assert!(matches!(error, FetchError::TooLarge { bytes_max: 1_000 }), "{error}");
    }
    Ok(())
}

#[test]
fn a_body_as_large_as_the_limit_is_taken() -> Result<()> {
    let list = "evil.example\n".repeat(100);
    let (_server, fetch) = served(Answer::text(&list))?;
    assert_eq!(fetch.bytes_max(list.len() as u64).body()?, list);
    Ok(())
}

#[test]
fn packed_data_that_is_damaged_or_ends_early_is_no_list() -> Result<()> {
    let list = list(1_000);
    let whole = namewarden_tests::feed_server::gzip(io::Cursor::new(&list))?;
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0xff;
    for body in
        [damaged, whole[..whole.len() / 2].to_vec(), whole[..whole.len() - 1].to_vec(), b"text".to_vec()]
    {
        let (_server, fetch) = served(Answer::packed(body))?;
        let error = fetch.error()?;
        assert!(matches!(error, FetchError::Broken(_)), "{error}");
    }
    Ok(())
}

#[test]
fn a_body_packed_in_another_way_is_refused_by_its_name() -> Result<()> {
    let (_server, fetch) = served(Answer::text("x").header("content-encoding", "br"))?;
    let error = fetch.error()?;
    assert!(matches!(&error, FetchError::Packing(word) if word == "br"), "{error}");
    Ok(())
}

#[test]
fn a_body_shorter_than_it_was_said_to_be_is_no_list() -> Result<()> {
    let (_server, fetch) = served(Answer::cut("evil.example\n"))?;
    let error = fetch.error()?;
    assert!(matches!(error, FetchError::Broken(_)), "{error}");
    Ok(())
}

#[test]
fn a_body_that_stops_or_drips_is_given_up() -> Result<()> {
    for answer in [Answer::stalled("evil.example\n"), Answer::dripping(&"evil.example\n".repeat(100))] {
        let (_server, fetch) = served(answer)?;
        let error = fetch.error_with(&impatient())?;
        assert!(matches!(error, FetchError::TooSlow { .. }), "{error}");
    }
    Ok(())
}

#[test]
fn a_body_that_is_quick_and_never_ends_is_given_up() -> Result<()> {
    let (_server, fetch) = served(Answer::dripping(&"evil.example\n".repeat(1_000)))?;
    let pace = Pace { stretch_bytes: 0, total: Duration::from_millis(300), ..Pace::default() };
    let error = fetch.error_with(&Settings { pace, ..settings() })?;
    assert!(matches!(error, FetchError::TooLong { .. }), "{error}");
    Ok(())
}

#[test]
fn a_server_that_says_nothing_is_given_up() -> Result<()> {
    let (_server, fetch) = served(Answer::silence())?;
    let pace = Pace { answer: Duration::from_millis(200), ..Pace::default() };
    let error = fetch.error_with(&Settings { pace, ..settings() })?;
    assert!(error.to_string().contains("no answer within 0.2 s"), "{error}");
    Ok(())
}

#[test]
fn a_content_type_says_nothing() -> Result<()> {
    let (_server, fetch) = served(Answer::text("evil.example\n").header("content-type", "application/zip"))?;
    assert_eq!(fetch.body()?, "evil.example\n");
    Ok(())
}
