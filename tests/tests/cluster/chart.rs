//! The chart: each values file that ships is linted and taken by the API server, what makes no sense is refused, and what may what
//! is what the other tests run with.

use std::{collections::BTreeSet, env, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use namewarden_tests::{
    helm::{Helm, chart, deploy},
    kube::{Cluster, User},
    program,
};
use serde_json::{Value, json};

/// The variable with the folder of the definitions of other projects' kinds.
const DEFINITIONS: &str = "NAMEWARDEN_DEFINITIONS";
/// Of a cluster that nobody asks: a Helm built from its sources takes an old one.
const VERSION: &str = "--kube-version=1.33";
/// Everything that is off by default.
const MORE: &[&str] = &[
    "--set=controller.service.type=LoadBalancer,controller.service.nodePort=30443,controller.service.externalTrafficPolicy=Local",
    "--set=controller.service.loadBalancerClass=example.org/lb,controller.service.loadBalancerSourceRanges={10.0.0.0/8}",
    "--set=commonLabels.team=security,controller.extraPodLabels.mesh=off,namespaces.annotations.owner=soc",
    "--set=monitoring.monitors.enabled=true,monitoring.rules.enabled=true,monitoring.dashboard.enabled=true",
    "--set=allow={a.example,b.example},agent.hostProc=false,agent.serverSide=true,ipFamily=IPv6",
    "--set=controller.persistence.mode=always,controller.htpasswdSecret=pushers,controller.feedProxy=none",
    "--set=controller.tls.mode=cert-manager,controller.tls.clusterIssuer=own,image.pullSecrets={pull}",
    "--set=image.registry=registry.example/security,agent.image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
];

/// Values files that ship, and options for what none of them asks for.
fn variants() -> Result<Vec<Vec<String>>> {
    let mut names: Vec<PathBuf> =
        fs::read_dir(deploy("examples"))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    names.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("values-")));
    names.sort();
    assert!(names.len() >= 6, "{names:?}");
    let mut variants: Vec<Vec<String>> =
        names.iter().map(|path| vec![format!("--values={}", path.display())]).collect();
    variants.push(Vec::new());
    variants.push(MORE.iter().map(ToString::to_string).collect());
    Ok(variants)
}

/// What the chart is rendered to with these options of Helm, where nobody asks an API server.
pub fn rendered(options: &[String]) -> Result<Vec<Value>> {
    let chart = chart();
    let mut arguments = vec!["template", "namewarden", &chart, "--namespace", "releases", VERSION];
    arguments.extend(options.iter().map(String::as_str));
    objects(&Helm::new()?.run(&arguments)?)
}

fn objects(text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| anyhow::anyhow!("{error}\n{text}"))?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// What stands there in an object; nothing where that is no text.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The object of that kind and name.
pub fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> Result<&'a Value> {
    let is_it = |object: &&Value| text(object, "/kind") == kind && text(object, "/metadata/name") == name;
    objects.iter().find(is_it).with_context(|| format!("no {kind} {name}"))
}

