//! An entry: what one line of a feed lists, or excepts.

use serde::{Deserialize, Serialize};

/// Which names an entry speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The name itself.
    Exact,
    /// Every name below it, not the name itself (`*.x`).
    Subdomains,
    /// The name and every name below it.
    Both,
}

impl Scope {
    /// Whether an entry of this scope covers its own name.
    pub fn covers_itself(self) -> bool {
        matches!(self, Self::Exact | Self::Both)
    }

    /// Whether an entry of this scope covers the names below its own.
    pub fn covers_below(self) -> bool {
        matches!(self, Self::Subdomains | Self::Both)
    }
}

/// Whether an entry lists a name or takes it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The feed lists the name.
    Listed,
    /// The feed excepts the name (`@@||x^`, RPZ passthru): wins over what the same feed lists.
    Excepted,
}

/// One entry, borrowed from the parser: names are millions, so none is allocated on the way to the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Normalised name (`name::normalize`), 1 to 253 bytes.
    pub name: &'a str,
    /// Which names it speaks of.
    pub scope: Scope,
    /// Listed or excepted.
    pub verdict: Verdict,
    /// Line of the source, from 1; the element's number where the source has no lines.
    pub line: u32,
}
