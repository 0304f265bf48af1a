//! The processes of one server: Elasticsearch starts a second one, which outlives the first. They are told by their
//! arguments, which name the server's folder.

use std::{
    fs::{self, File},
    os::unix::{ffi::OsStrExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::program;

/// Bytes of a log that an error shows.
const TAIL: usize = 4_000;

/// A server that runs until this value is dropped.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    folder: PathBuf,
}

impl Daemon {
    /// Starts it; what it says goes to a file in `folder`.
    pub(super) fn start(command: &mut Command, folder: &Path) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log(folder))?;
        command.current_dir(folder).process_group(0);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, folder: folder.to_owned() })
    }

    /// The process that was started.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error once it has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the search engine ended ({status})"),
            None => Ok(()),
        }
    }

    /// The end of what it said.
    pub(super) fn said(&self) -> String {
        let text = fs::read(log(&self.folder)).unwrap_or_default();
        let tail = text.get(text.len().saturating_sub(TAIL)..).unwrap_or_default();
        String::from_utf8_lossy(tail).into_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Err(error) = end_all_of(&self.folder) {
            eprintln!("a search engine may still run: {error:#}");
        }
    }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("output.log")
}

/// Ends the processes whose arguments name `folder`, and returns when they are gone.
pub(super) fn end_all_of(folder: &Path) -> Result<()> {
    program::end_all(|pid| names(pid, folder))
}

/// A process that has ended and waits for its parent has no arguments.
fn names(pid: i32, folder: &Path) -> bool {
    let wanted = folder.as_os_str().as_bytes();
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let is_java = arguments.split(|byte| *byte == 0).next().is_some_and(|program| program.ends_with(b"java"));
    is_java && arguments.windows(wanted.len()).any(|part| part == wanted)
}
