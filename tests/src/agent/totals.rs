//! The agent's last words: whatever a test did, each of its sums closes.

use anyhow::{Context as _, Result, ensure};

/// Lines of the totals that hold a sum, by their first word.
const SUMS: [&str; 3] = ["packets", "records", "sightings"];

/// Those that are there only where DNS logs are made, where something is not told, and where documents go to a search engine.
const OPTIONAL: [&str; 4] = ["exchanges", "findings", "alerts", "dns-logs"];

/// Compares both sides of each sum.
pub(super) fn check(log: &str) -> Result<()> {
    let (_, totals) = log.split_once("Totals of ").with_context(|| format!("no totals:\n{log}"))?;
    let line_of = |word| totals.lines().find(|line| line.split_whitespace().next() == Some(word));
    let optional = OPTIONAL.into_iter().filter(|word| line_of(word).is_some());
    for word in SUMS.into_iter().chain(optional) {
        let line = line_of(word);
        let (whole, parts) =
            line.and_then(|line| line.split_once(" = ")).with_context(|| totals.to_owned())?;
        ensure!(sum(whole) == sum(parts), "the sum of {word} does not close:\n{totals}");
    }
    Ok(())
}

/// Sum of the numbers among the words.
fn sum(text: &str) -> u64 {
    text.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTALS: &str = "Totals of 1.5 s\n  packets   9 wanted = 7 captured + 1 lost + 1 over budget + 0 muted\n  \
                          records   8 submitted = 8 read\n  sightings 3 = 1 first + 1 answers + 1 repeats + 0 left out\n";

    #[test]
    fn sums_that_close_are_accepted() -> Result<()> {
        check(TOTALS)
    }

    #[test]
    fn a_sum_that_does_not_close_is_an_error() {
        for (right, wrong) in [("8 read", "7 read"), ("1 lost", "2 lost"), ("3 =", "4 =")] {
            assert!(check(&TOTALS.replace(right, wrong)).is_err(), "{wrong}");
        }
    }
}
