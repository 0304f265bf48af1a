//! The real program in its embedded mode: manifests in a folder, lists from a server of the test, sets on disk.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

// A server of lists.
#[path = "embedded/lists.rs"]
mod lists;

// Documents that are kept, and printed.
#[path = "embedded/documents.rs"]
mod documents;

// The program with its folders.
#[path = "embedded/program.rs"]
mod program;

use lists::{Answer, Lists};
use program::Program;

#[test]
fn a_manifest_becomes_a_set_and_a_status() {
    let lists = Lists::new();
    lists.answer("/list", Answer::text("evil.example\n# a comment\nnot a name\nco.uk\n"));
    let program = Program::new();
    program.write("urls.yaml", &pull("urls", &lists.url("/list"), ""));
    let running = program.start();
    let set = running.wait_for_set(|set| set.lists("evil.example"));
    assert!(set.lists("www.evil.example") && !set.lists("www.other.co.uk"));
    let status = running.wait_for_status("urls", |status| status.contains("reason: Ready"));
    for part in ["entries: 2", "rejected: 1", "guarded: 1", "line: 3", "lastSuccessfulSync", "nextSync"] {
        assert!(status.contains(part), "{part} is not in {status}");
    }
}

#[test]
fn a_restart_without_network_serves_the_same_set() {
    let lists = Lists::new();
    lists.answer("/list", Answer::text("evil.example\n"));
    let program = Program::new();
    program.write("urls.yaml", &pull("urls", &lists.url("/list"), ""));
    let running = program.start();
    let first = running.wait_for_set(|set| set.lists("evil.example"));
    running.wait_for_status("urls", |status| status.contains("threatSet"));
    running.stop();
    drop(lists);
    let again = program.start();
    again.wait_for_log("the last threat set is served again");
    // A second feed makes the controller compose a set anew: the first one's copy is still in it.
    program.write("push.yaml", &push("pushed"));
    again.wait_for_status("pushed", |status| status.contains("AwaitingPush"));
    assert_eq!(again.wait_for_set(|_| true).id, first.id);
}

#[test]
fn a_lost_disk_takes_no_feed_out_of_the_set_before_its_list_is_back() {
    let lists = Lists::new();
    lists.answer("/list", Answer::text("evil.example\n"));
    let program = Program::new();
    program.write("urls.yaml", &pull("urls", &lists.url("/list"), ""));
    let running = program.start();
    running.wait_for_status("urls", |status| status.contains("threatSet"));
    running.stop();
    program.lose_state();
    lists.answer("/list", Answer::text("<html>maintenance</html>"));
    let again = program.start();
    again.wait_for_log("the copies of these feeds are lost");
    lists.answer("/list", Answer::text("evil.example\n"));
    program.write("urls.yaml", &pull_marked("urls", &lists.url("/list"), "1"));
    again.wait_for_set(|set| set.lists("evil.example"));
    again.wait_for_log("threat set in use");
    let log = again.stop();
    assert_eq!(log.matches("threat set in use").count(), 1, "{log}");
}

#[test]
fn a_damaged_copy_is_obtained_anew_and_keeps_no_other_feed_from_changing() {
    let (lists, program) = two_feeds();
    let running = program.start();
    running.wait_for_set(|set| set.lists("a.example") && set.lists("b.example"));
    program.damage_copy("a.example");
    lists.answer("/b", Answer::text("b.example\nc.example\n"));
    program.write("b.yaml", &pull_marked("b", &lists.url("/b"), "1"));
    running.wait_for_log("the last good copy of feed a cannot be read");
    running.wait_for_set(|set| set.lists("a.example") && set.lists("c.example"));
    running.wait_for_status("a", |status| status.contains("reason: Ready"));
}

#[test]
fn disabling_and_deleting_take_a_feed_out() {
    let (lists, program) = two_feeds();
    let running = program.start();
    running.wait_for_set(|set| set.lists("a.example") && set.lists("b.example"));
    program.write("a.yaml", &pull("a", &lists.url("/a"), "  mode: Disabled\n"));
    running.wait_for_set(|set| !set.lists("a.example") && set.lists("b.example"));
    running.wait_for_status("a", |status| status.contains("reason: Disabled"));
    program.remove("b.yaml");
    running.wait_for_set(|set| !set.lists("b.example"));
    program.write("a.yaml", &pull("a", &lists.url("/a"), ""));
    running.wait_for_set(|set| set.lists("a.example"));
}

