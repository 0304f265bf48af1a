//! What cannot start says so in one sentence, before anything is attached; what is bad in a feed stops nothing.

use std::{net::TcpListener, process::Output};

use anyhow::{Context as _, Result};
use aya::{Ebpf, programs::CgroupSkb};
use namewarden_tests::{
    agent::{AgentBuilder, program},
    expect::Alert,
    node::Node,
    program as other,
    server::Zone,
};

use crate::{
    foreign::always,
    lifecycle::attached,
    rewriter::object,
    scene::{DNS, Scene},
};

/// Takes the node's root for a program of ours alone: whoever tries to attach there fails, and says so.
fn occupy(node: &Node) -> Result<u64> {
    let mut programs = Ebpf::load(&object(&[("cgroup_skb/egress", "occupant", always(1))])?)?;
    let program: &mut CgroupSkb = programs.program_mut("occupant").context("no such program")?.try_into()?;
    program.load()?;
    let id = program.info()?.id();
    let root = node.cgroup().to_string_lossy();
    // Without flags the attachment is nobody else's; it lasts as long as the group.
    other::run("bpftool", &["cgroup", "attach", &root, "egress", "id", &id.to_string()])?;
    Ok(id.into())
}

/// The one line in which the agent says why it ends.
fn complaint(output: Output) -> Result<String> {
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(2), "{said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("namewarden-agent: ")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(!said.contains("panicked") && !said.contains("Totals of"), "{said}");
    Ok(lines.concat())
}

/// The agent ends by itself with one line that holds all `words`, before it tries to attach anything.
fn refuses(agent: &AgentBuilder, words: &[&str]) -> Result<()> {
    let node = Node::start()?;
    let occupant = occupy(&node)?;
    let line = complaint(agent.run_to_end(&node)?)?;
    assert!(words.iter().all(|word| line.contains(word)), "{words:?} in: {line}");
    assert_eq!(attached(&node)?, [occupant]);
    Ok(())
}

/// The same for options that are wrong.
fn refuses_options(arguments: &[&str], words: &[&str]) -> Result<()> {
    refuses(&agent().arguments(arguments), words)
}

fn agent() -> AgentBuilder {
    AgentBuilder::new("agent").feed("bad", "evil.example\n")
}

#[test]
fn a_cgroup_that_another_program_has_for_itself_is_refused() -> Result<()> {
    refuses(&agent(), &["cannot be attached", "bpftool cgroup tree"])
}

#[test]
fn a_ring_that_is_no_power_of_two_is_refused() -> Result<()> {
    refuses_options(&["--ring-kib", "100"], &["102400 bytes", "power of two"])
}

#[test]
fn a_ring_beyond_its_bounds_is_refused() -> Result<()> {
    refuses_options(&["--ring-kib", "32"], &["64 KiB"])?;
    refuses_options(&["--ring-kib", "4194304"], &["1 GiB"])
}

#[test]
fn more_than_16_ports_are_refused() -> Result<()> {
    let ports: Vec<String> = (1..=17).map(|port| format!("--dns-port={port}")).collect();
    refuses_options(&ports.iter().map(String::as_str).collect::<Vec<_>>(), &["17 ports"])
}

#[test]
fn an_alert_file_that_cannot_be_written_is_refused() -> Result<()> {
    let words = ["/no/such/folder/alerts.json"];
    refuses(&agent().alerts("file:/no/such/folder/alerts.json"), &words)?;
    refuses_options(&["--dns-logs", "file:/no/such/folder/alerts.json"], &words)
}

#[test]
fn a_place_for_documents_that_is_none_is_refused() -> Result<()> {
    refuses(&agent().alerts("syslog"), &["--alerts", "syslog", "stdout"])?;
    refuses_options(&["--dns-logs", "file:"], &["--dns-logs"])
}

#[test]
fn every_missing_capability_is_named() -> Result<()> {
    refuses(&agent().capabilities(""), &["CAP_BPF and CAP_NET_ADMIN", "as root"])?;
    refuses(&agent().capabilities("+net_admin"), &["lacks CAP_BPF;"])?;
    refuses(&agent().capabilities("+bpf"), &["lacks CAP_NET_ADMIN;"])
}

