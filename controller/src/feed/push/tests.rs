//! Documents over writes, deletions and restarts.

use super::*;

fn open() -> (tempfile::TempDir, Pushes) {
    let folder = tempfile::tempdir().unwrap();
    let pushes = Pushes::open(folder.path()).unwrap();
    (folder, pushes)
}

const BODY: &[u8] = br#"{"domains":["evil.example"],"note":"kept"}"#;

#[test]
fn a_document_survives_a_restart_with_its_version() {
    let (folder, pushes) = open();
    assert!(pushes.put("urls", BODY, Only::Any).unwrap().created);
    assert_eq!(pushes.put("urls", BODY, Only::Any).unwrap().version, 2);
    drop(pushes);
    let again = Pushes::open(folder.path()).unwrap();
    let document = again.get("urls").unwrap();
    assert_eq!((document.version, document.revision.seq_no, &document.body[..]), (2, 1, BODY));
    assert_eq!(again.put("other", BODY, Only::Any).unwrap().seq_no, 2);
}

#[test]
fn versions_go_on_after_a_deletion_and_a_restart() {
    let (folder, pushes) = open();
    pushes.put("urls", BODY, Only::Any).unwrap();
    assert_eq!(pushes.delete("urls").unwrap().unwrap().version, 2);
    assert_eq!(pushes.delete("urls").unwrap(), None);
    assert_eq!(pushes.get("urls"), None);
    let again = Pushes::open(folder.path()).unwrap();
    assert_eq!(again.get("urls"), None);
    let receipt = again.put("urls", BODY, Only::Create).unwrap();
    assert!(receipt.created && receipt.version == 3 && receipt.seq_no == 2, "{receipt:?}");
}

#[test]
fn what_is_no_document_of_a_feed_is_refused() {
    let (_folder, pushes) = open();
    for body in [
        "",
        "[]",
        "{}",
        r#"{"domains":"x"}"#,
        r#"{"domains":[1]}"#,
        r#"{"domains":[["x"]]}"#,
        "{\"domains\":[",
    ] {
        let refused = pushes.put("urls", body.as_bytes(), Only::Any);
        assert!(matches!(refused, Err(PushError::Malformed(_))), "{body}");
    }
    for feed in ["", "../x", "A", ".x", "a/b", "a b"] {
        assert!(matches!(pushes.put(feed, BODY, Only::Any), Err(PushError::Malformed(_))), "{feed}");
    }
}

#[test]
fn conditions_are_held() {
    let (_folder, pushes) = open();
    let first = pushes.put("urls", BODY, Only::Create).unwrap();
    assert!(matches!(pushes.put("urls", BODY, Only::Create), Err(PushError::Exists { version: 1 })));
    pushes.put("urls", BODY, Only::IfSeqNo(first.seq_no)).unwrap();
    let late = pushes.put("urls", BODY, Only::IfSeqNo(first.seq_no));
    assert!(matches!(late, Err(PushError::Conflict { required: 0, current: Some(1) })));
}

#[test]
fn an_update_merges_and_says_when_nothing_changed() {
    let (_folder, pushes) = open();
    let change = br#"{"doc":{"domains":["b.example"]}}"#;
    assert!(matches!(pushes.update("urls", change), Err(PushError::Missing)));
    let upsert = br#"{"doc":{"domains":["a.example"],"by":{"x":1}},"doc_as_upsert":true}"#;
    assert!(pushes.update("urls", upsert).unwrap().created);
    let receipt = pushes.update("urls", change).unwrap();
    assert!(!receipt.created && !receipt.unchanged && receipt.version == 2, "{receipt:?}");
    let body = pushes.get("urls").unwrap().body;
    assert_eq!(&body[..], br#"{"by":{"x":1},"domains":["b.example"]}"#);
    let again = pushes.update("urls", change).unwrap();
    assert!(again.unchanged && again.version == 2, "{again:?}");
}

#[test]
fn a_document_that_cannot_be_read_is_an_error_and_not_missing() {
    let folder = tempfile::tempdir().unwrap();
    let pushes = Pushes::open(folder.path()).unwrap();
    pushes.put("urls", br#"{"domains":[]}"#, Only::Any).unwrap();
    std::fs::remove_file(folder.path().join("urls.json")).unwrap();
    assert!(pushes.read("urls").is_err());
    let update = br#"{"doc":{"domains":["a.example"]},"doc_as_upsert":true}"#;
    assert!(matches!(pushes.update("urls", update), Err(PushError::Io(_))));
    pushes.delete("urls").unwrap();
    assert_eq!(pushes.read("urls").unwrap(), None);
}

#[test]
fn two_leaders_that_gave_one_number_to_two_documents_are_told_apart() {
    let [(_folder, one), (_other, two)] = [open(), open()];
    one.put("urls", BODY, Only::Any).unwrap();
    two.put("urls", br#"{"domains":["other.example"]}"#, Only::Any).unwrap();
    let [mine, theirs] = [&one, &two].map(|pushes| pushes.head("urls").unwrap());
    assert_eq!((mine.version, mine.seq_no), (theirs.version, theirs.seq_no));
    assert_ne!(mine, theirs);
    one.adopt("urls", &two.replica("urls").unwrap().unwrap()).unwrap();
    assert_eq!(one.get("urls"), two.get("urls"));
    assert_eq!(one.head("urls"), Some(theirs));
}

#[test]
fn a_document_that_is_not_its_heads_is_not_taken_over() {
    let [(_folder, one), (_other, two)] = [open(), open()];
    two.put("urls", BODY, Only::Any).unwrap();
    let whole = two.replica("urls").unwrap().unwrap();
    let torn = Replica { body: whole.body.slice(1..), ..whole };
    assert!(one.adopt("urls", &torn).unwrap_err().to_string().contains("damaged"));
    assert_eq!(one.get("urls"), None);
}

#[test]
fn a_document_that_was_changed_on_the_disk_is_damaged() {
    let (folder, pushes) = open();
    pushes.put("urls", BODY, Only::Any).unwrap();
    let path = folder.path().join("urls.json");
    let text = std::fs::read_to_string(&path).unwrap().replace("evil.example", "good.example");
    std::fs::write(&path, text).unwrap();
    assert!(pushes.read("urls").unwrap_err().to_string().contains("damaged"));
    assert!(pushes.replica("urls").is_err());
}
