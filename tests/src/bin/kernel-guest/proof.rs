//! What is proven of the agent on this kernel, one line on the console for each thing: `guest: ok ...` or
//! `guest: failed ...`; `guest: without ...` is what the agent says that it goes without.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use namewarden_tests::{
    agent::Agent,
    cgroup,
    client::Client,
    expect::{Alert, expect_alerts},
    message::Record,
    server::{Server, Zone},
    wait,
};
use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    system::uname,
};

use crate::{
    machine::CGROUPS,
    role::{command_inside, command_limited},
};

/// How long loading may take: the oldest kernel's verifier follows ways that are never taken, on an emulated processor.
const PATIENCE: Duration = Duration::from_secs(600);

const AGENT: &str = "/bin/namewarden-agent";
const CLIENT: &str = "/bin/dns-client";
const SOCKET: &str = "/run/status.sock";

const POD: &str = "8d3c0f6e-4a52-4b5e-9f10-2f6a2f0f7a11";
const CONTAINER: &str = "c0ffee0000000000000000000000000000000000000000000000000000c0ffee";

/// Names that the feed lists: one for each way to ask.
const FEED: &str = "udp4.example\nudp6.example\ntcp4.example\ntcp6.example\nalias.example\n";

/// Where the kernel's BTF is.
const BTF_FOLDER: &str = "/sys/kernel/btf";

/// An answer that takes several records of the ring buffer.
const LONG: usize = 20_000;

/// What a kernel older than the oldest is told.
const OLDEST: (u32, u32) = (5, 10);

/// From here on maps no longer count as locked memory, whose limit takes `SYS_RESOURCE` to lift.
const NO_MEMLOCK: (u32, u32) = (5, 11);

/// Everything, in the order in which the reader wants to know it.
pub fn all() -> Result<()> {
    let release = uname().release().to_string_lossy().into_owned();
    say("release", &release);
    let version = version(&release).with_context(|| format!("what kernel is {release}?"))?;
    fs::write("/feed", FEED)?;
    if version < OLDEST {
        report("refuses an old kernel", || refuses(&mut root(), &["is too old", "Linux 5.10 or newer"]));
        return Ok(());
    }
    report("refuses what is wrong before anything is attached", || refusals(version));
    let long = vec![Record::txt("long.example", LONG), Record::cname("long.example", "alias.example")];
    let _server = Server::start_here(Zone::new().answer("long.example", long))?;
    let names = least(version);
    report(&format!("captures with {names}"), || captures(&mut limited(names)));
    report("captures as root", || captures(&mut root()));
    Ok(())
}

/// Major and minor number of a release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The capabilities that are enough.
fn least(version: (u32, u32)) -> &'static str {
    if version < NO_MEMLOCK { "BPF,NET_ADMIN,SYS_RESOURCE" } else { "BPF,NET_ADMIN" }
}

/// One line on the console.
pub fn say(word: &str, text: &str) {
    println!("guest: {word} {}", text.replace('\n', " | "));
}

fn report(what: &str, proof: impl FnOnce() -> Result<()>) {
    match proof() {
        Ok(()) => say("ok", what),
        Err(error) => say("failed", &format!("{what}: {error:#}")),
    }
}

/// An agent with all capabilities.
fn root() -> Command {
    with_options(command_inside(&unit(), AGENT))
}

/// An agent with these alone, and 64 KiB of locked memory.
fn limited(names: &str) -> Command {
    let mut command = command_limited(&unit(), names);
    command.arg(AGENT);
    with_options(command)
}

fn with_options(mut command: Command) -> Command {
    command.args(["run", "--feed", "bad=/feed", "--alerts", "stdout", "--format", "json"]);
    command.args(["--status-socket", SOCKET]);
    command
}

/// The agent's own cgroup.
fn unit() -> PathBuf {
    Path::new(CGROUPS).join("system.slice/namewarden.service")
}

/// The cgroup of a container, as kubelet and runtime name it.
fn container() -> PathBuf {
    let pod = POD.replace('-', "_");
    Path::new(CGROUPS).join(format!(
        "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{pod}.slice/cri-containerd-{CONTAINER}.scope"
    ))
}

