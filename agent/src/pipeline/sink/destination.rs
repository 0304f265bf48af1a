//! Where bytes go: standard output, or a file that is opened anew when it was rotated away.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{SinkError, Target};

pub(super) enum Destination {
    /// Without the standard library's buffer: what was written is known when a write fails.
    Stdout(File),
    File {
        path: PathBuf,
        file: File,
    },
    /// What tests read.
    #[cfg(test)]
    Pipe(Box<dyn Write + Send>),
}

impl Destination {
    pub(super) fn open(target: &Target) -> Result<Self, SinkError> {
        match target {
            Target::Stdout => match io::stdout().as_fd().try_clone_to_owned() {
                Ok(stdout) => Ok(Self::Stdout(stdout.into())),
                Err(source) => Err(SinkError::File { path: "standard output".into(), source }),
            },
            Target::File(path) => match append(path) {
                Ok(file) => Ok(Self::File { path: path.clone(), file }),
                Err(source) => Err(SinkError::File { path: path.clone(), source }),
            },
            Target::Search(_) => Err(SinkError::NoSpool),
        }
    }

    /// Writes lines from where `done` says; after an error the next call goes on there, so that no line is torn.
    pub(super) fn write(&mut self, lines: &[u8], done: &mut usize) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => write_rest(stdout, lines, done),
            Self::File { path, file } => {
                if was_moved(path, file) {
                    *file = append(path)?;
                    *done = start_of_line(lines, *done);
                }
                write_rest(file, lines, done)
            }
            #[cfg(test)]
            Self::Pipe(pipe) => write_rest(pipe, lines, done),
        }
    }
}

fn write_rest(output: &mut impl Write, lines: &[u8], done: &mut usize) -> io::Result<()> {
    while let Some(rest) = lines.get(*done..).filter(|rest| !rest.is_empty()) {
        match output.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => *done += written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    output.flush()
}

/// What begins in the old file is written anew in the new one.
fn start_of_line(lines: &[u8], done: usize) -> usize {
    let before = lines.get(..done).unwrap_or_default();
    before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

/// Opens a file that its group may read: what workloads ask for is nobody else's business. A line that a writer before
/// left unfinished is ended.
fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    let Ok(mut file) = options.clone().read(true).open(path) else { return options.open(path) };
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// Whether the path names another file by now, or none.
fn was_moved(path: &Path, file: &File) -> bool {
    let (Ok(opened), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return true };
    (opened.dev(), opened.ino()) != (named.dev(), named.ino())
}
