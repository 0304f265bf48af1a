//! Blocks that follow each other become one: rows in order anew, texts once, without what is gone.

use super::{Block, GONE, Text, Texts};

/// Where a row stands.
#[derive(Clone, Copy)]
struct Place {
    time: i64,
    seq: i64,
    block: usize,
    row: usize,
}

/// One block of several; `name` says of an arrival what rows of one time are ordered by.
pub fn merge<K: Ord, E>(blocks: &[Block], mut name: impl FnMut(i64) -> Result<K, E>) -> Result<Block, E> {
    let mut places: Vec<Place> =
        blocks.iter().enumerate().flat_map(|(number, block)| places(number, block)).collect();
    // Runs that are in order are made use of.
    places.sort_by_key(|place| place.time);
    for run in places.chunk_by_mut(|one, other| one.time == other.time) {
        if run.len() > 1 {
            let mut named =
                run.iter().map(|place| Ok((name(place.seq)?, *place))).collect::<Result<Vec<_>, E>>()?;
            named.sort_by(|one, other| one.0.cmp(&other.0));
            run.iter_mut().zip(named).for_each(|(place, (_, named))| *place = named);
        }
    }
    Ok(Block {
        times: places.iter().map(|place| place.time).collect(),
        seqs: places.iter().map(|place| place.seq).collect(),
        ids: column(blocks, &places, |block| &block.ids),
        groups: column(blocks, &places, |block| &block.groups),
        severities: column(blocks, &places, |block| &block.severities),
        states: column(blocks, &places, |block| &block.states),
        texts: (0..Text::ALL.len()).map(|number| texts(blocks, &places, number)).collect(),
    })
}

fn places(number: usize, block: &Block) -> impl Iterator<Item = Place> {
    let rows = block.times.iter().zip(&block.seqs).zip(&block.states).enumerate();
    let live = rows.filter(|(_, (_, state))| **state != GONE);
    live.map(move |(row, ((time, seq), _))| Place { time: *time, seq: *seq, block: number, row })
}

fn column<T: Copy + Default>(blocks: &[Block], places: &[Place], of: impl Fn(&Block) -> &Vec<T>) -> Vec<T> {
    let columns: Vec<&Vec<T>> = blocks.iter().map(of).collect();
    let value = |place: &Place| columns.get(place.block).and_then(|column| column.get(place.row)).copied();
    places.iter().map(|place| value(place).unwrap_or_default()).collect()
}

fn texts(blocks: &[Block], places: &[Place], number: usize) -> Texts {
    let columns: Vec<&Texts> = blocks.iter().filter_map(|block| block.texts.get(number)).collect();
    // Of each block, the codes that are still borne.
    let mut used: Vec<Vec<bool>> = columns.iter().map(|column| vec![false; column.words.len() + 1]).collect();
    let code = |place: &Place| {
        columns
            .get(place.block)
            .and_then(|column| column.codes.get(place.row))
            .copied()
            .map_or(0, usize::from)
    };
    for place in places {
        if let Some(used) = used.get_mut(place.block).and_then(|used| used.get_mut(code(place))) {
            *used = true;
        }
    }
    let mut words: Vec<&String> = Vec::new();
    for (column, used) in columns.iter().zip(&used) {
        let borne = column.words.iter().zip(used.iter().skip(1)).filter(|(_, is_used)| **is_used);
        words.extend(borne.map(|(word, _)| word));
    }
    words.sort();
    words.dedup();
    let anew: Vec<Vec<u16>> = columns.iter().map(|column| codes_anew(column, &words)).collect();
    let code_anew = |place: &Place| anew.get(place.block).and_then(|codes| codes.get(code(place))).copied();
    Texts {
        codes: places.iter().map(|place| code_anew(place).unwrap_or(0)).collect(),
        words: words.into_iter().cloned().collect(),
    }
}

/// The new code of each old one; both lists of words are in order.
fn codes_anew(column: &Texts, words: &[&String]) -> Vec<u16> {
    let (mut anew, mut at) = (vec![0], 0);
    for word in &column.words {
        while words.get(at).is_some_and(|other| *other < word) {
            at += 1;
        }
        let is_there = words.get(at).is_some_and(|other| *other == word);
        anew.push(if is_there { u16::try_from(at + 1).unwrap_or(0) } else { 0 });
    }
    anew
}

#[cfg(test)]
mod tests {
    use namewarden_protocol::document::Time;
    use proptest::prelude::*;

    use super::*;
    use crate::store::{facts::Facts, sqlite::block::Entry};

    type Made = (u64, String, bool, Option<String>);

    fn facts((time, _, _, word): &Made) -> Facts {
        let (cluster, feeds) = ("c".to_owned(), word.iter().cloned().collect());
        Facts {
            time: Time(*time),
            cluster,
            pod: word.clone(),
            group: word.clone(),
            feeds,
            ..Facts::default()
        }
    }

    proptest! {
        #[test]
        fn blocks_of_parts_become_the_block_of_all(
            made in prop::collection::btree_map("[a-z]{1,2}", (0_u64..4, any::<bool>(), prop::option::of("[a-c]")), 0..30),
            parts in 1_usize..6,
        ) {
            let made: Vec<Made> = made.into_iter().map(|(id, (time, gone, word))| (time, id, gone, word)).collect();
            let known: Vec<Facts> = made.iter().map(facts).collect();
            let entry = |seq: usize| Entry {
                seq: i64::try_from(seq).unwrap(),
                state: if made[seq].2 { GONE } else { 1 },
                id: &made[seq].1,
                space: "default",
                facts: &known[seq],
            };
            let of = |seqs: Vec<usize>| Block::of(seqs.into_iter().map(entry).collect());
            let all: Vec<usize> = (0..made.len()).collect();
            let blocks: Vec<Block> = all.chunks(made.len() / parts + 1).map(|part| of(part.to_vec())).collect();
            let name = |seq: i64| Ok::<_, ()>(made[usize::try_from(seq).unwrap()].1.clone());
            let live = all.into_iter().filter(|seq| !made[*seq].2).collect();
            let expected = if made.is_empty() { merge(&[], name).unwrap() } else { of(live) };
            prop_assert_eq!(merge(&blocks, name).unwrap(), expected);
        }
    }
}
