//! Pods by the dozen that ask once, live a fifth of a second and end; each has to have its alert, with all names, once.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;

use crate::installation::{Installation, wait_for};

/// A Job whose pods do this once and live 200 ms more: NAME, how many (COUNT), how many at a time (SIDE).
const JOB: &str = "
apiVersion: batch/v1
kind: Job
metadata: {name: NAME, namespace: churn}
spec:
  completions: COUNT
  parallelism: SIDE
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: once
        image: busybox:1
        imagePullPolicy: Never
        command: [sh, -c, 'ASK; usleep 200000']
";

/// What each of a job's pods does, unless a test says otherwise.
const ASK: &str = "nslookup rat.example. 10.96.0.10";

/// Text of a document; empty where there is none.
pub fn text<'a>(document: &'a Value, path: &str) -> &'a str {
    document.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// A job of such pods.
pub struct Crowd<'i> {
    installation: &'i Installation,
    name: String,
}

impl<'i> Crowd<'i> {
    /// Starts `count` pods, `side` at a time.
    pub fn start(installation: &'i Installation, name: &str, count: usize, side: usize) -> Result<Self> {
        Self::start_with(installation, name, count, side, ASK)
    }

    /// The same with what each does.
    pub fn start_with(
        installation: &'i Installation,
        name: &str,
        count: usize,
        side: usize,
        ask: &str,
    ) -> Result<Self> {
        let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: churn}\n---\n";
        let job = JOB.replace("NAME", name).replace("COUNT", &count.to_string());
        let job = job.replace("SIDE", &side.to_string()).replace("ASK", ask);
        installation.apply(&format!("{namespace}{job}"))?;
        Ok(Self { installation, name: name.to_owned() })
    }

    /// Waits until so many of its pods have ended, so that others are on their way.
    pub fn until_ended(&self, count: u64) -> Result<()> {
        wait_for("some pods of the job ended", || {
            let jobs = self.installation.get("jobs --namespace churn")?;
            let of_name = jobs.iter().find(|job| text(job, "/metadata/name") == self.name);
            let ended = of_name.and_then(|job| job.pointer("/status/succeeded")?.as_u64());
            Ok(ended.is_some_and(|ended| ended >= count))
        })
    }

    /// The names of its pods, once all have ended.
    pub fn ended(&self) -> Result<BTreeSet<String>> {
        let name = &self.name;
        self.installation
            .kubectl(&format!("wait --for condition=Complete --timeout 400s --namespace churn job/{name}"))?;
        let pods = self.installation.get(&format!("pods --namespace churn --selector job-name={name}"))?;
        Ok(pods.iter().map(|pod| text(pod, "/metadata/name").to_owned()).collect())
    }

    /// How many of its pods had ended a minute after the job was made.
    pub fn ended_within_a_minute(&self) -> Result<usize> {
        let at = |text: &str| text.parse::<Timestamp>().map(Timestamp::as_second);
        let jobs = self.installation.get("jobs --namespace churn")?;
        let job = jobs.iter().find(|job| text(job, "/metadata/name") == self.name).context("no job")?;
        let began = at(text(job, "/metadata/creationTimestamp"))?;
        let pods =
            self.installation.get(&format!("pods --namespace churn --selector job-name={}", self.name))?;
        let path = "/status/containerStatuses/0/state/terminated/finishedAt";
        Ok(pods.iter().filter(|pod| at(text(pod, path)).is_ok_and(|ended| ended <= began + 60)).count())
    }

    /// Waits until each pod has an alert; fails where one has two groups, is no pod of the job, or says something else than it should.
    /// OpenSearch has to hold each once from then on.
    pub fn alerts_once(&self, pods: &BTreeSet<String>) -> Result<Vec<Value>> {
        let of_job = |alert: &Value| text(alert, "/kubernetes/owner/name") == self.name;
        let groups = |alerts: &[Value]| -> BTreeMap<String, BTreeSet<String>> {
            let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for alert in alerts.iter().filter(|alert| of_job(alert)) {
                let pod = text(alert, "/kubernetes/pod/name").to_owned();
                groups.entry(pod).or_default().insert(text(alert, "/namewarden/group").to_owned());
            }
            groups
        };
        let alerts = self.installation.wait_for_alerts("an alert of each pod of the job", |alerts| {
            let groups = groups(alerts);
            pods.iter().all(|pod| groups.contains_key(pod))
        })?;
        for (pod, groups) in groups(&alerts) {
            ensure!(pods.contains(&pod), "{pod} is no pod of {}", self.name);
            ensure!(groups.len() == 1, "{pod} has alerts of {} groups", groups.len());
        }
        self.installation.engine.expect(pods, 1);
        let alerts: Vec<_> = alerts.into_iter().filter(of_job).collect();
        self.are_named(&alerts)?;
        Ok(alerts)
    }

    fn are_named(&self, alerts: &[Value]) -> Result<()> {
        let fields = [
            ("/kubernetes/namespace", "churn"),
            ("/kubernetes/owner/kind", "Job"),
            ("/kubernetes/service_account", "default"),
            ("/container/name", "once"),
            ("/container/image/name", "busybox:1"),
        ];
        for alert in alerts {
            let wrong = fields.iter().find(|(path, value)| text(alert, path) != *value);
            ensure!(wrong.is_none(), "{wrong:?}, but the alert says otherwise: {alert:#}");
        }
        // Who has ended before the agent looked has no name, and nobody else's.
        let first =
            alerts.iter().filter(|alert| text(alert, "/event/id") == text(alert, "/namewarden/group"));
        let processes: Vec<_> = first.map(|alert| text(alert, "/process/name")).collect();
        let nameless = processes.iter().filter(|name| name.is_empty()).count();
        println!(
            "{}: {nameless} of {} processes had ended before they were read",
            self.name,
            processes.len()
        );
        ensure!(processes.iter().all(|name| ["", "nslookup"].contains(name)), "{processes:?}");
        ensure!(nameless * 2 < processes.len(), "{nameless} of {} processes have no name", processes.len());
        Ok(())
    }
}

#[test]
fn two_hundred_pods_that_come_and_go_are_all_named_and_none_is_missed() -> Result<()> {
    let installation = Installation::turn()?;
    let crowd = Crowd::start(&installation, "crowd", 200, 50)?;
    let pods = crowd.ended()?;
    ensure!(pods.len() == 200, "{} pods", pods.len());
    println!("{} of 200 pods had ended after a minute", crowd.ended_within_a_minute()?);
    crowd.alerts_once(&pods)?;
    installation.end()
}
