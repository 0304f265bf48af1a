//! A folder as people and tools change it.

use std::fs;

use futures::StreamExt as _;

use super::super::Observed;
use super::*;
use crate::feed::values::Holder;

const FEED: &str = "apiVersion: projectcalico.org/v3
kind: GlobalThreatFeed
metadata:
  name: urls
spec:
  content: DomainNameSet
";

fn open() -> (tempfile::TempDir, Manifests) {
    let folder = tempfile::tempdir().unwrap();
    let manifests = Manifests::open(folder.path()).unwrap();
    (folder, manifests)
}

fn look(manifests: &Manifests) -> Vec<Observed> {
    match manifests.look() {
        Some(Change::All(all)) => all,
        other => panic!("{other:?}"),
    }
}

fn names(observed: &[Observed]) -> Vec<String> {
    observed.iter().flatten().map(|feed| feed.metadata.name.clone().unwrap()).collect()
}

fn reasons(observed: &[Observed]) -> Vec<String> {
    observed.iter().filter_map(|feed| feed.as_ref().err()).map(|unusable| unusable.reason.clone()).collect()
}

#[test]
fn a_file_holds_several_documents_secrets_and_what_is_not_ours() {
    let (folder, manifests) = open();
    let text = format!(
        "{FEED}---\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: globalthreatfeed-urls-key\n\
         stringData:\n  plain: hush\ndata:\n  coded: aHVzaA==\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  \
         name: globalthreatfeed-urls-map\ndata:\n  accept: text/plain\n---\napiVersion: apps/v1\nkind: Deployment\n\
         metadata:\n  name: other\n"
    );
    fs::write(folder.path().join("all.yaml"), text).unwrap();
    let observed = look(&manifests);
    assert_eq!((names(&observed), reasons(&observed)), (vec!["urls".to_owned()], vec![]));
    let value = |holder, name: &str, key: &str| {
        let reference = ValueReference {
            feed: "urls".to_owned(),
            holder,
            name: name.to_owned(),
            key: key.to_owned(),
            optional: false,
        };
        manifests.value(&reference).map(|text| text.reveal().to_owned())
    };
    for key in ["plain", "coded"] {
        assert_eq!(value(Holder::Secret, "globalthreatfeed-urls-key", key).as_deref(), Some("hush"), "{key}");
    }
    assert_eq!(
        value(Holder::ConfigMap, "globalthreatfeed-urls-map", "accept").as_deref(),
        Some("text/plain")
    );
    assert_eq!(value(Holder::Secret, "globalthreatfeed-urls-map", "accept"), None);
}

#[test]
fn a_half_written_file_counts_as_it_was() {
    let (folder, manifests) = open();
    let path = folder.path().join("urls.yaml");
    fs::write(&path, FEED).unwrap();
    look(&manifests);
    fs::write(&path, "apiVersion: projectcalico.org/v3\nkind: [Glob").unwrap();
    let observed = look(&manifests);
    assert_eq!(names(&observed), ["urls"]);
    assert!(reasons(&observed)[0].starts_with("urls.yaml cannot be read"), "{observed:?}");
    fs::write(&path, FEED).unwrap();
    assert_eq!(reasons(&look(&manifests)), Vec::<String>::new());
    fs::remove_file(&path).unwrap();
    assert!(look(&manifests).is_empty());
}

#[test]
fn an_unknown_field_spoils_its_feed_only() {
    let (folder, manifests) = open();
    let other = FEED.replace("urls", "other").replace("content", "contnt");
    fs::write(folder.path().join("both.yaml"), format!("{FEED}---\n{other}")).unwrap();
    let observed = look(&manifests);
    assert_eq!(names(&observed), ["urls"]);
    assert_eq!(reasons(&observed), ["unknown field spec.contnt"]);
}

