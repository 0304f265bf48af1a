//! Where the cluster keeps what, and how its programs are called.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{say, ticking};
use crate::compiler::bare;
use crate::layout;

/// The variable with the folder, for those who want it elsewhere.
const VARIABLE: &str = "NAMEWARDEN_CLUSTER";

/// The folder: containers' files need one on a disk.
const FOLDER: &str = "/var/lib/namewarden-cluster";

/// The network namespace: its name under `/run/netns`. There is one cluster on a machine.
pub const NAMESPACE: &str = "namewarden-cluster";

/// Folders of system programs, which the PATH of `sudo` may lack.
const SYSTEM: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The cluster's folder.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
}

impl Place {
    /// Reads the environment.
    pub fn find() -> Result<Self> {
        let folder = layout::set(VARIABLE).map_or_else(|| PathBuf::from(FOLDER), PathBuf::from);
        Ok(Self { folder: std::path::absolute(folder)? })
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file or folder in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The same as text, for the settings of programs.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// By it kubectl and helm reach the cluster as its administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// All its programs under their own names.
    pub fn programs(&self) -> PathBuf {
        self.path("bin")
    }

    /// Waits until no other task starts or ends the cluster; the lock ends with the process.
    pub fn lock(&self) -> Result<File> {
        let path = self.folder.with_extension("lock");
        if let Some(above) = path.parent() {
            fs::create_dir_all(above)?;
        }
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => say("cluster: another task is at it, waiting"),
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the cluster's folder"),
        }
        ticking("cluster: waiting for another task", || file.lock())?;
        Ok(file)
    }

    /// One of its programs, outside the cluster's network, as its administrator.
    pub fn program(&self, name: &str) -> Command {
        let mut command = bare(self.programs().join(name));
        command.env("KUBECONFIG", self.kubeconfig()).env("PATH", self.search_path());
        // What is remembered of a server must not outlive it.
        command.env("KUBECACHEDIR", self.path("kubectl-cache")).env("HOME", &self.folder);
        command
    }

    /// kubectl as the administrator.
    pub fn kubectl(&self) -> Command {
        self.program("kubectl")
    }

    /// helm as the administrator.
    pub fn helm(&self) -> Command {
        self.program("helm")
    }

    /// containerd's own client, in the kubelet's part of it.
    pub fn ctr(&self) -> Command {
        let mut ctr = self.program("ctr");
        ctr.args(["--address", &self.socket(), "--namespace", "k8s.io"]);
        ctr
    }

    /// Where containerd listens.
    pub fn socket(&self) -> String {
        self.text("containerd.sock")
    }

    /// A program inside the cluster's network.
    pub fn inside(&self, program: &Path) -> Command {
        let mut command = self.enter();
        command.arg("--").arg(program);
        command
    }

    /// The same with mounts of its own: it sees the machine's, and what is mounted here stays here. Among themselves they are
    /// shared, as on a machine that systemd started: pods may ask to be told of mounts.
    pub fn inside_with_mounts(&self, program: &Path) -> Command {
        let mut command = self.enter();
        command.args(["--", "unshare", "--mount", "--propagation", "slave", "--"]);
        command.args(["sh", "-c", "mount --make-rshared / && exec \"$0\" \"$@\""]).arg(program);
        command
    }

    /// The same with the mounts of process `pid`.
    pub fn inside_with_mounts_of(&self, pid: u32, program: &Path) -> Command {
        let mut command = self.enter();
        command.arg(format!("--mount=/proc/{pid}/ns/mnt")).arg("--").arg(program);
        command
    }

    fn enter(&self) -> Command {
        let mut command = bare("nsenter");
        command.arg(format!("--net={}", namespace().display()));
        command.env("PATH", self.search_path()).env_remove("KUBECONFIG");
        command
    }

    fn search_path(&self) -> std::ffi::OsString {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.programs()).chain(env::split_paths(&path));
        // Folders of a PATH can be joined to one but for the cluster's own.
        env::join_paths(folders.chain(SYSTEM.map(PathBuf::from))).unwrap_or(path)
    }
}

/// The file that stands for the cluster's network namespace.
pub fn namespace() -> PathBuf {
    Path::new("/run/netns").join(NAMESPACE)
}
