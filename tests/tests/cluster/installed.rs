//! The chart as somebody installs, upgrades and uninstalls it: what was made once is kept, feeds outlive it, and its service accounts
//! may what they need.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use namewarden_tests::{
    helm::{Helm, chart},
    kube::{Cluster, User},
    wait,
};
use serde_json::{Value, json};

use crate::chart::text;

/// An installation by somebody who has a cluster.
pub struct Installed {
    pub cluster: Cluster,
    helm: Helm,
}

impl Installed {
    pub fn start() -> Result<Self> {
        Self::on(Cluster::start()?)
    }

    /// One that comes.
    pub fn on(cluster: Cluster) -> Result<Self> {
        let helm = Helm::of(cluster.kubeconfig(&User::admin())?)?;
        Ok(Self { cluster, helm })
    }

    /// Runs a verb of Helm on the release.
    pub fn helm(&self, verb: &str, more: &[&str]) -> Result<String> {
        let chart = chart();
        let mut arguments = vec![verb, "namewarden"];
        if matches!(verb, "install" | "upgrade") {
            arguments.extend([&*chart, "--create-namespace"]);
        }
        arguments.extend(["--namespace", "namewarden"]);
        arguments.extend(more);
        if verb == "upgrade" {
            arguments.retain(|word| *word != "--create-namespace");
        }
        self.helm.run(&arguments)
    }

    /// What a Secret of the controller's holds.
    pub fn data(&self, secret: &str) -> Result<Value> {
        let path = format!("/api/v1/namespaces/namewarden-controller/secrets/{secret}");
        Ok(self.cluster.read(&path)?.get("data").context("no data")?.clone())
    }

    fn feed(&self, group: &str, name: &str) -> Result<Value> {
        self.cluster.read(&format!("/apis/{group}/v3/globalthreatfeeds/{name}"))
    }
}

#[test]
fn an_upgrade_keeps_what_was_made_once_and_the_feeds_outlive_the_installation() -> Result<()> {
    const FEED: &[&str] = &["--set", "feeds.incident.description=first"];
    const ELSEWHERE: &str = "controller.namespace=controllers,agent.namespace=agents";
    let installed = Installed::start()?;
    let notes = installed.helm("install", FEED)?;
    assert!(notes.contains("kubectl get globalthreatfeeds.projectcalico.org"), "{notes}");
    assert!(notes.contains("WARNING: the controller keeps"), "no claim without a StorageClass: {notes}");
    let made = (installed.data("namewarden-controller-tls")?, installed.data("namewarden-hash-key")?);
    let feed = installed.feed("projectcalico.org", "incident")?;
    assert_eq!(text(&feed, "/spec/content"), "DomainNameSet");

    let before = text(&feed, "/metadata/uid").to_owned();
    for description in ["first", "second", "third"] {
        installed.helm("upgrade", &["--set", &format!("feeds.incident.description={description}")])?;
        let after = (installed.data("namewarden-controller-tls")?, installed.data("namewarden-hash-key")?);
        assert_eq!(after, made);
        let now = installed.feed("projectcalico.org", "incident")?;
        assert_eq!(text(&now, "/spec/description"), description);
        assert_eq!(text(&now, "/metadata/uid"), before, "it was made anew");
    }

    installed.helm("uninstall", &[])?;
    assert_eq!(text(&installed.feed("projectcalico.org", "incident")?, "/spec/description"), "third");
    assert!(
        installed
            .cluster
            .read("/apis/apps/v1/namespaces/namewarden-agent/daemonsets/namewarden-agent")
            .is_err()
    );
    assert!(installed.cluster.kubectl("get clusterrole namewarden-agent").is_err());

    // Once more, with another idea of what the feed is: Helm changes nothing in what it takes over, so it is made anew. The
    // namespaces are others: nobody here ends the first ones.
    let mut before = before;
    for (verb, description, is_same) in [
        ("install", "fourth", false),
        ("upgrade", "fifth", false),
        ("upgrade", "fifth", true),
        ("upgrade", "sixth", true),
    ] {
        let feed = format!("feeds.incident.description={description}");
        installed.helm(verb, &["--set", ELSEWHERE, "--set", &feed])?;
        let now = installed.feed("projectcalico.org", "incident")?;
        assert_eq!(text(&now, "/spec/description"), description);
        assert_eq!(text(&now, "/metadata/uid") == before, is_same, "{verb} {description}");
        text(&now, "/metadata/uid").clone_into(&mut before);
    }
    Ok(())
}

