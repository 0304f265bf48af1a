//! `cargo xtask demo` from its first line to what it leaves behind: needs root. It takes the agent that is built already.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use namewarden_tests::{cgroup, namespace, program, wait};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

/// Environment variable with the path of xtask's binary.
const PROGRAM_VARIABLE: &str = "NAMEWARDEN_XTASK";

/// How long the whole demo may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Width of the terminal that it is told of.
const COLUMNS: usize = 80;

/// A demo that is being watched.
struct Demo {
    child: Child,
    lines: Receiver<String>,
    folder: tempfile::TempDir,
    made: Made,
}

/// What it was seen to make outside its folder.
#[derive(Debug, Default)]
struct Made {
    processes: BTreeSet<u32>,
    programs: BTreeSet<u64>,
    namespaces: usize,
}

impl Demo {
    /// Starts it as the leader of a group of processes, as a shell does.
    fn start(arguments: &[&str]) -> Result<Self> {
        let xtask = std::env::var_os(PROGRAM_VARIABLE)
            .with_context(|| format!("{PROGRAM_VARIABLE} is not set: run `cargo xtask test demo`"))?;
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(xtask);
        command.arg("demo").args(arguments).env("TMPDIR", folder.path()).env("COLUMNS", COLUMNS.to_string());
        command.process_group(0);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("no standard output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Ok(Self { child, lines, folder, made: Made::default() })
    }

    /// What all that it makes is named by.
    fn prefix(&self) -> String {
        format!("nwt-{}-", self.child.id())
    }

    /// Reads lines up to one that contains `words`; all of them.
    fn until(&mut self, words: &str) -> Result<Vec<String>> {
        let mut read = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.with_context(|| format!("no {words:?} after:\n{}", read.join("\n")))?;
            let found = line.contains(words);
            read.push(line);
            if found {
                return Ok(read);
            }
        }
    }

    /// Waits until everything stands, and looks at it; the demo stands still meanwhile.
    fn begin(&mut self) -> Result<()> {
        self.until("Three pods")?;
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP)?;
        let looked = self.look();
        kill_process(pid, Signal::CONT)?;
        looked
    }

    fn look(&mut self) -> Result<()> {
        let prefix = self.prefix();
        self.made.namespaces = self.made.namespaces.max(namespace::list(&prefix)?.len());
        for group in groups(&prefix)? {
            processes(&group, &mut self.made.processes);
            let tree = program::run("bpftool", &["--json", "cgroup", "tree", &group.to_string_lossy()])?;
            let tree: Value = serde_json::from_str(&tree)?;
            let groups = tree.as_array().into_iter().flatten();
            let programs = groups.filter_map(|group| group.get("programs")?.as_array()).flatten();
            self.made.programs.extend(programs.filter_map(|program| program.get("id")?.as_u64()));
        }
        Ok(())
    }

    /// Ctrl-C on a terminal: every process of the group gets it.
    fn interrupt(&self) -> Result<()> {
        Ok(kill_process_group(Pid::from_child(&self.child), Signal::INT)?)
    }

    /// Waits for its end; the rest of its lines.
    fn end(&mut self) -> Result<(Vec<String>, ExitStatus)> {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            lines.push(line);
        }
        let status = wait::until("the demo ended", || Ok(self.child.try_wait()?))?;
        Ok((lines, status))
    }

    /// All that was made is gone.
    fn left_nothing(&self) -> Result<()> {
        let Made { processes, programs, namespaces } = &self.made;
        ensure!(
            processes.len() >= 2 && !programs.is_empty() && *namespaces >= 5,
            "not seen: {:?}",
            self.made
        );
        let prefix = self.prefix();
        ensure!(groups(&prefix)?.is_empty(), "cgroups: {:?}", groups(&prefix)?);
        ensure!(namespace::list(&prefix)?.is_empty(), "namespaces: {:?}", namespace::list(&prefix)?);
        for pid in processes {
            // Ended, it stays in the table until whoever adopted it looks.
            wait::until("a process gone", || {
                Ok((!Path::new(&format!("/proc/{pid}")).exists()).then_some(()))
            })?;
        }
        for id in programs {
            wait::until("a program unloaded", || {
                Ok(program::run("bpftool", &["prog", "show", "id", &id.to_string()]).is_err().then_some(()))
            })?;
        }
        let files: Vec<_> = fs::read_dir(self.folder.path())?.filter_map(Result::ok).collect();
        ensure!(files.is_empty(), "files: {files:?}");
        Ok(())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Ended already, unless the test failed before.
        let _ = self.interrupt();
        let _ = self.child.wait();
    }
}

