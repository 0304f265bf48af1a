//! What became of the search for the feeds' names in stored DNS logs.

use std::time::SystemTime;

use namewarden_protocol::threat_set::SetId;

use super::Run;
use super::state::Feed;
use crate::feed::resource::ErrorCondition;

/// A search.
#[derive(Clone, Debug)]
pub struct Searched {
    /// For the names of this set.
    pub set: SetId,
    /// When it ended, or why it did not come to its end.
    pub result: Result<SystemTime, String>,
}

impl Run<'_> {
    /// A search ended. The set may be one that this task is yet to hear of.
    pub(super) fn note_search(&mut self, searched: Searched) {
        self.searched = Some(searched);
        self.tell_search();
    }

    /// Notes in the feeds what is known of the last search.
    pub(super) fn tell_search(&mut self) {
        let is_known =
            |searched: &mut Searched| Some((searched.set.epoch, searched.set.number)) <= self.last_set;
        let Some(searched) = self.searched.take_if(is_known) else { return };
        for (name, feed) in &mut self.feeds {
            if feed.is_in_set() && feed.in_set.is_some() && note(feed, &searched.result) {
                self.touched.insert(name.clone());
            }
        }
    }
}

/// Says whether it is news.
fn note(feed: &mut Feed, result: &Result<SystemTime, String>) -> bool {
    match result {
        Ok(at) => {
            let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            let is_news = feed.searched_at != Some(seconds) || feed.search_trouble.is_some();
            (feed.searched_at, feed.search_trouble) = (Some(seconds), None);
            is_news
        }
        Err(reason) => {
            let is_news = feed.search_trouble.as_ref() != Some(reason);
            feed.search_trouble = Some(reason.clone());
            is_news
        }
    }
}

/// Why a feed's names are not searched for.
pub fn error(feed: &Feed) -> Option<ErrorCondition> {
    let message = feed.search_trouble.clone().filter(|_| feed.is_in_set())?;
    Some(ErrorCondition { kind: "SearchFailed".to_owned(), message })
}