#[test]
fn a_field_that_is_asked_for_no_longer_is_gone_at_the_first_upgrade_and_back_after_a_rollback() -> Result<()>
{
    const DISABLED: &str = "feeds.incident.mode=Disabled,feeds.incident.description=first";
    const SHORT: &str = "feeds.incident.description=first";
    let installed = Installed::start()?;
    let mode = || -> Result<String> {
        let feed = installed.feed("projectcalico.org", "incident")?;
        assert_eq!(text(&feed, "/spec/description"), "first");
        Ok(text(&feed, "/spec/mode").to_owned())
    };
    installed.helm("install", &["--set", DISABLED])?;
    assert_eq!(mode()?, "Disabled");
    installed.helm("upgrade", &["--reset-values", "--set", SHORT])?;
    assert_eq!(mode()?, "Enabled");
    // Helm changes the objects that it has by itself.
    installed.helm("upgrade", &["--reset-values", "--set", DISABLED])?;
    assert_eq!(mode()?, "Disabled");
    installed.helm("rollback", &["2"])?;
    assert_eq!(mode()?, "Enabled");
    installed.helm("rollback", &["1"])?;
    assert_eq!(mode()?, "Disabled");
    installed.helm("upgrade", &["--reset-values", "--set", SHORT])?;
    assert_eq!(mode()?, "Enabled");
    Ok(())
}

#[test]
fn somebody_elses_feed_is_not_taken_over() -> Result<()> {
    const FEED: &str = "
apiVersion: projectcalico.org/v3
kind: GlobalThreatFeed
metadata: {name: incident}
spec: {content: DomainNameSet, description: of a person}
";
    let installed = Installed::start()?;
    installed.helm("install", &[])?;
    installed.cluster.apply(FEED)?;
    let refused = installed.helm("upgrade", &["--set", "feeds.incident.description=of the chart"]);
    let said = format!("{:#}", refused.err().context("it was taken over")?);
    assert!(said.contains("invalid ownership metadata"), "{said}");
    assert_eq!(text(&installed.feed("projectcalico.org", "incident")?, "/spec/description"), "of a person");
    Ok(())
}

#[test]
fn a_claim_is_made_where_there_is_a_default_class_and_outlives_the_installation() -> Result<()> {
    const CLASS: &str = "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: disks, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}
provisioner: disks.example
";
    let installed = Installed::start()?;
    let claim = || {
        let words = "get pvc namewarden-controller --namespace namewarden-controller --output jsonpath={.metadata.uid}";
        installed.cluster.kubectl(words)
    };
    installed.cluster.apply(CLASS)?;
    let notes = installed.helm("install", &[])?;
    assert!(!notes.contains("WARNING"), "{notes}");
    let made = claim()?;
    installed.cluster.kubectl("delete storageclass disks")?;
    let notes = installed.helm("upgrade", &[])?;
    assert!(!notes.contains("WARNING"), "the claim is used still: {notes}");
    assert_eq!(claim()?, made);
    installed.helm("uninstall", &[])?;
    assert_eq!(claim()?, made);
    let space = installed.cluster.read("/api/v1/namespaces/namewarden-controller")?;
    assert_eq!(text(&space, "/status/phase"), "Active");
    // Nobody here ends the agents' first namespace.
    let again = installed.helm("install", &["--set", "agent.namespace=agents"]);
    again.context("what is left is in the way")?;
    assert_eq!(claim()?, made);
    Ok(())
}

#[test]
fn the_one_controller_that_keeps_documents_makes_room_for_those_that_keep_none() -> Result<()> {
    const SEARCH: &[&str] = &["--set", "searchEngine.urls={https://search.example:9200}"];
    let installed = Installed::start()?;
    let deployed = || -> Result<(String, Value)> {
        let path = "/apis/apps/v1/namespaces/namewarden-controller/deployments/namewarden-controller";
        let deployment = installed.cluster.read(path)?;
        let replicas = deployment.pointer("/spec/replicas").context("no replicas")?.clone();
        Ok((text(&deployment, "/spec/strategy/type").to_owned(), replicas))
    };
    for (verb, options, strategy, replicas) in [
        ("install", &[][..], "Recreate", 1),
        // A controller that does not lead is ready once it has what the leader has, which this leader gives to nobody.
        ("upgrade", SEARCH, "Recreate", 2),
        ("upgrade", SEARCH, "RollingUpdate", 2),
        ("upgrade", &["--reset-values"], "Recreate", 1),
    ] {
        installed.helm(verb, options)?;
        assert_eq!(deployed()?, (strategy.to_owned(), json!(replicas)), "{verb} {options:?}");
    }
    Ok(())
}

