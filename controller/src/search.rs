//! Elasticsearch or OpenSearch as the controller uses it: what is installed there, and what others leave there for it.

// One server of several: JSON in, JSON out.
pub mod engine;

// Types of fields, as far as the server has them.
mod mapping;

// How long documents are kept.
mod lifecycle;

// Components and index templates.
pub mod template;

// What is said of each thing that was to be installed.
pub mod step;

// All of it in order.
pub mod install;

// Feeds that were pushed to it.
pub mod pushed;

// All of that while a controller leads.
pub mod keep;

#[cfg(test)]
mod tests;
