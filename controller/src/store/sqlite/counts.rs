//! How documents are spread over time, and over values.

use std::collections::HashMap;

use namewarden_protocol::document::Time;

use super::{
    block::{Number, Text, Words},
    blocks::{self, Opened},
    matching::{self, Rows},
    readers::Asked,
};
use crate::store::{Bucket, Field, Filter, Histogram, Top, TopValue};

/// Different values that are counted; those that are met first when there are more.
const VALUES_MAX: usize = 200_000;
/// Values that are told.
const TOP_MAX: usize = 1000;

/// How documents are spread over time.
pub fn histogram(asked: &Asked<'_>, histogram: &Histogram) -> rusqlite::Result<Vec<Bucket>> {
    let (step, steps) = (histogram.step.max(1), histogram.steps.min(Histogram::STEPS_MAX));
    let bounds = (0..=steps as u64)
        .map(|step_number| histogram.from.0.saturating_add(step.saturating_mul(step_number)));
    let bounds: Vec<i64> = bounds.map(|bound| i64::try_from(bound).unwrap_or(i64::MAX)).collect();
    let until = bounds.last().map(|bound| Time(u64::try_from(*bound).unwrap_or_default()));
    let filter = Filter { since: Some(histogram.from), until, ..histogram.filter.clone() };
    let mut counts = vec![0; steps];
    for head in blocks::heads(asked.connection)? {
        asked.check()?;
        let block = Opened::new(asked.connection, head);
        let Some(rows) = matching::rows(&block, &filter)? else { continue };
        spread(&rows, &block.numbers(Number::Time)?, &bounds, &mut counts);
    }
    let from = (0..steps as u64).map(|number| histogram.from.0.saturating_add(step.saturating_mul(number)));
    Ok(from.zip(counts).map(|(from, documents)| Bucket { from: Time(from), documents }).collect())
}

/// Counts rows, which are in order of time, between bounds that are in order too.
fn spread(rows: &Rows, times: &[i64], bounds: &[i64], counts: &mut [u64]) {
    let mut at = 0;
    for time in rows.values(times) {
        while bounds.get(at + 1).is_some_and(|end| *end <= time) {
            at += 1;
        }
        if let Some(count) = counts.get_mut(at) {
            *count += 1;
        }
    }
}

/// The most frequent values of a field.
pub fn top(asked: &Asked<'_>, top: &Top) -> rusqlite::Result<Vec<TopValue>> {
    let column = match top.field {
        Field::Namespace => Text::Namespace,
        Field::Pod => Text::Pod,
        Field::Question => Text::Question,
        Field::Entry => Text::Entry,
        Field::Feed => Text::Feeds,
        Field::Node => Text::Node,
        Field::Kind => Text::Action,
    };
    let mut counts = HashMap::new();
    for head in blocks::heads(asked.connection)? {
        asked.check()?;
        let block = Opened::new(asked.connection, head);
        let Some(rows) = matching::rows(&block, &top.filter)? else { continue };
        let codes = block.codes(column)?;
        count(&rows, &codes, &block.words(column)?, &mut counts);
        if top.field == Field::Pod {
            // A pod that has no name goes by its UID.
            let uids = block.codes(Text::PodUid)?;
            let nameless = codes.iter().zip(uids).map(|(name, uid)| if *name == 0 { uid } else { 0 });
            count(&rows, &nameless.collect::<Vec<_>>(), &block.words(Text::PodUid)?, &mut counts);
        }
    }
    if top.field == Field::Feed {
        counts = each(counts);
    }
    let mut values: Vec<_> =
        counts.into_iter().map(|(value, documents)| TopValue { value, documents }).collect();
    values.sort_unstable_by(|a, b| b.documents.cmp(&a.documents).then_with(|| a.value.cmp(&b.value)));
    values.truncate(top.limit.min(TOP_MAX));
    Ok(values)
}

/// Adds how many rows bear each word.
fn count(rows: &Rows, codes: &[u16], words: &Words, counts: &mut HashMap<String, u64>) {
    let mut borne = vec![0_u64; words.len() + 1];
    for code in rows.values(codes) {
        if let Some(borne) = borne.get_mut(usize::from(code)) {
            *borne += 1;
        }
    }
    let borne = words.iter().zip(borne.into_iter().skip(1)).filter(|(_, borne)| *borne > 0);
    for (word, borne) in borne {
        if let Some(count) = counts.get_mut(word) {
            *count += borne;
        } else if counts.len() < VALUES_MAX {
            counts.insert(word.to_owned(), borne);
        }
    }
}

/// Lists -> their values; a document counts once for each value of its list.
fn each(lists: HashMap<String, u64>) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    for (list, count) in lists {
        let mut values: Vec<String> = serde_json::from_str(&list).unwrap_or_default();
        values.sort_unstable();
        values.dedup();
        for value in values {
            *counts.entry(value).or_default() += count;
        }
    }
    counts
}
