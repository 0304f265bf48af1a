//! Header values from Secrets and ConfigMaps: which a feed may name, and how they stay out of logs.

use std::fmt;

use super::source::SourceError;

/// A text that may be a secret: shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Keeps a text from being shown.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one request that it is meant for.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Hides the text.
impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretText(..)")
    }
}

/// What kind of object holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Holder {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        })
    }
}

/// A key of a Secret or ConfigMap that a feed names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueReference {
    /// The feed that names it.
    pub feed: String,
    /// Secret or ConfigMap.
    pub holder: Holder,
    /// Its name.
    pub name: String,
    /// The key in it.
    pub key: String,
    /// Whether the pull goes on without it.
    pub optional: bool,
}

impl ValueReference {
    /// A feed reads only what was made for it: whoever may write feeds may not read every Secret by that.
    pub fn check(&self) -> Result<(), SourceError> {
        let prefix = format!("globalthreatfeed-{}-", self.feed);
        if self.name.starts_with(&prefix) && self.name.len() > prefix.len() {
            return Ok(());
        }
        Err(SourceError::Reference(format!(
            "feed {} may not read {} {}: its name has to begin with {prefix}",
            self.feed, self.holder, self.name
        )))
    }
}

impl fmt::Display for ValueReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "key {} of {} {}", self.key, self.holder, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(feed: &str, name: &str) -> ValueReference {
        let (feed, name) = (feed.to_owned(), name.to_owned());
        ValueReference { feed, holder: Holder::Secret, name, key: "k".to_owned(), optional: false }
    }

    #[test]
    fn a_feed_reads_only_what_carries_its_name() {
        assert!(reference("urls", "globalthreatfeed-urls-key").check().is_ok());
        for other in
            ["globalthreatfeed-other-key", "admin", "globalthreatfeed-urls-", "globalthreatfeed-urls"]
        {
            assert!(reference("urls", other).check().is_err(), "{other}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?}", SecretText::new("hush".to_owned()));
        assert!(!shown.contains("hush"));
    }
}
