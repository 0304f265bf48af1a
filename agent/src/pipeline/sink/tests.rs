use std::io::{self, Write};
use std::sync::mpsc;

use namewarden_protocol::document::{Action, Event, Identity, Time};

use super::readable::Readable;
use super::*;
use crate::pipeline::compose::Composer;
use crate::pipeline::exchange::Exchange;
use crate::pipeline::exchange::samples::{answer, at, finding, query, workload};
use crate::pipeline::matching::Finding;
use crate::pipeline::roll_up::{Alert, Saying};

const PATIENCE: Duration = Duration::from_secs(20);

fn identity() -> Identity {
    Identity {
        cluster: "cluster".into(),
        node: "node-1".into(),
        namespace: "default".into(),
        instance: "8d1f0c6a2b7e4935".into(),
        version: "0.1.0".into(),
    }
}

fn document(action: Action, id: &str) -> Document {
    Document::new(Time(0), Event::new(action, id.into(), Time(0)), &identity())
}

fn gap(id: &str) -> Document {
    document(Action::CaptureGap, id)
}

fn log(id: &str) -> Document {
    document(Action::DnsLog, id)
}

/// A reader that takes one write at a time, when it is told to.
struct Slow {
    allowed: mpsc::Receiver<()>,
    said: mpsc::Sender<Vec<u8>>,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Closed: everything is allowed.
        let _ = self.allowed.recv();
        let _ = self.said.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sink(pipe: impl Write + Send + 'static, capacity: usize) -> Sink {
    let queue = writer::start(Destination::Pipe(Box::new(pipe)), Style::Json, capacity).unwrap();
    Sink { alerts: queue.clone(), logs: Some(queue), search: None, files: Arc::default() }
}

fn slow(capacity: usize) -> (Sink, mpsc::Sender<()>, mpsc::Receiver<Vec<u8>>) {
    let ((allow, allowed), (said, hear)) = (mpsc::channel(), mpsc::channel());
    (sink(Slow { allowed, said }, capacity), allow, hear)
}

fn file_sink(path: &std::path::Path) -> Sink {
    let (alerts, style) = (Target::File(path.to_owned()), Style::Json);
    Sink::open(&Settings { alerts, dns_logs: None, style, rotation: None, capacity: 8, search: None })
        .unwrap()
}

fn ids(text: &str) -> Vec<String> {
    text.lines().map(|line| serde_json::from_str::<Document>(line).unwrap().event.id).collect()
}

/// Waits until the sink has written so many alerts.
fn written(sink: &Sink, alerts: u64) {
    let until = Instant::now() + PATIENCE;
    while sink.counts().alerts.written < alerts {
        assert!(Instant::now() < until, "{:?}", sink.counts());
        std::thread::yield_now();
    }
}

#[test]
fn targets_are_read_as_they_are_written() {
    assert_eq!("stdout".parse::<Target>().unwrap(), Target::Stdout);
    assert_eq!("file:/var/log/a.json".parse::<Target>().unwrap(), Target::File("/var/log/a.json".into()));
    for wrong in ["", "file:", "stderr", "/var/log/a.json"] {
        let error = wrong.parse::<Target>().unwrap_err().to_string();
        assert!(error.contains("write stdout, file:PATH, or the URL of a search engine"), "{error}");
    }
}

#[test]
fn urls_of_search_engines_hold_no_secrets() {
    let urls = |text: &str| match text.parse::<Target>() {
        Ok(Target::Search(urls)) => urls.iter().map(ToString::to_string).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(urls("https://a:9200, http://b/es"), ["https://a:9200/", "http://b/es"]);
    for wrong in ["http://", "https://a?x=secret", "https://a,stdout", "https://a,ftp://b"] {
        let error = wrong.parse::<Target>().unwrap_err().to_string();
        assert!(error.contains("write http(s)://HOST[:PORT]") && !error.contains("secret"), "{error}");
    }
    let error = "https://user:secret@a".parse::<Target>().unwrap_err().to_string();
    assert!(error.contains("--search-password-file") && !error.contains("secret"), "{error}");
}

#[test]
fn documents_are_written_one_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.json");
    let sink = file_sink(&path);
    sink.write(gap("1"));
    sink.write(gap("2"));
    let counts = sink.close(PATIENCE);
    assert_eq!(ids(&std::fs::read_to_string(path).unwrap()), ["1", "2"]);
    assert_eq!(counts.alerts, KindCounts { seen: 2, written: 2, ..KindCounts::default() });
}

#[test]
fn a_file_is_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.json");
    for id in ["1", "2"] {
        let sink = file_sink(&path);
        sink.write(gap(id));
        sink.close(PATIENCE);
    }
    assert_eq!(ids(&std::fs::read_to_string(path).unwrap()), ["1", "2"]);
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, rotated) = (folder.path().join("alerts.json"), folder.path().join("alerts.json.1"));
    let sink = file_sink(&path);
    sink.write(gap("1"));
    written(&sink, 1);
    std::fs::rename(&path, &rotated).unwrap();
    sink.write(gap("2"));
    sink.close(PATIENCE);
    assert_eq!(ids(&std::fs::read_to_string(rotated).unwrap()), ["1"]);
    assert_eq!(ids(&std::fs::read_to_string(path).unwrap()), ["2"]);
}

