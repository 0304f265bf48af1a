//! Rust sources: how long files and functions are, how a file begins, what it is called. Relies on rustfmt's layout.

use super::Remark;

/// Lines of a file at which to look twice, and the wall.
const FILE: (usize, usize) = (300, 500);

/// Lines of a function at which to look twice, and the wall.
const FUNCTION: (usize, usize) = (40, 60);

/// File names that say nothing about what is inside.
const NAMES: &[&str] = &["helpers.rs", "misc.rs", "mod.rs", "utils.rs"];

/// What there is to say about the source `name`; tests are not measured.
pub fn remarks(name: &str, text: &str) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut wrong = |what: String| remarks.push(Remark { place: name.to_owned(), what, is_wrong: true });
    // `tests.rs` belongs to the file beside it, which says what both are for.
    if !text.starts_with("//! ") && !name.ends_with("/tests.rs") {
        wrong("does not open by saying what it is for (`//!`)".to_owned());
    }
    let file = name.rsplit('/').next().unwrap_or(name);
    if NAMES.contains(&file) {
        wrong("a name that says nothing".to_owned());
    }
    if is_test(name) {
        return remarks;
    }
    let code: Vec<&str> = text.lines().take_while(|line| *line != "#[cfg(test)]").collect();
    remarks.extend(measure(name, "the file", code.len(), FILE));
    for (line, function, length) in functions(&code) {
        remarks.extend(measure(&format!("{name}:{line}"), &format!("fn {function}"), length, FUNCTION));
    }
    remarks
}

fn is_test(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.contains("/tests/")
}

fn measure(place: &str, what: &str, lines: usize, (look, wall): (usize, usize)) -> Option<Remark> {
    let what = format!("{what} has {lines} lines");
    (lines > look).then(|| Remark { place: place.to_owned(), what, is_wrong: lines > wall })
}

/// Each function's first line, name and number of lines: it ends where a brace stands as far in as its first word.
fn functions(code: &[&str]) -> Vec<(usize, String, usize)> {
    let mut found = Vec::new();
    for (index, line) in code.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let rest = code.get(index..).unwrap_or_default();
        let length = rest.iter().position(|line| ends(line, indent)).map_or(rest.len(), |last| last + 1);
        found.push((index + 1, name.to_owned(), length));
    }
    found
}

fn ends(line: &str, indent: usize) -> bool {
    let own = line.len() - line.trim_start().len() == indent;
    own && (line.trim_start().starts_with('}') || line.ends_with([';', '}']))
}

/// The name of the function that this line begins, if it does.
fn function_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let mut word = words.next()?;
    while word.starts_with("pub") || matches!(word, "async" | "const" | "unsafe" | "extern" | "\"C\"") {
        word = words.next()?;
    }
    let name = words.next().filter(|_| word == "fn")?;
    name.split(['(', '<']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(lines: usize) -> String {
        let body = "        step();\n".repeat(lines - 2);
        format!("//! A file.\n\nimpl Stage {{\n    pub(crate) async fn long(&self) {{\n{body}    }}\n}}\n")
    }

    #[test]
    fn a_function_over_the_wall_must_be_mended() {
        let remarks = remarks("a.rs", &source(61));
        assert_eq!(remarks.len(), 1);
        assert_eq!((remarks[0].place.as_str(), remarks[0].is_wrong), ("a.rs:4", true));
        assert_eq!(remarks[0].what, "fn long has 61 lines");
    }

    #[test]
    fn a_longish_function_is_only_looked_at() {
        assert!(!remarks("a.rs", &source(41))[0].is_wrong);
        assert_eq!(remarks("a.rs", &source(40)), []);
    }

    #[test]
    fn a_declaration_without_a_body_is_one_line() {
        let code = ["    fn now(&self) -> u64;", "    fn one() -> u8 { 1 }"];
        assert_eq!(functions(&code), [(1, "now".to_owned(), 1), (2, "one".to_owned(), 1)]);
    }

    #[test]
    fn tests_are_not_measured() {
        let text = format!("//! A file.\n\n#[cfg(test)]\n{}", source(90));
        assert_eq!(remarks("a.rs", &text), []);
        assert_eq!(remarks("agent/src/a/tests.rs", &source(90)), []);
    }

    #[test]
    fn a_file_without_a_header_and_with_an_empty_name_must_be_mended() {
        let remarks = remarks("src/utils.rs", "fn main() {}\n");
        assert_eq!(remarks.iter().filter(|remark| remark.is_wrong).count(), 2);
    }
}