#[test]
fn a_user_namespace_is_refused() -> Result<()> {
    refuses(&agent().within(&["unshare", "--user", "--map-root-user"]), &["user namespace", "outside of it"])
}

/// A kernel that says it is 2.6, as `personality(2)` lets it.
#[test]
fn an_old_kernel_is_refused() -> Result<()> {
    refuses(&agent().within(&["setarch", "--uname-2.6"]), &["kernel 2.6.", "too old", "5.10"])
}

/// Runs the agent where `script` changed what is mounted, in a mount namespace of its own.
fn mounts(script: &str) -> AgentBuilder {
    agent().within(&[
        "unshare",
        "--mount",
        "--cgroup",
        "sh",
        "-c",
        &format!("{script}; exec \"$@\""),
        "mounts",
    ])
}

const NO_CGROUP2: &str = "for at in $(findmnt -n -t cgroup2 -o TARGET); do umount -l $at; done";

#[test]
fn a_kernel_without_btf_is_refused() -> Result<()> {
    refuses(&mounts("mount -t tmpfs none /sys/kernel/btf"), &["BTF", "CONFIG_DEBUG_INFO_BTF"])
}

#[test]
fn a_machine_without_cgroup2_is_refused() -> Result<()> {
    refuses(&mounts(NO_CGROUP2).whole_machine(), &["no cgroup2 hierarchy is mounted", "mount -t cgroup2"])
}

#[test]
fn a_part_of_the_cgroup_tree_that_nobody_named_is_refused() -> Result<()> {
    let part = format!("{NO_CGROUP2}; mount -t cgroup2 none /mnt");
    refuses(&mounts(&part).whole_machine(), &["/mnt is only a part", "--cgroup-root"])
}

#[test]
fn a_cgroup_root_that_is_none_is_refused() -> Result<()> {
    let root = |path: &str| agent().cgroup_root(path.as_ref());
    let mounted = namewarden_tests::cgroup::root()?;
    let hint = format!("this machine's is {}", mounted.display());
    refuses(&root("/no/such/tree"), &["--cgroup-root /no/such/tree", "No such file", &hint])?;
    refuses(&root("/tmp"), &["--cgroup-root /tmp is not a cgroup2 directory", &hint])?;
    let file = mounted.join("cgroup.procs").display().to_string();
    refuses(&root(&file), &["cgroup.procs is not a cgroup2 directory", &hint])
}

#[test]
fn nothing_to_do_is_refused() -> Result<()> {
    refuses(&AgentBuilder::new("agent"), &["nothing to do", "--feed"])
}

#[test]
fn a_feed_that_cannot_be_read_at_the_start_is_refused_by_name() -> Result<()> {
    refuses_options(&["--feed", "gone=/no/such/list"], &["gone", "/no/such/list"])?;
    refuses_options(&["--feed", "folder=/tmp"], &["folder", "/tmp"])?;
    refuses_options(&["--allow", "/no/such/list"], &["allow list /no/such/list", "cannot be read"])?;
    refuses_options(&["--feed-ca", "/no/such/pem", "--feed", "far=https://127.0.0.1:9/"], &["/no/such/pem"])
}

#[test]
fn what_is_wrong_with_options_of_feeds_is_said() -> Result<()> {
    refuses_options(&["--feed", "bad=/etc/hosts"], &["bad"])?;
    refuses_options(&["--feed-format", "odd"], &["odd", "adblock"])?;
    refuses_options(&["--feed-format", "odd=hosts"], &["odd"])?;
    refuses_options(&["--feed-matching", "bad=odd"], &["odd", "subdomains"])?;
    refuses_options(&["--feed", "far=ftp://example/list"], &["far"])
}

#[test]
fn what_cannot_lead_to_other_machines_is_refused() -> Result<()> {
    let missing = "/no/such/file";
    refuses_options(&["--controller", "http://controller.example"], &["--controller", "https://HOST"])?;
    let controller = ["--controller", "https://127.0.0.1:9"];
    refuses_options(&[&controller[..], &["--ca", missing]].concat(), &["--ca", missing])?;
    refuses_options(&[&controller[..], &["--token-file", missing]].concat(), &["--token-file", missing])?;
    refuses_options(&["--kubeconfig", missing], &["kubeconfig", missing, "--pod-names off"])?;
    refuses_options(&["--kubeconfig", "/etc/hosts"], &["kubeconfig", "/etc/hosts", "--pod-names off"])?;
    refuses_options(&["--feed-proxy", "no proxy"], &["proxy", "http://HOST:PORT"])
}

