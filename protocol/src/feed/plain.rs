//! A name a line. Comments: `#`, `!`, `;` at the start of a line, ` #` after a name.

use super::intake::Line;
use super::item;

pub(super) fn parse(text: &str, line: &mut Line<'_, '_>) {
    let name = without_comment(text);
    if name.is_empty() || name.starts_with(['!', ';']) {
        return;
    }
    item::offer(name, line);
}

/// The line without a trailing comment and the white space around it.
pub(super) fn without_comment(text: &str) -> &str {
    let mut end = text.len();
    for (at, _) in text.match_indices('#') {
        let before = text.get(..at).unwrap_or_default();
        if before.is_empty() || before.ends_with(char::is_whitespace) {
            end = at;
            break;
        }
    }
    text.get(..end).unwrap_or_default().trim()
}