#[test]
fn a_page_instead_of_a_list_keeps_the_last_good_copy() {
    let lists = Lists::new();
    lists.answer("/list", Answer::text("evil.example\n"));
    let program = Program::new();
    program.write("urls.yaml", &pull("urls", &lists.url("/list"), ""));
    let running = program.start();
    let first = running.wait_for_set(|set| set.lists("evil.example"));
    lists.answer("/list", Answer::text("<!DOCTYPE html><html><body>Sign in</body></html>"));
    program.write("urls.yaml", &pull_marked("urls", &lists.url("/list"), "1"));
    let status = running.wait_for_status("urls", |status| status.contains("type: Refused"));
    assert!(status.contains("web page") && status.contains("reason: Stale"), "{status}");
    assert_eq!(running.wait_for_set(|_| true).id, first.id);
}

#[test]
fn the_first_list_is_refused_too() {
    let lists = Lists::new();
    lists.answer("/list", Answer::text("<html></html>"));
    let program = Program::new();
    program.write("urls.yaml", &pull("urls", &lists.url("/list"), ""));
    let running = program.start();
    running
        .wait_for_status("urls", |status| status.contains("type: Refused") && status.contains("entries: 0"));
}

#[test]
fn a_list_that_shrank_is_believed_when_it_says_so_twice() {
    let lists = Lists::new();
    let many: Vec<_> = (0..10).map(|number| format!("n{number}.example")).collect();
    lists.answer("/list", Answer::text(&many.join("\n")));
    let program = Program::new();
    program.write("urls.yaml", &pull("urls", &lists.url("/list"), ""));
    let running = program.start();
    running.wait_for_set(|set| set.lists("n9.example"));
    lists.answer("/list", Answer::text("n0.example\n"));
    program.write("urls.yaml", &pull_marked("urls", &lists.url("/list"), "1"));
    running.wait_for_status("urls", |status| status.contains("type: Shrunk"));
    assert!(running.wait_for_set(|_| true).lists("n9.example"));
    program.write("urls.yaml", &pull_marked("urls", &lists.url("/list"), "2"));
    running.wait_for_set(|set| set.lists("n0.example") && !set.lists("n9.example"));
}

#[test]
fn a_server_that_says_nothing_changed_is_believed() {
    let lists = Lists::new();
    lists.answer("/list", Answer { etag: Some("\"one\""), ..Answer::text("evil.example\n") });
    let program = Program::new();
    program.write("urls.yaml", &pull("urls", &lists.url("/list"), ""));
    let running = program.start();
    running.wait_for_set(|set| set.lists("evil.example"));
    program.write("urls.yaml", &pull_marked("urls", &lists.url("/list"), "1"));
    lists.wait_for(|requests| {
        requests.iter().any(|request| request.to_lowercase().contains("if-none-match: \"one\""))
    });
}

#[test]
fn headers_come_from_secrets_and_a_missing_one_holds_the_pull_back() {
    let lists = Lists::new();
    lists.answer("/list", Answer::text("evil.example\n"));
    let program = Program::new();
    let headers = "      headers:
      - name: X-Key
        valueFrom:
          secretKeyRef:
            name: globalthreatfeed-urls-key
            key: token
      - name: X-Maybe
        valueFrom:
          configMapKeyRef:
            name: globalthreatfeed-urls-none
            key: none
            optional: true
";
    program.write("urls.yaml", &format!("{}{headers}", pull("urls", &lists.url("/list"), "")));
    let running = program.start();
    running.wait_for_status("urls", |status| status.contains("type: HeaderUnavailable"));
    assert_eq!(lists.requests(), [""; 0]);
    program.write(
        "secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: globalthreatfeed-urls-key\nstringData:\n  token: hush-hush\n",
    );
    program.write("urls.yaml", &format!("{}{headers}", pull_marked("urls", &lists.url("/list"), "1")));
    running.wait_for_set(|set| set.lists("evil.example"));
    let request = lists.requests().remove(0);
    assert!(request.to_lowercase().contains("x-key: hush-hush") && !request.contains("X-Maybe"), "{request}");
    let log = running.stop();
    assert!(!log.contains("hush-hush"), "{log}");
}

