//! How far each shard of the data streams has come, and pages in that order.
//!
//! A shard numbers what it takes (`_seq_no`). All numbers up to its checkpoint are taken, so after a refresh all of them are found:
//! a document that comes in later has a greater one, or is in another shard, and stands behind however old it is. A moment is the
//! checkpoint of every shard; a cursor spells it out, so that each controller can go on where another one was.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{ask, hits, pattern, query};
use crate::search::engine::{Engine, EngineError, Reply};
use crate::store::{Cursor, Page, Search, StoreError, Stream};

/// Shards of a cursor above which those of indices that are gone are left out.
const SHARDS_MAX: usize = 256;
/// Bytes of a cursor that is read: more does not go into the address of a question.
const CURSOR_BYTES: usize = 48 << 10;
/// Moments that are remembered by a number.
const MOMENTS_MAX: usize = 64;
const PREFIX: &str = "arrival:";

/// Of each index and shard the first number that nobody has looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions(BTreeMap<(String, u32), u64>);

impl Positions {
    /// Where the order of arrival goes on.
    pub fn cursor(&self) -> Cursor {
        let places = self.0.iter().map(|((index, shard), next)| format!("{index}:{shard}={next}"));
        Cursor::Opaque(format!("{PREFIX}{}", places.collect::<Vec<_>>().join(",")))
    }

    /// A cursor of another order or another store is the beginning; one that is too long is refused, for shards that were left out
    /// would be told again with each question.
    fn read(cursor: Option<&Cursor>) -> Result<Self, StoreError> {
        let Some(Cursor::Opaque(text)) = cursor else { return Ok(Self::default()) };
        let Some(places) = text.strip_prefix(PREFIX) else { return Ok(Self::default()) };
        if text.len() > CURSOR_BYTES {
            return Err(StoreError::Engine(format!(
                "a place in the order of arrival is longer than {CURSOR_BYTES} bytes, for the data streams have too many shards; keep \
                 documents for fewer days or in fewer namespaces, or have indices roll over less often"
            )));
        }
        let place = |place: &str| {
            let (place, next) = place.split_once('=')?;
            let (index, shard) = place.rsplit_once(':')?;
            Some(((index.to_owned(), shard.parse().ok()?), next.parse().ok()?))
        };
        Ok(Self(places.split(',').filter_map(place).collect()))
    }

    /// What stands in the answer to a question for the statistics of shards; `None` where a shard does not say how far it has come:
    /// one that is missing from a moment would be told from its beginning later.
    fn of(answer: &Value) -> Option<Self> {
        if answer.pointer("/_shards/failed").and_then(Value::as_u64).is_some_and(|failed| failed > 0) {
            return None;
        }
        let mut positions = BTreeMap::new();
        for (index, told) in answer.get("indices").and_then(Value::as_object).into_iter().flatten() {
            for (shard, copies) in told.get("shards").and_then(Value::as_object).into_iter().flatten() {
                positions.insert((index.clone(), shard.parse().ok()?), next(copies)?);
            }
        }
        Some(Self(positions))
    }

    /// Documents that came in behind this moment; a shard's neighbours in its index may have been looked at before.
    pub fn behind(&self) -> Value {
        let mut first = BTreeMap::<&str, u64>::new();
        for ((index, _), next) in &self.0 {
            let least = first.entry(index).or_insert(*next);
            *least = (*least).min(*next);
        }
        let before = first.into_iter().map(|(index, next)| {
            query::all(&[
                json!({ "term": { "_index": index } }),
                json!({ "range": { "_seq_no": { "lt": next } } }),
            ])
        });
        json!({ "bool": { "must_not": before.collect::<Vec<_>>() } })
    }
}

/// One more than the checkpoint of a shard's primary copy.
fn next(copies: &Value) -> Option<u64> {
    let primary =
        copies.as_array()?.iter().find(|copy| copy.pointer("/routing/primary") == Some(&json!(true)))?;
    // It is -1 where nothing came in yet.
    u64::try_from(primary.pointer("/seq_no/global_checkpoint")?.as_i64()?.checked_add(1)?).ok()
}

