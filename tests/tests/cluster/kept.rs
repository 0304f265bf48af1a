//! What the chart keeps, whatever its values become: a claim that may hold a store, the hash key that belongs to it, a certificate that
//! is good for what is asked. And what it finds out of a cluster.

use anyhow::{Context as _, Result};
use namewarden_tests::{kube::Cluster, program};
use serde_json::{Value, json};

use crate::{
    chart::{find, rendered, text},
    installed::Installed,
};

const CLASS: &str = "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: disks, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}
provisioner: disks.example
";

/// The certificate of the controller in words.
fn certificate(installed: &Installed) -> Result<String> {
    let data = installed.data("namewarden-controller-tls")?;
    let bytes = data_encoding::BASE64.decode(text(&data, "/tls.crt").as_bytes())?;
    program::feed(
        "openssl",
        &["x509", "-noout", "-serial", "-ext", "subjectAltName"],
        &String::from_utf8(bytes)?,
    )
}

#[test]
fn a_certificate_is_made_anew_for_a_name_that_it_does_not_have() -> Result<()> {
    const MORE: &[&str] = &["--set", "controller.tls.extraNames={threats.example}"];
    let installed = Installed::start()?;
    installed.helm("install", &[])?;
    let first = certificate(&installed)?;
    installed.helm("upgrade", &[])?;
    assert_eq!(certificate(&installed)?, first);

    // As one was left by a chart that took no note of names.
    let forget =
        "annotate secret namewarden-controller-tls namewarden.dev/names- --namespace namewarden-controller";
    installed.cluster.kubectl(forget)?;
    installed.helm("upgrade", &[])?;
    assert_eq!(certificate(&installed)?, first);

    installed.helm("upgrade", MORE)?;
    let second = certificate(&installed)?;
    assert_ne!(second, first);
    for name in ["DNS:threats.example", "DNS:namewarden-controller.namewarden-controller.svc"] {
        assert!(second.contains(name), "{second}");
    }
    let trusted =
        installed.cluster.read("/api/v1/namespaces/namewarden-agent/configmaps/namewarden-agent")?;
    let authority = data_encoding::BASE64
        .decode(text(&installed.data("namewarden-controller-tls")?, "/ca.crt").as_bytes())?;
    assert_eq!(text(&trusted, "/data/ca.crt").trim(), String::from_utf8(authority)?.trim());

    installed.helm("upgrade", MORE)?;
    installed.helm("upgrade", &[])?;
    assert_eq!(certificate(&installed)?, second, "it is good for every name that is asked for");
    Ok(())
}

#[test]
fn no_upgrade_takes_away_a_claim_that_may_hold_a_store() -> Result<()> {
    const SEARCH: &str = "searchEngine.urls={https://search.example:9200}";
    let installed = Installed::start()?;
    installed.cluster.apply(CLASS)?;
    let claim = || -> Result<String> {
        let path = "/api/v1/namespaces/namewarden-controller/persistentvolumeclaims/namewarden-controller";
        let claim = installed.cluster.read(path)?;
        assert_eq!(text(&claim, "/metadata/deletionTimestamp"), "");
        Ok(text(&claim, "/metadata/uid").to_owned())
    };
    let volume = || -> Result<Value> {
        let path = "/apis/apps/v1/namespaces/namewarden-controller/deployments/namewarden-controller";
        let deployment = installed.cluster.read(path)?;
        let volumes = deployment.pointer("/spec/template/spec/volumes").and_then(Value::as_array).cloned();
        let is_state = |volume: &Value| text(volume, "/name") == "state";
        volumes.context("no volumes")?.into_iter().find(is_state).context("no state")
    };
    // Even where it is not to outlive the installation.
    let options = |more: &str| format!("controller.persistence.keep=false,{more}");
    let notes = installed.helm("install", &["--set", &options("log.level=info")])?;
    assert!(!notes.contains("is not used any longer"), "{notes}");
    let made = claim()?;
    for (values, is_used) in [
        (SEARCH, false),
        // Of a claim these cannot change, and no longer have to.
        ("controller.persistence.mode=never,controller.persistence.accessModes={ReadWriteMany}", false),
        ("controller.persistence.existingClaim=other", false),
        ("log.level=info", true),
    ] {
        let notes = installed.helm("upgrade", &["--reset-values", "--set", &options(values)])?;
        assert_eq!(claim()?, made, "{values}");
        let used = volume()?.pointer("/persistentVolumeClaim/claimName").cloned();
        assert_eq!(used == Some(json!("namewarden-controller")), is_used, "{values}: {used:?}");
        assert_eq!(
            notes.contains("The claim namewarden-controller is not used any longer"),
            !is_used,
            "{values}"
        );
    }
    Ok(())
}

