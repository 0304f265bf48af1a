//! Faults of servers through a controller: the last good copy stays, and the reason stands in the resource's status.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use namewarden_tests::{
    controller::{Controller, ControllerBuilder},
    feed_server::{Answer, Authority, FeedServer},
    wait,
};

/// A list that is good.
const GOOD: &str = "a.example\nb.example\nc.example\nd.example\n";

/// User `pusher`, password `U*U`: as `htpasswd -B` writes it, after a test vector of `crypt_blowfish`.
const HTPASSWD: &str = "pusher:$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n";

/// A controller, and servers of lists: one plain, one that the controller trusts, one whose authority nobody knows.
struct Scene {
    builder: ControllerBuilder,
    plain: FeedServer,
    secure: FeedServer,
    strange: FeedServer,
    folder: tempfile::TempDir,
}

/// A fault: its feed, where its list is, what is said of it.
struct Fault {
    feed: &'static str,
    url: String,
    kind: &'static str,
    words: &'static str,
}

impl Scene {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (known, unknown) = (Authority::new()?, Authority::new()?);
        let trusted = folder.path().join("feeds.crt");
        known.write(&trusted)?;
        let arguments = ["--feed-proxy", "none", "--feed-ca", &trusted.to_string_lossy()];
        Ok(Self {
            builder: ControllerBuilder::embedded(&folder.path().join("controller"))?.arguments(&arguments),
            plain: FeedServer::start()?,
            secure: FeedServer::start_tls(&known, &["127.0.0.1"])?,
            strange: FeedServer::start_tls(&unknown, &["127.0.0.1"])?,
            folder,
        })
    }

    fn apply(&self, feed: &str, url: &str, mark: &str) -> Result<()> {
        self.builder.write(
            &format!("{feed}.yaml"),
            &format!(
                "apiVersion: projectcalico.org/v3\nkind: GlobalThreatFeed\nmetadata:\n  name: {feed}\n  annotations:\n    \
                 namewarden.dev/pull: \"{mark}\"\nspec:\n  content: DomainNameSet\n  pull:\n    http:\n      url: {url}\n"
            ),
        )
    }

    /// Waits for a status that has all of these in it.
    fn wait_for(&self, controller: &Controller, feed: &str, parts: &[&str]) -> Result<String> {
        wait::until(&format!("{parts:?} said of {feed}"), || {
            let status = self.builder.status(feed);
            Ok(parts.iter().all(|part| status.contains(part)).then_some(status))
        })
        .with_context(|| format!("{}\n{}", self.builder.status(feed), controller.log()))
    }

    /// Every fault, each after the answers that precede it.
    fn serve(&self, before: &[Answer]) -> Result<Vec<Fault>> {
        let mut faults = Vec::new();
        for (feed, answer, kind, words) in of_servers()? {
            let path = format!("/{feed}");
            self.plain.answer(&path, before.iter().cloned().chain([answer]));
            faults.push(Fault { feed, url: self.plain.url(&path), kind, words });
        }
        let downgrade = Answer::redirect(&self.plain.url("/downgrade"));
        self.plain.answer("/downgrade", [Answer::text("evil.example\n")]);
        self.secure.answer("/downgrade", before.iter().cloned().chain([downgrade]));
        let (url, words) = (self.secure.url("/downgrade"), "redirects from https to http");
        faults.push(Fault { feed: "downgrade", url, kind: "PullFailed", words });
        Ok(faults)
    }
}

/// What can go wrong on the plain server, by its feed: the answer, the kind of trouble, words of the reason.
fn of_servers() -> Result<Vec<(&'static str, Answer, &'static str, &'static str)>> {
    let page = "<!DOCTYPE html><html><body>Sign in</body></html>";
    let retry = Answer::status(429).header("retry-after", "7200");
    Ok(vec![
        ("limited", retry, "PullFailed", "the server answered 429"),
        ("broken", Answer::status(503), "PullFailed", "the server answered 503"),
        ("circle", Answer::redirect("/circle"), "PullFailed", "redirects in a circle"),
        ("bomb", Answer::bomb(256 << 20)?, "PullFailed", "which no list does"),
        ("endless", Answer::endless("evil.example\n"), "PullFailed", "larger than the limit"),
        ("cut", Answer::cut("evil.example\n"), "PullFailed", "the transfer broke off"),
        ("page", Answer::text(page), "Refused", "it is a web page"),
        ("rejected", Answer::text(&"no name at all\n".repeat(50)), "Refused", "rejected"),
        ("packed", Answer::text("x").header("content-encoding", "br"), "PullFailed", "packed as `br`"),
    ])
}

