//! Where redirects may lead, and what is carried along.

use anyhow::Result;
use namewarden_protocol::obtain::{
    client::Settings,
    failure::{FetchError, RedirectError},
};
use namewarden_tests::feed_server::{Answer, Authority, FeedServer};

use crate::fetching::{Fetch, settings};

fn refusal(error: &FetchError) -> Option<&RedirectError> {
    match error {
        FetchError::Redirect(refusal) => Some(refusal),
        _ => None,
    }
}

#[test]
fn a_redirect_is_followed_with_everything_on_the_same_server() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/list", [Answer::redirect("/moved?to=1")]);
    server.answer("/moved", [Answer::text("evil.example\n")]);
    let url = server.url("/list").replace("http://", "http://user:password@");
    let fetch = Fetch::new(&url)?.header("X-Key", "s3cret", true)?;
    assert_eq!(fetch.body()?, "evil.example\n");
    let asked = server.last("/moved")?;
    assert_eq!((asked.target.as_str(), asked.header("x-key")), ("/moved?to=1", "s3cret"));
    assert_eq!(asked.header("authorization"), "Basic dXNlcjpwYXNzd29yZA==");
    Ok(())
}

#[test]
fn secrets_are_not_carried_to_another_server() -> Result<()> {
    let (server, other) = (FeedServer::start()?, FeedServer::start()?);
    server.answer("/list", [Answer::redirect(&other.url("/list"))]);
    other.answer("/list", [Answer::redirect("/again")]);
    other.answer("/again", [Answer::text("evil.example\n")]);
    let url = server.url("/list").replace("http://", "http://user:password@");
    let fetch = Fetch::new(&url)?
        .header("Accept", "text/csv", false)?
        .header("APIKey", "s3cret", false)?
        .header("User-Agent", "s3cret", true)?;
    assert_eq!(fetch.body()?, "evil.example\n");
    let first = server.last("/list")?;
    assert_eq!((first.header("apikey"), first.header("user-agent")), ("s3cret", "s3cret"));
    for asked in [other.last("/list")?, other.last("/again")?] {
        assert_eq!(asked.header("accept"), "text/csv");
        assert_eq!((asked.header("apikey"), asked.header("authorization")), ("", ""));
        assert!(!format!("{:?}", asked.headers).contains("s3cret"), "{asked:?}");
    }
    Ok(())
}

#[test]
fn who_left_gets_no_secrets_back_by_a_second_redirect() -> Result<()> {
    let (server, other) = (FeedServer::start()?, FeedServer::start()?);
    server.answer("/list", [Answer::redirect(&other.url("/list"))]);
    other.answer("/list", [Answer::redirect(&server.url("/elsewhere"))]);
    server.answer("/elsewhere", [Answer::text("evil.example\n")]);
    let fetch = Fetch::new(&server.url("/list"))?.header("X-Key", "s3cret", true)?;
    assert_eq!(fetch.body()?, "evil.example\n");
    assert_eq!(server.last("/elsewhere")?.header("x-key"), "");
    Ok(())
}

#[test]
fn a_refusal_for_want_of_what_was_withheld_says_so() -> Result<()> {
    let (server, other) = (FeedServer::start()?, FeedServer::start()?);
    server.answer("/list", [Answer::redirect(&other.url("/list"))]);
    other.answer("/list", [Answer::status(401)]);
    let error = Fetch::new(&server.url("/list"))?.header("X-Key", "s3cret", true)?.error()?.to_string();
    assert!(error.contains("redirects to another host") && !error.contains("s3cret"), "{error}");
    Ok(())
}

#[test]
fn a_circle_is_noticed() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/a", [Answer::redirect("/b")]);
    server.answer("/b", [Answer::redirect("/a#again")]);
    let error = Fetch::new(&server.url("/a"))?.error()?;
    assert_eq!(refusal(&error), Some(&RedirectError::Circle), "{error}");
    assert_eq!(server.seen("/a").len(), 1);
    Ok(())
}

#[test]
fn five_redirects_are_followed_and_six_are_not() -> Result<()> {
    let server = FeedServer::start()?;
    for step in 0..6 {
        server.answer(&format!("/{step}"), [Answer::redirect(&format!("/{}", step + 1))]);
    }
    server.answer("/6", [Answer::text("evil.example\n")]);
    assert_eq!(Fetch::new(&server.url("/1"))?.body()?, "evil.example\n");
    let error = Fetch::new(&server.url("/0"))?.error()?;
    assert_eq!(refusal(&error), Some(&RedirectError::TooMany(5)), "{error}");
    Ok(())
}

#[test]
fn a_redirect_never_leads_from_https_to_http() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new()?;
    authority.write(&folder.path().join("ca.pem"))?;
    let secure = FeedServer::start_tls(&authority, &["127.0.0.1"])?;
    let plain = FeedServer::start()?;
    secure.answer("/list", [Answer::redirect(&plain.url("/list"))]);
    plain.answer("/list", [Answer::text("evil.example\n")]);
    let settings = Settings { authorities: Some(folder.path().join("ca.pem")), ..settings() };
    let error = Fetch::new(&secure.url("/list"))?.error_with(&settings)?;
    assert_eq!(refusal(&error), Some(&RedirectError::Insecure), "{error}");
    assert!(plain.seen("/list").is_empty());
    Ok(())
}

#[test]
fn a_redirect_leads_to_the_web_only() -> Result<()> {
    let server = FeedServer::start()?;
    server.answer("/file", [Answer::redirect("file:///etc/passwd")]);
    server.answer("/nowhere", [Answer::status(302)]);
    let error = Fetch::new(&server.url("/file"))?.error()?;
    assert_eq!(refusal(&error), Some(&RedirectError::Scheme("file".to_owned())), "{error}");
    let error = Fetch::new(&server.url("/nowhere"))?.error()?;
    assert_eq!(refusal(&error), Some(&RedirectError::Nowhere), "{error}");
    Ok(())
}
