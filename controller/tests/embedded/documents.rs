//! Documents as agents send them to the program, and what `events` prints of them.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::program::{Program, Running};

/// The examples of the reference by their names, each with an id of its own.
fn examples() -> Vec<(String, Value)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/documents.md");
    let page = std::fs::read_to_string(path).unwrap();
    let examples = page.split("<!-- example: ").skip(1).map(|part| {
        let (name, rest) = part.split_once(" -->").unwrap();
        let text = rest.split("```json").nth(1).unwrap().split("```").next().unwrap();
        let mut document: Value = serde_json::from_str(text).unwrap();
        document["event"]["id"] = name.into();
        (name.to_owned(), document)
    });
    examples.collect()
}

/// A `_bulk` body that creates them.
fn body<'d>(documents: impl IntoIterator<Item = &'d Value>) -> String {
    let lines = documents.into_iter().map(|document| {
        let stream = &document["data_stream"];
        let index = ["type", "dataset", "namespace"].map(|part| stream[part].as_str().unwrap()).join("-");
        let action = json!({ "create": { "_index": index, "_id": document["event"]["id"] } });
        format!("{action}\n{document}\n")
    });
    lines.collect()
}

fn client(running: &Running<'_>) -> reqwest::Client {
    // It serves once its certificate is there.
    running.url();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = std::fs::read(running.authority()).unwrap();
    let authority = reqwest::Certificate::from_pem(&authority).unwrap();
    reqwest::Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap()
}

/// The answer's items, or nothing where there was no answer.
async fn bulk(client: &reqwest::Client, url: &str, body: String) -> Option<Vec<Value>> {
    let request = client.post(format!("{url}/_bulk")).header("content-type", "application/x-ndjson");
    let answer = request.body(body).send().await.ok()?.text().await.ok()?;
    let answer: Value = serde_json::from_str(&answer).ok()?;
    Some(answer["items"].as_array()?.iter().map(|item| item["create"].clone()).collect())
}

fn command(running: &Running<'_>, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_namewarden-controller"));
    command.args(["events", "--url", &running.url(), "--ca"]).arg(running.authority()).args(arguments);
    command.env("TZ", "UTC").env("COLUMNS", "110");
    command
}