/// Moments that somebody may speak of later.
#[derive(Debug, Default)]
pub struct Moments {
    /// Up to here each stream is known to be found by searches.
    refreshed: Mutex<HashMap<Stream, Positions>>,
    numbered: Mutex<VecDeque<(u64, Positions)>>,
}

impl Moments {
    /// A number for a moment, greater than those before it.
    pub fn number(&self, moment: &Positions) -> u64 {
        let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let now = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
        let mut numbered = self.numbered.lock().unwrap_or_else(PoisonError::into_inner);
        let number = numbered.back().map_or(now, |(last, _)| now.max(last.saturating_add(1)));
        numbered.push_back((number, moment.clone()));
        while numbered.len() > MOMENTS_MAX {
            numbered.pop_front();
        }
        number
    }

    /// The moment of a number; `None` where it was forgotten.
    pub fn numbered(&self, number: u64) -> Option<Positions> {
        let numbered = self.numbered.lock().unwrap_or_else(PoisonError::into_inner);
        numbered.iter().find(|(known, _)| *known == number).map(|(_, moment)| moment.clone())
    }
}

/// How far a stream has come; everything before it is found by searches from now on.
pub async fn reach(engine: &Engine, moments: &Moments, stream: Stream) -> Result<Positions, StoreError> {
    let indices = pattern(stream);
    let reached = told(engine, &indices).await?;
    let known = |refreshed: &HashMap<Stream, Positions>| refreshed.get(&stream) == Some(&reached);
    if !known(&moments.refreshed.lock().unwrap_or_else(PoisonError::into_inner)) {
        // Asked with GET: Elasticsearch wants no body with it.
        let refreshed = engine.get(&format!("/{indices}/_refresh?ignore_unavailable=true")).await?;
        // A shard without a primary copy is not in the statistics; here it fails.
        ask::whole(refreshed.or_refused("refresh the data streams")?)?;
        let mut refreshed = moments.refreshed.lock().unwrap_or_else(PoisonError::into_inner);
        refreshed.insert(stream, reached.clone());
    }
    Ok(reached)
}

/// Asks every shard; again for a while, where one does not say it yet, as at a rollover.
async fn told(engine: &Engine, indices: &str) -> Result<Positions, StoreError> {
    let wanted = "level=shards&filter_path=_shards.failed,indices.*.shards.*.seq_no,indices.*.shards.*.routing.primary";
    let (path, what) = (format!("/{indices}/_stats/docs?{wanted}"), "say how far the data streams have come");
    let is_away = |reply: &Result<Reply, EngineError>| {
        reply.as_ref().is_ok_and(|reply| reply.is_success() && Positions::of(&reply.body).is_none())
    };
    let reply = ask::again_while(is_away, || engine.get(&path)).await?.or_refused(what)?;
    Positions::of(&reply.body).ok_or_else(|| {
        let reason = "a shard of them is away".to_owned();
        EngineError::Refused { what: what.to_owned(), status: reply.status, reason }.into()
    })
}

/// A page of the filter's documents that came in behind the cursor.
pub async fn page(
    engine: &Engine,
    search: &Search,
    filter: Value,
    reached: &Positions,
) -> Result<Page, StoreError> {
    let limit = search.limit.clamp(1, Search::LIMIT_MAX);
    let mut at = Positions::read(search.after.as_ref())?;
    let mut hits = Vec::new();
    for ((index, shard), end) in &reached.0 {
        let place = (index.clone(), *shard);
        let from = at.0.get(&place).copied().unwrap_or(0);
        let room = limit - hits.len();
        if room == 0 || from >= *end {
            continue;
        }
        let behind = json!({ "range": { "_seq_no": { "gte": from, "lt": end } } });
        let body = json!({
            "query": query::all(&[filter.clone(), behind]),
            "sort": [{ "_seq_no": { "order": "asc" } }],
            "docvalue_fields": hits::fields(),
        });
        let only = format!("&preference=_shards:{shard}");
        let (answer, asked) = ask::documents(engine, index, &only, room, body).await?;
        let found = hits::read(engine, search.stream, &search.filter.cluster, &answer).await?;
        let last = ask::list(&answer, "/hits/hits").last().and_then(|hit| hit.get("sort")?.get(0)?.as_u64());
        let seen = last.filter(|_| found.len() == asked).map_or(*end, |last| last + 1);
        hits.extend(found);
        at.0.insert(place, seen);
    }
    forget(&mut at, reached);
    let next = Some(at.cursor());
    Ok(Page { hits, next, arrived: reached.cursor() })
}