/// Words of a status, which YAML breaks into lines.
fn joined(status: &str) -> String {
    status.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_fault_leaves_the_last_good_copy_and_its_reason_in_the_status() -> Result<()> {
    let scene = Scene::new()?;
    let faults = scene.serve(&[Answer::text(GOOD)])?;
    let controller = scene.builder.clone().arguments(&["--feed-mib-max", "64"]).start()?;
    for fault in &faults {
        scene.apply(fault.feed, &fault.url, "1")?;
    }
    for fault in &faults {
        scene.wait_for(&controller, fault.feed, &["entries: 4", "reason: Ready"])?;
        scene.apply(fault.feed, &fault.url, "2")?;
    }
    for Fault { feed, kind, words, .. } in faults {
        let status =
            scene.wait_for(&controller, feed, &[&format!("type: {kind}"), "reason: Stale", "entries: 4"])?;
        assert!(joined(&status).contains(words), "{feed}: {words} is not in {status}");
    }
    assert_eq!(scene.plain.seen("/downgrade").len(), 0);
    controller.stop().map(drop)
}

#[test]
fn a_fault_of_the_first_pull_contributes_nothing_and_says_why() -> Result<()> {
    let scene = Scene::new()?;
    let mut faults = scene.serve(&[])?;
    scene.strange.answer("/strange", [Answer::text(GOOD)]);
    let (url, words) = (scene.strange.url("/strange"), "signed by an authority that is not known here");
    faults.push(Fault { feed: "strange", url, kind: "PullFailed", words });
    let (url, words) = ("http://169.254.169.254/latest".to_owned(), "where clouds keep their metadata");
    faults.push(Fault { feed: "metadata", url, kind: "PullFailed", words });
    let controller = scene.builder.clone().arguments(&["--feed-mib-max", "64"]).start()?;
    for fault in &faults {
        scene.apply(fault.feed, &fault.url, "1")?;
    }
    for Fault { feed, kind, words, .. } in faults {
        let status = scene.wait_for(&controller, feed, &[&format!("type: {kind}"), "entries: 0"])?;
        assert!(joined(&status).contains(words), "{feed}: {words} is not in {status}");
        assert!(status.contains(&format!("reason: {kind}")), "{feed}: {status}");
    }
    controller.stop().map(drop)
}

#[test]
fn a_server_that_asks_to_be_left_alone_is() -> Result<()> {
    let scene = Scene::new()?;
    scene.plain.answer("/limited", [Answer::status(429).header("retry-after", "7200")]);
    let controller = scene.builder.start()?;
    scene.apply("limited", &scene.plain.url("/limited"), "1")?;
    let status = scene.wait_for(&controller, "limited", &["type: PullFailed", "nextSync"])?;
    let next =
        status.lines().find_map(|line| line.trim().strip_prefix("nextSync:")).context("no next pull")?;
    let next: Timestamp = next.trim().trim_matches(['"', '\'']).parse()?;
    let wait = next.duration_since(Timestamp::now());
    assert!(wait > SignedDuration::from_mins(115), "{status}");
    assert_eq!(scene.plain.seen("/limited").len(), 1);
    controller.stop().map(drop)
}

#[test]
fn a_list_that_shrank_is_believed_the_second_time() -> Result<()> {
    let scene = Scene::new()?;
    scene.plain.answer("/list", [Answer::text(GOOD), Answer::text("a.example\n")]);
    let controller = scene.builder.start()?;
    let url = scene.plain.url("/list");
    scene.apply("list", &url, "1")?;
    scene.wait_for(&controller, "list", &["reason: Ready", "entries: 4"])?;
    scene.apply("list", &url, "2")?;
    scene.wait_for(&controller, "list", &["type: Shrunk", "reason: Stale", "entries: 4"])?;
    scene.apply("list", &url, "3")?;
    scene.wait_for(&controller, "list", &["reason: Ready", "entries: 1"])?;
    controller.stop().map(drop)
}

#[test]
fn a_user_of_the_htpasswd_file_pushes_and_does_nothing_else() -> Result<()> {
    let scene = Scene::new()?;
    let file = |name: &str, text: &str| -> Result<PathBuf> {
        let path = scene.folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    };
    let users = file("users", HTPASSWD)?;
    let token = file("token", "a-token-of-the-test")?;
    let arguments = ["--htpasswd-file", &*users.to_string_lossy(), "--token-file", &*token.to_string_lossy()];
    let controller = scene.builder.clone().arguments(&arguments).start()?;
    scene.builder.write(
        "pushed.yaml",
        "apiVersion: projectcalico.org/v3\nkind: GlobalThreatFeed\nmetadata:\n  name: pushed\nspec:\n  content: DomainNameSet\n",
    )?;
    let path = "/tigera_secure_ee_threatfeeds_domainnameset.cluster./_doc/pushed";
    let document = r#"{"domains": ["evil.example"]}"#;
    let push = |user: &str| {
        let json = "content-type: application/json";
        controller.curl(path, &["--user", user, "--request", "PUT", "--header", json, "--data", document])
    };
    let answer = push("pusher:U*U")?;
    assert!(answer.contains("\"result\":\"created\""), "{answer}");
    assert!(controller.curl(path, &["--user", "pusher:U*U"])?.contains("evil.example"));
    scene.wait_for(&controller, "pushed", &["reason: Ready", "entries: 1"])?;
    let refused = |answer: Result<String>, status: &str| {
        let said = answer.map_err(|error| format!("{error:#}")).expect_err("it was let in");
        assert!(said.contains(status), "{said}");
    };
    refused(push("pusher:wrong"), "401");
    for path in ["/v1/feeds", "/v1/threat-set", "/v1/agents"] {
        refused(controller.curl(path, &["--user", "pusher:U*U"]), "403");
    }
    controller.stop().map(drop)
}
