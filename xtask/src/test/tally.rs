//! Results read from what the test runners print.

use std::fmt;
use std::ops::AddAssign;

/// Tests by how they ended.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Those that held.
    pub passed: u64,
    /// Those that did not, and runners that died.
    pub failed: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Tally {
    /// Sums the lines `test result: ok. 3 passed; 0 failed; ...` of all runners in `output`.
    pub fn read(output: &str) -> Tally {
        let mut tally = Tally::default();
        for line in output.lines().filter_map(|line| line.strip_prefix("test result: ")) {
            tally.passed += count(line, "passed");
            tally.failed += count(line, "failed");
        }
        tally
    }
}

/// The number before `word`.
fn count(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
    let pairs = words.iter().zip(words.iter().skip(1));
    pairs.filter(|(_, next)| **next == word).find_map(|(number, _)| number.parse().ok()).unwrap_or(0)
}

/// The part of a runner's output that says what failed: each block of failures, else the compiler's last lines.
pub fn complaint(output: &str) -> String {
    let mut blocks = Vec::new();
    let mut rest = output;
    while let Some((_, after)) = rest.split_once("\nfailures:\n") {
        let (block, next) = after.split_once("\ntest result: ").unwrap_or((after, ""));
        blocks.push(block.trim());
        rest = next;
    }
    if !blocks.is_empty() {
        return blocks.join("\n");
    }
    let lines: Vec<&str> = output.lines().collect();
    lines.get(lines.len().saturating_sub(100)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
running 2 tests
test name::tests::a ... FAILED
test name::tests::b ... ok

failures:

---- name::tests::a stdout ----
left: 1

failures:
    name::tests::a

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 40 tests
test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 1.20s
";

    #[test]
    fn results_of_all_runners_are_summed() {
        assert_eq!(Tally::read(OUTPUT), Tally { passed: 41, failed: 1 });
    }

    #[test]
    fn what_a_test_prints_is_not_counted() {
        assert_eq!(Tally::read("note: test result: ok. 3 passed; 0 failed;"), Tally::default());
    }

    #[test]
    fn the_complaint_holds_the_failures_and_not_the_rest() {
        let complaint = complaint(OUTPUT);
        assert!(complaint.contains("left: 1"));
        assert!(!complaint.contains("40 tests"));
    }

    #[test]
    fn without_a_result_the_complaint_is_the_last_lines() {
        assert_eq!(complaint("error[E0433]: unresolved"), "error[E0433]: unresolved");
    }

    #[test]
    fn the_last_line_reads_as_promised() {
        assert_eq!(Tally { passed: 3, failed: 0 }.to_string(), "3 passed, 0 failed");
    }
}
