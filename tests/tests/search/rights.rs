//! A server that knows who asks, over TLS: the roles of the reference hold what is needed, and no more.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use namewarden_agent::pipeline::sink::spool::Kind as Lane;
use namewarden_protocol::document::Action;
use namewarden_protocol::search_engine::{Credentials, Secret, Settings};
use namewarden_tests::controller::{self, ControllerBuilder};
use namewarden_tests::feed_server::Authority;
use namewarden_tests::search_engine::{Guard, Kind, SearchEngine, TOKEN_KEY, password};
use namewarden_tests::{program, wait};
use serde_json::{Value, json};

use crate::rig::{AMPLE, Rig, expect, stream};
use crate::store::{Incoming, Outcome, Store as _, Stream};
use crate::{stores, told};

const REFERENCE: &str = include_str!("../../../docs/reference/search-engines.md");
const ALIAS: &str = "tigera_secure_ee_threatfeeds_domainnameset.cluster.";

/// A role as the reference shows it.
fn role(kind: Kind, name: &str) -> Result<&'static str> {
    let path = if kind == Kind::OpenSearch { "_plugins/_security/api/roles" } else { "_security/role" };
    let after = REFERENCE.split(&format!("`PUT /{path}/{name}`")).nth(1).context("no such role")?;
    after.split("```json\n").nth(1).and_then(|rest| rest.split("\n```").next()).context("no JSON")
}

struct Guarded {
    engine: SearchEngine,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Guarded {
    fn start(kind: Kind) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let pair = folder.path().join("pair");
        let authority = Authority::new()?;
        authority.write_pair(&pair, &["127.0.0.1"])?;
        let users = ["namewarden-agent", "namewarden-controller"];
        let roles = users.map(|name| role(kind, name));
        let users: Vec<_> =
            users.into_iter().zip(roles).map(|(name, role)| Ok((name, role?))).collect::<Result<_>>()?;
        let engine = SearchEngine::start_guarded(kind, &Guard { pair: &pair, users: &users })?;
        Ok(Self { engine, authority, folder })
    }