fn groups(prefix: &str) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(cgroup::root()?)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn processes(group: &Path, into: &mut BTreeSet<u32>) {
    let listed = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    into.extend(listed.lines().filter_map(|line| line.parse::<u32>().ok()));
    for entry in fs::read_dir(group).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            processes(&entry.path(), into);
        }
    }
}

/// The figure that stands before `words` in the summary.
fn figure(lines: &[String], words: &str) -> Result<usize> {
    for line in lines {
        if let Some((number, rest)) = line.trim().split_once(' ')
            && rest.starts_with(words)
        {
            return Ok(number.parse()?);
        }
    }
    bail!("no figure of {words:?} in:\n{}", lines.join("\n"))
}

/// What each alert's line bears, one of these.
const ALERT: [&str; 2] = ["  high  ", "  crit  "];

fn is_alert(line: &str) -> bool {
    ALERT.iter().any(|severity| line.contains(severity))
}

/// First alerts: not those lines that count what was asked again.
fn alerts(lines: &[String]) -> usize {
    lines.iter().filter(|line| is_alert(line) && !is_repeat(line)).count()
}

fn is_repeat(line: &str) -> bool {
    line.ends_with(" more")
}

/// What stands below the head of the table of events.
fn table(lines: &[String]) -> Result<&[String]> {
    let head = lines.iter().position(|line| line.trim().starts_with("TIME"));
    let head = head.with_context(|| format!("no events in:\n{}", lines.join("\n")))?;
    lines.get(head + 1..).context("nothing below the head")
}

#[test]
fn the_demo_shows_its_alerts_adds_up_and_leaves_nothing_behind() -> Result<()> {
    plays_whole(&[])
}

#[test]
fn with_a_search_engine_the_demo_shows_and_leaves_the_same() -> Result<()> {
    plays_whole(&["--opensearch"])
}

fn plays_whole(arguments: &[&str]) -> Result<()> {
    let mut demo = Demo::start(arguments)?;
    demo.begin()?;
    let shown = demo.until("It adds up")?;
    let (summary, status) = demo.end()?;
    ensure!(status.success(), "{status}");
    let asked = figure(&summary, "questions asked")?;
    assert!(asked >= 8, "{summary:?}");
    assert_eq!(figure(&summary, "messages seen")?, 2 * asked);
    assert_eq!(figure(&summary, "lost")?, 0);
    assert_eq!(figure(&summary, "alerts")?, alerts(&shown), "{shown:#?}");
    let kept = table(&summary)?;
    assert_eq!(alerts(kept), alerts(&shown), "{kept:#?}");
    assert!(kept.iter().any(|line| is_alert(line) && is_repeat(line)), "{kept:#?}");
    let wide: Vec<_> = shown.iter().chain(&summary).filter(|line| line.chars().count() > COLUMNS).collect();
    assert!(wide.is_empty(), "{wide:#?}");
    demo.left_nothing()
}

#[test]
fn ctrl_c_in_the_middle_of_the_demo_leaves_nothing_behind() -> Result<()> {
    let mut demo = Demo::start(&[])?;
    demo.begin()?;
    demo.until(ALERT[0])?;
    demo.interrupt()?;
    let (rest, status) = demo.end()?;
    ensure!(status.success(), "{status}: {rest:#?}");
    assert!(rest.iter().any(|line| line.contains("Stopped by Ctrl-C")), "{rest:#?}");
    demo.left_nothing()
}

#[test]
fn ctrl_c_before_the_first_question_leaves_nothing_behind() -> Result<()> {
    let mut demo = Demo::start(&[])?;
    demo.begin()?;
    demo.interrupt()?;
    let (rest, status) = demo.end()?;
    ensure!(status.success(), "{status}: {rest:#?}");
    demo.left_nothing()
}

#[test]
fn with_keep_the_demo_runs_and_alerts_until_ctrl_c() -> Result<()> {
    let mut demo = Demo::start(&["--keep"])?;
    demo.begin()?;
    demo.until("keeps running until Ctrl-C")?;
    let door = demo.until("dig")?.pop().context("no door")?;
    let words: Vec<&str> = door.split_whitespace().collect();
    let (door, asked) = words.split_first().context("no door")?;
    program::run(door, asked)?;
    let name = asked.last().context("no name")?;
    let alert = demo.until(ALERT[0])?;
    assert!(alert.last().is_some_and(|line| line.contains(name)), "{alert:#?}");
    demo.interrupt()?;
    let (rest, status) = demo.end()?;
    ensure!(status.success(), "{status}: {rest:#?}");
    demo.left_nothing()
}
