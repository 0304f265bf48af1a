//! Threat feeds: resources in, last good copies and status out.
//!
//! source -> [`source::Change`] -> reconcile (one task that owns every feed's state) -> pull or push -> copy on disk.

// GlobalThreatFeed, field for field.
pub mod resource;

// Durations as Go writes them.
pub mod period;

// A resource -> what it asks for, or everything that is wrong with it.
pub mod definition;

// An API server or a folder of manifests.
pub mod source;

// Header values from Secrets and ConfigMaps.
pub mod values;

// Documents that others push.
pub mod push;

// What is kept of each feed.
pub mod copy;

// One list judged: entries, rejected lines, digest.
pub mod judge;

// One pull of one feed.
pub mod pull;

// What is said of a feed.
pub mod status;

// The one task that owns every feed.
pub mod reconcile;

pub use definition::{Definition, Origin};
pub use push::Pushes;
pub use reconcile::{FeedOverview, Feeds};
pub use resource::{GlobalThreatFeedSpec, GlobalThreatFeedStatus, Group, Resource};
pub use source::Source;