    fn password_file(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, password(name))?;
        Ok(path)
    }

    /// Options by which the controller asks as this user.
    fn options(&self, name: &str) -> Result<Vec<String>> {
        let [authority, password] = [self.engine.authority(), self.password_file(name)?];
        let given = ["--search-ca", &authority.to_string_lossy(), "--search-user", name].map(str::to_owned);
        let password = ["--search-password-file".to_owned(), password.to_string_lossy().into_owned()];
        Ok(given.into_iter().chain(password).collect())
    }

    fn set_up_as(&self, name: &str) -> Result<(String, i32)> {
        let options = self.options(name)?;
        self.engine.set_up(&options.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The status of a request of this user.
    fn status(&self, name: &str, method: &str, path: &str) -> Result<String> {
        let user = format!("{name}:{}", password(name));
        let (authority, url) = (self.engine.authority(), format!("{}{path}", self.engine.url()));
        let authority = authority.to_string_lossy();
        let curl =
            ["--silent", "--noproxy", "*", "--cacert", &authority, "--user", &user, "--request", method];
        program::run(
            "curl",
            &[&curl[..], &["--output", "/dev/null", "--write-out", "%{http_code}", &url]].concat(),
        )
    }
}

#[test]
fn the_roles_of_the_reference_suffice_and_allow_no_more_in_elasticsearch() -> Result<()> {
    suffice_and_allow_no_more(Kind::Elasticsearch)
}

#[test]
fn the_roles_of_the_reference_suffice_and_allow_no_more_in_opensearch() -> Result<()> {
    suffice_and_allow_no_more(Kind::OpenSearch)
}

fn suffice_and_allow_no_more(kind: Kind) -> Result<()> {
    let guarded = Guarded::start(kind)?;
    let (said, status) = guarded.set_up_as("namewarden-agent")?;
    ensure!(status == 2 && said.contains("docs/reference/search-engines.md"), "{status}: {said}");
    let (said, status) = guarded.set_up_as("namewarden-controller")?;
    ensure!(status == 0 || status == 1, "{status}: {said}");

    let settings = Settings {
        credentials: Credentials::Basic {
            user: "namewarden-agent".to_owned(),
            password: Secret::File(guarded.password_file("namewarden-agent")?),
        },
        authorities: Some(guarded.engine.authority()),
        certificate: None,
    };
    let streams = Lane::ALL.map(|lane| stream(lane, "rights"));
    let spool = guarded.folder.path().join("spool");
    let rig = Rig::asking(settings.clone(), &guarded.engine.url(), &spool, "rights", AMPLE, streams.clone())?;
    rig.write(Action::ListedName, 0..500);
    wait::until("the spool has them", || Ok((rig.lane(Lane::Alerts)?.counts.appended == 500).then_some(())))?;
    rig.sink.close(Duration::ZERO);
    drop(rig);
    // What an earlier run left is looked up before it is sent again: the right to read is needed for that.
    let again =
        || Rig::asking(settings.clone(), &guarded.engine.url(), &spool, "rights", AMPLE, streams.clone());
    let rig = wait::until("the spool is free", || Ok(again().ok()))?;
    rig.write(Action::ListedName, 500..600);
    // Who closes while the server refuses something leaves that to the next run: a shard that was just made may be away.
    rig.settled(600)?;
    expect(&guarded.engine, "rights", 0..600)?;

    let stream = stream(Lane::Alerts, "rights");
    for (method, path) in [
        ("DELETE", format!("/_data_stream/{stream}")),
        ("POST", format!("/{stream}/_delete_by_query")),
        ("GET", format!("/{ALIAS}/_search")),
        ("PUT", "/_component_template/namewarden@mappings".to_owned()),
        ("GET", users_of(kind).to_owned()),
    ] {
        let status = guarded.status("namewarden-agent", method, &path)?;
        ensure!(status == "403" || status == "400", "{method} {path}: {status}");
    }
    strangers_are_told(&guarded)?;
    if kind == Kind::OpenSearch {
        knows_a_certificate_and_a_token(&guarded)?;
    }
    finds_pushed_feeds(&guarded)
}

/// An agent that shows no password. The Elasticsearch at hand knows of neither.
fn knows_a_certificate_and_a_token(guarded: &Guarded) -> Result<()> {
    let folder = guarded.folder.path().join("client");
    guarded.authority.write_client(&folder, "namewarden-agent")?;
    let shown = Some((folder.join("tls.crt"), folder.join("tls.key")));
    let token = folder.join("token");
    std::fs::write(&token, signed("namewarden-agent")?)?;
    let ways = [
        ("certificate", Credentials::None, shown),
        ("token", Credentials::Bearer(Secret::File(token)), None),
    ];
    for (namespace, credentials, certificate) in ways {
        let settings = Settings { credentials, authorities: Some(guarded.engine.authority()), certificate };
        let streams = Lane::ALL.map(|lane| stream(lane, namespace));
        let spool = guarded.folder.path().join(namespace);
        let rig = Rig::asking(settings, &guarded.engine.url(), &spool, namespace, AMPLE, streams)?;
        rig.write(Action::ListedName, 0..10);
        rig.settled(10).context(namespace)?;
        expect(&guarded.engine, namespace, 0..10).context(namespace)?;
    }
    Ok(())
}

/// A token for a user (RFC 7519), signed with the key that the server knows.
fn signed(user: &str) -> Result<String> {
    let script = "import base64, hashlib, hmac, json, sys
part = lambda data: base64.urlsafe_b64encode(data).rstrip(b'=')
text = part(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode()) + b'.' + part(json.dumps({'sub': sys.argv[1]}).encode())
print((text + b'.' + part(hmac.new(sys.argv[2].encode(), text, hashlib.sha256).digest())).decode(), end='')";
    program::run("python3", &["-c", script, user, TOKEN_KEY])
}

fn users_of(kind: Kind) -> &'static str {
    match kind {
        Kind::OpenSearch => "/_plugins/_security/api/internalusers",
        Kind::Elasticsearch => "/_security/user",
    }
}

