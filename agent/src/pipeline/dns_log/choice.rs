//! Which exchanges are logged at all: none below a suffix that is left out, and of the others one in so many.

use std::hash::Hasher as _;

use namewarden_protocol::name::{self, NameError};

use super::digest::Digests;
use crate::pipeline::exchange::UnreadExchange;

/// Names and all that lies below them, as they stand on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suffixes {
    wire: Vec<Box<[u8]>>,
}

impl Suffixes {
    /// These names, in whatever spelling.
    ///
    /// # Errors
    /// The first that is none.
    pub fn new(names: &[String]) -> Result<Self, (String, NameError)> {
        let wire = names.iter().map(|name| wire(name).map_err(|error| (name.clone(), error)));
        let mut wire = wire.collect::<Result<Vec<_>, _>>()?;
        wire.sort_unstable();
        wire.dedup();
        Ok(Self { wire })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.wire.is_empty()
    }

    /// Whether a name in lower case, as it stands on the wire, is one of them or lies below one.
    pub(super) fn cover(&self, name: &[u8]) -> bool {
        !self.is_empty() && parents(name).any(|parent| self.hold(parent))
    }

    /// Whether a name in lower case, as it stands on the wire, is one of them.
    pub(super) fn hold(&self, name: &[u8]) -> bool {
        self.wire.binary_search_by(|suffix| (**suffix).cmp(name)).is_ok()
    }
}

fn wire(name: &str) -> Result<Box<[u8]>, NameError> {
    let mut buffer = String::new();
    let mut wire = Vec::new();
    for label in name::fold(name.trim(), &mut buffer)?.split('.') {
        wire.push(u8::try_from(label.len()).map_err(|_| NameError::LabelTooLong)?);
        wire.extend(label.as_bytes());
    }
    wire.push(0);
    Ok(wire.into())
}

/// A name and all names above it, without the root; of names on the wire.
pub(super) fn parents(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(name), |name| {
        let (length, _) = name.split_first()?;
        name.get(1 + usize::from(*length)..)
    })
    .take_while(|name| name.first().is_some_and(|length| *length > 0))
}

/// Draws one exchange in so many: whatever repeats itself in the traffic, each has the same chance.
#[derive(Debug, Default)]
pub(super) struct Lot {
    digests: Digests,
}

impl Lot {
    /// Whether this one is drawn.
    pub(super) fn draws(&self, exchange: &UnreadExchange, one_in: u64) -> bool {
        if one_in <= 1 {
            return true;
        }
        let mut hasher = self.digests.hasher();
        hasher.write_u64(exchange.time.0);
        hasher.write_u64(exchange.socket);
        hasher.write_u16(exchange.id);
        hasher.write(&exchange.query);
        hasher.write(&exchange.answer);
        hasher.finish().is_multiple_of(one_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::exchange::samples::wire::name;
    use crate::pipeline::exchange::samples::{at, unread_query, workload};

    fn suffixes(names: &[&str]) -> Suffixes {
        Suffixes::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_suffix_covers_itself_and_whole_labels_below() {
        let suffixes = suffixes(&["Cluster.local.", "bücher.example"]);
        for covered in ["cluster.local", "a.b.cluster.local", "www.xn--bcher-kva.example"] {
            assert!(suffixes.cover(&name(covered)), "{covered}");
        }
        for other in ["local", "mycluster.local", "cluster.local.example", ""] {
            assert!(!suffixes.cover(&name(other)), "{other}");
        }
        // The length of a label is no letter of another.
        assert!(!self::suffixes(&["example"]).cover(b"\x0dwww\x07example\x00\x00\x00"));
    }

    #[test]
    fn what_is_no_name_is_an_error_that_shows_it() {
        let wrong = Suffixes::new(&["fine.example".to_owned(), "a b".to_owned()]);
        assert_eq!(wrong, Err(("a b".to_owned(), NameError::Space)));
    }

    #[test]
    fn one_in_so_many_is_drawn() {
        let lot = Lot::default();
        let drawn = |one_in| {
            let all =
                (0..10_000_u16).map(|id| unread_query(workload('a'), at(u64::from(id)), id, "www.example"));
            all.filter(|exchange| lot.draws(exchange, one_in)).count()
        };
        assert_eq!((drawn(0), drawn(1)), (10_000, 10_000));
        // A thousand, and six standard deviations of 30.
        assert!((820..=1_180).contains(&drawn(10)), "{}", drawn(10));
    }
}
