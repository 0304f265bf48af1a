//! Copies and allow lists -> one set file. Nothing is held in memory but hashes.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use namewarden_protocol::endpoint::controller::SET_BYTES_MAX;
use namewarden_protocol::feed;
use namewarden_protocol::threat_set::{Builder, FeedInfo, SetId, SetKey, ThreatSet, wire};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::versions::Versions;
use super::{PublishError, Published};
use crate::feed::copy::{Shelf, hex};
use crate::feed::definition::Reading;
use crate::feed::judge::{self, Limits};

/// What a set is made of.
#[derive(Clone, Debug)]
pub struct Ingredients {
    /// The feeds, in the order of their names.
    pub parts: Vec<Part>,
    /// The operator's allow lists.
    pub allow: Vec<AllowList>,
    /// Where the copies are.
    pub shelf: Arc<Shelf>,
    /// How large a feed may be.
    pub limits: Limits,
}

/// A feed's share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What alerts say of it.
    pub info: FeedInfo,
    /// Its last good copy.
    pub digest: String,
    /// How it is read.
    pub reading: Reading,
}

/// Names that no feed lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowList(pub PathBuf);

impl Ingredients {
    /// A digest of everything that decides what the set is: the same one, the same set.
    pub fn fingerprint(&self, key: SetKey, epoch: u64) -> Result<String, PublishError> {
        let mut digest = Sha256::new();
        // The version changes with the parsers: what they make of the same bytes may be something else.
        digest.update(env!("CARGO_PKG_VERSION"));
        digest.update(key.0);
        digest.update(epoch.to_le_bytes());
        for part in &self.parts {
            let text = json!([part.info, part.digest, part.reading]);
            digest.update(text.to_string());
        }
        for AllowList(path) in &self.allow {
            let mut of_file = Sha256::new();
            let mut file = File::open(path).map_err(|error| unreadable(path, &error.to_string()))?;
            io::copy(&mut file, &mut io::BufWriter::new(Writing(&mut of_file)))?;
            digest.update(of_file.finalize());
        }
        Ok(hex(&digest.finalize()))
    }
}

/// Compiles a set into its file.
pub fn compile(
    ingredients: &Ingredients,
    key: SetKey,
    (epoch, number): (u64, u64),
    versions: &Versions,
) -> Result<Published, PublishError> {
    let mut builder = Builder::new(key, epoch, number).without_lines();
    let limits = ingredients.limits;
    for part in &ingredients.parts {
        let unreadable = |reason: String| PublishError::Copy { feed: part.info.name.to_string(), reason };
        let source = ingredients.shelf.reader(&part.digest).map_err(|error| unreadable(error.to_string()))?;
        let id = builder.feed(part.info.clone())?;
        judge::read(source, &part.reading, limits, &mut |entry| builder.add(id, &entry))
            .map_err(|refused| unreadable(refused.reason))?;
    }
    for AllowList(path) in &ingredients.allow {
        let options = feed::Options {
            guard: false,
            bytes_max: limits.bytes_max,
            entries_max: limits.entries_max,
            ..feed::Options::default()
        };
        let file = File::open(path).map_err(|error| unreadable(path, &error.to_string()))?;
        feed::read(BufReader::new(file), &options, &mut |entry| builder.allow(&entry))
            .map_err(|error| unreadable(path, &error.refusal.to_string()))?;
    }
    let (id, entries) = write(builder, versions)?;
    Ok(Published {
        id,
        entries,
        feeds: ingredients.parts.len(),
        bytes: super::file_bytes(&versions.path(id)),
        at: SystemTime::now(),
        path: versions.path(id),
    })
}

/// The set under the name of its digest, which is known only when it is written.
fn write(builder: Builder, versions: &Versions) -> Result<(SetId, u64), PublishError> {
    let beside = versions.folder().join("compiled.new");
    let id = builder.write(&beside)?;
    let set = ThreatSet::open(&beside)?;
    if let Err(error) = check_size(&set, super::file_bytes(&beside), SET_BYTES_MAX) {
        std::fs::remove_file(&beside)?;
        return Err(error);
    }
    std::fs::rename(&beside, versions.path(id))?;
    Ok((id, set.len() as u64))
}

/// Refuses a set that agents would not take. What is packed for the wire is no larger than its file: most need not be packed here.
fn check_size(set: &ThreatSet, file_bytes: u64, bytes_max: usize) -> Result<(), PublishError> {
    if file_bytes <= bytes_max as u64 {
        return Ok(());
    }
    let bytes = wire::full(set).map_err(|error| PublishError::Wire(error.to_string()))?.len();
    if bytes > bytes_max { Err(PublishError::TooLarge { bytes }) } else { Ok(()) }
}

fn unreadable(path: &std::path::Path, reason: &str) -> PublishError {
    PublishError::Ingredient { what: format!("the allow list {}", path.display()), reason: reason.to_owned() }
}

/// A digest that can be written to.
struct Writing<'d>(&'d mut Sha256);

impl io::Write for Writing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use namewarden_protocol::entry::{Entry, Scope, Verdict};

    use super::*;

    #[test]
    fn a_set_that_agents_would_not_take_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set");
        let mut builder = Builder::new(SetKey([7; 16]), 1, 1).without_lines();
        let info = FeedInfo { name: "a".into(), description: "".into(), severity: 50, techniques: [].into() };
        let feed = builder.feed(info).unwrap();
        for number in 0..1000 {
            let name = format!("n{number}.example");
            builder.add(feed, &Entry { name: &name, scope: Scope::Both, verdict: Verdict::Listed, line: 0 });
        }
        builder.write(&path).unwrap();
        let set = ThreatSet::open(&path).unwrap();
        let (file, packed) = (super::super::file_bytes(&path), wire::full(&set).unwrap().len());
        assert!(packed as u64 <= file, "{packed} bytes on the wire of a file of {file}");
        assert!(check_size(&set, file, packed).is_ok());
        let refused = check_size(&set, file, packed - 1).unwrap_err();
        assert!(matches!(refused, PublishError::TooLarge { bytes } if bytes == packed), "{refused}");
    }
}
