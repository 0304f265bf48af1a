//! Workloads of every kind: whoever asks for a listed name is named right, over UDP and TCP; the resolver that asks on its
//! behalf raises nothing.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::installation::Installation;

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

/// Asks by UDP for one name and by TCP for the other, whose message is written out: its length, its head, `loader.example`, A, IN.
const ASK: &str = "nslookup rat.example. 10.96.0.10; printf '\\\\000\\\\040\\\\022\\\\064\\\\001\\\\000\\\\000\\\\001\
\\\\000\\\\000\\\\000\\\\000\\\\000\\\\000\\\\006loader\\\\007example\\\\000\\\\000\\\\001\\\\000\\\\001' \
| nc -w 2 10.96.0.10 53 | wc -c";

/// What each alert of a workload must say.
struct Workload {
    /// How the pod's name begins; all of it where nothing is made up.
    pod: &'static str,
    container: &'static str,
    owner: Option<(&'static str, &'static str)>,
}

const EXPECTED: [Workload; 8] = [
    Workload { pod: "cart-", container: "checkout", owner: Some(("Deployment", "cart")) },
    Workload { pod: "invoice-", container: "print", owner: Some(("Job", "invoice")) },
    Workload { pod: "report-", container: "sum", owner: Some(("CronJob", "report")) },
    Workload { pod: "anchor-node-1", container: "hold", owner: Some(("Node", "node-1")) },
    Workload { pod: "stock-0", container: "count", owner: Some(("StatefulSet", "stock")) },
    Workload { pod: "ledger", container: "book", owner: None },
    Workload { pod: "opening", container: "unlock", owner: None },
    Workload { pod: "glance", container: "look", owner: None },
];

fn text<'a>(alert: &'a Value, path: &str) -> &'a str {
    alert.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

impl Workload {
    /// Whether the alert is of this workload: by its pod's name.
    fn raised(&self, alert: &Value) -> bool {
        text(alert, "/kubernetes/pod/name").starts_with(self.pod)
    }

    /// What the alert says otherwise than it should.
    fn wrong(&self, alert: &Value) -> Vec<String> {
        let owner = self.owner.unwrap_or_default();
        let fields = [
            ("/kubernetes/namespace", "shop"),
            ("/kubernetes/owner/kind", owner.0),
            ("/kubernetes/owner/name", owner.1),
            ("/kubernetes/service_account", if self.pod.starts_with("anchor") { "" } else { "clerk" }),
            ("/container/name", self.container),
            ("/container/image/name", "busybox:1"),
        ];
        // An init container that is gone before anybody told of it is known by its id alone: nothing is guessed.
        let is_brief = self.pod == "opening";
        let may_lack =
            |path: &str| is_brief && path.starts_with("/container/") && text(alert, path).is_empty();
        let differ = |(path, value): &(&str, &str)| text(alert, path) != *value && !may_lack(path);
        let say = |(path, value): &(&str, &str)| format!("{path}: {:?}, not {value:?}", text(alert, path));
        fields.iter().filter(|field| differ(field)).map(say).collect()
    }
}

#[test]
fn each_workload_is_named_over_udp_and_tcp_and_the_resolver_raises_nothing() -> Result<()> {
    let installation = Installation::turn()?;
    installation.apply(&WORKLOADS.replace("ASK", ASK))?;
    installation.run_static("anchor", &STATIC.replace("ASK", ASK))?;
    let ways = [("rat.example", "udp"), ("loader.example", "tcp")];
    let is_there = |alerts: &[Value], workload: &Workload, (name, transport): (&str, &str)| {
        alerts.iter().any(|alert| {
            workload.raised(alert)
                && text(alert, "/dns/question/name") == name
                && text(alert, "/network/transport") == transport
                && workload.wrong(alert).is_empty()
        })
    };
    let alerts = installation
        .wait_for_alerts("an alert of each workload and way, with all names", |alerts| {
            EXPECTED.iter().all(|workload| ways.iter().all(|way| is_there(alerts, workload, *way)))
        });
    let alerts = alerts.or_else(|error| {
        let wrong: Vec<_> = complaints(&installation.alerts()?);
        Err(error.context(format!("{wrong:#?}")))
    })?;
    // Others on this machine are no pods of this cluster.
    let of_pods = alerts.iter().filter(|alert| alert.pointer("/kubernetes/pod/name").is_some());
    let strangers: Vec<_> = of_pods.filter(|alert| !is_expected(alert)).collect();
    ensure!(strangers.is_empty(), "who asked for nothing raised alerts: {strangers:#?}");
    let kinds = alerts.iter().filter(|alert| text(alert, "/kubernetes/namespace") == "kube-system");
    ensure!(kinds.count() == 0, "the resolver raised alerts");
    let wrong = complaints(&alerts);
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
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
