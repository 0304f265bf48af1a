//! The built program as a person or a script meets it: what it prints, to where, and the status it ends with. What
//! needs a kernel is tested in the suite `kernel`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "every function here is part of a test, also where the linter cannot see it"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use etherparse::PacketBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Every subcommand.
const SUBCOMMANDS: [&str; 5] = ["run", "replay", "lookup", "status", "completion"];

fn agent(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_namewarden-agent"));
    // What the tester's shell says to agents is not meant for this one.
    let said = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NAMEWARDEN_"));
    for (name, _) in said {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    agent(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What the agent says on standard error when it ends with status 2, as it must.
fn complaint(output: &Output) -> &str {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// A folder with a file in it.
fn folder(name: &str, content: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn the_script_for_bash_completes_subcommands_and_options() {
    let script = run(&["completion", "bash"]);
    assert!(script.status.success());
    let (_folder, path) = folder("script", &script.stdout);
    let complete = |words: &str, word: usize| {
        let ask = format!(
            "source {}; COMP_WORDS=(namewarden-agent {words}); COMP_CWORD={word}; \
             $(complete -p namewarden-agent | sed 's/.* -F \\([^ ]*\\) .*/\\1/') \
             namewarden-agent \"${{COMP_WORDS[{word}]}}\" \"${{COMP_WORDS[{word}-1]}}\"; echo \"${{COMPREPLY[*]}}\"",
            path.display()
        );
        let output = Command::new("bash").args(["--norc", "-c", &ask]).output().unwrap();
        assert_eq!(text(&output.stderr), "");
        text(&output.stdout).trim().to_owned()
    };
    assert_eq!(complete("re", 1), "replay");
    assert_eq!(complete("replay --mess", 2), "--messages");
    assert_eq!(complete("run --dns-logs", 2), "--dns-logs");
}

#[test]
fn every_shell_has_a_script_with_every_subcommand() {
    let shells = [
        ("bash", "complete -F"),
        ("zsh", "#compdef namewarden-agent"),
        ("fish", "complete -c namewarden-agent"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ];
    for (shell, mark) in shells {
        let output = run(&["completion", shell]);
        let script = text(&output.stdout);
        assert!(output.status.success() && script.contains(mark), "{shell}: {script}");
        assert!(SUBCOMMANDS.iter().all(|subcommand| script.contains(subcommand)), "{shell}: {script}");
    }
    assert!(complaint(&run(&["completion", "dos"])).contains("bash, elvish, fish, powershell, zsh"));
}

#[test]
fn a_full_disk_is_said_in_one_line() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let (_folder, feed) = folder("bad.txt", b"evil.example\n");
    let lookup = ["lookup", "evil.example", "--feed", &shown(&feed)];
    let (_other, capture) = folder("dns.pcap", &pcap(&[&message(&[])]));
    let messages = ["replay", "--messages", &shown(&capture)];
    for arguments in [["completion", "zsh"].as_slice(), &lookup, &messages] {
        let output = agent(arguments).stdout(full()).output().unwrap();
        let said = complaint(&output);
        assert!(said.starts_with("namewarden-agent: ") && said.contains("No space left"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn help_is_an_answer_that_fits_a_narrow_terminal() {
    for subcommand in SUBCOMMANDS {
        let output = agent(&[subcommand, "--help"]).env("COLUMNS", "60").output().unwrap();
        let help = text(&output.stdout);
        assert!(output.status.success() && help.contains("Usage: namewarden-agent"), "{help}");
        let wide: Vec<_> = help.lines().filter(|line| line.chars().count() > 60).collect();
        assert!(wide.is_empty(), "{subcommand}: {wide:#?}");
    }
}

#[test]
fn names_are_looked_up_with_a_status_for_scripts() {
    let (_folder, feed) = folder("bad.txt", b"# bad\n||evil.example^\n");
    let lookup = |names: &[&str]| run(&[&["lookup", "--json", "--feed", &shown(&feed)], names].concat());
    let answers = |output: &Output| -> Vec<Value> {
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let listed = lookup(&["good.example", "www.evil.example"]);
    assert_eq!(listed.status.code(), Some(0), "one of them is listed");
    let listing = json!({
        "feed": "bad", "allow_list": false, "location": shown(&feed), "scope": "both", "line": 2,
        "text": "||evil.example^",
    });
    let expected = [
        json!({"asked": "good.example", "name": "good.example", "listed": false, "incomplete": false,
               "listings": [], "excepted": []}),
        json!({"asked": "www.evil.example", "name": "www.evil.example", "listed": true, "incomplete": false,
               "entry": "evil.example", "exact": false, "listings": [listing], "excepted": []}),
    ];
    assert_eq!(answers(&listed), expected);
    assert_eq!(lookup(&["good.example"]).status.code(), Some(1));
    assert_eq!(lookup(&["no..name", "evil.example"]).status.code(), Some(2));
    let missing = run(&["lookup", "evil.example", "--feed", "/no/such/list"]);
    assert!(complaint(&missing).contains("/no/such/list: No such file"));
}

#[test]
fn a_status_that_nobody_answers_says_whom_it_asked() {
    let gone = run(&["status", "--status-socket", "/no/such/socket"]);
    assert!(complaint(&gone).contains("no agent answers at /no/such/socket"));
    // Port 1 is nobody's; the option may be called as `run` calls it.
    for option in ["--address", "--listen"] {
        let gone = run(&["status", option, "127.0.0.1:1"]);
        assert!(complaint(&gone).contains("no agent answers at 127.0.0.1:1"));
    }
}

/// A DNS message: a response to a question for `a.example`, and these answers.
fn message(answers: &[&[u8]]) -> Vec<u8> {
    let count = u8::try_from(answers.len()).unwrap();
    let header = [0x12, 0x34, 0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0];
    [&header, b"\x01a\x07example\x00\x00\x01\x00\x01".as_slice(), &answers.concat()].concat()
}

/// An A record of the question's name.
const ADDRESS: &[u8] = &[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1];

/// A capture of raw IP packets, each an answer of 10.0.0.53 over UDP.
fn pcap(messages: &[&[u8]]) -> Vec<u8> {
    let mut file = [0xA1B2_C3D4_u32.to_le_bytes(), [2, 0, 4, 0]].concat();
    for word in [0, 0, 0x0004_0000, 101_u32] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    for message in messages {
        let mut frame = Vec::new();
        let headers = PacketBuilder::ipv4([10, 0, 0, 53], [10, 0, 0, 1], 64).udp(53, 4000);
        headers.write(&mut frame, message).unwrap();
        let length = u32::try_from(frame.len()).unwrap();
        for word in [1_700_000_000, 123_456, length, length] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&frame);
    }
    file
}

fn messages(file: &[u8]) -> Vec<Value> {
    let (_folder, path) = folder("dns.pcap", file);
    let output = run(&["replay", "--messages", &shown(&path)]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The line of the message of the first frame, with these answers.
fn line(answers: &[Value]) -> Value {
    json!({
        "frame": 1,
        "time": "2023-11-14T22:13:20.123456000Z",
        "source": {"ip": "10.0.0.53", "port": 53},
        "destination": {"ip": "10.0.0.1", "port": 4000},
        "transport": "udp",
        "id": 0x1234,
        "response": true,
        "opcode": "QUERY",
        "rcode": "NOERROR",
        "flags": ["RD", "RA"],
        "question": [{"name": "a.example", "type": "A", "class": "IN"}],
        "answer": answers,
        "authority": [],
        "additional": [],
    })
}

fn address() -> Value {
    json!({"name": "a.example", "type": "A", "class": "IN", "ttl": 60, "data": "192.0.2.1"})
}

#[test]
fn a_message_is_one_line_with_every_field() {
    assert_eq!(messages(&pcap(&[&message(&[ADDRESS])])), [line(&[address()])]);
}

#[test]
fn a_message_that_cannot_be_parsed_to_its_end_is_printed_with_what_could_be_read() {
    let cut_short = message(&[ADDRESS, &ADDRESS[..14]]);
    let lines = messages(&pcap(&[&cut_short, &message(&[])]));
    assert_eq!(lines.len(), 2, "the next message is none the worse");
    let mut line = line(&[address()]);
    line["malformed"] = lines[0]["malformed"].clone();
    assert_eq!(lines[0], line);
    let reason = line["malformed"].as_str().unwrap();
    assert!(reason.contains("answer"), "{reason}");
}

#[test]
fn what_a_replay_cannot_read_or_write_is_said_once() {
    let (_folder, feed) = folder("bad.txt", b"evil.example\n");
    let feed = shown(&feed);
    let cases: [(&[&str], &str); 5] = [
        (&["--messages", "/no/such/capture"], "replay of /no/such/capture stopped"),
        (&["--messages", &feed], "neither a pcap nor a pcapng file"),
        (&["--messages", "--dns-port", "0", &feed], "0 is not in 1..=65535"),
        (&["--feed", &feed, "--alerts", "file:/no/such/folder/a", &feed], "/no/such/folder/a"),
        (&["--feed", &feed, "--alerts", "https://127.0.0.1:9", &feed], "stdout or file:PATH only"),
    ];
    for (arguments, words) in cases {
        let output = run(&[&["replay"], arguments].concat());
        let said = complaint(&output);
        assert!(said.contains(words) && said.matches("(os error").count() <= 1, "{said}");
    }
}
