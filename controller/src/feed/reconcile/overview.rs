//! Feeds as pages and interfaces show them.

use serde::{Deserialize, Serialize};

use super::Run;
use super::state::Feed;
use crate::feed::definition::Definition;
use crate::feed::resource::GlobalThreatFeedStatus;

/// A feed as pages and interfaces show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedOverview {
    /// Its name.
    pub name: String,
    /// `Enabled` or `Disabled`.
    pub mode: String,
    /// `DomainNameSet` or `IPSet`.
    pub content: String,
    /// The operator's words on it.
    pub description: String,
    /// Whether it is pulled; else somebody pushes it.
    pub is_pulled: bool,
    /// Where it is pulled from, without credentials; `push`.
    pub location: String,
    /// 1 to 100.
    pub severity: u8,
    /// What became of it.
    pub status: GlobalThreatFeedStatus,
}

impl FeedOverview {
    /// A resource that cannot be read: all that is known is its name and what is wrong with it.
    pub fn unusable(name: &str, status: &GlobalThreatFeedStatus) -> Self {
        Self {
            name: name.to_owned(),
            mode: "Unknown".to_owned(),
            content: "Unknown".to_owned(),
            description: String::new(),
            is_pulled: false,
            location: String::new(),
            severity: 0,
            status: status.clone(),
        }
    }

    /// Why nothing is pulled for it, where nothing is: it is disabled, or cannot be used.
    pub fn is_idle(&self) -> Option<&str> {
        let ready = self.status.conditions.iter().find(|condition| condition.kind == "Ready")?;
        let is_idle = match ready.reason.as_str() {
            "Disabled" | "Unsupported" | "TooManyFeeds" => true,
            // One that was valid before is pulled as it was then.
            "Invalid" => self.location.is_empty(),
            _ => false,
        };
        is_idle.then_some(&*ready.message)
    }
}

impl Run<'_> {
    /// Every feed, and every resource that is none, by name.
    pub(super) fn show(&self) -> Vec<FeedOverview> {
        let unusable = self.unusable.iter().filter(|(name, _)| !self.feeds.contains_key(*name));
        let unusable = unusable.map(|(name, status)| FeedOverview::unusable(name, status));
        let mut shown: Vec<_> = self.feeds.iter().map(|(name, feed)| self.show_feed(name, feed)).collect();
        shown.extend(unusable);
        shown.sort_by(|one, other| one.name.cmp(&other.name));
        shown
    }

    fn show_feed(&self, name: &str, feed: &Feed) -> FeedOverview {
        let spec = &feed.resource.spec;
        let definition = feed.definition.as_ref();
        FeedOverview {
            name: name.to_owned(),
            mode: format!("{:?}", spec.mode),
            content: format!("{:?}", spec.content),
            description: spec.description.clone().unwrap_or_default(),
            is_pulled: spec.pull.is_some(),
            location: definition.map(Definition::location).unwrap_or_default(),
            severity: spec.severity,
            status: self.said.get(name).cloned().unwrap_or_default(),
        }
    }
}
