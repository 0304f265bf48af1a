//! Which rows of a block a filter means: column by column, only those columns that it asks for.

use std::ops::Range;

use namewarden_protocol::document::Action;
use rusqlite::types::Value;

use super::{
    block::{GONE, Number, Text},
    blocks::Opened,
};
use crate::store::{Filter, State};

/// Rows that are meant, in the order of the block.
#[derive(Debug)]
pub struct Rows {
    is_meant: Vec<bool>,
    within: Range<usize>,
}

impl Rows {
    /// Their values in a column.
    pub fn values<'r, T: Copy>(&'r self, column: &'r [T]) -> impl Iterator<Item = T> + 'r {
        let is_meant = self.is_meant.get(self.within.clone()).unwrap_or_default();
        let column = column.get(self.within.clone()).unwrap_or_default();
        is_meant.iter().zip(column).filter(|(is_meant, _)| **is_meant).map(|(_, value)| *value)
    }
}

/// The rows that a filter means; `None` where there are none for certain.
pub fn rows(block: &Opened<'_>, filter: &Filter) -> rusqlite::Result<Option<Rows>> {
    let within = within(block, filter)?;
    let mut mask = Mask { block, is_meant: vec![true; block.head.rows] };
    if within.is_empty() || !mask.texts(filter)? {
        return Ok(None);
    }
    mask.states(filter)?;
    if let Some(severity) = &filter.severity {
        let range = u16::from(*severity.start())..=u16::from(*severity.end());
        mask.keep(block.severities()?.iter().map(|severity| range.contains(severity)));
    }
    Ok(Some(Rows { is_meant: mask.is_meant, within }))
}

/// Rows of the time that is asked for: they stand together.
fn within(block: &Opened<'_>, filter: &Filter) -> rusqlite::Result<Range<usize>> {
    let since = filter.since.map_or(i64::MIN, as_stored);
    let until = filter.until.map_or(i64::MAX, as_stored);
    let head = block.head;
    if (filter.until.is_some() && head.oldest >= until) || head.newest < since {
        return Ok(0..0);
    }
    if head.oldest >= since && (filter.until.is_none() || head.newest < until) {
        return Ok(0..head.rows);
    }
    let times = block.numbers(Number::Time)?;
    let begin = times.partition_point(|time| *time < since);
    let end = if filter.until.is_some() { times.partition_point(|time| *time < until) } else { head.rows };
    Ok(begin..end.max(begin))
}

struct Mask<'b, 'c> {
    block: &'b Opened<'c>,
    is_meant: Vec<bool>,
}

impl Mask<'_, '_> {
    fn keep(&mut self, kept: impl Iterator<Item = bool>) {
        self.is_meant.iter_mut().zip(kept).for_each(|(is_meant, is_kept)| *is_meant &= is_kept);
    }

    /// By what stands in columns of texts; says whether there can be rows at all.
    fn texts(&mut self, filter: &Filter) -> rusqlite::Result<bool> {
        if !self.equals(&[Text::Cluster], &filter.cluster)? {
            return Ok(false);
        }
        let wanted: [(&[Text], &Option<String>); 3] = [
            (&[Text::Namespace], &filter.namespace),
            (&[Text::Pod, Text::PodUid], &filter.pod),
            (&[Text::Question, Text::Entry], &filter.domain),
        ];
        for (columns, value) in wanted {
            if let Some(value) = value
                && !self.equals(columns, value)?
            {
                return Ok(false);
            }
        }
        if let Some(feed) = &filter.feed
            && !self.any(Text::Feeds, |list| lists(list, feed))?
        {
            return Ok(false);
        }
        let kinds = &filter.kinds;
        Ok(kinds.is_empty()
            || self.any(Text::Action, |said| kinds.iter().any(|kind| action(*kind) == said))?)
    }

    /// Rows that bear the text in one of the columns.
    fn equals(&mut self, columns: &[Text], text: &str) -> rusqlite::Result<bool> {
        let mut found = Vec::new();
        for column in columns {
            if let Some(code) = self.block.words(*column)?.code(text) {
                found.push((code, self.block.codes(*column)?));
            }
        }
        match found.as_slice() {
            [] => return Ok(false),
            [(code, codes)] => self.keep(codes.iter().map(|other| other == code)),
            [(one, ones), (other, others), ..] => {
                self.keep(ones.iter().zip(others).map(|(a, b)| a == one || b == other));
            }
        }
        Ok(true)
    }

    /// Rows whose text is one of some.
    fn any(&mut self, column: Text, mut is_meant: impl FnMut(&str) -> bool) -> rusqlite::Result<bool> {
        let mut meant = vec![false];
        meant.extend(self.block.words(column)?.iter().map(&mut is_meant));
        if !meant.contains(&true) {
            return Ok(false);
        }
        let codes = self.block.codes(column)?;
        self.keep(codes.iter().map(|code| meant.get(usize::from(*code)).copied().unwrap_or(false)));
        Ok(true)
    }

    fn states(&mut self, filter: &Filter) -> rusqlite::Result<()> {
        let head = self.block.head;
        if filter.states.is_empty() && head.live == head.rows {
            return Ok(());
        }
        let mut meant = [filter.states.is_empty(); 256];
        if let Some(gone) = meant.get_mut(usize::from(GONE)) {
            *gone = false;
        }
        for state in &filter.states {
            if let Some(is_meant) = meant.get_mut(usize::from(state_number(*state))) {
                *is_meant = true;
            }
        }
        let states = self.block.states()?;
        self.keep(states.iter().map(|state| meant.get(usize::from(*state)).copied().unwrap_or(false)));
        Ok(())
    }
}

fn lists(list: &str, feed: &str) -> bool {
    serde_json::from_str::<Vec<String>>(list).is_ok_and(|feeds| feeds.iter().any(|one| one == feed))
}

fn as_stored(time: namewarden_protocol::document::Time) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// A time as a value.
pub fn time(time: namewarden_protocol::document::Time) -> Value {
    Value::Integer(as_stored(time))
}

/// As it is stored.
pub const fn state_number(state: State) -> u8 {
    match state {
        State::New => 0,
        State::Acknowledged => 1,
        State::Dismissed => 2,
    }
}

/// `event.action` as documents write it.
fn action(action: Action) -> &'static str {
    match action {
        Action::ListedName => "listed-name",
        Action::LimitReached => "limit-reached",
        Action::Flood => "flood",
        Action::DnsLog => "dns-log",
        Action::Unlogged => "unlogged",
        Action::CaptureGap => "capture-gap",
    }
}