/// A container asks in every way; every listed name is an alert with the right pod, container and process, and no other
/// name is; then the agent ends in order and its sums close.
fn captures(agent: &mut Command) -> Result<()> {
    cgroup::create(&unit())?;
    cgroup::create(&container())?;
    let mut agent = Agent::start(agent, SOCKET.into())?;
    agent.wait_until_ready_within(PATIENCE)?;
    let mut client = Client::spawn(command_inside(&container(), CLIENT))?;
    client.tell_all(&[
        "udp4",
        "ask good.example A 127.0.0.1:53",
        "ask udp4.example A 127.0.0.1:53",
        "udp6",
        "ask udp6.example AAAA [::1]:53",
        "tcp 127.0.0.1:53",
        "ask tcp4.example A",
        "ask long.example TXT",
        "tcp [::1]:53",
        "ask tcp6.example A",
    ])?;
    let pid = client.pid();
    client.finish()?;
    let ended = agent.stop()?;
    let switched_off =
        ended.log.lines().filter_map(|line| line.find("this kernel").and_then(|at| line.get(at..)));
    switched_off.for_each(|line| say("without", line));
    let alias = Alert::on("alias.example").answered("long.example", "dns.answers.data", "alias.example");
    let asked = ["udp4.example", "udp6.example", "tcp4.example", "tcp6.example"].map(Alert::on);
    let expected: Vec<Alert> =
        asked.into_iter().chain([alias]).map(|alert| by_container(alert, pid)).collect();
    expect_alerts(&ended.documents, &expected).with_context(|| ended.log)
}

fn by_container(mut alert: Alert, pid: u32) -> Alert {
    alert.pod = Some(POD.to_owned());
    alert.container = Some(CONTAINER.to_owned());
    alert.process(pid, "dns-client")
}

/// Each wrong surrounding ends the agent with its sentence.
fn refusals(version: (u32, u32)) -> Result<()> {
    cgroup::create(&unit())?;
    refuses(&mut limited("NET_ADMIN"), &["the agent lacks CAP_BPF;", "as root"])?;
    refuses(&mut limited("BPF"), &["the agent lacks CAP_NET_ADMIN;"])?;
    if version < NO_MEMLOCK {
        refuses(
            &mut limited("BPF,NET_ADMIN"),
            &["the limit of locked memory is 65536 bytes", "SYS_RESOURCE"],
        )?;
    }
    refuses(root().args(["--cgroup-root", "/proc"]), &["--cgroup-root /proc is not a cgroup2 directory"])?;
    // An empty folder in the place of the kernel's own is a kernel without BTF.
    mount("tmpfs", BTF_FOLDER, "tmpfs", MountFlags::empty(), None)?;
    let refused = refuses(&mut root(), &["no BTF type information", "CONFIG_DEBUG_INFO_BTF=y"]);
    unmount(BTF_FOLDER, UnmountFlags::empty())?;
    refused?;
    // The tree goes away for as long, and with it every group that was made.
    unmount(CGROUPS, UnmountFlags::DETACH)?;
    let refused = refuses(
        Command::new(AGENT).args(["run", "--feed", "bad=/feed"]),
        &["no cgroup2 hierarchy is mounted"],
    );
    mount("cgroup2", CGROUPS, "cgroup2", MountFlags::empty(), None)?;
    refused
}

/// The agent ends by itself, with a failure and one line that holds these words.
fn refuses(agent: &mut Command, words: &[&str]) -> Result<()> {
    let output = run_to_end(agent)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success(), "it ran where {words:?} was due: {said}");
    let last = said.trim_end().lines().last().unwrap_or_default();
    for word in words {
        ensure!(last.contains(word), "`{word}` was due, it said: {said}");
    }
    Ok(())
}

fn run_to_end(command: &mut Command) -> Result<Output> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let ended = wait::within(PATIENCE, "the agent refused to run", || Ok(child.try_wait()?));
    if ended.is_err() {
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    ended.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok(output)
}