#[test]
fn a_file_is_read_by_its_group_at_most() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.json");
    file_sink(&path).close(PATIENCE);
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o037, 0);
}

#[test]
fn a_line_that_was_left_unfinished_is_ended_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.json");
    std::fs::write(&path, "{\"cut").unwrap();
    let sink = file_sink(&path);
    sink.write(gap("1"));
    sink.close(PATIENCE);
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(ids(text.strip_prefix("{\"cut\n").unwrap()), ["1"]);
}

/// A disk that takes ten bytes, has no room for two tries, and takes the rest.
struct Full {
    tries: u32,
    said: mpsc::Sender<Vec<u8>>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tries += 1;
        let taken = match self.tries {
            1 => &bytes[..10],
            2 | 3 => return Err(io::ErrorKind::StorageFull.into()),
            _ => bytes,
        };
        self.said.send(taken.to_vec()).unwrap();
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_a_full_disk_refuses_is_written_when_there_is_room_and_no_line_is_torn() {
    let (said, hear) = mpsc::channel();
    let sink = sink(Full { tries: 0, said }, 8);
    sink.write(gap("1"));
    let counts = sink.close(PATIENCE);
    assert_eq!(counts.alerts, KindCounts { seen: 1, written: 1, ..KindCounts::default() });
    let text: Vec<u8> = hear.iter().flatten().collect();
    assert_eq!(ids(&String::from_utf8(text).unwrap()), ["1"]);
}

#[test]
fn a_disk_that_stays_full_does_not_hold_up_the_end() {
    let full = std::fs::OpenOptions::new().append(true).open("/dev/full").unwrap();
    let sink = sink(full, 2);
    for id in ["1", "2", "3", "4", "5"] {
        sink.write(gap(id));
    }
    let KindCounts { seen, written, dropped, failed, queued } = sink.close(Duration::ZERO).alerts;
    assert_eq!((seen, written), (5, 0));
    assert_eq!(dropped + failed + queued, 5);
}

#[test]
fn a_line_that_a_rotation_cut_in_two_begins_again_in_the_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.json");
    let mut destination = Destination::open(&Target::File(path.clone())).unwrap();
    std::fs::rename(&path, folder.path().join("alerts.json.1")).unwrap();
    // So much of it was written when the disk was full.
    let mut done = "one\ntw".len();
    destination.write(b"one\ntwo\nthree\n", &mut done).unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "two\nthree\n");
}

#[test]
fn a_file_in_no_folder_is_refused_with_the_remedy() {
    let settings = Settings {
        alerts: Target::File("/nowhere/at/all.json".into()),
        dns_logs: None,
        style: Style::Json,
        rotation: None,
        capacity: 8,
        search: None,
    };
    let error = Sink::open(&settings).unwrap_err().to_string();
    assert!(error.starts_with("cannot append documents to /nowhere/at/all.json: "), "{error}");
}

