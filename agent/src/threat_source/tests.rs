use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use namewarden_protocol::feed::Format;
use namewarden_protocol::obtain::address::Reach;

use super::*;

fn strings(texts: &[String]) -> Vec<FeedSpec> {
    FeedSpec::parse_all(texts, &[], &[]).unwrap()
}

/// Servers of this machine may be reached, and directly, whatever proxy the environment names.
fn local() -> Options {
    let fetching = client::Settings {
        reach: Reach::Loopback,
        proxy: client::Proxy::Direct,
        ..client::Settings::default()
    };
    Options { fetching, ..Options::default() }
}

fn source(feeds: &[String], options: Options) -> ThreatSource {
    ThreatSource::new(strings(feeds), options).unwrap()
}

/// A folder with feeds in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, file: &str, text: &str) -> String {
        let path = self.0.path().join(file);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn state(&self) -> Options {
        Options { state_dir: Some(self.0.path().join("state")), ..local() }
    }
}

fn lists(loaded: &Loaded, name: &str) -> Vec<String> {
    let Some(found) = loaded.set.find(name) else { return Vec::new() };
    let feeds = found.listings.iter().map(|listing| loaded.set.feed(listing.feed).unwrap());
    feeds.map(|info| info.name.to_string()).collect()
}

const PAGE: &str = "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n";

#[test]
fn names_are_listed_by_every_feed_that_has_them() {
    let folder = Folder::new();
    let feeds = [
        folder.write("a.txt", "evil.example\n"),
        folder.write("b.hosts", "0.0.0.0 evil.example x.example\n"),
    ];
    let loaded = source(&feeds, local()).load().unwrap();
    assert_eq!(lists(&loaded, "evil.example"), ["a", "b"]);
    assert_eq!(lists(&loaded, "x.example"), ["b"]);
    assert_eq!(lists(&loaded, "sub.evil.example"), ["a"]);
    let read: Vec<_> = loaded.feeds.iter().map(|feed| (feed.format, feed.entries)).collect();
    assert_eq!(read, [(Format::Plain, 1), (Format::Hosts, 2)]);
    assert!(loaded.feeds.iter().all(|feed| feed.problem.is_none() && !feed.last_good));
}

#[test]
fn a_missing_feed_at_the_start_is_an_error_that_names_feed_and_file() {
    let error = source(&["mine=/nowhere/at-all.txt".to_owned()], local()).load().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`mine`") && text.contains("/nowhere/at-all.txt"), "{text}");
}

#[test]
fn a_folder_is_no_feed() {
    let folder = Folder::new();
    let feeds = [format!("x={}", folder.0.path().display())];
    let error = source(&feeds, local()).load().unwrap_err();
    assert!(matches!(error, SourceError::Unreadable { .. }), "{error}");
}

#[test]
fn a_refused_feed_leaves_nothing_in_the_set_and_the_others_in_it() {
    let folder = Folder::new();
    let junk = format!("early.example\n{}", "a..b\n".repeat(20));
    let feeds = [folder.write("junk.txt", &junk), folder.write("good.txt", "evil.example\n")];
    let loaded = source(&feeds, local()).load().unwrap();
    assert_eq!(lists(&loaded, "early.example"), [""; 0]);
    assert_eq!(lists(&loaded, "evil.example"), ["good"]);
    let junk = &loaded.feeds[0];
    assert_eq!((junk.entries, junk.last_good, junk.rejected()), (0, false, 20));
    assert!(junk.problem.as_deref().unwrap().contains("20 of its 21"), "{junk}");
}

#[test]
fn a_reload_reads_files_anew() {
    let folder = Folder::new();
    let feeds = [folder.write("a.txt", "old.example\n")];
    let mut source = source(&feeds, local());
    let first = source.load().unwrap();
    folder.write("a.txt", "new.example\n");
    let second = source.reload().unwrap();
    assert_eq!(lists(&second, "new.example"), ["a"]);
    assert_eq!(lists(&second, "old.example"), [""; 0]);
    assert_eq!(first.set.id().epoch, second.set.id().epoch);
    assert!(second.set.id().number > first.set.id().number);
}