#[test]
fn a_half_written_manifest_and_an_invalid_one_change_nothing_in_the_set() {
    let lists = Lists::new();
    lists.answer("/list", Answer::text("evil.example\n"));
    let program = Program::new();
    program.write("urls.yaml", &pull("urls", &lists.url("/list"), ""));
    let running = program.start();
    let first = running.wait_for_set(|set| set.lists("evil.example"));
    program.write("urls.yaml", "apiVersion: projectcalico.org/v3\nkind: [");
    running.wait_for_status("urls", |status| status.contains("cannot be read as it is now"));
    program.write("urls.yaml", &pull("urls", &lists.url("/list"), "  severity: 500\n"));
    running
        .wait_for_status("urls", |status| status.contains("reason: Invalid") || status.contains("severity"));
    assert_eq!(running.wait_for_set(|_| true).id, first.id);
    program.write("urls.yaml", &pull("urls", &lists.url("/list"), ""));
    running.wait_for_status("urls", |status| status.contains("reason: Ready"));
}

#[test]
fn an_ip_set_says_that_it_contributes_nothing() {
    let program = Program::new();
    program.write(
        "ips.yaml",
        "apiVersion: projectcalico.org/v3\nkind: GlobalThreatFeed\nmetadata:\n  name: ips\nspec:\n  pull:\n    http:\n      \
         url: https://a.example/\n  globalNetworkSet:\n    labels:\n      a: b\n",
    );
    let running = program.start();
    running.wait_for_status("ips", |status| {
        status.contains("ContentIPSet") && status.contains("reason: Unsupported")
    });
}

/// Feeds `a` and `b`, which list `a.example` and `b.example`.
fn two_feeds() -> (Lists, Program) {
    let (lists, program) = (Lists::new(), Program::new());
    for feed in ["a", "b"] {
        let path = format!("/{feed}");
        lists.answer(&path, Answer::text(&format!("{feed}.example\n")));
        program.write(&format!("{feed}.yaml"), &pull(feed, &lists.url(&path), ""));
    }
    (lists, program)
}

fn pull(name: &str, url: &str, more: &str) -> String {
    format!("{}{more}  pull:\n    period: 1h\n    http:\n      url: {url}\n", push(name))
}

fn push(name: &str) -> String {
    format!(
        "apiVersion: projectcalico.org/v3\nkind: GlobalThreatFeed\nmetadata:\n  name: {name}\nspec:\n  content: DomainNameSet\n"
    )
}

fn pull_marked(name: &str, url: &str, mark: &str) -> String {
    let annotated = format!("metadata:\n  annotations:\n    namewarden.dev/pull: \"{mark}\"\n");
    pull(name, url, "").replacen("metadata:\n", &annotated, 1)
}

#[test]
fn a_format_that_nobody_knows_is_refused_with_its_name() {
    let program = Program::new();
    let manifest = pull("urls", "https://a.example/", "") + "      format:\n        stix: {}\n";
    program.write("urls.yaml", &manifest);
    let running = program.start();
    let status =
        running.wait_for_status("urls", |status| status.contains("unknown field spec.pull.http.format.stix"));
    assert!(status.contains("apiVersion: projectcalico.org/v3\nkind: GlobalThreatFeed\n"), "{status}");
    let listed = running.get("/v1/feeds");
    assert_eq!(
        (&listed["feeds"][0]["name"], &listed["feeds"][0]["mode"]),
        (&"urls".into(), &"Unknown".into())
    );
    let reason = listed.pointer("/feeds/0/status/errorConditions/0/message").and_then(|text| text.as_str());
    assert!(reason.is_some_and(|text| text.contains("format.stix")), "{listed}");
    program.remove("urls.yaml");
    running.wait_for("an empty list", || {
        running.get("/v1/feeds")["feeds"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
}

#[test]
fn check_ends_with_what_it_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = write("good.txt", "evil.example\n");
    let manifest = write("good.yaml", &pull("urls", "https://a.example/", ""));
    let page = write("page.txt", "<html></html>");
    let bad = write("bad.yaml", &pull("urls", "https://a.example/", "  severity: 0\n"));
    let check = |targets: &[&str]| {
        let program = env!("CARGO_BIN_EXE_namewarden-controller");
        let output =
            std::process::Command::new(program).args(["check", "--json"]).args(targets).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = check(&[&good, &manifest]);
    let reports: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, reports[0]["entries"].as_u64(), &reports[1]["name"]),
        (Some(0), Some(1), &"urls".into())
    );
    assert_eq!(check(&[&good, &page]).0, Some(1));
    assert_eq!(check(&[&bad]).0, Some(1));
    assert_eq!(check(&["/no/such/file"]).0, Some(2));
}