/// What is not there any more goes where there would be too much: the oldest first.
fn forget(at: &mut Positions, reached: &Positions) {
    let gone: Vec<_> = at.0.keys().filter(|place| !reached.0.contains_key(*place)).cloned().collect();
    let surplus = at.0.len().saturating_sub(SHARDS_MAX);
    for place in gone.into_iter().take(surplus) {
        at.0.remove(&place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(places: &[(&str, u32, u64)]) -> Positions {
        Positions(places.iter().map(|(index, shard, next)| (((*index).to_owned(), *shard), *next)).collect())
    }

    #[test]
    fn a_cursor_says_how_far_each_shard_was_looked_at() {
        for there in [positions(&[]), positions(&[(".ds-a-000001", 0, 17), (".ds-a-000002", 1, 0)])] {
            assert_eq!(Positions::read(Some(&there.cursor())), Ok(there));
        }
        for other in ["17", "17/default/a", "@newest[1]", "@arrival:", "@arrival:=,a=,a:b=1"] {
            assert_eq!(Positions::read(Some(&other.parse().unwrap())), Ok(Positions::default()), "{other}");
        }
    }

    #[test]
    fn a_shard_has_come_as_far_as_its_primary_copy_says() {
        let copy = |primary: bool, checkpoint: i64| json!({ "routing": { "primary": primary }, "seq_no": { "global_checkpoint": checkpoint } });
        let answer = json!({ "indices": {
            "a": { "shards": { "0": [copy(false, 3), copy(true, 7)], "1": [copy(true, -1)] } },
        } });
        assert_eq!(Positions::of(&answer), Some(positions(&[("a", 0, 8), ("a", 1, 0)])));
        assert_eq!(Positions::of(&json!({})), Some(Positions::default()));
        let without = json!({ "indices": { "a": answer["indices"]["a"], "b": { "shards": { "0": [copy(false, 3)] } } } });
        assert_eq!(Positions::of(&without), None);
        let failed = json!({ "_shards": { "failed": 1 }, "indices": answer["indices"] });
        assert_eq!(Positions::of(&failed), None);
    }

    #[test]
    fn a_cursor_of_many_shards_is_read_whole_or_refused() {
        let of =
            |count: u32| Positions((0..count).map(|shard| ((".ds-a-000001".to_owned(), shard), 9)).collect());
        assert_eq!(Positions::read(Some(&of(1000).cursor())), Ok(of(1000)));
        let refused = Positions::read(Some(&of(4000).cursor())).unwrap_err().to_string();
        assert!(refused.contains("keep documents for fewer days"), "{refused}");
    }

    #[test]
    fn moments_are_known_by_numbers_that_rise_and_the_oldest_are_forgotten() {
        let moments = Moments::default();
        let numbers: Vec<_> =
            (0..=MOMENTS_MAX as u64).map(|next| moments.number(&positions(&[("a", 0, next)]))).collect();
        assert!(numbers.is_sorted_by(|one, other| one < other));
        assert_eq!(moments.numbered(numbers[0]), None);
        assert_eq!(moments.numbered(numbers[1]), Some(positions(&[("a", 0, 1)])));
    }

    #[test]
    fn indices_that_are_gone_do_not_fill_a_cursor() {
        let many: Vec<_> = (0..300).map(|number| format!("i{number:03}")).collect();
        let mut at = Positions(many.iter().map(|index| ((index.clone(), 0), 1)).collect());
        let reached = positions(&[("i000", 0, 9), ("i299", 0, 9)]);
        forget(&mut at, &reached);
        assert_eq!(at.0.len(), SHARDS_MAX);
        assert!(at.0.contains_key(&("i000".to_owned(), 0)) && !at.0.contains_key(&("i001".to_owned(), 0)));
    }
}
