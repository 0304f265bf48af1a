//! Workloads of every kind: whoever asks for a listed name is named right, down to the process, over UDP and TCP.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use namewarden_tests::message::{kind_by_name, query, with_length};
use serde_json::Value;

use crate::{crowd::text, installation::Installation};

/// A pod that no API server was asked for: the kubelet reads it from a file. It can have no account.
const STATIC: &str = "
apiVersion: v1
kind: Pod
metadata: {name: anchor, namespace: shop}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: hold, image: 'busybox:1', imagePullPolicy: Never, command: [sh, -c, \"ASK; sleep 3600\"]}
";

const WORKLOADS: &str = include_str!("workloads.yaml");

/// Address of the cluster's DNS server.
const DNS: &str = "10.96.0.10";

/// What each workload does: by UDP it asks for `rat.example`, by TCP for `loader.example`, with one process each that lives a second.
fn ask() -> String {
    format!("{}; {}", datagram("sleep 1"), stream("nc -w 2", "sleep 1"))
}

/// The same, all of it within 200 ms.
fn glance() -> String {
    format!("({}) & {}; wait", datagram("usleep 200000"), stream("timeout -s KILL 0.2 nc", "usleep 200000"))
}

/// Asks, and lives until what it says is read, which is after a pause: the pipe is full before.
fn datagram(pause: &str) -> String {
    format!("(head -c 65536 /dev/zero; exec nslookup rat.example. {DNS}) | ({pause}; wc -c)")
}

/// Asks, and lives as long as its input is open: nobody has to look within the moment that an answer takes.
fn stream(program: &str, pause: &str) -> String {
    let question = escaped(&with_length(&query(0x1234, "loader.example", kind_by_name("A"))));
    format!("(printf '{question}'; {pause}) | {program} {DNS} 53 | wc -c")
}

/// Bytes as `printf` takes them, inside a string of a manifest.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\\\{byte:03o}")).collect::<Vec<_>>().concat()
}

/// What each alert of a workload must say.
struct Workload {
    /// How the pod's name begins; all of it where nothing is made up.
    pod: &'static str,
    container: &'static str,
    owner: Option<(&'static str, &'static str)>,
    /// Entries that it asks for, with the transport and the process that asks.
    ways: &'static [(&'static str, &'static str, &'static str)],
    /// It may have ended before anybody looked, all of its container.
    is_brief: bool,
}

const WAYS: &[(&str, &str, &str)] = &[("rat.example", "udp", "nslookup"), ("loader.example", "tcp", "nc")];

const fn workload(
    pod: &'static str,
    container: &'static str,
    owner: Option<(&'static str, &'static str)>,
) -> Workload {
    Workload { pod, container, owner, ways: WAYS, is_brief: false }
}

const EXPECTED: [Workload; 9] = [
    workload("cart-", "checkout", Some(("Deployment", "cart"))),
    workload("invoice-", "print", Some(("Job", "invoice"))),
    workload("report-", "sum", Some(("CronJob", "report"))),
    workload("anchor-node-1", "hold", Some(("Node", "node-1"))),
    workload("stock-0", "count", Some(("StatefulSet", "stock"))),
    workload("ledger", "book", None),
    workload("opening", "unlock", None),
    workload("glance", "look", None),
    Workload {
        ways: &[("rat.example", "udp", "nslookup")],
        is_brief: true,
        ..workload("flash", "strike", None)
    },
];

impl Workload {
    /// Whether the alert is of this workload: by its pod's name.
    fn raised(&self, alert: &Value) -> bool {
        text(alert, "/kubernetes/pod/name").starts_with(self.pod)
    }