fn list(objects: &[&Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}

#[test]
fn the_chart_is_linted_with_every_values_file() -> Result<()> {
    for options in variants()? {
        let chart = chart();
        let mut arguments = vec!["lint", "--strict", &chart, VERSION];
        arguments.extend(options.iter().map(String::as_str));
        Helm::new()?.run(&arguments).with_context(|| format!("{options:?}"))?;
    }
    Ok(())
}

/// Defines every kind that the chart makes objects of, whoever's it is.
fn define(cluster: &Cluster) -> Result<()> {
    let folder = env::var_os(DEFINITIONS).with_context(|| {
        format!("no {DEFINITIONS}: run `cargo xtask test cluster`, or `cargo xtask setup definitions`")
    })?;
    let ours = ["projectcalico.org", "namewarden.dev"]
        .map(|group| deploy(&format!("crds/globalthreatfeeds.{group}.yaml")));
    let others = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    for file in ours.into_iter().chain(others) {
        // Some are larger than what `apply` keeps of an object in its annotations.
        let words = "apply --server-side --filename -";
        cluster.kubectl_as(&User::admin(), words, &fs::read_to_string(file)?)?;
    }
    cluster
        .kubectl("wait --for condition=Established --timeout 60s customresourcedefinitions --all")
        .map(drop)
}

#[test]
fn what_every_values_file_renders_to_is_taken_by_the_api_server() -> Result<()> {
    let cluster = Cluster::start()?;
    define(&cluster)?;
    // Resolvers run in namespaces of their own, which the chart does not make.
    cluster.kubectl("create namespace openshift-dns")?;
    let mut kinds = BTreeSet::new();
    for options in variants()? {
        let objects = rendered(&options)?;
        let is_namespace = |object: &&Value| text(object, "/kind") == "Namespace";
        let spaces: Vec<&Value> = objects.iter().filter(is_namespace).collect();
        assert_eq!(spaces.len(), 2);
        cluster.apply(&list(&spaces))?;
        let all: Vec<&Value> = objects.iter().collect();
        kinds.extend(all.iter().map(|object| text(object, "/kind").to_owned()));
        let words = "apply --server-side --dry-run=server --warnings-as-errors --filename -";
        cluster.kubectl_as(&User::admin(), words, &list(&all)).with_context(|| format!("{options:?}"))?;
    }
    for kind in [
        "Certificate",
        "DaemonSet",
        "Deployment",
        "GlobalThreatFeed",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "PodDisruptionBudget",
        "PodMonitor",
        "PrometheusRule",
        "SecurityContextConstraints",
        "ServiceMonitor",
    ] {
        assert!(kinds.contains(kind), "no {kind} among {kinds:?}");
    }
    Ok(())
}

#[test]
fn the_examples_are_feeds_that_the_api_server_takes() -> Result<()> {
    let cluster = Cluster::start()?;
    let definition = "crds/globalthreatfeeds.projectcalico.org.yaml";
    cluster.apply(&fs::read_to_string(deploy(definition))?)?;
    cluster
        .kubectl("wait --for condition=Established --timeout 60s crd/globalthreatfeeds.projectcalico.org")?;
    for folder in ["threat-feeds", "manifests"] {
        for entry in fs::read_dir(deploy("examples").join(folder))? {
            let manifest = fs::read_to_string(entry?.path())?;
            let words = "create --dry-run=server --validate=strict --warnings-as-errors --filename -";
            cluster.kubectl_as(&User::admin(), words, &manifest)?;
        }
    }
    Ok(())
}

/// Options that make no sense, and what of it has to be said.
const SENSELESS: &[(&[&str], &str)] = &[
    (&["agent.ringKib=3000"], "agent.ringKib"),
    (&["agnet.ringKib=4096"], "agnet"),
    (&["controller.replicas=2"], "exactly one controller"),
    (&["crd.group=calico.org"], "crd.group"),
    (&["searchEngine.urls={elastic:9200}"], "searchEngine.urls"),
    (&["searchEngine.urls={https://es:9200}", "searchEngine.auth=basic"], "agentSecret"),
    (&["controller.tls.mode=secret"], "existingSecret"),
    (&["controller.tls.mode=cert-manager"], "clusterIssuer"),
    (&["agent.extraCapabilities={SYS_ADMIN}"], "agent.extraCapabilities"),
    (&["feeds.Bad.description=x"], "feeds"),
    (&["feeds.bad.pull.http.url=ftp://a.example/"], "url"),
    (&["feeds.bad.severity=0"], "severity"),
    (&["feeds.bad.pull.period=1m,feeds.bad.pull.http.url=https://a.example/"], "period"),
    (&["dnsLogs.aggregation=2"], "dnsLogs.aggregation"),
    (&["dnsLogs.intervalSeconds=7200"], "dnsLogs.intervalSeconds"),
    (&["agent.resolverPods={kube-system/k8s-app=}"], "agent.resolverPods"),
    (&["agent.resolverPods={*/k8s-app=kube-dns}"], "agent.resolverPods"),
    (&["agent.excludePods={*}"], "agent.excludePods"),
    (&["agent.updateStrategy.rollingUpdate.maxSurge=0"], "maxSurge"),
    (&["agent.updateStrategy.rollingUpdate.maxUnavailable=1"], "must be 0, as a DaemonSet takes it"),
    (&["agent.namespace=Name_space"], "agent.namespace"),
    (&["searchEngine.caBundle=ca.crt"], "searchEngine.caBundle"),
    (&["controller.persistence.size=ten"], "controller.persistence.size"),
    (&["controller.store.mib=9500"], "give at most nine tenths of controller.persistence.size (9216 MiB)"),
    (&["controller.persistence.size=8Gi"], "controller.store.mib: 8192 MiB"),
    (&["controller.persistence.size=9G"], "(7724 MiB)"),
    (&["openShift.securityContextConstraints=maybe"], "openShift.securityContextConstraints"),
    (&["controller.service.ipFamilyPolicy=Dual"], "controller.service.ipFamilyPolicy"),
    (
        &["searchEngine.urls={https://es:9200}", "controller.persistence.mode=always"],
        "several controllers cannot share a claim",
    ),
    (
        &[
            "searchEngine.urls={https://es:9200}",
            "controller.persistence.mode=always,controller.persistence.accessModes={ReadWriteMany}",
        ],
        "several controllers cannot share a claim",
    ),
    (&["searchEngine.auth=apiKey"], "auth and Secrets without urls"),
    (&["searchEngine.urls={https://es:92000}"], "searchEngine.urls"),
    (&["feeds.bad.pull.http.url=https://a.example:99999/"], "url"),
    (
        &["controller.tls.mode=cert-manager", "controller.tls.issuer=a,controller.tls.clusterIssuer=b"],
        "and not both",
    ),
    (&["networkPolicy.clients[0].podSelectors=x"], "networkPolicy.clients"),
    (&["agent.stateDir=/var/../etc"], "agent.stateDir"),
    (&["controller.persistence=null"], "persistence"),
    (&["agent.updateStrategy=null"], "updateStrategy"),
    (&["monitoring=null"], "monitoring"),
    (&["commonLabels.app\\.kubernetes\\.io/name=x"], "commonLabels"),
    (&["agent.extraPodLabels.app\\.kubernetes\\.io/component=x"], "extraPodLabels"),
];

#[test]
fn values_that_make_no_sense_are_refused() -> Result<()> {
    for (options, said) in SENSELESS {
        let set: Vec<String> = options.iter().map(|option| format!("--set={option}")).collect();
        let refused = rendered(&set).err().with_context(|| format!("{options:?} is taken"))?;
        // Which version of the schema's checker says dots, which slashes, does not matter.
        let sentence = format!("{refused:#}").replace('/', ".");
        assert!(sentence.contains(&said.replace('/', ".")), "{options:?}: {sentence}");
    }
    Ok(())
}

#[test]
fn values_that_make_sense_are_taken_and_do_what_they_say() -> Result<()> {
    let policy = |option: &str, namespace: &str| -> Result<Value> {
        let of = |object: &Value| {
            text(object, "/kind") == "NetworkPolicy" && text(object, "/metadata/namespace") == namespace
        };
        let objects = rendered(&[option.to_owned()])?;
        objects.into_iter().find(of).with_context(|| format!("{option}: no policy"))
    };
    let variable = "--set=controller.extraEnv[0].name=https_proxy,controller.extraEnv[0].value=http://proxy.example:3129";
    let proxied = policy(variable, "namewarden-controller")?;
    assert!(proxied.to_string().contains("3129"), "{proxied}");
    let unread = policy("--set-json=networkPolicy.metrics=[]", "namewarden-agent")?;
    assert_eq!(unread.pointer("/spec/ingress"), Some(&serde_json::json!([])));
    let proxied = policy("--set=controller.feedProxy=http://proxy.example:3128", "namewarden-controller")?;
    assert!(proxied.to_string().contains("3128"), "{proxied}");
    // As a person writes it on the command line.
    rendered(&["--set=dnsLogs.aggregation=1".to_owned()])?;
    // A chart that has this one among its dependencies says so here.
    rendered(&["--set=enabled=true,tags.security=true,agent.stateDir=/var/lib/.name..warden/x".to_owned()])?;
    for room in ["size=1.5Ti", "size=9900M", "size=1Gi,controller.persistence.existingClaim=other"] {
        rendered(&[format!("--set=controller.persistence.{room}")])?;
    }
    let balanced = rendered(&["--set=controller.service.type=LoadBalancer".to_owned()])?;
    let services = balanced.iter().filter(|object| text(object, "/spec/type") == "LoadBalancer");
    let ports: Vec<_> =
        services.filter_map(|service| service.pointer("/spec/ports")?.as_array()).flatten().collect();
    assert_eq!(ports.iter().map(|port| text(port, "/name")).collect::<Vec<_>>(), ["https"]);
    Ok(())
}

#[test]
fn names_that_look_like_numbers_are_names() -> Result<()> {
    let values = "feeds.2024.description=x,agent.namespace=123,controller.namespace=on,searchEngine.urls={https://es},\
                  searchEngine.auth=token,searchEngine.agentSecret=1,searchEngine.controllerSecret=2,\
                  controller.htpasswdSecret=3,controller.persistence.existingClaim=4,\
                  image.pullSecrets[0]=5";
    for object in rendered(&[format!("--set-string={values}"), "--set=controller.replicas=1".to_owned()])? {
        each_text(&object, &mut |path, value| {
            let is_name = ["name", "namespace", "secretName", "claimName"].contains(&path);
            assert!(!is_name || value.is_string(), "{path}: {value} of {object:#}");
        });
    }
    Ok(())
}

/// Every value that is no list and no object, with its key.
fn each_text(value: &Value, see: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if !value.is_object() && !value.is_array() {
                    see(key, value);
                }
                each_text(value, see);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_text(item, see)),
        _ => {}
    }
}

