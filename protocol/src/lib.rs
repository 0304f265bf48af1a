//! What agent, controller and search engine agree on: feeds become entries, entries a threat set, findings documents.

// A domain name as feeds and threat sets know it: lower case, A-labels, no trailing dot.
pub mod name;

// A feed's URL -> its bytes, the last good copy of it, when it is fetched next.
#[cfg(feature = "obtain")]
pub mod obtain;

// One request to Elasticsearch or OpenSearch, and its answer.
#[cfg(feature = "obtain")]
pub mod search_engine;

// An API server: how it is reached, why it refuses.
#[cfg(feature = "kubernetes")]
pub mod api_server;

// Where a server listens on a kernel without IPv6.
pub mod listening;

// Which pods somebody means: by namespace and label.
pub mod pod_rule;

// One line of a feed after parsing: name, scope, verdict, line number.
pub mod entry;

// Text of a feed in any format -> entries, rejected lines and why.
pub mod feed;

// Entries of all feeds -> one immutable hashed set; lookup.
pub mod threat_set;

// Alerts and DNS logs as they are written, in the Elastic Common Schema.
pub mod document;

// Text of others -> text that is safe on a terminal and in a sentence.
mod printable;

// What a running agent says of itself to `status` (and later to the controller).
pub mod endpoint;

pub use printable::printable;
