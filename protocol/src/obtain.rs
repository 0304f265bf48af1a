//! How a feed's bytes are obtained from its URL, kept for bad days, and asked for again.
//!
//! Agent and controller fetch alike. The three parts know nothing of each other but the description of a copy
//! ([`copy::Origin`]), by which a server is asked whether it still holds. Behind the feature `obtain`: who only reads
//! threat sets and documents needs neither TLS nor an asynchronous runtime.

// The last good copy of each feed.
pub mod copy;

// A feed's URL -> its bytes.
pub mod fetch;

// When a feed is fetched next.
pub mod schedule;
