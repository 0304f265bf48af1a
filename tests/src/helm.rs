//! Helm with the chart of this workspace: it renders with no cluster, or installs into an API server of the tests.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::program;

/// The variable with the program's path.
const VARIABLE: &str = "NAMEWARDEN_HELM";

/// Helm with folders of its own, so that nobody's settings and repositories count.
#[derive(Debug)]
pub struct Helm {
    program: PathBuf,
    folder: tempfile::TempDir,
    kubeconfig: Option<PathBuf>,
}

impl Helm {
    /// One that asks no API server.
    pub fn new() -> Result<Self> {
        Self::with(None)
    }

    /// One that asks the API server that this file leads to.
    pub fn of(kubeconfig: PathBuf) -> Result<Self> {
        Self::with(Some(kubeconfig))
    }

    fn with(kubeconfig: Option<PathBuf>) -> Result<Self> {
        let program = env::var_os(VARIABLE).map(PathBuf::from);
        let program =
            program.with_context(|| format!("no helm: run `cargo xtask test cluster`, or set {VARIABLE}"))?;
        Ok(Self { program, folder: tempfile::tempdir()?, kubeconfig })
    }

    /// Runs it and returns what it says on standard output.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        for variable in ["HELM_NAMESPACE", "HELM_KUBECONTEXT", "HELM_KUBETOKEN", "KUBECONFIG"] {
            command.env_remove(variable);
        }
        let folder = self.folder.path();
        command.env("HOME", folder).env("KUBECACHEDIR", folder.join("kube"));
        for kind in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{kind}_HOME"), folder.join(kind));
        }
        if let Some(kubeconfig) = &self.kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        program::finish(command.args(arguments))
    }
}

/// The chart.
#[must_use]
pub fn chart() -> String {
    deploy("chart").to_string_lossy().into_owned()
}

/// Something of the folder `deploy`.
#[must_use]
pub fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}
