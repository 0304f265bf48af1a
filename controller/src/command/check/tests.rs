//! What `check` makes of files.

use super::*;

fn arguments(format: Format) -> CheckArgs {
    CheckArgs { targets: Vec::new(), format, matching: Scope::Both, feed_ca: None, json: false }
}

fn check_file(name: &str, text: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let reports = check(path.to_str().unwrap(), &arguments(Format::Auto)).unwrap();
    let text = reports.iter().map(ToString::to_string).collect::<String>();
    (reports.iter().all(Report::is_good), text.replace(folder.path().to_str().unwrap(), ""))
}

#[test]
fn a_list_shows_scopes_guards_and_rejected_lines() {
    let (is_good, text) =
        check_file("list.txt", "evil.example\n*.bad.example\nco.uk\nhttps://x.example/page\n");
    assert!(is_good);
    for part in [
        "/list.txt: good",
        "3 entries of 4 lines",
        "1 name and below, 1 name only, 1 below only",
        "co.uk",
        "line 4: https://x.example/page",
        "line 2: bad.example (below only)",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn a_page_is_refused() {
    let (is_good, text) = check_file("list.txt", "<html><body>no list</body></html>\n");
    assert!(!is_good && text.contains("refused: it is a web page"), "{text}");
}

#[test]
fn a_manifest_shows_each_feed_and_no_secret() {
    let (is_good, text) = check_file(
        "feeds.yaml",
        "apiVersion: projectcalico.org/v3\nkind: GlobalThreatFeed\nmetadata:\n  name: urls\nspec:\n  content: \
         DomainNameSet\n  pull:\n    http:\n      url: https://user:hush@a.example/list?key=hush\n      headers:\n      \
         - name: Key\n        value: hush\n---\napiVersion: projectcalico.org/v3\nkind: GlobalThreatFeed\nmetadata:\n  \
         name: other\nspec:\n  severity: 0\n",
    );
    assert!(!is_good);
    for part in [
        "urls: good, enabled, from https://a.example/list?…",
        "header Key",
        "other: refused",
        "spec.severity 0",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("hush"), "{text}");
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    assert!(check("/no/such/list", &arguments(Format::Auto)).is_err());
}
