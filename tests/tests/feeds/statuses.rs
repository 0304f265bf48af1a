//! Statuses other than success: typed, with what the server asks for and what the operator can do.

use std::time::Duration;

use anyhow::Result;
use namewarden_protocol::obtain::failure::FetchError;
use namewarden_tests::feed_server::{Answer, FeedServer};

use crate::fetching::Fetch;

fn status_of(answer: Answer) -> Result<(FetchError, String)> {
    let server = FeedServer::start()?;
    server.answer("/list", [answer]);
    let error = Fetch::new(&server.url("/list"))?.error()?;
    let text = error.to_string();
    Ok((error, text))
}

#[test]
fn a_server_that_is_asked_too_often_says_how_long_it_wants_to_be_left_alone() -> Result<()> {
    for code in [429, 503] {
        let (error, text) = status_of(Answer::status(code).header("retry-after", "7200"))?;
        assert_eq!(error.retry_after(), Some(Duration::from_hours(2)), "{text}");
        assert!(text.contains(&code.to_string()), "{text}");
    }
    Ok(())
}

#[test]
fn a_date_to_retry_after_is_understood_and_no_wait_is_longer_than_a_day() -> Result<()> {
    let (error, _) = status_of(Answer::status(503).header("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"))?;
    assert_eq!(error.retry_after(), Some(Duration::from_hours(24)));
    let (error, _) = status_of(Answer::status(429).header("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"))?;
    assert_eq!(error.retry_after(), Some(Duration::ZERO));
    Ok(())
}

#[test]
fn each_status_is_told_with_what_can_be_done() -> Result<()> {
    for (code, remedy) in [
        (401, "correct the user, password or headers"),
        (404, "correct the URL"),
        (429, "a longer period"),
        (500, "tried again by itself"),
        (502, "tried again by itself"),
        (204, "correct the URL"),
    ] {
        let (error, text) = status_of(Answer::status(code))?;
        assert!(matches!(error, FetchError::Status { retry_after: None, .. }), "{error:?}");
        assert!(text.contains(&code.to_string()) && text.contains(remedy), "{text}");
    }
    Ok(())
}