fn finds_pushed_feeds(guarded: &Guarded) -> Result<()> {
    let builder = ControllerBuilder::embedded(guarded.folder.path())?;
    builder.write("listed.yaml", crate::pushed::FEED)?;
    let mut options = vec!["--elasticsearch".to_owned(), guarded.engine.url()];
    options.extend(guarded.options("namewarden-controller")?);
    let controller = builder.arguments(&options.iter().map(String::as_str).collect::<Vec<_>>()).start()?;
    guarded.engine.ask(
        "PUT",
        &format!("/{ALIAS}/_doc/listed"),
        &json!({"domains": ["evil.example"]}).to_string(),
    )?;
    wait::until("the document is found", || {
        let answer: Value = serde_json::from_str(&controller.curl("/v1/feeds", &[])?)?;
        Ok((answer.pointer("/feeds/0/status/entries") == Some(&1.into())).then_some(()))
    })
    .with_context(|| controller.log())?;
    told::write(&guarded.engine, "cluster", "told", "evil.example")?;
    let found = told::entries(&controller, &["--domain", "evil.example"])?;
    ensure!(found == ["evil.example"], "{found:?}");
    controller.annotate(&["--state", "acknowledged", "group-of-told"])?;
    let found = told::entries(&controller, &["--state", "acknowledged"])?;
    ensure!(found == ["evil.example"], "{found:?}");
    appends_as_the_controller(guarded)
}

/// Retroactive alerts are written with the same rights.
fn appends_as_the_controller(guarded: &Guarded) -> Result<()> {
    let settings = Settings {
        credentials: Credentials::Basic {
            user: "namewarden-controller".to_owned(),
            password: Secret::File(guarded.password_file("namewarden-controller")?),
        },
        authorities: Some(guarded.engine.authority()),
        certificate: None,
    };
    let store = stores::open_as(&guarded.engine, &settings)?;
    let document = Incoming {
        stream: Stream::Alerts,
        namespace: "appended".to_owned(),
        id: Some("1".to_owned()),
        source: r#"{"@timestamp":"2026-11-28T12:00:00Z"}"#.into(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for is_new in [true, false] {
        let appended = runtime.block_on(store.append(vec![document.clone()]))?;
        let outcome = appended.into_iter().next().context("nothing is said")?.outcome;
        ensure!(matches!(outcome, Outcome::Created { .. }) == is_new, "{outcome:?}");
    }
    Ok(())
}

/// A certificate that nobody vouches for, nobody, a wrong password.
fn strangers_are_told(guarded: &Guarded) -> Result<()> {
    let said = |arguments: &[&str]| -> Result<String> {
        let url = guarded.engine.url();
        let mut command = std::process::Command::new(controller::program()?);
        let output = command.args(["setup-search", "--elasticsearch", &url]).args(arguments).output()?;
        ensure!(output.status.code() == Some(2), "{:?}", output.status);
        Ok(String::from_utf8(output.stderr)?)
    };
    let unknown = said(&[])?;
    ensure!(unknown.contains("certificate"), "{unknown}");
    let authority = guarded.engine.authority().to_string_lossy().into_owned();
    let nobody = said(&["--search-ca", &authority])?;
    ensure!(nobody.contains("HTTP 401"), "{nobody}");
    let wrong = guarded.folder.path().join("wrong");
    std::fs::write(&wrong, "wr0ng")?;
    let user = ["--search-user", "namewarden-agent", "--search-password-file", &wrong.to_string_lossy()];
    let refused = said(&[&["--search-ca", authority.as_str()][..], &user[..]].concat())?;
    ensure!(refused.contains("HTTP 401") && !refused.contains("wr0ng"), "{refused}");
    Ok(())
}