#[test]
fn a_release_with_a_bound_claim_is_rolled_back() -> Result<()> {
    const BOUND: &str = "{\"spec\":{\"volumeName\":\"disk-1\"}}";
    let installed = Installed::start()?;
    installed.cluster.apply(CLASS)?;
    installed.helm("install", &[])?;
    let words = "patch pvc namewarden-controller --namespace namewarden-controller --type merge --patch";
    installed.cluster.kubectl(&format!("{words} {BOUND}"))?;
    let claim = || {
        let path = "/api/v1/namespaces/namewarden-controller/persistentvolumeclaims/namewarden-controller";
        installed.cluster.read(path)
    };
    let bound = claim()?;
    assert_eq!(
        (text(&bound, "/spec/storageClassName"), text(&bound, "/spec/volumeName")),
        ("disks", "disk-1")
    );
    // The class that it has already may be asked for.
    for values in
        ["log.level=debug", "controller.persistence.storageClass=disks", "controller.persistence.mode=never"]
    {
        installed.helm("upgrade", &["--reset-values", "--set", values]).context(values)?;
    }
    for revision in ["1", "4", "2"] {
        installed.helm("rollback", &[revision]).context(revision)?;
        assert_eq!(claim()?.get("spec"), bound.get("spec"));
    }
    // As an earlier chart left it.
    let forget =
        "annotate pvc namewarden-controller namewarden.dev/storage-class- --namespace namewarden-controller";
    installed.cluster.kubectl(forget)?;
    for values in ["controller.persistence.storageClass=disks", "log.level=debug"] {
        installed.helm("upgrade", &["--reset-values", "--set", values]).context(values)?;
        assert_eq!(claim()?.get("spec"), bound.get("spec"));
    }
    Ok(())
}

#[test]
fn namespaces_that_nobody_creates_any_longer_stay_with_what_is_in_them() -> Result<()> {
    let installed = Installed::start()?;
    installed.helm("install", &[])?;
    let spaces = || -> Result<Vec<String>> {
        ["namewarden-agent", "namewarden-controller"]
            .iter()
            .map(|name| {
                let space = installed.cluster.read(&format!("/api/v1/namespaces/{name}"))?;
                assert_eq!(text(&space, "/status/phase"), "Active", "{name}");
                Ok(text(&space, "/metadata/uid").to_owned())
            })
            .collect()
    };
    let made = spaces()?;
    for _ in 0..2 {
        installed.helm("upgrade", &["--set", "namespaces.create=false"])?;
        assert_eq!(spaces()?, made);
    }
    Ok(())
}

#[test]
fn another_claim_in_the_namespace_keeps_it_too() -> Result<()> {
    let installed = Installed::start()?;
    installed.helm("install", &["--set", "controller.persistence.existingClaim=restored"])?;
    let key = installed.data("namewarden-hash-key")?;
    installed.helm("uninstall", &[])?;
    let space = installed.cluster.read("/api/v1/namespaces/namewarden-controller")?;
    assert_eq!(text(&space, "/status/phase"), "Active");
    assert_eq!(installed.data("namewarden-hash-key")?, key);
    Ok(())
}

#[test]
fn the_hash_key_stays_with_the_claim() -> Result<()> {
    let installed = Installed::start()?;
    installed.cluster.apply(CLASS)?;
    installed.helm("install", &[])?;
    let key = installed.data("namewarden-hash-key")?;
    installed.helm("uninstall", &[])?;
    assert_eq!(installed.data("namewarden-hash-key")?, key);
    // Nobody here ends the agents' first namespace.
    installed.helm("install", &["--set", "agent.namespace=agents"])?;
    assert_eq!(installed.data("namewarden-hash-key")?, key, "sets on the claim are made with it");
    Ok(())
}

