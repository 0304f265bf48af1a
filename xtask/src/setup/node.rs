//! The rest of a node, beside the API server: kubelet, controller-manager, scheduler, kube-proxy, containerd, runc, CoreDNS and
//! helm, built with Go; what Debian has of it is Debian's.

use std::path::PathBuf;

use anyhow::Result;

use super::debian;
use super::go::{Module, Package};
use super::helm::HELM;
use super::kubernetes::{self, KUBERNETES};
use crate::command::say;
use crate::layout::Layout;
use crate::pinned;

/// Snapshots on file systems that need programs of their own are left out.
const CONTAINERD: Module = Module {
    tags: "no_btrfs no_devmapper no_zfs",
    ..Module::plain("containerd", "github.com/containerd/containerd/v2", pinned::CONTAINERD)
};

const RUNC: Module = Module {
    tags: "seccomp",
    needs_c: true,
    ..Module::plain("runc", "github.com/opencontainers/runc", pinned::RUNC)
};

/// Its folder is called by the plugin that was added last: one that was built before is not taken for it.
const COREDNS: Module = Module {
    main: Some(include_str!("node/coredns.go")),
    ..Module::plain("coredns-forward", "github.com/coredns/coredns", pinned::COREDNS)
};

/// The modules in the order in which they are built: what is soon done comes first.
const MODULES: [&Module; 5] = [&RUNC, &COREDNS, &CONTAINERD, &HELM, &KUBERNETES];

struct Program {
    module: &'static Module,
    package: Package,
}

const fn program(module: &'static Module, path: &'static str, name: &'static str) -> Program {
    Program { module, package: Package { path, made_as: name, name } }
}

const PROGRAMS: [Program; 10] = [
    program(&RUNC, "github.com/opencontainers/runc", "runc"),
    // A program of our own is called as its module is.
    Program { module: &COREDNS, package: Package { path: ".", made_as: "tools", name: "coredns" } },
    program(&CONTAINERD, "github.com/containerd/containerd/v2/cmd/containerd", "containerd"),
    program(
        &CONTAINERD,
        "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
        "containerd-shim-runc-v2",
    ),
    program(&CONTAINERD, "github.com/containerd/containerd/v2/cmd/ctr", "ctr"),
    program(&HELM, "helm.sh/helm/v3/cmd/helm", "helm"),
    program(&KUBERNETES, "k8s.io/kubernetes/cmd/kubelet", "kubelet"),
    program(&KUBERNETES, "k8s.io/kubernetes/cmd/kube-controller-manager", "kube-controller-manager"),
    program(&KUBERNETES, "k8s.io/kubernetes/cmd/kube-scheduler", "kube-scheduler"),
    program(&KUBERNETES, "k8s.io/kubernetes/cmd/kube-proxy", "kube-proxy"),
];

impl Program {
    fn path(&self, layout: &Layout) -> PathBuf {
        self.module.folder(layout).join("bin").join(self.package.name)
    }
}

/// The programs and packages that are missing.
pub fn missing(layout: &Layout) -> Result<Vec<String>> {
    let mut missing = debian::missing(pinned::NODE_PACKAGES)?;
    missing.extend(absent(layout).map(|it| format!("{} {}", it.package.name, it.module.version)));
    Ok(missing)
}

fn absent(layout: &Layout) -> impl Iterator<Item = &'static Program> {
    PROGRAMS.iter().filter(|program| !program.path(layout).exists())
}

/// Name and place of each program that a node runs, those of the API server among them.
pub fn programs(layout: &Layout) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut programs = kubernetes::programs(layout)?;
    programs.extend(PROGRAMS.iter().map(|program| (program.package.name, program.path(layout))));
    Ok(programs)
}

/// Installs and builds what is missing.
pub fn install(layout: &Layout) -> Result<String> {
    let mut done = Vec::new();
    if !debian::missing(pinned::NODE_PACKAGES)?.is_empty() {
        done.push(debian::install(layout, pinned::NODE_PACKAGES)?);
    }
    let absent: Vec<&Program> = absent(layout).collect();
    if !absent.is_empty() {
        say("setup: the programs of a node are compiled once, for about twenty minutes on two cores");
    }
    for module in MODULES {
        let of_it = absent.iter().filter(|program| program.module == module);
        let packages: Vec<&Package> = of_it.map(|program| &program.package).collect();
        if !packages.is_empty() {
            module.build(layout, &packages)?;
            done.extend(packages.iter().map(|package| format!("built {}", package.name)));
        }
    }
    Ok(done.join(", "))
}
