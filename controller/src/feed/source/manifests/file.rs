//! One file of manifests -> feeds, and the values of Secrets and ConfigMaps.
//!
//! A document that cannot be used spoils no other one of its file; a file that is no YAML is not used at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::Unusable;
use super::STATUS_ENDING;
use crate::feed::definition::is_name;
use crate::feed::resource::{GlobalThreatFeedStatus, Group, Resource, unknown_fields};
use crate::feed::values::{Holder, SecretText};

/// The largest file, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// Its feeds.
    pub feeds: Vec<Resource>,
    /// Feeds in it that cannot be read.
    pub unusable: Vec<Unusable>,
    /// What is wrong with documents that cannot be told by a name.
    pub faults: Vec<String>,
    values: BTreeMap<(Holder, String), BTreeMap<String, SecretText>>,
}

impl Contents {
    /// The names of its feeds, those that cannot be read too.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let feeds = self.feeds.iter().filter_map(|feed| feed.metadata.name.as_deref());
        feeds.chain(self.unusable.iter().map(|feed| &*feed.name))
    }

    /// A feed by its name.
    pub fn feed(&self, name: &str) -> Option<&Resource> {
        self.feeds.iter().find(|feed| feed.metadata.name.as_deref() == Some(name))
    }

    /// Takes over what an earlier look at the file had and this one misses: one of its faulty documents may be that. The
    /// feeds among it say so.
    pub fn hold(&mut self, before: Self) {
        let reason = self.faults.join("; ");
        let known: BTreeSet<String> = self.names().map(str::to_owned).collect();
        for feed in before.feeds {
            let Some(name) = feed.metadata.name.clone().filter(|name| !known.contains(name)) else {
                continue;
            };
            self.feeds.push(feed);
            self.unusable.push(Unusable { name, reason: reason.clone() });
        }
        for (holder, values) in before.values {
            self.values.entry(holder).or_insert(values);
        }
    }

    /// A key of a Secret or ConfigMap.
    pub fn value(&self, holder: Holder, name: &str, key: &str) -> Option<&SecretText> {
        self.values.get(&(holder, name.to_owned()))?.get(key)
    }
}

/// Reads a file; the reason why it cannot be read names the place in it.
pub fn read(path: &Path) -> Result<Contents, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    let mut contents = parse(&text)?;
    for feed in &mut contents.feeds {
        feed.status = status(path, feed);
    }
    Ok(contents)
}

/// Reads the documents of a text.
pub fn parse(text: &str) -> Result<Contents, String> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| first_line(&error.to_string()))?;
    let mut contents = Contents::default();
    let count = documents.len();
    for (document, position) in documents.into_iter().zip(1..) {
        if let Err(reason) = contents.take(document) {
            contents.faults.push(format!("document {position} of {count}: {reason}"));
        }
    }
    Ok(contents)
}

impl Contents {
    fn take(&mut self, document: Value) -> Result<(), String> {
        if document.is_null() {
            return Ok(());
        }
        let word = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (api_version, kind) = (word("apiVersion"), word("kind"));
        if kind.is_empty() || api_version.is_empty() {
            return Err("it has no apiVersion or no kind".to_owned());
        }
        let is_ours = Group::ALL.iter().any(|group| group.api_version() == api_version);
        match (kind.as_str(), is_ours) {
            ("List", _) | ("GlobalThreatFeedList", true) => {
                self.take_items(document);
                Ok(())
            }
            ("GlobalThreatFeed", true) => self.take_feed(document),
            ("GlobalThreatFeed", false) => self.take_stranger(&document, &api_version),
            ("Secret", _) if api_version == "v1" => self.take_secret(typed(document)?),
            ("ConfigMap", _) if api_version == "v1" => {
                let map: ConfigMap = typed(document)?;
                let values = map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, text(&value)));
                let name = map.metadata.name.unwrap_or_default();
                self.values.insert((Holder::ConfigMap, name), values.collect());
                Ok(())
            }
            // Folders hold what belongs together: other kinds are somebody else's.
            _ => Ok(()),
        }
    }

    fn take_items(&mut self, mut list: Value) {
        let items = list.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
        for (item, position) in items.unwrap_or_default().into_iter().zip(1..) {
            if let Err(reason) = self.take(item) {
                self.faults.push(format!("item {position} of a list: {reason}"));
            }
        }
    }

    /// A feed of a group that is not ours says so under its name, where it has one.
    fn take_stranger(&mut self, document: &Value, api_version: &str) -> Result<(), String> {
        let reason = format!(
            "apiVersion {api_version}: a GlobalThreatFeed is of projectcalico.org/v3 or namewarden.dev/v3"
        );
        let name = document.pointer("/metadata/name").and_then(Value::as_str).filter(|name| is_name(name));
        let Some(name) = name else { return Err(reason) };
        self.unusable.push(Unusable { name: name.to_owned(), reason });
        Ok(())
    }

    fn take_feed(&mut self, document: Value) -> Result<(), String> {
        let named = document.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
        // A status is written under that name.
        let Some(name) = named.filter(|name| is_name(name)) else {
            return Err("a GlobalThreatFeed has no metadata.name of lower-case letters, digits, `-` and `.`"
                .to_owned());
        };
        let unknown = unknown_fields(&document);
        let read = match unknown.first() {
            Some(field) => Err(format!("unknown field {field}")),
            None => typed::<Resource>(document),
        };
        match read {
            Ok(feed) => self.feeds.push(feed),
            Err(reason) => self.unusable.push(Unusable { name, reason }),
        }
        Ok(())
    }

    fn take_secret(&mut self, secret: Secret) -> Result<(), String> {
        let name = secret.metadata.name.unwrap_or_default();
        let mut values = BTreeMap::new();
        for (key, value) in secret.data.unwrap_or_default() {
            let value =
                String::from_utf8(value.0).map_err(|_| format!("key {key} of Secret {name} is no text"))?;
            values.insert(key, text(&value));
        }
        values.extend(
            secret.string_data.unwrap_or_default().into_iter().map(|(key, value)| (key, text(&value))),
        );
        self.values.insert((Holder::Secret, name), values);
        Ok(())
    }
}

fn typed<T: DeserializeOwned>(document: Value) -> Result<T, String> {
    serde_json::from_value(document).map_err(|error| error.to_string())
}

/// Without the line end that files have.
fn text(value: &str) -> SecretText {
    SecretText::new(value.trim_end_matches(['\r', '\n']).to_owned())
}

/// What was written of the feed last: its conditions' times go on.
fn status(manifest: &Path, feed: &Resource) -> Option<GlobalThreatFeedStatus> {
    let name = feed.metadata.name.as_deref()?;
    let path = manifest.with_file_name(format!("{name}{STATUS_ENDING}"));
    let written: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    serde_json::from_value(written.get("status")?.clone()).ok()
}

/// The first line says what and where; the others show the text, which may hold a secret.
fn first_line(error: &str) -> String {
    error.lines().next().unwrap_or_default().to_owned()
}
