//! Copies and records over replacement and restart.

use std::io::Read as _;

use super::*;

fn keep(shelf: &Shelf, feed: &str, text: &str) -> Record {
    let mut draft = shelf.draft().unwrap();
    draft.write_all(text.as_bytes()).unwrap();
    let record = Record {
        feed: feed.to_owned(),
        provenance: Provenance::Pushed(Revision { seq_no: 0, digest: None }),
        digest: hex(&Sha256::digest(text)),
        reading: Reading::default(),
        summary: Summary::default(),
        synced_at: 7,
    };
    shelf.keep(&draft, &record).unwrap();
    record
}

#[test]
fn a_copy_and_its_record_survive_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let record = keep(&Shelf::open(state.path()).unwrap(), "urls", "evil.example\n");
    let shelf = Shelf::open(state.path()).unwrap();
    assert_eq!(shelf.records().unwrap().get("urls"), Some(&record));
    let mut text = String::new();
    shelf.reader(&record.digest).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "evil.example\n");
}

#[test]
fn a_draft_that_became_nothing_leaves_nothing() {
    let state = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(state.path()).unwrap();
    drop(shelf.draft().unwrap());
    std::fs::write(state.path().join("copies/9.draft"), "left behind").unwrap();
    Shelf::open(state.path()).unwrap();
    assert_eq!(std::fs::read_dir(state.path().join("copies")).unwrap().count(), 0);
}

#[test]
fn copies_that_no_record_names_are_swept() {
    let state = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(state.path()).unwrap();
    let (first, second) = (keep(&shelf, "urls", "a.example\n"), keep(&shelf, "urls", "b.example\n"));
    shelf.sweep().unwrap();
    assert!(shelf.reader(&first.digest).is_err());
    assert!(shelf.reader(&second.digest).is_ok());
    shelf.forget("urls").unwrap();
    shelf.forget("urls").unwrap();
    assert!(shelf.records().unwrap().is_empty());
}

#[test]
fn a_record_without_its_copy_is_passed_over() {
    let state = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(state.path()).unwrap();
    let record = keep(&shelf, "urls", "a.example\n");
    std::fs::remove_file(state.path().join("copies").join(record.digest)).unwrap();
    assert!(shelf.records().unwrap().is_empty());
}

#[test]
fn long_names_are_cut_and_stay_apart() {
    let (one, two) = ("a".repeat(252) + "b", "a".repeat(252) + "c");
    assert_ne!(file_key(&one), file_key(&two));
    assert!(file_key(&one).len() <= NAME_BYTES_MAX);
    assert_eq!(file_key("urls.example"), "urls.example");
}
