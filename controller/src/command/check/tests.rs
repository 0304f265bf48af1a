//! What `check` makes of files.

use super::*;

fn arguments(format: Format) -> CheckArgs {
    CheckArgs {
        targets: Vec::new(),
        format,
        matching: Scope::Both,
        feed_ca: None,
        feed_reach: None,
        json: false,
    }
}

fn check_file(name: &str, text: &str) -> (bool, String) {
    check_files(&[(name, text)], None)
}

fn check_files(files: &[(&str, &str)], feed_reach: Option<Reach>) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = CheckArgs { feed_reach, ..arguments(Format::Auto) };
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        arguments.targets.push(path.to_str().unwrap().to_owned());
    }
    let reports = check_all(&arguments).unwrap();
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

fn feed(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: projectcalico.org/v3\nkind: GlobalThreatFeed\nmetadata:\n  name: {name}\nspec:\n{spec}"
    )
}

fn pulled(url: &str) -> String {
    format!("  content: DomainNameSet\n  pull:\n    http:\n      url: {url}\n")
}

#[test]
fn a_feed_of_addresses_is_said_not_to_be_screened() {
    let (is_good, text) = check_file("ips.yaml", &feed("ips", "  content: IPSet\n"));
    assert!(is_good && text.contains("ips: accepted, but nothing is screened by it"), "{text}");
    assert!(text.contains("contributes nothing: content IPSet"), "{text}");
}

#[test]
fn a_url_that_the_controller_would_not_fetch_is_said() {
    let check = |url: &str, reach| check_files(&[("feed.yaml", &feed("urls", &pulled(url)))], reach);
    for url in
        ["http://169.254.169.254/list", "https://[fe80::1]/", "http://100.100.100.200/", "http://2852039166/"]
    {
        let (is_good, text) = check(url, None);
        assert!(!is_good && text.contains("feeds are not fetched from there"), "{url}: {text}");
        assert!(check(url, Some(Reach::Any)).0, "{url}");
    }
    for url in ["http://127.0.0.1/", "http://localhost:8080/"] {
        let (is_good, text) = check(url, None);
        assert!(is_good && text.contains("in a cluster it leads to 127.0.0.1"), "{text}");
        assert!(!check(url, Some(Reach::Network)).0, "{url}");
    }
    let (is_good, text) = check("https://10.0.0.1/", Some(Reach::Network));
    assert!(is_good && !text.contains("leads to"), "{text}");
}

#[test]
fn a_feed_defined_twice_is_said() {
    let one = feed("urls", "  content: DomainNameSet\n");
    let (is_good, text) = check_files(&[("a.yaml", &one), ("b.yaml", &one)], None);
    assert!(!is_good && text.contains("/b.yaml: urls: valid, but of no use as it is"), "{text}");
    assert!(text.contains("is defined in /a.yaml already"), "{text}");
    assert!(!check_file("both.yaml", &format!("{one}---\n{one}")).0);
}

#[test]
fn a_broken_manifest_is_not_taken_for_a_list() {
    for (name, text) in [
        ("feed.yaml", "metadata:\n  name: [urls\nspec:\n"),
        ("feed.yml", "a: b\n c: d\n"),
        ("feed.json", "{\"apiVersion\": \"projectcalico.org/v3\", \"kind\": "),
        ("feed.yaml", "metadata:\n  name: urls\nspec:\n  content: DomainNameSet\n"),
    ] {
        let (is_good, said) = check_file(name, text);
        assert!(
            !is_good
                && (said.contains(": (whole file): refused") || said.contains(": (a document): refused")),
            "{text}: {said}"
        );
    }
    let (is_good, text) = check_file("list.yaml", "evil.example\nbad.example\n");
    assert!(is_good && text.contains("2 entries of 2 lines"), "{text}");
    let (is_good, text) =
        check_file("other.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other\n");
    assert!(is_good && text.contains("no GlobalThreatFeed is in it"), "{text}");
}

#[test]
fn a_document_without_a_name_does_not_hide_the_others() {
    let nameless = feed("urls", "  content: DomainNameSet\n").replace("  name: urls", "  labels: {}");
    let (is_good, text) =
        check_file("both.yaml", &format!("{nameless}---\n{}", feed("other", "  severity: 7\n")));
    assert!(
        !is_good
            && text.contains("other: accepted")
            && text.contains("(a document): refused\n  document 1 of 2"),
        "{text}"
    );
}

#[test]
fn a_status_beside_the_manifests_is_no_manifest() {
    let (is_good, text) = check_file("urls.status.yaml", "kind: GlobalThreatFeed\nstatus: {}\n");
    assert!(is_good && text.contains("no manifest"), "{text}");
}