#[test]
fn where_calico_serves_the_group_ours_is_taken_and_what_was_taken_once_stays() -> Result<()> {
    // A kind of Calico's own in that group, as its API server would serve it.
    const CALICO: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tiers.projectcalico.org}
spec:
  group: projectcalico.org
  scope: Cluster
  names: {kind: Tier, plural: tiers, singular: tier}
  versions:
  - {name: v3, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
";
    let served = |installed: &Installed, group: &str| -> Result<()> {
        let notes = installed.helm("upgrade", &["--install"])?;
        assert!(notes.contains(&format!("kubectl get globalthreatfeeds.{group}")), "{notes}");
        installed.cluster.kubectl(&format!("get crd globalthreatfeeds.{group}")).map(drop)
    };
    let calico_comes = |installed: &Installed| -> Result<()> {
        installed.cluster.apply(CALICO)?;
        wait::until("Calico's group", || {
            Ok(installed.cluster.kubectl("get --raw /apis/projectcalico.org/v3").ok())
        })
        .map(drop)
    };
    let first = Installed::start()?;
    first.cluster.kubectl("create namespace namewarden")?;
    calico_comes(&first)?;
    served(&first, "namewarden.dev")?;
    served(&first, "namewarden.dev")?;
    drop(first);

    let later = Installed::start()?;
    later.cluster.kubectl("create namespace namewarden")?;
    served(&later, "projectcalico.org")?;
    calico_comes(&later)?;
    served(&later, "projectcalico.org")
}

/// Every verb that a service account may use in its namespace, with group, resource and name, as the API server counts them.
fn allowed(cluster: &Cluster, namespace: &str, account: &str) -> Result<BTreeSet<String>> {
    let user = cluster.service_account(namespace, account, "https://kubernetes.default.svc")?;
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    });
    let said = cluster.kubectl_as(
        &user,
        "create --validate=false --output json --filename -",
        &review.to_string(),
    )?;
    let status = serde_json::from_str::<Value>(&said)?.get("status").context("no answer")?.clone();
    assert_eq!(status.get("incomplete"), Some(&json!(false)), "{status}");
    let all = |rule: &Value, key: &str| -> Vec<String> {
        let texts = rule.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        texts.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let mut allowed = BTreeSet::new();
    for rule in status.get("resourceRules").and_then(Value::as_array).context("no rules")? {
        let names = all(rule, "resourceNames").join(",");
        for verb in all(rule, "verbs") {
            for group in all(rule, "apiGroups") {
                for resource in all(rule, "resources") {
                    allowed.insert(format!("{verb} {group}/{resource} {names}").trim().to_owned());
                }
            }
        }
    }
    for rule in status.get("nonResourceRules").and_then(Value::as_array).context("no rules")? {
        allowed.insert(format!("{:?} {:?}", all(rule, "verbs"), all(rule, "nonResourceURLs")));
    }
    Ok(allowed)
}

#[test]
fn each_service_account_may_what_it_needs_and_not_one_verb_more() -> Result<()> {
    let installed = Installed::start()?;
    installed.helm("install", &[])?;
    for (component, needs) in [
        ("agent", &["list /pods", "watch /pods"][..]),
        (
            "controller",
            &[
                "create authentication.k8s.io/tokenreviews",
                "create authorization.k8s.io/subjectaccessreviews",
                "create coordination.k8s.io/leases",
                "get /configmaps",
                "get /secrets",
                "get coordination.k8s.io/leases namewarden-controller",
                "list projectcalico.org/globalthreatfeeds",
                "patch projectcalico.org/globalthreatfeeds/status",
                "update coordination.k8s.io/leases namewarden-controller",
                "watch projectcalico.org/globalthreatfeeds",
            ],
        ),
    ] {
        let name = format!("namewarden-{component}");
        let needs: BTreeSet<String> = needs.iter().map(ToString::to_string).collect();
        let anybody = allowed(&installed.cluster, &name, "anybody")?;
        let gained = wait::until("its rights", || {
            let gained: BTreeSet<_> =
                allowed(&installed.cluster, &name, &name)?.difference(&anybody).cloned().collect();
            Ok(gained.is_superset(&needs).then_some(gained))
        })?;
        assert_eq!(gained, needs, "{component}");
    }
    Ok(())
}
