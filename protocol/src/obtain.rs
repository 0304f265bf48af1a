//! How a feed's bytes are obtained from its URL, kept for bad days, and asked for again.
//!
//! Agent and controller fetch alike. In: a URL with headers, and what is known of the copy that is there. Out: bytes in
//! a draft, or "not changed since", or one sentence that says what went wrong and what to do, without a secret in it.
//! Whether the bytes are a feed is the parser's to judge. Behind the feature `obtain`: who only reads threat sets and
//! documents needs neither TLS nor an asynchronous runtime.

// When a feed is fetched next.
pub mod schedule;

// What is asked: URL, headers, the version that is there.
pub mod request;

// Which addresses may be reached.
pub mod address;

// Host names -> addresses within reach.
mod resolve;

// The ways to a server: TLS, proxy.
pub mod client;

// One fetch: redirects, statuses.
pub mod fetch;

// How long a server asks to be left alone.
mod retry_after;

// The body into a draft: unpacked, bounded, never too slow.
pub mod receive;

// What went wrong, in one sentence.
pub mod failure;

// The last good copy of each feed.
pub mod copy;
