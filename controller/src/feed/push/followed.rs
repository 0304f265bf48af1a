//! Documents that a search engine has: taken over when they change there, deleted when they are gone.
//!
//! Whoever pushes last wins, here or there: what was pushed here is replaced by the next change there, not by what was there
//! before.

use super::{Origin, PushError, Pushes, Receipt, Written, check_id, check_source};

impl Pushes {
    /// Takes over a document of an index, in a state; `None` where the same one is here already.
    ///
    /// # Errors
    ///
    /// A name or a document that no feed can have, too many of them, the disk.
    pub fn follow(
        &self,
        feed: &str,
        (index, state): (u64, u64),
        body: &[u8],
    ) -> Result<Option<Receipt>, PushError> {
        check_id(feed)?;
        check_source(body)?;
        let is_same = self.get(feed).is_some_and(|document| document.body == body);
        let mut documents = self.state();
        let known = documents.documents.get(feed).copied();
        if known.is_none() && documents.documents.len() >= super::DOCUMENTS_MAX {
            return Err(PushError::TooMany);
        }
        let origin = Some(Origin { state, index: Some(index), replaced: false });
        let created = known.is_none_or(|head| head.deleted);
        let head = self.write(&mut documents, feed, known, Written { deleted: false, origin, body })?;
        let receipt = Receipt { created, unchanged: is_same, version: head.version, seq_no: head.seq_no };
        Ok((!is_same).then_some(receipt))
    }

    /// Deletes a document that is gone there, unless it was pushed here since; whether it did.
    ///
    /// # Errors
    ///
    /// The disk.
    pub fn unfollow(&self, feed: &str) -> Result<bool, PushError> {
        let mut documents = self.state();
        let Some(head) = documents.documents.get(feed).copied() else { return Ok(false) };
        let is_theirs = head.origin.is_some_and(|origin| !origin.replaced) && !head.deleted;
        if is_theirs {
            let written = Written { deleted: true, origin: None, body: b"" };
            self.write(&mut documents, feed, Some(head), written)?;
        }
        Ok(is_theirs)
    }

    /// The documents that follow one of a search engine, and which.
    pub fn followed(&self) -> Vec<(String, Origin)> {
        let heads = self.heads().into_iter();
        heads.filter_map(|(feed, head)| Some((feed, head.origin?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Only;
    use super::*;

    const OLD: &[u8] = br#"{"domains":["old.example"]}"#;
    const NEW: &[u8] = br#"{"domains":["new.example"]}"#;

    fn pushes() -> (tempfile::TempDir, Pushes) {
        let folder = tempfile::tempdir().unwrap();
        let pushes = Pushes::open(folder.path()).unwrap();
        (folder, pushes)
    }

    fn states(pushes: &Pushes) -> Vec<(String, u64)> {
        pushes.followed().into_iter().map(|(feed, origin)| (feed, origin.state)).collect()
    }

    fn body(pushes: &Pushes) -> Option<Vec<u8>> {
        pushes.get("urls").map(|document| document.body.to_vec())
    }

    #[test]
    fn a_document_follows_the_search_engine_over_a_restart() {
        let (folder, pushes) = pushes();
        assert!(pushes.follow("urls", (7, 1), OLD).unwrap().unwrap().created);
        assert_eq!(pushes.follow("urls", (7, 2), OLD).unwrap(), None);
        assert_eq!(states(&Pushes::open(folder.path()).unwrap()), [("urls".to_owned(), 2)]);
        assert!(!pushes.follow("urls", (7, 3), NEW).unwrap().unwrap().created);
        assert_eq!(body(&pushes).unwrap(), NEW);
        assert!(pushes.unfollow("urls").unwrap());
        assert_eq!((body(&pushes), states(&pushes)), (None, vec![]));
    }

    #[test]
    fn what_is_pushed_here_stays_until_it_changes_there() {
        let (_folder, pushes) = pushes();
        pushes.follow("urls", (7, 1), OLD).unwrap();
        pushes.put("urls", NEW, Only::Any).unwrap();
        // The state of what is there is still known: it is not taken over once more.
        assert_eq!(states(&pushes), [("urls".to_owned(), 1)]);
        assert!(!pushes.unfollow("urls").unwrap());
        assert_eq!(body(&pushes).unwrap(), NEW);
        pushes.follow("urls", (7, 2), OLD).unwrap();
        assert_eq!(body(&pushes).unwrap(), OLD);
        pushes.delete("urls").unwrap();
        assert_eq!(states(&pushes), [("urls".to_owned(), 2)]);
    }

    #[test]
    fn what_is_no_document_of_a_feed_is_refused() {
        let (_folder, pushes) = pushes();
        assert!(pushes.follow("UPPER", (7, 1), OLD).is_err());
        assert!(pushes.follow("urls", (7, 1), br#"{"ips":[]}"#).is_err());
    }
}