#[test]
fn where_nobody_asks_an_api_server_feeds_are_plain_objects() -> Result<()> {
    let objects = rendered(&["--set=feeds.incident.description=first".to_owned()])?;
    let annotations = find(&objects, "GlobalThreatFeed", "incident")?.pointer("/metadata/annotations");
    let annotations = annotations.and_then(Value::as_object).context("no annotations")?;
    assert!(!annotations.keys().any(|key| key.starts_with("helm.sh/hook")), "{annotations:?}");
    let options = annotations.get("argocd.argoproj.io/sync-options").and_then(Value::as_str);
    assert!(
        options.is_some_and(|options| options.contains("SkipDryRunOnMissingResource=true")),
        "{annotations:?}"
    );
    Ok(())
}

#[test]
fn a_cluster_of_ipv6_is_found_out_and_taken() -> Result<()> {
    let listens = |installed: &Installed| -> Result<Vec<String>> {
        let path = "/apis/apps/v1/namespaces/namewarden-controller/deployments/namewarden-controller";
        let deployment = installed.cluster.read(path)?;
        let all =
            deployment.pointer("/spec/template/spec/containers/0/env").and_then(Value::as_array).cloned();
        let named = |value: &Value| {
            let name = text(value, "/name");
            (name.ends_with("LISTEN") || name.ends_with("ADVERTISE_URL"))
                .then(|| text(value, "/value").to_owned())
        };
        Ok(all.context("no variables")?.iter().filter_map(named).collect())
    };
    let search = "searchEngine.urls={https://search.example:9200}";
    for (cluster, any, own) in [
        (Cluster::start_ipv6()?, "[::]", "https://[$(POD_IP)]:8443"),
        (Cluster::start()?, "0.0.0.0", "https://$(POD_IP):8443"),
    ] {
        let installed = Installed::on(cluster)?;
        installed.helm("install", &["--set", search])?;
        assert_eq!(listens(&installed)?, [format!("{any}:8443"), format!("{any}:9092"), own.to_owned()]);
        // Both families, where the cluster has them.
        installed.helm(
            "upgrade",
            &["--set", search, "--set", "controller.service.ipFamilyPolicy=PreferDualStack"],
        )?;
        assert_eq!(listens(&installed)?, ["[::]:8443", "[::]:9092", own]);
        let service = "/api/v1/namespaces/namewarden-controller/services/namewarden-controller";
        assert_eq!(text(&installed.cluster.read(service)?, "/spec/ipFamilyPolicy"), "PreferDualStack");
    }
    Ok(())
}

#[test]
fn openshift_is_asked_for_what_the_pods_are_and_other_clusters_for_nothing() -> Result<()> {
    let constrained = |options: &[&str]| -> Result<Vec<Value>> {
        rendered(&options.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let is_one = |object: &Value| text(object, "/kind") == "SecurityContextConstraints";
    assert!(!constrained(&[])?.iter().any(is_one));
    let never =
        ["--api-versions=security.openshift.io/v1", "--set=openShift.securityContextConstraints=never"];
    assert!(!constrained(&never)?.iter().any(is_one));
    let objects =
        constrained(&["--api-versions=security.openshift.io/v1", "--set=agent.extraCapabilities={PERFMON}"])?;
    for (kind, name) in [("DaemonSet", "namewarden-agent"), ("Deployment", "namewarden-controller")] {
        let constraints = find(&objects, "SecurityContextConstraints", name)?;
        let pods = find(&objects, kind, name)?.pointer("/spec/template/spec").context("no pods")?;
        let account = format!("system:serviceaccount:{name}:{name}");
        assert_eq!(constraints.get("users"), Some(&json!([account])));
        let container = pods.pointer("/containers/0/securityContext").context("no security context")?;
        let added = container.pointer("/capabilities/add").cloned().unwrap_or_else(|| json!([]));
        assert_eq!(constraints.get("allowedCapabilities"), Some(&added));
        assert_eq!(constraints.get("requiredDropCapabilities"), container.pointer("/capabilities/drop"));
        assert_eq!(constraints.pointer("/runAsUser/uid"), pods.pointer("/securityContext/runAsUser"));
        let allowed = constraints.get("volumes").and_then(Value::as_array).context("no volumes")?;
        for volume in pods.get("volumes").and_then(Value::as_array).context("no volumes")? {
            let kinds = volume.as_object().context("no volume")?.keys().filter(|key| *key != "name");
            for kind in kinds {
                assert!(allowed.contains(&json!(kind)), "{name}: {kind}");
            }
        }
    }
    Ok(())
}