#[test]
fn a_budget_for_evictions_is_in_nobodys_way() -> Result<()> {
    let budget = |options: &[&str]| -> Result<Option<Value>> {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        Ok(find(&rendered(&options)?, "PodDisruptionBudget", "namewarden-controller").ok().cloned())
    };
    let lenient = budget(&["--kube-version=1.27.0"])?.context("no budget")?;
    assert_eq!(text(&lenient, "/spec/unhealthyPodEvictionPolicy"), "AlwaysAllow");
    assert_eq!(budget(&["--kube-version=1.26.5"])?, None);
    let two = budget(&["--kube-version=1.26.5", "--set=searchEngine.urls={https://es:9200}"])?;
    assert_eq!(two.context("no budget")?.pointer("/spec/unhealthyPodEvictionPolicy"), None);
    Ok(())
}

#[test]
fn the_port_of_a_proxy_is_let_through_however_it_is_written() -> Result<()> {
    for (proxy, port) in [
        ("proxy.corp:3128", 3128),
        ("http://proxy.corp:3129", 3129),
        ("http://proxy.corp", 80),
        ("socks5://proxy.corp", 1080),
    ] {
        let value =
            format!("--set=controller.extraEnv[0].name=https_proxy,controller.extraEnv[0].value={proxy}");
        let objects = rendered(&[value, "--set=networkPolicy.feedPorts={443}".to_owned()])?;
        let policy = find(&objects, "NetworkPolicy", "namewarden-controller")?;
        assert!(policy.to_string().contains(&format!("\"port\":{port},")), "{proxy}: {policy:#}");
    }
    Ok(())
}