#[test]
fn what_no_search_engine_can_be_shown_is_refused() -> Result<()> {
    refuses_options(&["--search-user", "agent"], &["no password", "--search-password-file"])?;
    refuses_options(
        &["--dns-logs", "https://agent:secret@search.example"],
        &["credentials", "--search-user"],
    )?;
    let alerts = ["--dns-logs", "https://127.0.0.1:9"];
    for option in ["--search-ca", "--search-token-file", "--search-api-key-file"] {
        let words = format!("{option} /no/such/file: No such file");
        refuses_options(&[&alerts[..], &[option, "/no/such/file"]].concat(), &[&words])?;
    }
    refuses_options(
        &[&alerts[..], &["--search-ca", "/etc/hosts"]].concat(),
        &["--search-ca", "no certificate"],
    )
}

#[test]
fn names_that_are_none_are_refused() -> Result<()> {
    refuses_options(&["--cluster-name", " "], &["--cluster-name"])?;
    refuses_options(&["--node-name", ""], &["--node-name"])?;
    refuses_options(&["--node-name", "a\tb"], &["--node-name", "printable"])
}

#[test]
fn an_address_that_cannot_be_listened_on_is_refused() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let taken = taken.local_addr().map(|address| address.to_string())?;
    refuses_options(&["--listen", &taken], &["--listen", "free port"])
}

#[test]
fn folders_and_tables_that_are_none_are_refused() -> Result<()> {
    refuses_options(&["--proc-root", "/tmp"], &["--proc-root /tmp"])?;
    refuses_options(&["--log", "a=b=c"], &["--log"])
}

#[test]
fn a_state_folder_that_another_agent_uses_is_refused() -> Result<()> {
    let first = Scene::new()?;
    let folder = first.node.folder().join("agent/state").display().to_string();
    let output = std::process::Command::new(program()?)
        .args(["run", "--state-dir", &folder, "--feed", "/dev/null", "--cgroup-root"])
        .arg(first.node.cgroup())
        .arg("--status-socket")
        .arg(first.node.folder().join("second.sock"))
        .output()?;
    let line = complaint(output)?;
    assert!(
        line.contains(&folder) && line.contains("another agent") && line.contains("--state-dir"),
        "{line}"
    );
    first.expect(&[]).map(drop)
}

/// What clap refuses ends the same way.
#[test]
fn words_that_are_no_options_are_refused() -> Result<()> {
    for arguments in
        [["--dns-port", "70000"], ["--dns-port", "0"], ["--no-such-option", "1"], ["--format", "odd"]]
    {
        let node = Node::start()?;
        let occupant = occupy(&node)?;
        let output = agent().arguments(&arguments).run_to_end(&node)?;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("error: ") && said.contains(arguments[0]), "{said}");
        assert_eq!(attached(&node)?, [occupant]);
    }
    Ok(())
}

#[test]
fn a_bad_line_does_not_spoil_a_feed() -> Result<()> {
    let feed = "good-entry.example\nnot a name at all\n192.0.2.1\nevil.example\n";
    let scene = Scene::with(Zone::new(), &AgentBuilder::new("agent").feed("bad", feed))?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &format!("ask evil.example A {DNS}")])?;
    let feeds = scene.agent.status()?;
    assert_eq!(feeds.pointer("/feeds/0/rejected"), Some(&2.into()));
    let age = feeds.pointer("/feeds/0/age_seconds").and_then(serde_json::Value::as_u64);
    assert!(age.is_some_and(|seconds| seconds < 600), "{feeds:#}");
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_feed_that_is_a_web_page_does_not_stop_the_agent_and_is_shown() -> Result<()> {
    let page = "<!DOCTYPE html>\n<html><body>evil.example</body></html>\n";
    let scene = Scene::with(Zone::new(), &agent().feed("page", page))?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &format!("ask evil.example A {DNS}")])?;
    let status = scene.agent.status()?;
    let problem = status.pointer("/feeds/1/problem").and_then(serde_json::Value::as_str);
    assert!(problem.is_some(), "{status:#}");
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}
