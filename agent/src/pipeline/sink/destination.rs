//! Where bytes go: standard output, or a file.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use super::file::{LogFile, Rotation, Tally};
use super::{SinkError, Target};

pub(super) enum Destination {
    /// Without the standard library's buffer: what was written is known when a write fails.
    Stdout(File),
    File(LogFile),
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
            Target::File(path) => match LogFile::open(path) {
                Ok(file) => Ok(Self::File(file)),
                Err(source) => Err(SinkError::File { path: path.clone(), source }),
            },
            Target::Search(_) => Err(SinkError::NoSpool),
        }
    }

    /// The same; a file is moved away when it is full.
    pub(super) fn rotated(mut self, rotation: Option<Rotation>, tally: &Arc<Tally>) -> Self {
        if let Self::File(file) = &mut self {
            file.set_rotation(rotation, Arc::clone(tally));
        }
        self
    }

    /// Writes lines from where `done` says; after an error the next call goes on there, so that no line is torn.
    pub(super) fn write(&mut self, lines: &[u8], done: &mut usize) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => write_rest(stdout, lines, done),
            Self::File(file) => file.write(lines, done),
            #[cfg(test)]
            Self::Pipe(pipe) => write_rest(pipe, lines, done),
        }
    }
}

pub(super) fn write_rest(output: &mut impl Write, lines: &[u8], done: &mut usize) -> io::Result<()> {
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