fn events(running: &Running<'_>, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = command(running, arguments).output().unwrap();
    assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn documents(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_examples_of_the_reference_are_kept_and_printed() {
    let program = Program::new();
    let running = program.start();
    let (url, examples) = (running.url(), examples());
    let items =
        bulk(&client(&running), &url, body(examples.iter().map(|(_, example)| example))).await.unwrap();
    let statuses: Vec<_> = items.iter().map(|item| item["status"].as_u64()).collect();
    assert!(examples.len() >= 8 && statuses.iter().all(|status| *status == Some(201)), "{items:?}");
    let all = ["--since", "2026-11-22", "--output", "json"];
    let mut printed = documents(&events(&running, &all));
    let is_alert = |document: &&Value| document["data_stream"]["dataset"] == "namewarden.alert";
    let mut expected: Vec<_> =
        examples.iter().map(|(_, example)| example).filter(is_alert).cloned().collect();
    for documents in [&mut printed, &mut expected] {
        documents.sort_by_key(|document| document["event"]["id"].to_string());
    }
    assert_eq!(printed, expected);
    let count = |more: &[&str]| documents(&events(&running, &[&all[..], more].concat())).len();
    let having = |path: &str, value: Value| {
        let is_so = |document: &&Value| document.pointer(path) == Some(&value);
        let found = expected.iter().filter(is_so).count();
        assert!(found > 0, "no example has {value} at {path}");
        found
    };
    let entries = having("/threat/indicator/name", "evil.example".into());
    assert_eq!(count(&["--domain", "EVIL.example."]), entries);
    assert_eq!(count(&["--domain", "other.example"]), 0);
    let severe = having("/event/severity", 75.into());
    assert_eq!(count(&["--severity", "75"]), severe);
    assert_eq!(count(&["--feed", "urlhaus", "--severity", "75"]), entries);
    assert_eq!(count(&["--severity", "76"]), 0);
    let pod = "1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9";
    assert_eq!(count(&["--pod", pod]), having("/kubernetes/pod/uid", pod.into()));
    assert_eq!(count(&["--until", "2026-11-22T15:01:00Z"]), expected.len() - 1);
    let table = events(&running, &["--since", "2026-11-22"]);
    assert!(
        table.starts_with("TIME") && table.contains("evil.example") && table.contains("urlhaus"),
        "{table}"
    );
    assert!(table.lines().all(|line| line.chars().count() <= 110), "{table}");
    let csv = events(&running, &["--since", "2026-11-22", "-o", "csv"]);
    assert!(csv.starts_with("time,id,group,") && csv.lines().count() == expected.len() + 1, "{csv}");
    let log = running.stop();
    assert!(log.contains("documents are kept in"), "{log}");
}

/// Ends with the test.
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn what_comes_in_is_followed_however_old_it_is() {
    let program = Program::new();
    let running = program.start();
    let (client, url) = (client(&running), running.url());
    let alert = |id: &str, time: &str| {
        let mut alert = examples().remove(0).1;
        alert["event"]["id"] = id.into();
        alert["@timestamp"] = time.into();
        alert
    };
    bulk(&client, &url, body([&alert("first", "2026-11-22T15:00:00Z")])).await.unwrap();
    let mut child = command(&running, &["--since", "2026-11-22", "--follow", "-o", "json"]);
    let mut following = Following(child.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(following.0.stdout.take().unwrap()).lines();
    let mut next =
        || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap()["event"]["id"].clone();
    assert_eq!(next(), "first");
    bulk(&client, &url, body([&alert("second", "2026-11-20T15:00:00Z")])).await.unwrap();
    assert_eq!(next(), "second");
}

#[tokio::test]
async fn what_was_acknowledged_outlives_the_programs_end_and_nothing_is_kept_twice() {
    const KILLS: u64 = 8;
    let program = Program::new();
    let example = examples().remove(0).1;
    let (mut acknowledged, mut sent) = (BTreeSet::new(), 0_u64);
    for round in 0..KILLS {
        let running = program.start();
        let (client, url) = (client(&running), running.url());
        let until = Instant::now() + Duration::from_millis(30 + 77 * round % 250);
        let mut tasks = tokio::task::JoinSet::new();
        for sender in 0..4 {
            let (client, url, mut example) = (client.clone(), url.clone(), example.clone());
            // Half of what a round sends was sent by the one before.
            let from = sent.saturating_sub(100) + sender * 50;
            tasks.spawn(async move {
                let mut kept = Vec::new();
                while Instant::now() < until + Duration::from_secs(1) {
                    let batch: Vec<_> = (from..from + 50)
                        .map(|number| {
                            example["event"]["id"] = format!("{number:08}-{}", kept.len() / 50).into();
                            example.clone()
                        })
                        .collect();
                    let Some(items) = bulk(&client, &url, body(&batch)).await else { break };
                    kept.extend(
                        items
                            .into_iter()
                            .filter(|item| [201, 409].map(Some).contains(&item["status"].as_u64())),
                    );
                }
                kept
            });
        }
        tokio::time::sleep_until(until.into()).await;
        running.kill();
        while let Some(kept) = tasks.join_next().await {
            acknowledged.extend(kept.unwrap().iter().map(|item| item["_id"].as_str().unwrap().to_owned()));
        }
        sent += 100;
    }
    let running = program.start();
    let printed = documents(&events(&running, &["--since", "2026-11-22", "-o", "json"]));
    let ids: BTreeSet<_> =
        printed.iter().map(|document| document["event"]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), printed.len(), "some are kept twice");
    let lost: Vec<_> = acknowledged.difference(&ids).collect();
    assert!(lost.is_empty() && !acknowledged.is_empty(), "{} of {} are lost", lost.len(), acknowledged.len());
}

#[test]
fn a_controller_that_does_not_answer_is_said_so() {
    let program = Program::new();
    let running = program.start();
    let mut asking = command(&running, &["--severity", "50"]);
    let (url, authority) = (running.url(), running.authority());
    running.kill();
    let output = asking.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains(&format!("{url} does not answer")), "{said}");
    let plain = Command::new(env!("CARGO_BIN_EXE_namewarden-controller"))
        .args(["events", "--url", "http://localhost:1", "--ca"])
        .arg(authority)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&plain.stderr);
    assert!(said.contains("--url must be https://"), "{said}");
    assert_eq!(plain.stdout, b"");
}

#[tokio::test]
async fn what_a_person_says_of_a_group_stands_over_a_restart() {
    let program = Program::new();
    let running = program.start();
    let examples = examples();
    bulk(&client(&running), &running.url(), body(examples.iter().map(|(_, example)| example))).await.unwrap();
    let group = examples[0].1["namewarden"]["group"].as_str().unwrap();
    let annotate = |running: &Running<'_>, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_namewarden-controller"));
        command.args(["annotate", "--url", &running.url(), "--ca"]).arg(running.authority()).args(arguments);
        command.output().unwrap()
    };
    let reason = "a test of ours, \u{1b}[31mred";
    let said = annotate(&running, &["-s", "dismissed", "--reason", reason, "--by", "ann", group]);
    assert_eq!(String::from_utf8(said.stdout).unwrap(), format!("{group} dismissed by ann\n"));
    let unknown = annotate(&running, &["-s", "acknowledged", "no-such-group"]);
    let why = String::from_utf8(unknown.stderr).unwrap();
    assert!(unknown.status.code() == Some(2) && why.contains("no alert of the group no-such-group"), "{why}");
    running.kill();

    let running = program.start();
    let of = |state: &str| {
        documents(&events(&running, &["--since", "2026-11-22", "--state", state, "-o", "json"]))
    };
    let is_of = |document: &Value| document["namewarden"]["group"] == group;
    let (dismissed, new) = (of("dismissed"), of("new"));
    assert!(!dismissed.is_empty() && dismissed.iter().all(is_of), "{dismissed:#?}");
    assert!(!new.is_empty() && !new.iter().any(is_of), "{new:#?}");
    let csv = events(&running, &["--since", "2026-11-22", "--state", "dismissed", "-o", "csv"]);
    assert!(csv.contains("dismissed,ann,\"a test of ours, "), "{csv}");
    let table = events(&running, &["--since", "2026-11-22", "--state", "dismissed"]);
    assert!(table.contains("dismissed") && !table.contains('\u{1b}'), "{table}");
}