#[test]
fn whose_projectcalico_org_is_served_is_guessed_by_nobody() -> Result<()> {
    // As Argo CD renders it: with what the cluster serves, and without asking it.
    let served = "--api-versions=projectcalico.org/v3".to_owned();
    let refused = rendered(std::slice::from_ref(&served)).err().context("guessed")?;
    assert!(format!("{refused:#}").contains("set crd.group"), "{refused:#}");
    for group in ["projectcalico.org", "namewarden.dev"] {
        let objects = rendered(&[served.clone(), format!("--set=crd.group={group}")])?;
        let definition = find(&objects, "CustomResourceDefinition", &format!("globalthreatfeeds.{group}"))?;
        assert_eq!(text(definition, "/metadata/annotations/helm.sh~1resource-policy"), "keep");
        let kept = text(definition, "/metadata/annotations/argocd.argoproj.io~1sync-options");
        assert_eq!(kept, "Prune=false,Delete=false");
    }
    Ok(())
}

/// The first container's variables of this kind's object.
fn variables(objects: &[Value], kind: &str, name: &str) -> Result<Vec<(String, String)>> {
    let container = find(objects, kind, name)?.pointer("/spec/template/spec/containers/0/env");
    let all = container.and_then(Value::as_array).context("no variables")?;
    Ok(all.iter().map(|one| (text(one, "/name").to_owned(), text(one, "/value").to_owned())).collect())
}

#[test]
fn a_variable_of_ones_own_takes_the_place_of_the_charts() -> Result<()> {
    let search = "--set=searchEngine.urls={https://es:9200}";
    for (kind, name, value) in [
        ("DaemonSet", "namewarden-agent", "agent.extraEnv"),
        ("Deployment", "namewarden-controller", "controller.extraEnv"),
    ] {
        let own = format!("--set={value}[0].name=NAMEWARDEN_LOG,{value}[0].value=debug");
        let found = variables(&rendered(&[search.to_owned(), own])?, kind, name)?;
        let logs: Vec<_> = found.iter().filter(|(name, _)| name == "NAMEWARDEN_LOG").collect();
        assert_eq!(logs, [&("NAMEWARDEN_LOG".to_owned(), "debug".to_owned())]);
        let names: BTreeSet<_> = found.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), found.len(), "{found:?}");
    }
    Ok(())
}

