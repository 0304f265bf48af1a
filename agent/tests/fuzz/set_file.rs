//! Input: the bytes of a set file.

use std::io::Write;

use namewarden_protocol::entry::{Entry, Scope, Verdict};
use namewarden_protocol::threat_set::{Builder, FeedInfo, SetKey, ThreatSet};

use crate::harness::fuzz;

const NAMES: [&str; 4] = ["evil.example", "a.b.c.d.test", "net", ""];

/// Refused, or safe to ask for any name.
fn target(input: &[u8]) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    let Ok(set) = ThreatSet::from_file(file) else { return };
    for name in NAMES {
        if let Some(listed) = set.find(name) {
            assert!(name.ends_with(listed.entry));
        }
    }
    let hasher = set.hasher();
    for label in [&b"net"[..], b"example"] {
        set.probe(hasher.extend(hasher.root(), label));
    }
    assert!(set.feeds().count() < 65_536);
}

#[test]
fn any_set_file_is_refused_or_safe() {
    let folder = tempfile::tempdir().unwrap();
    let seeds: Vec<Vec<u8>> = [0, 3, 40]
        .into_iter()
        .map(|count| {
            let mut builder = Builder::new(SetKey([3; 16]), 1, count);
            let info =
                FeedInfo { name: "fuzz".into(), description: "".into(), severity: 1, techniques: [].into() };
            let feed = builder.feed(info).unwrap();
            for number in 0..count {
                let name = format!("n{number}.evil.example");
                builder
                    .add(feed, &Entry { name: &name, scope: Scope::Both, verdict: Verdict::Listed, line: 1 });
            }
            let path = folder.path().join(count.to_string());
            builder.write(&path).unwrap();
            std::fs::read(path).unwrap()
        })
        .collect();
    fuzz(&seeds, 3_000, target);
}
