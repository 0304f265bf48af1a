//! TLS and proxies.

use anyhow::Result;
use namewarden_protocol::obtain::{
    client::{Proxy, Settings},
    failure::FetchError,
};
use namewarden_tests::feed_server::{Answer, Authority, FeedServer, ForwardProxy};

use crate::fetching::{Fetch, settings};

/// An https server for `feeds.example`, which only the settings lead to, and its authority in a file.
fn secure() -> Result<(FeedServer, Settings, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new()?;
    let path = folder.path().join("ca.pem");
    authority.write(&path)?;
    let server = FeedServer::start_tls(&authority, &["feeds.example"])?;
    server.answer("/list", [Answer::text("evil.example\n")]);
    let hosts = ["feeds.example", "other.example"].map(|name| (name.to_owned(), server.address().ip()));
    let settings = Settings { authorities: Some(path), hosts: hosts.to_vec(), ..settings() };
    Ok((server, settings, folder))
}

#[test]
fn an_authority_that_was_named_is_trusted() -> Result<()> {
    let (server, settings, _folder) = secure()?;
    assert_eq!(Fetch::new(&server.url("/list"))?.with(&settings)??.body, "evil.example\n");
    Ok(())
}

#[test]
fn an_unknown_authority_is_refused_with_what_to_do() -> Result<()> {
    let (server, settings, _folder) = secure()?;
    let url = server.url("/list").replace("https://", "https://user:s3cret@");
    let error = Fetch::new(&url)?.error_with(&Settings { authorities: None, ..settings })?;
    assert!(matches!(error, FetchError::UnknownAuthority { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("feeds.example") && text.contains("--feed-ca"), "{text}");
    assert!(!format!("{text} {error:?}").contains("s3cret"), "{error:?}");
    Ok(())
}

#[test]
fn a_certificate_for_another_host_is_refused() -> Result<()> {
    let (server, settings, _folder) = secure()?;
    let url = server.url("/list").replace("feeds.example", "other.example");
    let error = Fetch::new(&url)?.error_with(&settings)?;
    assert!(matches!(error, FetchError::Certificate { .. }), "{error:?}");
    Ok(())
}

#[test]
fn a_server_that_is_not_there_is_told_without_the_secrets_of_the_url() -> Result<()> {
    let server = FeedServer::start()?;
    let url = server.url("/list?token=s3cret").replace("http://", "http://user:s3cret@");
    let address = server.address();
    drop(server);
    let error = Fetch::new(&url)?.header("X-Key", "s3cret", true)?.error()?;
    assert!(matches!(error, FetchError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    Ok(())
}

#[test]
fn a_proxy_is_asked_for_http_and_https_alike() -> Result<()> {
    let (server, settings, _folder) = secure()?;
    let plain = FeedServer::start()?;
    plain.answer("/list", [Answer::text("evil.example\n")]);
    for (target, server, head) in [
        ("http://feeds.example/list", &plain, "GET http://feeds.example/list HTTP/1.1"),
        ("https://feeds.example/list", &server, "CONNECT feeds.example:443 HTTP/1.1"),
    ] {
        let proxy = ForwardProxy::start(server.address())?;
        let url = proxy.url().replace("http://", "http://user:password@").parse()?;
        let settings = Settings { proxy: Proxy::Url(url), hosts: Vec::new(), ..settings.clone() };
        assert_eq!(Fetch::new(target)?.with(&settings)??.body, "evil.example\n");
        let heads = proxy.heads();
        assert!(heads[0].starts_with(head), "{heads:?}");
        assert!(
            heads[0].to_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnzd29yza=="),
            "{heads:?}"
        );
        assert!(
            !server.last("/list")?.headers.contains_key("proxy-authorization") || target.starts_with("http:")
        );
    }
    Ok(())
}

#[test]
fn a_proxy_that_is_not_there_is_told_by_its_address() -> Result<()> {
    let server = FeedServer::start()?;
    let proxy = ForwardProxy::start(server.address())?;
    let url = proxy.url();
    drop(proxy);
    let settings =
        Settings { proxy: Proxy::Url(url.replace("http://", "http://user:s3cret@").parse()?), ..settings() };
    let error = Fetch::new("http://feeds.example/list")?.error_with(&settings)?.to_string();
    assert!(error.contains(&url.replace("http://", "the proxy ")) && !error.contains("s3cret"), "{error}");
    Ok(())
}

#[test]
fn a_proxy_of_another_kind_is_refused_without_its_password() -> Result<()> {
    let settings = Settings { proxy: Proxy::Url("socks5://user:s3cret@127.0.0.1:9".parse()?), ..settings() };
    let error = Fetch::new("http://feeds.example/list")?.with(&settings).unwrap_err().to_string();
    assert!(error.contains("http://HOST:PORT") && !error.contains("s3cret"), "{error}");
    Ok(())
}
