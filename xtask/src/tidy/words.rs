//! Words that no committed file may hold: work left undone, hosts of registries, paths of one machine.

use super::Remark;

/// A word and why it may not stand. Each is put together here, so that this file passes its own check.
const WORDS: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "unfinished"),
    (concat!("FIX", "ME"), "unfinished"),
    (concat!("XX", "X"), "unfinished"),
    (concat!("todo", "!("), "unfinished"),
    (concat!("unimplemented", "!("), "unfinished"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/tm", "p/t/"), "a path of one machine"),
    (concat!("crates", ".io/api"), "a registry's host"),
    (concat!("index.", "crates.io"), "a registry's host"),
    (concat!("static.", "crates.io"), "a registry's host"),
    (concat!("proxy.", "golang.org"), "a registry's host"),
    (concat!("repo1.", "maven.org"), "a registry's host"),
    (concat!("repo.maven.", "apache.org"), "a registry's host"),
    (concat!("registry.", "npmjs.org"), "a registry's host"),
    (concat!("files.", "pythonhosted.org"), "a registry's host"),
    (concat!("deb.", "debian.org"), "a registry's host"),
];

/// What there is to say about the words of the file `name`.
pub fn remarks(name: &str, text: &str) -> Vec<Remark> {
    // Cargo writes this one, and says in it where each crate came from.
    if name == "Cargo.lock" {
        return Vec::new();
    }
    let mut remarks = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (word, why) in WORDS.iter().filter(|(word, _)| holds(line, word)) {
            let place = format!("{name}:{}", number + 1);
            remarks.push(Remark { place, what: format!("`{word}`: {why}"), is_wrong: true });
        }
    }
    remarks
}

/// True where `line` holds `word` as a whole, not as a part of a longer word or path.
fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let before = line.get(..start).and_then(|text| text.chars().next_back());
        let after = line.get(start + word.len()..).and_then(|text| text.chars().next());
        let open = word.ends_with(['/', '(']);
        !before.is_some_and(is_word) && (open || !after.is_some_and(is_word))
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_with_its_line() {
        for (word, _) in WORDS {
            let remarks = remarks("a.md", &format!("first\nsee {word}"));
            assert_eq!(remarks.len(), 1, "{word}");
            assert_eq!(remarks[0].place, "a.md:2");
        }
    }

    #[test]
    fn a_word_inside_another_is_not_meant() {
        assert_eq!(remarks("a.md", concat!("net/wo", "rk/x and XX", "XX and mkto", "do")), []);
    }

    #[test]
    fn lock_files_may_name_hosts() {
        assert_eq!(remarks("Cargo.lock", concat!("static.", "crates.io")), []);
    }
}
