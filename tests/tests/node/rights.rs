//! What the agent's pod is given, and nothing beyond it: read off its process, not off its manifest.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::installation::Installation;

/// `CAP_NET_ADMIN` and `CAP_BPF` (`linux/capability.h`).
const CAPABILITIES: u64 = 1 << 12 | 1 << 39;

/// The process of the container `id`: the first whose cgroup bears it.
pub fn process(id: &str) -> Result<u32> {
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        if fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains(id)) {
            return Ok(pid);
        }
    }
    None.with_context(|| format!("no process of the container {id}"))
}

#[test]
fn the_agent_runs_with_the_charts_capabilities_and_no_other() -> Result<()> {
    let installation = Installation::turn()?;
    let pods = installation.get("pods --namespace namewarden-agent")?;
    let [pod] = &pods[..] else { anyhow::bail!("not one agent: {pods:#?}") };
    let id = pod.pointer("/status/containerStatuses/0/containerID").and_then(Value::as_str);
    let id = id.and_then(|id| id.strip_prefix("containerd://")).context("no container")?;
    let status = fs::read_to_string(format!("/proc/{}/status", process(id)?))?;
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default()
    };
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        assert_eq!(u64::from_str_radix(field(set), 16)?, CAPABILITIES, "{set} {}", field(set));
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    // 2: a filter is in force.
    assert_eq!(field("Seccomp:"), "2");
    let spec = |path: &str| pod.pointer(&format!("/spec{path}")).cloned().unwrap_or(Value::Null);
    assert_eq!(spec("/containers/0/securityContext/readOnlyRootFilesystem"), Value::Bool(true));
    assert_ne!(spec("/hostNetwork"), Value::Bool(true));
    assert_ne!(spec("/hostPID"), Value::Bool(true));
    installation.end()
}

#[test]
fn the_controller_runs_as_nobody_with_no_capability() -> Result<()> {
    let installation = Installation::turn()?;
    let pods = installation.get("pods --namespace namewarden-controller")?;
    let id = pods.first().and_then(|pod| pod.pointer("/status/containerStatuses/0/containerID")?.as_str());
    let id = id.and_then(|id| id.strip_prefix("containerd://")).context("no container")?;
    let status = fs::read_to_string(format!("/proc/{}/status", process(id)?))?;
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default()
    };
    assert_eq!(field("Uid:").split_whitespace().next(), Some("65532"));
    assert_eq!(u64::from_str_radix(field("CapBnd:"), 16)?, 0);
    installation.end()
}