#[test]
fn one_controller_asks_for_no_authority_of_others() -> Result<()> {
    for (replicas, is_told) in [(1, false), (2, true)] {
        let set =
            ["searchEngine.urls={https://es:9200}".to_owned(), format!("controller.replicas={replicas}")];
        let objects = rendered(&set.map(|option| format!("--set={option}")))?;
        let found = variables(&objects, "Deployment", "namewarden-controller")?;
        assert_eq!(found.iter().any(|(name, _)| name.starts_with("NAMEWARDEN_PEER_")), is_told, "{found:?}");
    }
    Ok(())
}

#[test]
fn a_certificate_is_good_for_addresses_as_addresses() -> Result<()> {
    const NAMES: &str = "--set=controller.tls.extraNames={threats.example,10.1.2.3,fd00::5}";
    let objects = rendered(&[NAMES.to_owned()])?;
    let secret = find(&objects, "Secret", "namewarden-controller-tls")?;
    let bytes = data_encoding::BASE64.decode(text(secret, "/data/tls.crt").as_bytes())?;
    let names =
        program::feed("openssl", &["x509", "-noout", "-ext", "subjectAltName"], &String::from_utf8(bytes)?)?;
    for name in [
        "DNS:threats.example",
        "IP Address:10.1.2.3",
        "IP Address:FD00:0:0:0:0:0:0:5",
        "IP Address:127.0.0.1",
    ] {
        assert!(names.contains(name), "{names}");
    }
    assert!(!names.contains("DNS:10.1.2.3"), "{names}");
    let options = ["controller.tls.mode=cert-manager", "controller.tls.issuer=own"];
    let options = options.map(|option| format!("--set={option}"));
    let objects = rendered(&[NAMES.to_owned(), options[0].clone(), options[1].clone()])?;
    let wanted = find(&objects, "Certificate", "namewarden-controller")?;
    assert_eq!(wanted.pointer("/spec/ipAddresses"), Some(&json!(["10.1.2.3", "fd00::5"])));
    assert_eq!(wanted.pointer("/spec/issuerRef"), Some(&json!({"kind": "Issuer", "name": "own"})));
    Ok(())
}

#[test]
fn labels_of_the_users_own_are_on_everything_and_select_nothing() -> Result<()> {
    let options = [
        "commonLabels.team=security",
        "agent.extraPodLabels.mesh=off",
        "namespaces.labels.project=p-1",
        "namespaces.annotations.owner=soc",
    ];
    let objects = rendered(&options.map(|option| format!("--set={option}")))?;
    for object in objects.iter().filter(|object| text(object, "/kind") != "CustomResourceDefinition") {
        assert_eq!(text(object, "/metadata/labels/team"), "security", "{object}");
        assert!(
            !object.pointer("/spec/selector").is_some_and(|selector| selector.to_string().contains("team"))
        );
    }
    let pods = find(&objects, "DaemonSet", "namewarden-agent")?;
    assert_eq!(text(pods, "/spec/template/metadata/labels/mesh"), "off");
    let namespace = find(&objects, "Namespace", "namewarden-agent")?;
    assert_eq!(text(namespace, "/metadata/labels/project"), "p-1");
    assert_eq!(text(namespace, "/metadata/annotations/owner"), "soc");
    Ok(())
}

#[test]
fn another_priority_is_another_class() -> Result<()> {
    for (options, name) in [
        (vec![], "namewarden-agent"),
        (vec!["--set=agent.priority=5000".to_owned()], "namewarden-agent-5000"),
    ] {
        let objects = rendered(&options)?;
        find(&objects, "PriorityClass", name)?;
        let pods = find(&objects, "DaemonSet", "namewarden-agent")?;
        assert_eq!(text(pods, "/spec/template/spec/priorityClassName"), name);
    }
    Ok(())
}

