//! `dns.*`: one message, or a query and its answer as one exchange.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Text;

/// `dns.*`. Names are in presentation format, lower case, without the final dot; the root is `.`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dns {
    /// `query` (no answer seen) or `answer`.
    #[serde(rename = "type")]
    pub kind: Text,
    /// Id in the message's header; absent where several exchanges are counted together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `QUERY`, `NOTIFY`, ...
    pub op_code: Text,
    /// Of `AA`, `TC`, `RD`, `RA`, `AD`, `CD`, `DO`, those that are set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub header_flags: Vec<Text>,
    /// `NOERROR`, `NXDOMAIN`, ...; absent while there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_code: Option<Text>,
    /// What was asked; absent where the message has no question that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// Records of the answer section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<ResourceRecord>,
    /// Records of the authority section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<ResourceRecord>,
    /// Records of the additional section, without OPT.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additionals: Vec<ResourceRecord>,
    /// Addresses in the answer section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved_ip: Vec<IpAddr>,
}

/// `dns.question.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Question {
    /// Name that was asked for.
    pub name: String,
    /// `A`, `AAAA`, `HTTPS`, ...
    #[serde(rename = "type")]
    pub kind: Text,
    /// `IN`, ...
    pub class: Text,
    /// The public suffix and the label before it; absent for a public suffix itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_domain: Option<String>,
    /// Public suffix: `co.uk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_level_domain: Option<String>,
    /// Labels before the registered domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subdomain: Option<String>,
}

impl Question {
    /// A question whose name (lower case, no final dot) is taken apart by the public suffix list.
    pub fn new(name: String, kind: Text, class: Text) -> Self {
        let top_level_domain = psl::suffix_str(&name).filter(|suffix| !suffix.is_empty()).map(str::to_owned);
        let registered_domain = psl::domain_str(&name).map(str::to_owned);
        let subdomain = registered_domain
            .as_deref()
            .and_then(|domain| name.strip_suffix(domain)?.strip_suffix('.'))
            .filter(|labels| !labels.is_empty())
            .map(str::to_owned);
        Self { name, kind, class, registered_domain, top_level_domain, subdomain }
    }
}

/// `dns.answers.*`, `dns.authorities.*`, `dns.additionals.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceRecord {
    /// Owner name.
    pub name: String,
    /// `A`, `CNAME`, ...
    #[serde(rename = "type")]
    pub kind: Text,
    /// `IN`, ...
    pub class: Text,
    /// Seconds that it may be cached; absent where several exchanges are counted together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// Data in presentation format.
    pub data: RecordData,
}

impl ResourceRecord {
    /// Whether both are of one set: same name, type and class (RFC 2181 section 5).
    pub fn is_of_set(&self, other: &Self) -> bool {
        (&self.name, &self.kind, &self.class) == (&other.name, &other.kind, &other.class)
    }
}

/// Data of one record, or of a set of records where several exchanges are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RecordData {
    /// Of one record.
    One(String),
    /// Of several.
    Several(Vec<String>),
}

impl RecordData {
    /// Of each record.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(data) => std::slice::from_ref(data),
            Self::Several(all) => all,
        }
    }

    /// Takes in what further records hold.
    pub fn join(&mut self, more: Self) {
        let mut all = std::mem::take(self).into_all();
        all.extend(more.into_all());
        *self = Self::Several(all);
    }

    fn into_all(self) -> Vec<String> {
        match self {
            Self::One(data) => vec![data],
            Self::Several(all) => all,
        }
    }
}

impl Default for RecordData {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl From<String> for RecordData {
    fn from(data: String) -> Self {
        Self::One(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(name: &str) -> [String; 3] {
        let Question { subdomain, registered_domain, top_level_domain, .. } =
            Question::new(name.to_owned(), "A".into(), "IN".into());
        [subdomain, registered_domain, top_level_domain].map(|part| part.unwrap_or_else(|| "-".to_owned()))
    }

    #[test]
    fn a_name_is_taken_apart_by_the_public_suffix_list() {
        assert_eq!(parts("a.b.shop.co.uk"), ["a.b", "shop.co.uk", "co.uk"]);
    }

    #[test]
    fn a_registered_domain_has_no_subdomain() {
        assert_eq!(parts("evil.example"), ["-", "evil.example", "example"]);
    }

    #[test]
    fn a_public_suffix_has_no_registered_domain() {
        assert_eq!(parts("github.io"), ["-", "-", "github.io"]);
    }

    #[test]
    fn the_root_has_no_parts() {
        assert_eq!(parts("."), ["-", "-", "-"]);
    }
}
