//! Text that may come from a packet, a process or a feed -> text that is safe on a terminal and in a sentence.

/// Replaces control characters, and those that turn or hide text, by their escapes (`\u{1b}`).
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unprintable(character) {
            printable.extend(character.escape_unicode());
        } else {
            printable.push(character);
        }
    }
    printable
}

/// Control characters, separators of lines, marks of direction, characters without width.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_a_person_reads_stays() {
        assert_eq!(printable("pod-1 (büro) \\046"), "pod-1 (büro) \\046");
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}[2Jb\n\u{9b}c\u{7f}"), "a\\u{1b}[2Jb\\u{a}\\u{9b}c\\u{7f}");
    }

    #[test]
    fn characters_that_turn_or_hide_text_are_escaped() {
        assert_eq!(
            printable("a\u{202e}b\u{200b}c\u{2066}\u{feff}"),
            "a\\u{202e}b\\u{200b}c\\u{2066}\\u{feff}"
        );
    }
}