#[test]
fn a_feed_that_fails_at_a_reload_keeps_its_last_good_entries() {
    let folder = Folder::new();
    for options in [local(), folder.state()] {
        let feeds = [folder.write("a.txt", "evil.example\n")];
        let mut source = source(&feeds, options);
        source.load().unwrap();
        folder.write("a.txt", PAGE);
        let bad = source.reload().unwrap();
        assert_eq!(lists(&bad, "evil.example"), ["a"]);
        assert!(bad.feeds[0].last_good && bad.feeds[0].problem.as_deref().unwrap().contains("HTML"));
        fs::remove_file(&feeds[0]).unwrap();
        let gone = source.reload().unwrap();
        assert_eq!(lists(&gone, "evil.example"), ["a"]);
        assert!(gone.feeds[0].problem.as_deref().unwrap().contains("cannot read"));
        folder.write("a.txt", "other.example\n");
        let mended = source.reload().unwrap();
        assert_eq!(lists(&mended, "other.example"), ["a"]);
        assert_eq!((mended.feeds[0].problem.as_deref(), mended.feeds[0].last_good), (None, false));
    }
}

#[test]
fn a_copy_outlives_the_agent_in_the_state_folder() {
    let folder = Folder::new();
    let feeds = [folder.write("a.txt", "evil.example\n")];
    let before = source(&feeds, folder.state()).load().unwrap();
    folder.write("a.txt", PAGE);
    let after = source(&feeds, folder.state()).load().unwrap();
    assert_eq!(lists(&after, "evil.example"), ["a"]);
    assert!(after.feeds[0].last_good);
    assert_eq!(after.set.id().epoch, before.set.id().epoch);
    assert!(after.set.id().number > before.set.id().number);
}

#[test]
fn an_allow_list_wins_over_every_feed() {
    let folder = Folder::new();
    let feeds = [folder.write("a.txt", "evil.example\n"), folder.write("b.txt", "fine.evil.example\n")];
    let allow = vec![folder.write("allow.txt", "fine.evil.example\n").into()];
    let loaded = source(&feeds, Options { allow, ..local() }).load().unwrap();
    assert_eq!(lists(&loaded, "fine.evil.example"), [""; 0]);
    assert_eq!(lists(&loaded, "www.fine.evil.example"), [""; 0]);
    assert_eq!(lists(&loaded, "evil.example"), ["a"]);
    assert!(loaded.feeds[2].allow_list);
}

#[test]
fn an_allow_list_covers_the_names_below_a_public_suffix() {
    let folder = Folder::new();
    let feeds = [folder.write("a.txt", "evil.github.io\nevil.example\n")];
    let allow = vec![folder.write("allow.txt", "github.io\n").into()];
    let loaded = source(&feeds, Options { allow, ..local() }).load().unwrap();
    assert_eq!(lists(&loaded, "evil.github.io"), [""; 0]);
    assert_eq!(lists(&loaded, "evil.example"), ["a"]);
}

#[test]
fn a_bad_allow_list_is_an_error_at_the_start_and_keeps_its_last_good_entries_later() {
    let folder = Folder::new();
    let feeds = [folder.write("a.txt", "evil.example\n")];
    let path = folder.write("allow.txt", PAGE);
    let options = || Options { allow: vec![path.clone().into()], ..local() };
    let error = source(&feeds, options()).load().unwrap_err();
    assert!(matches!(error, SourceError::AllowList { .. }), "{error}");
    folder.write("allow.txt", "evil.example\n");
    let mut source = source(&feeds, options());
    source.load().unwrap();
    folder.write("allow.txt", PAGE);
    let loaded = source.reload().unwrap();
    assert_eq!(lists(&loaded, "evil.example"), [""; 0]);
    assert!(loaded.feeds[1].problem.is_some());
}

#[test]
fn a_state_folder_that_cannot_be_made_is_an_error_that_names_it() {
    let folder = Folder::new();
    let file = folder.write("file", "");
    let options = Options { state_dir: Some(file.clone().into()), ..local() };
    let error = ThreatSource::new(Vec::new(), options).unwrap_err();
    assert!(error.to_string().contains(&file), "{error}");
}

#[test]
fn a_full_disk_is_not_told_as_a_feed_that_cannot_be_read() {
    let folder = Folder::new();
    let feeds = [folder.write("a.txt", "evil.example\n")];
    let mut source = source(&feeds, folder.state());
    let draft = folder.0.path().join("state/feeds/a.draft");
    std::os::unix::fs::symlink("/dev/full", draft).unwrap();
    let loaded = source.load().unwrap();
    let problem = loaded.feeds[0].problem.as_deref().unwrap();
    assert!(problem.contains("cannot keep a copy of it"), "{problem}");
}

#[test]
fn the_line_of_an_entry_is_found_again() {
    let folder = Folder::new();
    let feeds = [folder.write("a.txt", "# head\n||evil.example^\n")];
    let mut source = source(&feeds, local());
    source.load().unwrap();
    assert_eq!(source.line(0, 2).as_deref(), Some("||evil.example^"));
    assert_eq!((source.line(0, 3), source.line(1, 1)), (None, None));
}

