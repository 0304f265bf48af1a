//! The roles for people that ship: what each of them may ask the controller and the API server for, and what not.

use anyhow::{Context as _, Result};
use namewarden_tests::{kube::User, wait};
use reqwest::Method;
use serde_json::json;

use crate::{
    client::Client,
    scene::{API_SERVER, Running, Scene},
};

/// What a route says to who may not, and to who may: nobody has a security event of that name.
const DENIED: u16 = 403;
const ANNOTATION: &str = "/v1/events/none/annotation";

const PUSH: &str = "/tigera_secure_ee_threatfeeds_domainnameset.cluster./_doc/feed";

/// Somebody of a role that ships, asking a controller that keeps documents.
struct Somebody {
    role: &'static str,
    scene: Scene,
    running: Running,
    client: Client,
    user: User,
    _store: tempfile::TempDir,
}

impl Somebody {
    /// A service account with that role: tests run side by side, and share the people that the API server knows.
    fn of(role: &'static str) -> Result<Self> {
        let (scene, store) = (Scene::new()?, tempfile::tempdir()?);
        let builder =
            scene.controller("controller")?.arguments(&["--store", &store.path().to_string_lossy()]);
        let running = scene.start_leading(&builder)?;
        scene.apply_people()?;
        scene.apply(&format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {role}, namespace: {0}}}\n---\n\
             apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: '{0}:{role}'}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: '{0}:{role}'}}\n\
             subjects: [{{kind: ServiceAccount, name: {role}, namespace: {0}}}]\n",
            scene.namespace
        ))?;
        let token = scene.token(role, API_SERVER)?;
        let controller = &running.controller;
        let client = Client::new(&controller.url(), controller.authority(), &token)?;
        let user = User::of_token(role, &token);
        Ok(Self { role, scene, running, client, user, _store: store })
    }

    fn status(&self, method: Method, path: &str) -> Result<u16> {
        let body = match method {
            Method::PUT if path == ANNOTATION => json!({"state": "acknowledged"}),
            Method::PUT => json!({"domains": ["pushed.example"]}),
            _ => json!(null),
        };
        let body = (!body.is_null()).then_some(&body);
        Ok(self.client.ask(method, path, body)?.status)
    }

    /// Waits until it is no longer denied: the API server learns of a binding a moment later.
    fn may(&self, method: &Method, path: &str) -> Result<u16> {
        let mut last = 0;
        wait::until(&format!("{method} {path} allowed"), || {
            last = self.status(method.clone(), path)?;
            Ok((last != DENIED).then_some(last))
        })
        .with_context(|| self.running.controller.log())
    }

    fn may_not(&self, method: Method, path: &str) -> Result<()> {
        let status = self.status(method, path)?;
        assert_eq!(status, DENIED, "{path}");
        Ok(())
    }

    fn can(&self, words: &str) -> bool {
        let feeds = format!("globalthreatfeeds.{}", self.scene.group);
        let asked = format!("auth can-i {}", words.replace("feeds", &feeds));
        let said = self.scene.cluster.kubectl_as(&self.user, &asked, "");
        said.is_ok_and(|said| said.trim() == "yes")
    }

    fn end(self) -> Result<()> {
        let (name, role) = (&self.scene.namespace, self.role);
        let roles = ["viewer", "editor", "pusher"].map(|role| format!("clusterrole/{name}:{role}")).join(" ");
        self.scene.cluster.kubectl(&format!("delete clusterrolebinding/{name}:{role} {roles}")).map(drop)
    }
}

#[test]
fn a_viewer_reads_feeds_and_events_and_changes_nothing() -> Result<()> {
    let somebody = Somebody::of("viewer")?;
    assert_eq!(somebody.may(&Method::GET, "/v1/feeds")?, 200);
    assert_eq!(somebody.may(&Method::GET, "/v1/events")?, 200);
    somebody.may_not(Method::PUT, ANNOTATION)?;
    somebody.may_not(Method::PUT, PUSH)?;
    assert!(somebody.can("list feeds"));
    for words in ["create feeds", "update feeds", "delete feeds", "list secrets"] {
        assert!(!somebody.can(words), "{words}");
    }
    somebody.end()
}

#[test]
fn an_editor_changes_feeds_and_annotates_events_and_pushes_nothing() -> Result<()> {
    let somebody = Somebody::of("editor")?;
    assert_eq!(somebody.may(&Method::GET, "/v1/events")?, 200);
    assert_eq!(somebody.may(&Method::PUT, ANNOTATION)?, 404, "there is no such event");
    somebody.may_not(Method::PUT, PUSH)?;
    for words in ["create feeds", "update feeds", "patch feeds", "delete feeds"] {
        assert!(somebody.can(words), "{words}");
    }
    assert!(!somebody.can("update feeds --subresource status"));
    somebody.end()
}

#[test]
fn a_pusher_pushes_and_reads_no_event() -> Result<()> {
    let somebody = Somebody::of("pusher")?;
    assert_eq!(somebody.may(&Method::PUT, PUSH)?, 201);
    somebody.may_not(Method::GET, "/v1/events")?;
    somebody.may_not(Method::GET, "/v1/feeds")?;
    assert!(!somebody.can("list feeds"));
    somebody.end()
}
