//! Helm, for the chart: named by the user (`NAMEWARDEN_HELM`), or built with Go.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::go::{Module, Package};
use crate::layout::{self, Layout};
use crate::pinned;

/// The variable with the program's path, for the tests too.
pub const VARIABLE: &str = "NAMEWARDEN_HELM";

/// Which Kubernetes it takes for granted where it asks none is told when it is linked.
pub const HELM: Module = Module {
    variables: &[
        ("helm.sh/helm/v3/internal/version.version", "v3.22.0"),
        ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor", "1"),
        ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor", "36"),
        ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor", "1"),
        ("helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor", "36"),
    ],
    ..Module::plain("helm", "helm.sh/helm/v3", pinned::HELM)
};

const PROGRAM: Package = Package { path: "helm.sh/helm/v3/cmd/helm", made_as: "helm", name: "helm" };

/// Where it is, or will be once it is built; what the user names must be there.
pub fn program(layout: &Layout) -> Result<PathBuf> {
    match layout::set(VARIABLE).map(PathBuf::from) {
        Some(path) if !path.is_file() => {
            bail!("{VARIABLE} leads to {}, where no program is: mend it or unset it", path.display())
        }
        Some(path) => Ok(path),
        None => Ok(HELM.folder(layout).join("bin").join(PROGRAM.name)),
    }
}

/// The program, where it is missing.
pub fn missing(layout: &Layout) -> Result<Vec<String>> {
    let is_there = program(layout)?.exists();
    Ok(if is_there { Vec::new() } else { vec![format!("{} {}", PROGRAM.name, HELM.version)] })
}

/// Builds it.
pub fn install(layout: &Layout) -> Result<String> {
    HELM.build(layout, &[&PROGRAM])?;
    Ok(format!("built {} {}", PROGRAM.name, HELM.version))
}