#[test]
fn who_may_what_is_what_the_tests_run_with() -> Result<()> {
    for group in ["projectcalico.org", "namewarden.dev"] {
        let options =
            ["controller.namespace=namewarden", "agent.namespace=namewarden", &format!("crd.group={group}")]
                .map(|option| format!("--set={option}"));
        let kept = |objects: Vec<Value>| -> BTreeSet<String> {
            let of_access = objects
                .into_iter()
                .filter(|object| text(object, "/apiVersion") == "rbac.authorization.k8s.io/v1");
            of_access
                .map(|mut object| {
                    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                        metadata.remove("labels");
                    }
                    object.to_string()
                })
                .collect()
        };
        let mut shipped = Vec::new();
        for name in ["agent", "controller", "people"] {
            let text = fs::read_to_string(deploy(&format!("rbac/{name}.yaml")))?;
            shipped.extend(objects(&text.replace("projectcalico.org", group))?);
        }
        let (installed, shipped) = (kept(rendered(&options)?), kept(shipped));
        assert_eq!(shipped.len(), 13, "{shipped:#?}");
        assert_eq!(installed, shipped);
    }
    Ok(())
}

#[test]
fn the_roles_for_people_add_to_those_that_clusters_have() -> Result<()> {
    let objects = rendered(&[])?;
    for (role, to) in [("viewer", Some("view")), ("editor", Some("edit")), ("pusher", None)] {
        let labels =
            find(&objects, "ClusterRole", &format!("namewarden:{role}"))?.pointer("/metadata/labels");
        let labels = labels.and_then(Value::as_object).context("no labels")?;
        let added: Vec<_> =
            labels.keys().filter_map(|key| key.rsplit_once("aggregate-to-")).map(|(_, to)| to).collect();
        assert_eq!(added, to.into_iter().collect::<Vec<_>>(), "{role}");
    }
    Ok(())
}

#[test]
fn each_namespace_takes_its_pods_and_the_controllers_takes_no_agent() -> Result<()> {
    let cluster = Cluster::start()?;
    for options in variants()? {
        let objects = rendered(&options)?;
        for kind in ["Namespace", "ServiceAccount", "PriorityClass"] {
            let some: Vec<&Value> = objects.iter().filter(|object| text(object, "/kind") == kind).collect();
            cluster.apply(&list(&some))?;
        }
        let pod = |kind: &str, name: &str, namespace: &str| -> Result<Value> {
            let mut pod = find(&objects, kind, name)?.pointer("/spec/template").context("no pod")?.clone();
            pod["apiVersion"] = json!("v1");
            pod["kind"] = json!("Pod");
            pod["metadata"]["name"] = json!(name);
            pod["metadata"]["namespace"] = json!(namespace);
            Ok(pod)
        };
        let take = |pod: &Value| {
            let words = "create --dry-run=server --warnings-as-errors --filename -";
            cluster.kubectl_as(&User::admin(), words, &pod.to_string())
        };
        take(&pod("Deployment", "namewarden-controller", "namewarden-controller")?)?;
        take(&pod("DaemonSet", "namewarden-agent", "namewarden-agent")?)?;
        let mut misplaced = pod("DaemonSet", "namewarden-agent", "namewarden-controller")?;
        misplaced["spec"]["serviceAccountName"] = json!("namewarden-controller");
        let refused =
            format!("{:#}", take(&misplaced).err().context("the controllers' namespace takes an agent")?);
        assert!(refused.contains("violates PodSecurity \"restricted"), "{refused}");
    }
    Ok(())
}

/// Words of a text that look like metrics of ours.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_part(letter)).filter(|word| word.starts_with("namewarden_"));
    words.map(str::to_owned).collect()
}

#[test]
fn rules_and_dashboard_ask_for_metrics_that_there_are() -> Result<()> {
    let page = fs::read_to_string(deploy("../docs/reference/metrics.md"))?;
    let known: BTreeSet<String> =
        page.lines().filter(|line| line.starts_with("| `namewarden_")).flat_map(metrics).collect();
    let objects = rendered(&["--set=monitoring.rules.enabled=true".to_owned()])?;
    let rules = find(&objects, "PrometheusRule", "namewarden")?.to_string();
    let dashboard = fs::read_to_string(deploy("dashboards/grafana.json"))?;
    for asking in [rules, dashboard] {
        let asked = metrics(&asking);
        assert!(asked.len() > 10, "{asked:?}");
        let unknown: Vec<_> = asked.difference(&known).collect();
        assert!(unknown.is_empty(), "no such metric: {unknown:?}");
    }
    Ok(())
}
