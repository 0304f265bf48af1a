use super::*;

fn spec(text: &str) -> FeedSpec {
    text.parse().unwrap()
}

fn names(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| spec(text).name.to_string()).collect()
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_feed_is_named_by_its_file_unless_it_has_a_name() {
    assert_eq!(
        names(&["/etc/lists/urlhaus.txt", "mine=/etc/lists/urlhaus.txt", "bad list.txt", "/a=b/c.txt"]),
        ["urlhaus", "mine", "bad-list", "c"]
    );
}

#[test]
fn a_feed_of_a_url_is_named_by_the_end_of_its_path_or_by_its_host() {
    assert_eq!(
        names(&[
            "https://lists.example/downloads/hostfile/",
            "https://lists.example/tif.txt?token=a=b",
            "https://lists.example",
            "tif=https://lists.example/x",
        ]),
        ["hostfile", "tif", "lists.example", "tif"]
    );
}

#[test]
fn a_url_is_shown_without_its_secrets() {
    let spec = spec("x=https://user:secret@lists.example:8443/a/b.txt?key=secret#secret");
    assert_eq!(spec.location.to_string(), "https://lists.example:8443/a/b.txt?…");
}

#[test]
fn what_is_wrong_with_a_feed_is_said_without_its_secrets() {
    let error = |text: &str| text.parse::<FeedSpec>().unwrap_err();
    assert_eq!(error("name="), SpecError::NoLocation("name=".to_owned()));
    assert_eq!(error(""), SpecError::NoLocation(String::new()));
    assert_eq!(error("a b=/x"), SpecError::BadName("a b".to_owned()));
    assert_eq!(error("..=/x"), SpecError::BadName("..".to_owned()));
    assert!(matches!(error("ftp://lists.example/x"), SpecError::BadScheme { .. }));
    let bad = error("x=https://user:secret@lists.example:notaport/");
    assert!(matches!(bad, SpecError::BadUrl { .. }));
    assert!(!bad.to_string().contains("secret"), "{bad}");
}

#[test]
fn two_feeds_cannot_share_a_name() {
    let error = FeedSpec::parse_all(&strings(&["/a/x.txt", "/b/x.txt"]), &[], &[]).unwrap_err();
    assert_eq!(error, SpecError::Duplicate("x".to_owned()));
}

#[test]
fn formats_and_matchings_are_for_one_feed_or_for_the_rest() {
    let feeds = strings(&["a=/a", "b=/b", "c=/c"]);
    let specs =
        FeedSpec::parse_all(&feeds, &strings(&["b=rpz", "plain"]), &strings(&["exact", "c=subdomains"]))
            .unwrap();
    let read: Vec<_> = specs.iter().map(|spec| (spec.format, spec.matching)).collect();
    assert_eq!(
        read,
        [(Format::Plain, Scope::Exact), (Format::Rpz, Scope::Exact), (Format::Plain, Scope::Subdomains),]
    );
}

#[test]
fn a_format_for_no_feed_and_an_unknown_word_are_errors() {
    let feeds = strings(&["a=/a"]);
    let format = |text: &str| FeedSpec::parse_all(&feeds, &strings(&[text]), &[]).unwrap_err();
    assert!(matches!(format("b=plain"), SpecError::UnknownFeed { .. }));
    assert!(matches!(format("a=tsv"), SpecError::Format(_)));
    assert!(matches!(
        FeedSpec::parse_all(&feeds, &[], &strings(&["suffix"])).unwrap_err(),
        SpecError::Matching(_)
    ));
}