#[test]
fn a_pipe_that_nobody_reads_is_not_waited_for_and_drops_logs_before_alerts() {
    let (sink, allow, hear) = slow(3);
    sink.write(log("first"));
    // The writer holds the first batch until it is allowed to write.
    let until = Instant::now() + PATIENCE;
    while !sink.alerts.is_writing() {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    for id in ["a", "b", "c", "d"] {
        sink.write(log(id));
    }
    for id in ["1", "2", "3", "4"] {
        sink.write(gap(id));
    }
    drop(allow);
    let counts = sink.close(PATIENCE);
    let text: Vec<u8> = hear.iter().flatten().collect();
    assert_eq!(ids(&String::from_utf8(text).unwrap()), ["first", "1", "2", "3"]);
    assert_eq!(counts.logs, KindCounts { seen: 5, written: 1, dropped: 4, ..KindCounts::default() });
    assert_eq!(counts.alerts, KindCounts { seen: 4, written: 3, dropped: 1, ..KindCounts::default() });
}

#[test]
fn a_pipe_that_stays_blocked_does_not_hold_up_the_end() {
    let (sink, allow, _hear) = slow(8);
    sink.write(gap("1"));
    sink.write(gap("2"));
    let counts = sink.close(Duration::from_millis(1));
    assert_eq!((counts.alerts.seen, counts.alerts.written), (2, 0));
    assert_eq!(counts.alerts.dropped + counts.alerts.queued, 2);
    drop(allow);
}

#[test]
fn a_reader_that_has_gone_is_noticed_and_counted() {
    let sink = sink(Gone, 8);
    sink.write(gap("1"));
    let until = Instant::now() + PATIENCE;
    while !sink.is_broken() {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    assert_eq!(sink.close(PATIENCE).alerts, KindCounts { seen: 1, failed: 1, ..KindCounts::default() });
}

#[test]
fn alerts_and_logs_may_go_to_different_places() {
    let folder = tempfile::tempdir().unwrap();
    let (alerts, logs) = (folder.path().join("alerts"), folder.path().join("logs"));
    let sink = Sink::open(&Settings {
        alerts: Target::File(alerts.clone()),
        dns_logs: Some(Target::File(logs.clone())),
        style: Style::Json,
        rotation: None,
        capacity: 8,
        search: None,
    })
    .unwrap();
    sink.write(gap("1"));
    sink.write(log("2"));
    sink.close(PATIENCE);
    assert_eq!(ids(&std::fs::read_to_string(alerts).unwrap()), ["1"]);
    assert_eq!(ids(&std::fs::read_to_string(logs).unwrap()), ["2"]);
}

fn alert(exchange: Exchange, finding: Finding, count: u64) -> Document {
    let saying = if count == 1 { Saying::First } else { Saying::Repeated };
    Composer::new(identity()).alert(&Alert {
        saying,
        group: "0f".repeat(16),
        number: u64::from(count > 1),
        count,
        first_seen: exchange.time,
        last_seen: exchange.time,
        created: exchange.time,
        exchange: Arc::new(exchange),
        finding: Arc::new(finding),
    })
}

#[test]
fn readable_lines_line_up() {
    let evil = || finding("evil.example", "a.evil.example");
    let mut unit = answer(workload('a'), at(83_456), 1, "bad.example");
    let path = "/system.slice/a-very-long-name-of-a-service.service";
    unit.attributed.workload = Arc::new(crate::pipeline::attribute::cgroup_path::workload(path));
    unit.attributed.process.name = Some("systemd-resolve".into());
    let mut critical = finding("bad.example", "bad.example");
    critical.feeds = vec![crate::pipeline::exchange::samples::feed("threatfox", 95)];
    let mut chain = finding("edge.example.net", "edge.example.net");
    chain.place.section = crate::pipeline::screen::Section::Answer;
    chain.feeds[0].severity = 40;
    let documents = [
        alert(answer(workload('a'), at(1), 1, "a.evil.example"), evil(), 1),
        alert(unit, critical, 1),
        alert(answer(workload('b'), at(2), 1, "www.shop.example"), chain, 1),
        alert(query(workload('b'), at(3), 1, "a.evil.example"), evil(), 1),
        alert(query(workload('b'), at(4), 1, "a.evil.example"), evil(), 41),
        Composer::new(identity()).gap(at(0), at(5), at(5), "the agent was restarted"),
    ];
    let lines: Vec<_> = documents.iter().map(|document| Readable::utc(false, 110).line(document)).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn colours_stand_around_words_only() {
    let document =
        alert(answer(workload('a'), at(1), 1, "evil.example"), finding("evil.example", "evil.example"), 1);
    let coloured = Readable::utc(true, 110).line(&document);
    assert!(coloured.contains("\u{1b}[31mhigh\u{1b}[0m"), "{coloured:?}");
    assert_eq!(
        anstream::adapter::strip_str(&coloured).to_string().trim_end(),
        Readable::utc(false, 110).line(&document)
    );
}

#[test]
fn what_a_process_calls_itself_cannot_reach_the_terminal() {
    let mut exchange = answer(workload('a'), at(1), 1, "evil.example");
    exchange.attributed.process.name = Some("\u{1b}[2J".into());
    let line = Readable::utc(true, 110).line(&alert(exchange, finding("evil.example", "evil.example"), 1));
    assert!(!line.contains("\u{1b}[2J"), "{line:?}");
}

#[test]
fn long_names_lose_their_beginning_rather_than_wrap_the_line() {
    let long = format!("{}evil.example", "tunnel-0123456789.".repeat(12));
    let mut many = finding("evil.example", &long);
    many.feeds = ["a-feed-whose-name-is-rather-long", "b"]
        .map(|name| crate::pipeline::exchange::samples::feed(name, 75))
        .into();
    let documents = [
        alert(answer(workload('a'), at(1), 1, &long), many, 1),
        alert(answer(workload('a'), at(1), 1, "www.shop.example"), finding(&long, &long), 1),
        alert(answer(workload('a'), at(1), 1, &long), finding(&long, &long), 41),
    ];
    for document in documents {
        for width in [80, 110] {
            let line = Readable::utc(false, width).line(&document);
            assert!(line.chars().count() <= width, "{line}");
            assert!(line.contains("…") && line.contains(".example"), "{line}");
        }
    }
}

#[test]
fn a_narrow_terminal_leaves_out_the_process_rather_than_the_name() {
    let document = alert(
        answer(workload('a'), at(1), 1, "a.evil.example"),
        finding("evil.example", "a.evil.example"),
        1,
    );
    let line = Readable::utc(false, 80).line(&document);
    assert_eq!(line, "15:00:00  high  aaaaaaaaaaaa    a.evil.example → 203.0.113.7  listed in urlhaus");
    let mut target = finding("edge.example.net", "edge.example.net");
    target.place.section = crate::pipeline::screen::Section::Answer;
    let document = alert(answer(workload('a'), at(1), 1, "www.example"), target, 1);
    let line = Readable::utc(false, 80).line(&document);
    assert_eq!(line, "15:00:00  high  aaaaaaaaaaaa    www.example → …ge.example.net  listed in urlhaus");
}

#[test]
fn a_dns_log_is_one_dim_line() {
    let mut document = alert(answer(workload('a'), at(1), 1, "www.example.org"), finding("x", "x"), 1);
    document.event = Event::new(Action::DnsLog, "1".into(), Time(0));
    document.event.duration = Some(1_234_567);
    let line = Readable::utc(false, 110).line(&document);
    assert_eq!(line, "15:00:00  dns   aaaaaaaaaaaa    curl        A www.example.org → 203.0.113.7  1.2 ms");
    let coloured = Readable::utc(true, 110).line(&document);
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), line);
    assert!(coloured.starts_with("\u{1b}[2m"), "{coloured:?}");
}
