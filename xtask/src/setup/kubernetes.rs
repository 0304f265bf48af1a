//! A real API server for the suite `cluster`: kube-apiserver, kubectl and etcd, named by the user or built with Go.
//!
//! The variables are envtest's, so that programs which are there already are used. Only that suite needs this part.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::go::{Module, Package};
use crate::command::say;
use crate::layout::{self, Layout};
use crate::pinned;

/// The variable with the folder that holds all three.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// Kubernetes itself; the node's programs are built from it as well.
pub const KUBERNETES: Module = Module {
    version_packages: &["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"],
    ..Module::plain("kubernetes", "k8s.io/kubernetes", pinned::KUBERNETES)
};

const ETCD: Module = Module::plain("etcd", "go.etcd.io/etcd/server/v3", pinned::ETCD);

/// One of the programs.
struct Program {
    /// The variable with its path.
    variable: &'static str,
    module: &'static Module,
    package: Package,
}

const PROGRAMS: [Program; 3] = [
    Program {
        variable: "TEST_ASSET_ETCD",
        module: &ETCD,
        package: Package { path: "go.etcd.io/etcd/server/v3", made_as: "server", name: "etcd" },
    },
    Program {
        variable: "TEST_ASSET_KUBE_APISERVER",
        module: &KUBERNETES,
        package: Package {
            path: "k8s.io/kubernetes/cmd/kube-apiserver",
            made_as: "kube-apiserver",
            name: "kube-apiserver",
        },
    },
    Program {
        variable: "TEST_ASSET_KUBECTL",
        module: &KUBERNETES,
        package: Package { path: "k8s.io/kubernetes/cmd/kubectl", made_as: "kubectl", name: "kubectl" },
    },
];

impl Program {
    /// Where it is, or will be once it is built; what the user names must be there.
    fn path(&self, layout: &Layout) -> Result<PathBuf> {
        let alone = layout::set(self.variable).map(|path| (self.variable, PathBuf::from(path)));
        let named = alone.or_else(|| {
            layout::set(ASSETS).map(|folder| (ASSETS, Path::new(&folder).join(self.package.name)))
        });
        match named {
            Some((variable, path)) if !path.is_file() => {
                bail!("{variable} leads to {}, where no program is: mend it or unset it", path.display())
            }
            Some((_, path)) => Ok(path),
            None => Ok(self.module.folder(layout).join("bin").join(self.package.name)),
        }
    }
}

/// The programs that are missing.
pub fn missing(layout: &Layout) -> Result<Vec<String>> {
    let absent = absent(layout)?;
    Ok(absent.iter().map(|program| format!("{} {}", program.package.name, program.module.version)).collect())
}

fn absent(layout: &Layout) -> Result<Vec<&'static Program>> {
    let mut absent = Vec::new();
    for program in &PROGRAMS {
        if !program.path(layout)?.exists() {
            absent.push(program);
        }
    }
    Ok(absent)
}

/// Name and place of each program.
pub fn programs(layout: &Layout) -> Result<Vec<(&'static str, PathBuf)>> {
    PROGRAMS.iter().map(|program| Ok((program.package.name, program.path(layout)?))).collect()
}

/// The variables by which the tests find the programs.
pub fn variables(layout: &Layout) -> Result<Vec<(&'static str, PathBuf)>> {
    PROGRAMS.iter().map(|program| Ok((program.variable, program.path(layout)?))).collect()
}

/// Builds what is missing.
pub fn install(layout: &Layout) -> Result<String> {
    say(
        "setup: the API server of the cluster tests is compiled once, for about a quarter of an hour on two cores",
    );
    let absent = absent(layout)?;
    for module in [&ETCD, &KUBERNETES] {
        let packages: Vec<&Package> = absent
            .iter()
            .filter(|program| program.module == module)
            .map(|program| &program.package)
            .collect();
        if !packages.is_empty() {
            module.build(layout, &packages)?;
        }
    }
    let names: Vec<&str> = absent.iter().map(|program| program.package.name).collect();
    Ok(format!("built {}", names.join(", ")))
}
