//! Where bytes go: standard output, or a file that is opened anew when it was rotated away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{SinkError, Target};

pub(super) enum Destination {
    Stdout,
    File {
        path: PathBuf,
        file: File,
        /// The last write stopped within a line.
        torn: bool,
    },
    /// What tests read.
    #[cfg(test)]
    Pipe(Box<dyn Write + Send>),
}

impl Destination {
    pub(super) fn open(target: &Target) -> Result<Self, SinkError> {
        match target {
            Target::Stdout => Ok(Self::Stdout),
            Target::File(path) => match append(path) {
                Ok(file) => Ok(Self::File { path: path.clone(), file, torn: false }),
                Err(source) => Err(SinkError::File { path: path.clone(), source }),
            },
        }
    }

    /// Writes whole lines and flushes them.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => write_all(&mut io::stdout().lock(), lines),
            Self::File { path, file, torn } => {
                if was_moved(path, file) {
                    *file = append(path)?;
                    *torn = false;
                }
                if *torn {
                    file.write_all(b"\n")?;
                }
                let written = write_all(file, lines);
                *torn = written.is_err();
                written
            }
            #[cfg(test)]
            Self::Pipe(pipe) => write_all(pipe, lines),
        }
    }
}

fn write_all(output: &mut impl Write, lines: &[u8]) -> io::Result<()> {
    output.write_all(lines)?;
    output.flush()
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Whether the path names another file by now, or none.
fn was_moved(path: &Path, file: &File) -> bool {
    let (Ok(opened), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return true };
    (opened.dev(), opened.ino()) != (named.dev(), named.ino())
}
