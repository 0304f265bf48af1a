//! Copies and allow lists -> one set file. Nothing is held in memory but hashes.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use namewarden_protocol::feed;
use namewarden_protocol::threat_set::{Builder, FeedInfo, SetId, SetKey};
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
    let entries = namewarden_protocol::threat_set::ThreatSet::open(&beside)?.len() as u64;
    std::fs::rename(&beside, versions.path(id))?;
    Ok((id, entries))
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
