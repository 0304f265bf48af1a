use std::fs;

use super::*;
use crate::threat_source::{Options, spec::FeedSpec};

/// Answers to names, from feeds given as file name and text; the names of allow lists begin with `allow`.
fn answers(feeds: &[(&str, &str)], names: &[&str]) -> Vec<Answer> {
    let folder = tempfile::tempdir().unwrap();
    let (mut paths, mut allow) = (Vec::new(), Vec::new());
    for (file, text) in feeds {
        let path = folder.path().join(file);
        fs::write(&path, text).unwrap();
        if file.starts_with("allow") { allow.push(path) } else { paths.push(path.display().to_string()) }
    }
    let specs = FeedSpec::parse_all(&paths, &[], &[]).unwrap();
    let mut source = ThreatSource::new(specs, Options { allow, ..Options::default() }).unwrap();
    let asked: Vec<_> = names.iter().map(|text| Asked::new(text)).collect();
    let mut exceptions = Exceptions::new(&asked);
    let loaded =
        source.load_watching(&mut |feed, purpose, entry| exceptions.see(feed, purpose, entry)).unwrap();
    let answers = asked.iter().enumerate();
    let mut answers: Vec<_> =
        answers.map(|(index, asked)| answer(asked, &loaded, &source, exceptions.of(index))).collect();
    for answer in &mut answers {
        let citations = answer.excepted.iter_mut().map(|exception| &mut exception.citation);
        for citation in citations.chain(&mut answer.listings) {
            citation.location = citation.location.rsplit('/').next().unwrap_or_default().to_owned();
        }
    }
    answers
}

const FEEDS: [(&str, &str); 4] = [
    ("names.txt", "# names\nevil.example\nbücher.example\n"),
    ("zone.rpz", "$TTL 5\nevil.example CNAME .\nfine.evil.example CNAME rpz-passthru.\n"),
    (
        "filter.txt",
        "||evil.example^\n@@||fine.evil.example^$important\n||only.example^\n@@||a.only.example^\n",
    ),
    ("allow.txt", "allowed.evil.example\n"),
];

const NAMES: [&str; 9] = [
    "evil.example",
    "WWW.Evil.Example.",
    "fine.evil.example",
    "a.only.example",
    "x.allowed.evil.example",
    "xn--bcher-kva.example",
    "good.example",
    "localhost",
    "not a name",
];

#[test]
fn a_person_reads_which_feed_line_and_scope_list_a_name() {
    let text: String = answers(&FEEDS, &NAMES).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(anstream::adapter::strip_str(&text));
}

#[test]
fn a_program_reads_one_object_for_each_name() {
    let answers = answers(&FEEDS, &NAMES);
    let lines: Vec<_> = answers.iter().map(|answer| serde_json::to_string(answer).unwrap()).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn an_answer_without_a_feed_that_was_refused_says_so() {
    let feeds = [("good.txt", "evil.example\n"), ("bad.txt", "<html>\n")];
    let answers = answers(&feeds, &["evil.example", "good.example"]);
    assert!(answers.iter().all(|answer| answer.incomplete));
    assert_eq!(answers[1].to_string(), "good.example is not listed by the feeds that could be used\n");
}

#[test]
fn a_line_of_a_refused_feed_excepts_nothing() {
    let bad = format!("@@||evil.example^\n{}", "||a..b^\n".repeat(9));
    let answers = answers(&[("good.txt", "evil.example\n"), ("bad.txt", &bad)], &["evil.example"]);
    assert!(answers[0].listed);
    assert_eq!(answers[0].excepted, []);
}

#[test]
fn a_path_with_spaces_is_one_feed() {
    let typed = ["agent", "lookup", "evil.example", "--feed", "my lists/bad names.txt", "--feed", "b.txt"];
    let args = <crate::args::AgentArgs as clap::Parser>::try_parse_from(typed).unwrap();
    let crate::args::CommandArgs::Lookup(args) = args.command else { panic!("lookup") };
    assert_eq!(args.feeds.feeds, ["my lists/bad names.txt", "b.txt"]);
}

#[test]
fn the_exit_status_says_listed_not_listed_or_unknown() {
    let code = |listed, failed, incomplete| Outcome { listed, failed }.exit_code(incomplete);
    assert_eq!(code(true, false, false), ExitCode::from(0));
    assert_eq!(code(false, false, false), ExitCode::from(1));
    assert_eq!(code(true, true, false), ExitCode::from(2));
    assert_eq!(code(false, false, true), ExitCode::from(2), "a feed that lists it may be missing");
    assert_eq!(code(true, false, true), ExitCode::from(0));
}