    /// What the alert says otherwise than it should.
    fn wrong(&self, alert: &Value) -> Vec<String> {
        let owner = self.owner.unwrap_or_default();
        let way = self.ways.iter().find(|way| way.0 == text(alert, "/dns/question/name"));
        let process = way.map(|way| way.2).unwrap_or_default();
        let fields = [
            ("/kubernetes/namespace", "shop"),
            ("/kubernetes/owner/kind", owner.0),
            ("/kubernetes/owner/name", owner.1),
            ("/kubernetes/service_account", if self.pod.starts_with("anchor") { "" } else { "clerk" }),
            ("/container/name", self.container),
            ("/container/image/name", "busybox:1"),
            ("/process/name", process),
        ];
        // An init container that is one process and ends with its answer may be known by its ids alone: nothing is guessed.
        let may_lack =
            |path: &str| self.is_brief && !path.starts_with("/kube") && text(alert, path).is_empty();
        let differ = |(path, value): &(&str, &str)| text(alert, path) != *value && !may_lack(path);
        let say = |(path, value): &(&str, &str)| format!("{path}: {:?}, not {value:?}", text(alert, path));
        fields.iter().filter(|field| differ(field)).map(say).collect()
    }

    /// Whether there is an alert of each of its entries that says what it should.
    fn is_told(&self, alerts: &[Value]) -> bool {
        self.ways.iter().all(|(name, transport, _)| {
            alerts.iter().any(|alert| {
                self.raised(alert)
                    && text(alert, "/dns/question/name") == *name
                    && text(alert, "/network/transport") == *transport
                    && text(alert, "/container/id").len() == 64
                    && self.wrong(alert).is_empty()
            })
        })
    }
}

#[test]
fn each_workload_is_named_over_udp_and_tcp_and_nobody_else_alerts() -> Result<()> {
    let installation = Installation::turn()?;
    installation.apply(&WORKLOADS.replace("GLANCE", &glance()).replace("ASK", &ask()))?;
    installation.run_static("anchor", &STATIC.replace("ASK", &ask()))?;
    let alerts = installation
        .wait_for_alerts("an alert of each workload and way, with all names", |alerts| {
            EXPECTED.iter().all(|workload| workload.is_told(alerts))
        });
    let alerts = alerts.or_else(|error| {
        let wrong: Vec<_> = complaints(&installation.alerts()?);
        Err(error.context(format!("{wrong:#?}")))
    })?;
    // Others on this machine are no pods of this cluster.
    let of_pods = alerts.iter().filter(|alert| alert.pointer("/kubernetes/pod/name").is_some());
    let strangers: Vec<_> = of_pods.filter(|alert| !is_expected(alert)).collect();
    ensure!(strangers.is_empty(), "who asked for nothing raised alerts: {strangers:#?}");
    let wrong = complaints(&alerts);
    ensure!(wrong.is_empty(), "{wrong:#?}");
    for workload in &EXPECTED {
        let pods: BTreeSet<_> = alerts
            .iter()
            .filter(|alert| workload.raised(alert))
            .map(|alert| text(alert, "/kubernetes/pod/name").to_owned())
            .collect();
        // The CronJob goes on, minute by minute.
        if workload.pod != "report-" {
            installation.engine.expect(&pods, workload.ways.len());
        }
    }
    let brief = alerts.iter().filter(|alert| text(alert, "/kubernetes/pod/name") == "flash");
    for alert in brief {
        let names = [text(alert, "/container/name"), text(alert, "/process/name")];
        println!("of an init container that ends with its answer the alert names {names:?}");
    }
    installation.end()
}

/// Of one of the workloads, of the pod that waited for the set, or of another test.
fn is_expected(alert: &Value) -> bool {
    text(alert, "/kubernetes/pod/name") == "probe"
        || text(alert, "/kubernetes/namespace") == "churn"
        || EXPECTED.iter().any(|workload| workload.raised(alert))
}

fn complaints(alerts: &[Value]) -> Vec<String> {
    let of = |workload: &Workload| {
        let raised = alerts.iter().filter(|alert| workload.raised(alert));
        let wrong = raised.flat_map(|alert| workload.wrong(alert));
        wrong.map(|what| format!("{}: {what}", workload.pod)).collect::<Vec<_>>()
    };
    EXPECTED.iter().flat_map(of).collect()
}
