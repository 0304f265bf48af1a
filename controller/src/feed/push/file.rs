//! One document's file: a line of JSON that says what it is, then the document as it came.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};

/// What is known of a document without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Of this document.
    pub version: u64,
    /// Of all documents.
    pub seq_no: u64,
    /// Kept so that versions go on where they ended.
    pub deleted: bool,
    /// Of the document. Unknown in what earlier versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<u64>,
    /// The document of a search engine that it follows, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl Head {
    /// Which document it is.
    pub fn revision(&self) -> Revision {
        Revision { seq_no: self.seq_no, digest: self.digest }
    }

    /// Whether it speaks of this document, as far as it says.
    pub fn is_of(&self, body: &[u8]) -> bool {
        self.digest.is_none_or(|known| known == digest(body))
    }
}

/// Which document of a feed: two leaders in turn may give one number to two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The operation that wrote it.
    pub seq_no: u64,
    /// Of the document. Unknown in what earlier versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<u64>,
}

/// A document of a search engine, in one of its states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Another one for another index, and after each change there.
    pub state: u64,
    /// The index that has it, by its UUID; unknown in what earlier versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Since then the document was pushed, or deleted, here.
    pub replaced: bool,
}

#[derive(Serialize, Deserialize)]
struct FirstLine {
    feed: String,
    #[serde(flatten)]
    head: Head,
}

/// A document's shape; the names themselves are passed over.
#[derive(Deserialize)]
pub struct Source {
    #[serde(rename = "domains", deserialize_with = "strings")]
    _domains: (),
}

/// Tells a document from others: the first 64 bits of its SHA-256.
pub fn digest(body: &[u8]) -> u64 {
    let whole = Sha256::digest(body);
    whole.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The heads of all documents of a folder, which is made where it is missing.
pub fn read_heads(folder: &Path) -> io::Result<BTreeMap<String, Head>> {
    fs::create_dir_all(folder)?;
    let mut heads = BTreeMap::new();
    for found in fs::read_dir(folder)? {
        let path = found?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        match read_first_line(&path) {
            Ok((line, _)) => {
                heads.insert(line.feed, line.head);
            }
            Err(error) => tracing::warn!("a pushed document cannot be read from {}: {error}", path.display()),
        }
    }
    Ok(heads)
}

/// The document itself.
pub fn read_body(path: &Path) -> io::Result<Vec<u8>> {
    let (_, mut rest) = read_first_line(path)?;
    let mut body = Vec::new();
    rest.read_to_end(&mut body)?;
    Ok(body)
}

/// Writes a document beside its place and renames it.
pub fn write(path: &Path, feed: &str, head: Head, body: &[u8]) -> io::Result<()> {
    let mut line = serde_json::to_vec(&FirstLine { feed: feed.to_owned(), head })?;
    line.push(b'\n');
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(&line)?;
    file.write_all(body)?;
    file.sync_all()?;
    fs::rename(beside, path)?;
    // The name is durable only when the folder is.
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn read_first_line(path: &Path) -> io::Result<(FirstLine, BufReader<File>)> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    // A feed's name and a few numbers are far less.
    (&mut reader).take(4096).read_until(b'\n', &mut line)?;
    Ok((serde_json::from_slice(&line)?, reader))
}

/// A list of strings, none of which is kept.
fn strings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    struct Strings;
    impl<'de> Visitor<'de> for Strings {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list of strings")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
            while items.next_element::<Text>()?.is_some() {}
            Ok(())
        }
    }
    struct Text;
    impl<'de> Deserialize<'de> for Text {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct OneText;
            impl Visitor<'_> for OneText {
                type Value = Text;

                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    formatter.write_str("a string")
                }

                fn visit_str<E>(self, _: &str) -> Result<Text, E> {
                    Ok(Text)
                }
            }
            deserializer.deserialize_str(OneText)
        }
    }
    deserializer.deserialize_seq(Strings)
}