#[test]
fn a_document_without_a_name_spoils_no_other_one() {
    let (folder, manifests) = open();
    let path = folder.path().join("all.yaml");
    let nameless = FEED.replace("  name: urls\n", "  labels: {}\n");
    let other = FEED.replace("urls", "other");
    fs::write(&path, format!("{nameless}---\n{other}")).unwrap();
    assert_eq!(names(&look(&manifests)), ["other"]);
    fs::write(&path, format!("{FEED}---\n{other}")).unwrap();
    assert_eq!(names(&look(&manifests)), ["urls", "other"]);
    for faulty in [&*nameless, "kind: GlobalThreatFeed\n", "apiVersion: v1\nkind: Secret\nstringData: 7\n"] {
        fs::write(&path, format!("{other}---\n{faulty}")).unwrap();
        // What it was stays, for that is what the faulty document may be.
        let observed = look(&manifests);
        assert_eq!(names(&observed), ["other", "urls"], "{faulty}");
        let reasons = reasons(&observed);
        assert!(reasons.len() == 1 && reasons[0].starts_with("document 2 of 2: "), "{reasons:?}");
    }
    fs::write(&path, &other).unwrap();
    let observed = look(&manifests);
    assert_eq!((names(&observed), reasons(&observed)), (vec!["other".to_owned()], vec![]));
}

#[test]
fn a_feed_of_a_strange_group_says_so_under_its_name() {
    let (folder, manifests) = open();
    fs::write(folder.path().join("a.yaml"), FEED.replace("projectcalico.org/v3", "calico.org/v1")).unwrap();
    match &look(&manifests)[..] {
        [Err(Unusable { name, reason })] => {
            assert!(name == "urls" && reason.contains("apiVersion calico.org/v1"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_status_is_written_beside_and_never_read_as_a_manifest() {
    let (folder, manifests) = open();
    fs::write(folder.path().join("urls.yaml"), FEED).unwrap();
    look(&manifests);
    let status = GlobalThreatFeedStatus { entries: Some(7), ..GlobalThreatFeedStatus::default() };
    manifests.write_status("urls", &status).unwrap();
    manifests.write_status("gone", &status).unwrap();
    let text = fs::read_to_string(folder.path().join("urls.status.yaml")).unwrap();
    assert!(text.contains("entries: 7") && text.contains("kind: GlobalThreatFeed"), "{text}");
    let observed = look(&manifests);
    assert_eq!(observed.len(), 1);
    assert_eq!(observed[0].as_ref().unwrap().status, Some(status));
    assert!(!folder.path().join("gone.status.yaml").exists());
    fs::remove_file(folder.path().join("urls.yaml")).unwrap();
    look(&manifests);
    assert!(!folder.path().join("urls.status.yaml").exists(), "it goes with its feed");
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_refused() {
    let (folder, manifests) = open();
    fs::write(folder.path().join("out.yaml"), FEED.replace("urls", "../urls")).unwrap();
    assert_eq!(names(&look(&manifests)), [""; 0]);
    manifests.write_status("../urls", &GlobalThreatFeedStatus::default()).unwrap();
    assert!(!folder.path().join("../urls.status.yaml").exists());
}

#[test]
fn a_feed_defined_twice_counts_once() {
    let (folder, manifests) = open();
    fs::write(folder.path().join("a.yaml"), FEED).unwrap();
    fs::write(folder.path().join("b.yaml"), FEED.replace("DomainNameSet", "IPSet")).unwrap();
    let observed = look(&manifests);
    assert_eq!(names(&observed), ["urls"]);
}

#[tokio::test]
async fn a_change_is_told_without_asking() {
    let (folder, manifests) = open();
    let mut changes = manifests.changes();
    assert!(matches!(changes.next().await, Some(Change::All(all)) if all.is_empty()));
    fs::write(folder.path().join("urls.yaml"), FEED).unwrap();
    let told = tokio::time::timeout(Duration::from_secs(20), changes.next()).await.unwrap();
    assert!(matches!(told, Some(Change::All(all)) if names(&all) == ["urls"]));
}
