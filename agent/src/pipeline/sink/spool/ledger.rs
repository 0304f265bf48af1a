//! Which records are settled: acknowledged, refused for good, or given up. Answers come in any order; what is kept on
//! disk is one number, below which everything is settled.

use std::collections::BTreeSet;

/// The numbers that are settled.
#[derive(Debug)]
pub struct Ledger {
    mark: u64,
    above: BTreeSet<u64>,
}

impl Ledger {
    /// Everything below `mark` is settled, nothing else.
    pub fn new(mark: u64) -> Self {
        Self { mark, above: BTreeSet::new() }
    }

    /// The lowest number that is not settled.
    pub fn mark(&self) -> u64 {
        self.mark
    }

    /// Settles one number.
    pub fn settle(&mut self, sequence: u64) {
        if sequence == self.mark {
            self.mark += 1;
            while self.above.remove(&self.mark) {
                self.mark += 1;
            }
        } else if sequence > self.mark {
            self.above.insert(sequence);
        }
    }

    /// Settles all numbers from `from` up to `to`, without it.
    pub fn settle_all(&mut self, from: u64, to: u64) {
        if from <= self.mark {
            if to > self.mark {
                self.above = self.above.split_off(&to);
                self.mark = to;
                while self.above.remove(&self.mark) {
                    self.mark += 1;
                }
            }
            return;
        }
        self.above.extend(from..to);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_mark_is_the_lowest_number_not_settled(
            spans in prop::collection::vec((0u64..40, 0u64..9), 0..30),
        ) {
            let (mut ledger, mut known) = (Ledger::new(5), [false; 64]);
            known[..5].fill(true);
            for (from, length) in spans {
                if length == 1 {
                    ledger.settle(from);
                } else {
                    ledger.settle_all(from, from + length);
                }
                let span = usize::try_from(from).unwrap()..usize::try_from(from + length).unwrap();
                known[span].fill(true);
                let lowest = known.iter().position(|settled| !settled).unwrap();
                prop_assert_eq!(ledger.mark(), lowest as u64);
            }
        }
    }
}
