//! A set file comes into its place whole or not at all: written beside it, synced, renamed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::SetId;
use super::build::BuildError;

/// Writes a set to `path`, which then holds either all of what `write` wrote or what it held before.
///
/// The file has mode 0600: the key is in it.
pub fn replace<E: From<BuildError>>(
    path: &Path,
    number: u64,
    write: impl FnOnce(&File) -> Result<SetId, E>,
) -> Result<SetId, E> {
    let failed = |source| BuildError::Write { path: path.to_owned(), source };
    let temporary = temporary_name(path, number);
    let file = create_private(&temporary).map_err(failed)?;
    let written = write(&file).and_then(|id| {
        file.sync_all().and_then(|()| fs::rename(&temporary, path)).map_err(failed)?;
        sync_folder(path).map_err(failed)?;
        Ok(id)
    });
    if written.is_err() {
        // Best effort: the error that matters is the one reported.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn temporary_name(path: &Path, number: u64) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}-{number}.new", std::process::id()))
}

fn create_private(path: &Path) -> io::Result<File> {
    let open = || OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
    match open() {
        // Left behind by a process of the same number that was killed: ours alone to take.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            open()
        }
        opened => opened,
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
