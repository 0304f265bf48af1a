//! Names of documents and of groups of documents: equal for equal facts, whoever writes them.
//!
//! Two agents on one node, or one that was restarted, that see the same workload ask for the same entry within the same
//! window give the first document the same `_id`: the second write collides and the search engine keeps one.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// Length of the windows that groups are made by.
pub const WINDOW: Duration = Duration::from_hours(1);

/// Group of an alert, and `_id` of its first document: 32 hexadecimal digits.
///
/// `window` is the number of the window that holds the first sighting (time divided by the window's length).
pub fn group(cluster: &str, workload: &str, entry: &str, window: u64) -> String {
    digest(&[b"alert", cluster.as_bytes(), workload.as_bytes(), entry.as_bytes(), &window.to_be_bytes()])
}

/// Group of the summaries that say how much of one workload was left out in one window.
pub fn limit_group(cluster: &str, workload: &str, window: u64) -> String {
    digest(&[b"limit", cluster.as_bytes(), workload.as_bytes(), &window.to_be_bytes()])
}

/// Group of the reports of one workload's floods in one window, and `_id` of its first document.
pub fn flood_group(cluster: &str, workload: &str, window: u64) -> String {
    digest(&[b"flood", cluster.as_bytes(), workload.as_bytes(), &window.to_be_bytes()])
}

/// `_id` of the document about one time without capture.
pub fn gap(cluster: &str, node: &str, start: u64) -> String {
    digest(&[b"gap", cluster.as_bytes(), node.as_bytes(), &start.to_be_bytes()])
}

/// `_id` of a document of a group: the group's name for number 0, the document that is the same fact whoever writes it; any
/// other number is never used twice in one run, so that it collides with nobody's.
pub fn of_group(group: &str, instance: &str, number: u64) -> String {
    if number == 0 { group.to_owned() } else { format!("{group}-{instance}-{number}") }
}

/// `_id` of a DNS log: unique within one run of an agent.
pub fn log(instance: &str, number: u64) -> String {
    format!("{instance}-{number}")
}

/// Each part is preceded by its length, so that no two lists of parts give the same bytes.
fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(hash.finalize().iter().take(16).copied())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: impl Iterator<Item = u8>) -> String {
    bytes
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|nibble| char::from_digit(u32::from(nibble), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_by_its_facts_alone() {
        assert_eq!(group("c", "w", "e", 7), group("c", "w", "e", 7));
        assert_eq!(group("c", "w", "e", 7).len(), 32);
    }

    #[test]
    fn every_fact_counts() {
        let one = group("c", "w", "e", 7);
        let others = [
            group("d", "w", "e", 7),
            group("c", "x", "e", 7),
            group("c", "w", "f", 7),
            group("c", "w", "e", 8),
        ];
        assert!(others.iter().all(|other| *other != one));
    }

    #[test]
    fn a_fact_does_not_flow_into_the_next() {
        assert_ne!(group("ab", "c", "e", 7), group("a", "bc", "e", 7));
    }
}
