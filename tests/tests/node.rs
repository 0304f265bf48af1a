//! The chart on a real node: kubelet, containerd, kube-proxy and CoreDNS as `cargo xtask cluster` starts them. Needs root. One
//! binary, one module in `node/` for each part of the subject.

// A cluster with the chart installed, and who reads the alerts.
#[path = "node/installation.rs"]
mod installation;

// What the agent's pod is given, and nothing beyond it.
#[path = "node/rights.rs"]
mod rights;

// Agent and controller are deleted, replaced, uninstalled.
#[path = "node/changes.rs"]
mod changes;

// Workloads of every kind: each is named, over UDP and TCP.
#[path = "node/workloads.rs"]
mod workloads;