/// A web server that answers each request with the next of its answers, then closes.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl Server {
    fn new(answers: &[String]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            answers: Arc::new(Mutex::new(answers.iter().cloned().collect())),
        };
        let (requests, answers) = (Arc::clone(&server.requests), Arc::clone(&server.answers));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<_> = lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
                requests.lock().unwrap().push(head.join("\n"));
                let answer = answers.lock().unwrap().pop_front();
                let _ = stream.write_all(answer.unwrap_or_else(|| status(503)).as_bytes());
            }
        });
        server
    }

    fn feed(&self) -> [String; 1] {
        [format!("web=http://user:secret@{}/list.txt?token=secret", self.address)]
    }

    fn push(&self, answer: String) {
        self.answers.lock().unwrap().push_back(answer);
    }

    fn last_request(&self) -> String {
        self.requests.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

fn status(code: u16) -> String {
    format!("HTTP/1.1 {code} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

fn body(text: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\netag: \"v1\"\r\nlast-modified: Sun, 22 Nov 2026 10:00:00 GMT\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
}

#[test]
fn a_url_is_fetched_with_its_credentials_which_nothing_shows() {
    let server = Server::new(&[body("evil.example\n")]);
    let mut source = source(&server.feed(), local());
    let loaded = source.load().unwrap();
    assert_eq!(lists(&loaded, "evil.example"), ["web"]);
    assert!(server.last_request().to_lowercase().contains("authorization: basic"));
    assert!(!format!("{}", loaded.feeds[0]).contains("secret"));
    assert!(source.next_pull().is_some());
}

#[test]
fn what_did_not_change_is_asked_for_and_kept() {
    let server = Server::new(&[body("evil.example\n"), status(304)]);
    let mut source = source(&server.feed(), local());
    source.load().unwrap();
    let loaded = source.reload().unwrap();
    let request = server.last_request().to_lowercase();
    assert!(request.contains("if-none-match: \"v1\""), "{request}");
    assert!(request.contains("if-modified-since: sun, 22 nov 2026"), "{request}");
    assert_eq!(lists(&loaded, "evil.example"), ["web"]);
    assert_eq!(loaded.feeds[0].problem, None);
}

#[test]
fn a_url_out_of_reach_at_the_start_is_shown_and_tried_again() {
    let server = Server::new(&[status(500)]);
    let mut source = source(&server.feed(), local());
    let loaded = source.load().unwrap();
    assert!(loaded.set.is_empty());
    assert!(loaded.feeds[0].problem.as_deref().unwrap().contains("500"));
    let next = source.next_pull().unwrap();
    assert!(next > Instant::now() && next < Instant::now() + std::time::Duration::from_mins(1));
    server.push(body("evil.example\n"));
    assert_eq!(lists(&source.reload().unwrap(), "evil.example"), ["web"]);
}

#[test]
fn a_refused_connection_is_told_without_the_secrets_of_the_url() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let feeds = [format!("web=http://user:secret@{free}/list.txt?token=secret")];
    let loaded = source(&feeds, local()).load().unwrap();
    let problem = loaded.feeds[0].problem.clone().unwrap();
    assert!(!problem.contains("secret") && problem.to_lowercase().contains("connect"), "{problem}");
}

#[test]
fn a_refresh_leaves_alone_what_is_not_due() {
    let server = Server::new(&[body("evil.example\n")]);
    let mut source = source(&server.feed(), local());
    source.load().unwrap();
    assert!(source.pulls().is_empty());
    let loaded = source.take(Vec::new()).unwrap();
    assert_eq!(server.requests.lock().unwrap().len(), 1);
    assert_eq!(lists(&loaded, "evil.example"), ["web"]);
    assert_eq!(loaded.feeds[0].problem, None);
}

#[test]
fn a_feed_that_shrinks_by_more_than_half_has_to_say_so_twice() {
    let small = body("a.example\n");
    let server = Server::new(&[body("a.example\nb.example\nc.example\n"), small.clone(), small]);
    let mut source = source(&server.feed(), local());
    source.load().unwrap();
    let first = source.reload().unwrap();
    assert_eq!(lists(&first, "c.example"), ["web"]);
    assert!(first.feeds[0].problem.as_deref().unwrap().contains("shrank"));
    let second = source.reload().unwrap();
    assert_eq!(lists(&second, "c.example"), [""; 0]);
    assert_eq!((second.feeds[0].entries, second.feeds[0].problem.as_deref()), (1, None));
}

#[test]
fn a_url_with_a_refused_body_is_asked_for_less_and_less_until_one_is_accepted() {
    let server = Server::new(&[]);
    let mut source = source(&server.feed(), local());
    for at_least in [30, 60, 120, 240] {
        server.push(body(PAGE));
        let before = Instant::now();
        let loaded = source.reload().unwrap();
        assert!(loaded.feeds[0].problem.as_deref().unwrap().contains("HTML"));
        let next = source.feeds[0].schedule.next().unwrap();
        assert!(next >= before + std::time::Duration::from_secs(at_least), "{at_least} s");
    }
    for answer in [body("evil.example\n"), status(304)] {
        server.push(answer);
        let before = Instant::now();
        assert_eq!(lists(&source.reload().unwrap(), "evil.example"), ["web"]);
        let next = source.feeds[0].schedule.next().unwrap();
        assert!(next >= before + std::time::Duration::from_hours(24));
    }
}

#[test]
fn a_body_larger_than_the_limit_is_not_taken() {
    let server = Server::new(&[body(&"evil.example\n".repeat(100))]);
    let limits = Limits { bytes_max: 1_000, ..Limits::default() };
    let loaded = source(&server.feed(), Options { limits, ..local() }).load().unwrap();
    assert!(loaded.set.is_empty());
    assert!(loaded.feeds[0].problem.as_deref().unwrap().contains("1000 bytes"));
}

#[test]
fn a_broken_off_body_keeps_the_last_good_copy() {
    let cut = body("evil.example\nother.example\n").replace("content-length: 27", "content-length: 2700");
    let server = Server::new(&[body("evil.example\n"), cut]);
    let mut source = source(&server.feed(), local());
    source.load().unwrap();
    let loaded = source.reload().unwrap();
    assert_eq!(lists(&loaded, "evil.example"), ["web"]);
    assert!(loaded.feeds[0].last_good && loaded.feeds[0].problem.is_some());
}

#[test]
fn authorities_that_cannot_be_read_are_an_error() {
    let folder = Folder::new();
    for path in [folder.write("empty.pem", "no certificate\n"), "/nowhere/ca.pem".to_owned()] {
        let mut options = local();
        options.fetching.authorities = Some(path.clone().into());
        let error = ThreatSource::new(Vec::new(), options).unwrap_err();
        assert!(error.to_string().contains(&path), "{error}");
    }
}

#[test]
fn a_start_waits_for_no_server_and_takes_the_feed_in_when_it_comes() {
    let folder = Folder::new();
    let server = Server::new(&[body("evil.example\n")]);
    let feeds = [server.feed()[0].clone(), folder.write("a.txt", "here.example\n")];
    let mut source = source(&feeds, local());
    let first = source.start().unwrap();
    assert_eq!(lists(&first, "here.example"), ["a"]);
    assert!(first.feeds[0].pending && !first.feeds[1].pending, "{}", first.feeds[0]);
    assert_eq!(server.requests.lock().unwrap().len(), 0);
    let pulls = source.pulls();
    assert_eq!((pulls.len(), source.pulls().len(), source.next_pull()), (1, 0, None));
    let second = source.take(pull::run_all(pulls)).unwrap();
    assert_eq!(
        (lists(&second, "evil.example"), lists(&second, "here.example")),
        (vec!["web".into()], vec!["a".into()])
    );
    assert!(!second.feeds[0].pending && source.next_pull().is_some());
}

#[test]
fn a_start_uses_the_last_good_copy_at_once_and_fetches_behind_it() {
    let folder = Folder::new();
    let server = Server::new(&[body("evil.example\n"), status(304)]);
    source(&server.feed(), folder.state()).load().unwrap();
    let mut source = source(&server.feed(), folder.state());
    let first = source.start().unwrap();
    assert_eq!(lists(&first, "evil.example"), ["web"]);
    assert!(first.feeds[0].last_good && !first.feeds[0].pending);
    assert_eq!(server.requests.lock().unwrap().len(), 1);
    let pulls = source.pulls();
    let second = source.take(pull::run_all(pulls)).unwrap();
    assert!(server.last_request().to_lowercase().contains("if-none-match"));
    assert_eq!(
        (lists(&second, "evil.example"), second.feeds[0].problem.as_deref()),
        (vec!["web".to_owned()], None)
    );
}

#[test]
fn a_hangup_asks_for_every_url_at_once() {
    let server = Server::new(&[body("evil.example\n"), body("worse.example\n")]);
    let mut source = source(&server.feed(), local());
    source.load().unwrap();
    assert!(source.pulls().is_empty());
    assert_eq!(lists(&source.restart().unwrap(), "evil.example"), ["web"]);
    let pulls = source.pulls();
    assert_eq!(lists(&source.take(pull::run_all(pulls)).unwrap(), "worse.example"), ["web"]);
}
