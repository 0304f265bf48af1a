//! The parts that the tests stand on: the API server and the connections to it do what the tests take for granted.

use std::path::Path;

use anyhow::{Context as _, Result};
use namewarden_tests::{
    kube::{Cluster, User},
    wait,
};
use serde_json::{Value, json};

/// A kind of resource that only these tests know.
const WIDGETS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.tests.namewarden.dev}
spec:
  group: tests.namewarden.dev
  scope: Cluster
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {size: {type: integer}}
            x-kubernetes-validations:
            - {rule: 'self.size > 0', message: a widget has a size}
";

fn widget(name: &str, size: i32) -> String {
    format!(
        "apiVersion: tests.namewarden.dev/v1\nkind: Widget\nmetadata: {{name: {name}}}\nspec: {{size: {size}}}\n"
    )
}

/// Applies the definition and waits until the API server serves it.
fn define_widgets(cluster: &Cluster) -> Result<()> {
    cluster.apply(WIDGETS)?;
    cluster.kubectl("wait --for condition=Established --timeout 60s crd/widgets.tests.namewarden.dev")?;
    Ok(())
}

#[test]
fn the_server_is_of_the_pinned_version_and_so_is_kubectl() -> Result<()> {
    let cluster = Cluster::shared()?;
    let versions: Value = serde_json::from_str(&cluster.kubectl("version --output json")?)?;
    let server =
        versions.pointer("/serverVersion/gitVersion").and_then(Value::as_str).context("no version")?;
    assert!(server.starts_with("v1."), "{versions}");
    assert_eq!(versions.pointer("/clientVersion/gitVersion").and_then(Value::as_str), Some(server));
    Ok(())
}

#[test]
fn a_definition_is_served_and_its_rules_are_kept() -> Result<()> {
    let cluster = Cluster::shared()?;
    define_widgets(&cluster)?;
    cluster.apply(&widget("good", 1))?;
    let refused = cluster.apply(&widget("bad", 0)).unwrap_err();
    assert!(format!("{refused:#}").contains("a widget has a size"), "{refused:#}");
    cluster.kubectl("delete widgets.tests.namewarden.dev --all")?;
    Ok(())
}

#[test]
fn a_token_of_a_service_account_is_reviewed_for_its_audience_only() -> Result<()> {
    let cluster = Cluster::shared()?;
    let agent = cluster.service_account("default", "reviewed", "controller.namewarden.dev")?;
    for (audience, is_good) in [("controller.namewarden.dev", true), ("elsewhere", false)] {
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": agent.token(), "audiences": [audience]},
        });
        let admin = User::admin();
        let answer = cluster.kubectl_as(&admin, "create --output json --filename -", &review.to_string())?;
        let answer: Value = serde_json::from_str(&answer)?;
        let authenticated = answer.pointer("/status/authenticated").and_then(Value::as_bool).unwrap_or(false);
        assert_eq!(authenticated, is_good, "{answer:#}");
        let name = answer.pointer("/status/user/username").and_then(Value::as_str);
        assert_eq!(name, is_good.then_some("system:serviceaccount:default:reviewed"));
    }
    Ok(())
}

#[test]
fn a_user_may_do_what_a_role_allows_and_nothing_else() -> Result<()> {
    let cluster = Cluster::shared()?;
    let alice = User::alice();
    assert!(cluster.kubectl_as(&alice, "get secrets", "").is_err());
    cluster.kubectl("create role secrets --verb list --resource secrets")?;
    cluster.kubectl("create rolebinding secrets --role secrets --user alice")?;
    // Who may do what is learnt by the server from its store, a moment later.
    wait::until("alice may list secrets", || Ok(cluster.kubectl_as(&alice, "get secrets", "").ok()))?;
    assert!(cluster.kubectl_as(&User::bob(), "get secrets", "").is_err());
    cluster.kubectl("delete role,rolebinding secrets")?;
    Ok(())
}

#[test]
fn a_server_that_comes_back_is_the_same_one() -> Result<()> {
    let cluster = Cluster::start()?;
    define_widgets(&cluster)?;
    cluster.apply(&widget("kept", 1))?;
    let authority = std::fs::read(cluster.authority())?;
    cluster.stop_server();
    assert!(cluster.kubectl("get --raw /livez").is_err());
    cluster.start_server()?;
    assert_eq!(std::fs::read(cluster.authority())?, authority);
    let kept = cluster.read("/apis/tests.namewarden.dev/v1/widgets/kept")?;
    assert_eq!(kept.pointer("/spec/size"), Some(&json!(1)));
    Ok(())
}

#[test]
fn a_watch_from_before_a_compaction_is_gone() -> Result<()> {
    let cluster = Cluster::start()?;
    define_widgets(&cluster)?;
    cluster.apply(&widget("first", 1))?;
    let path = "/apis/tests.namewarden.dev/v1/widgets";
    let list = cluster.read(path)?;
    let version = list.pointer("/metadata/resourceVersion").and_then(Value::as_str).context("no version")?;
    for size in 2..5 {
        cluster.apply(&widget("first", size))?;
    }
    cluster.compact()?;
    // A server that starts knows only what the store still has.
    cluster.stop_server();
    cluster.start_server()?;
    let watch = format!("get --raw {path}?watch=1&timeoutSeconds=1&resourceVersion={version}");
    let said = cluster.kubectl(&watch).unwrap_or_else(|error| format!("{error:#}"));
    assert!(said.contains("410") || said.contains("too old"), "{said}");
    Ok(())
}

#[test]
fn a_link_passes_on_is_cut_and_is_mended() -> Result<()> {
    let cluster = Cluster::shared()?;
    let link = cluster.link()?;
    let file = cluster.kubeconfig_through(&link, &User::admin())?;
    let ask = || cluster.kubectl_at(&file, &["get", "--raw", "/version", "--request-timeout", "5s"], "");
    assert!(ask().is_ok());
    link.cut();
    assert!(ask().is_err());
    link.die();
    assert!(ask().is_err());
    link.mend();
    assert!(ask().is_ok());
    Ok(())
}

#[test]
fn two_servers_at_a_time_know_nothing_of_each_other() -> Result<()> {
    let (first, second) = (Cluster::start()?, Cluster::start()?);
    first.kubectl("create namespace only-here")?;
    assert!(second.kubectl("get namespace only-here").is_err());
    Ok(())
}

#[test]
fn a_server_leaves_nothing_behind_even_after_a_panic() -> Result<()> {
    let (folder, pids) = std::thread::spawn(|| {
        let cluster = Cluster::start().unwrap();
        let facts = (cluster.folder().to_owned(), cluster.pids());
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = cluster;
            panic!("as a test does that fails");
        }));
        assert!(caught.is_err());
        facts
    })
    .join()
    .map_err(|_| anyhow::anyhow!("the cluster did not start"))?;
    assert!(!folder.exists());
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
    Ok(())
}
