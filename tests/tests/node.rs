//! The chart on a real node: kubelet, containerd, kube-proxy and CoreDNS as `cargo xtask cluster` starts them. Needs root. One
//! binary, one module in `node/` for each part of the subject.

// A cluster with the chart installed, and who reads the alerts.
#[path = "node/installation.rs"]
mod installation;

// OpenSearch, and what it has to hold in the end.
#[path = "node/engine.rs"]
mod engine;

// A socket load-balancer at the root of the cgroup tree.
#[path = "kernel/rewriter.rs"]
mod rewriter;

// Pods that ask once and end, by the dozen.
#[path = "node/crowd.rs"]
mod crowd;

// What the agent's pod is given, and nothing beyond it.
#[path = "node/rights.rs"]
mod rights;

// Agent and controller are deleted, replaced, uninstalled.
#[path = "node/changes.rs"]
mod changes;

// Versions that follow each other, installations that come and go.
#[path = "node/releases.rs"]
mod releases;

// Others between pods and resolver.
#[path = "node/between.rs"]
mod between;

// Workloads of every kind: each is named, over UDP and TCP.
#[path = "node/workloads.rs"]
mod workloads;
