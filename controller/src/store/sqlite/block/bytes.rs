//! Columns as bytes, little-endian. A column of zeros only is empty. What does not fit is damaged.

use rusqlite::{Error, ffi};

/// What is wrong with a column that cannot be read.
fn damaged() -> Error {
    Error::SqliteFailure(
        ffi::Error::new(ffi::SQLITE_CORRUPT),
        Some("a column of a block has another length than it must have".to_owned()),
    )
}

pub fn of_numbers(column: &[i64]) -> Vec<u8> {
    if column.iter().all(|number| *number == 0) {
        return Vec::new();
    }
    column.iter().flat_map(|number| number.to_le_bytes()).collect()
}

pub fn of_codes(column: &[u16]) -> Vec<u8> {
    if column.iter().all(|code| *code == 0) {
        return Vec::new();
    }
    column.iter().flat_map(|code| code.to_le_bytes()).collect()
}

pub fn of_small(column: &[u8]) -> Vec<u8> {
    if column.iter().all(|number| *number == 0) { Vec::new() } else { column.to_vec() }
}

/// A column of 64 bits with so many rows.
pub fn numbers(bytes: &[u8], rows: usize) -> rusqlite::Result<Vec<i64>> {
    let (chunks, rest) = bytes.as_chunks();
    column(chunks.iter().map(|chunk| i64::from_le_bytes(*chunk)).collect(), rest, rows)
}

/// A column of 16 bits with so many rows.
pub fn codes(bytes: &[u8], rows: usize) -> rusqlite::Result<Vec<u16>> {
    let (chunks, rest) = bytes.as_chunks();
    column(chunks.iter().map(|chunk| u16::from_le_bytes(*chunk)).collect(), rest, rows)
}

/// A column of 8 bits with so many rows.
pub fn small(bytes: &[u8], rows: usize) -> rusqlite::Result<Vec<u8>> {
    column(bytes.to_vec(), &[], rows)
}

fn column<T: Clone + Default>(column: Vec<T>, rest: &[u8], rows: usize) -> rusqlite::Result<Vec<T>> {
    match column.len() {
        0 if rest.is_empty() => Ok(vec![T::default(); rows]),
        length if length == rows && rest.is_empty() => Ok(column),
        _ => Err(damaged()),
    }
}

/// Their number, where each of them ends, and all of them one after the other.
pub fn of_words(words: &[String]) -> Vec<u8> {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = number(words.len()).to_vec();
    let mut end = 0;
    for word in words {
        end += word.len();
        bytes.extend(number(end));
    }
    for word in words {
        bytes.extend(word.as_bytes());
    }
    bytes
}

/// The texts of a column.
#[derive(Debug)]
pub struct Words {
    ends: Vec<usize>,
    text: String,
}

impl Words {
    /// Reads them.
    pub fn read(bytes: &[u8]) -> rusqlite::Result<Self> {
        Self::parsed(bytes).ok_or_else(damaged)
    }

    fn parsed(bytes: &[u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let (ends, text) = rest.split_at_checked(count.checked_mul(4)?)?;
        let (ends, _) = ends.as_chunks();
        let ends: Vec<usize> =
            ends.iter().filter_map(|end| usize::try_from(u32::from_le_bytes(*end)).ok()).collect();
        let text = String::from_utf8(text.to_vec()).ok()?;
        let is_sound = ends.is_sorted() && ends.last().is_none_or(|last| *last == text.len());
        let is_cut = ends.iter().all(|end| text.is_char_boundary(*end));
        (is_sound && is_cut && count <= super::ROWS_MAX).then_some(Self { ends, text })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// One of them, from 0.
    pub fn word(&self, place: usize) -> &str {
        let begin = place.checked_sub(1).map_or(Some(&0), |before| self.ends.get(before));
        let range = begin.zip(self.ends.get(place));
        range.and_then(|(begin, end)| self.text.get(*begin..*end)).unwrap_or_default()
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|place| self.word(place))
    }

    /// The code of a word that is one of them.
    pub fn code(&self, word: &str) -> Option<u16> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.word(middle).cmp(word) {
                std::cmp::Ordering::Equal => return u16::try_from(middle + 1).ok(),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn words_are_read_as_they_were_written(words in prop::collection::btree_set("[a-zä]{0,3}", 0..20)) {
            let words: Vec<String> = words.into_iter().collect();
            let read = Words::read(&of_words(&words)).unwrap();
            prop_assert_eq!(read.iter().collect::<Vec<_>>(), words.iter().collect::<Vec<_>>());
            for (place, word) in words.iter().enumerate() {
                prop_assert_eq!(read.code(word).map(usize::from), Some(place + 1));
            }
            prop_assert_eq!(read.code("none"), None);
        }

        #[test]
        fn any_bytes_are_words_or_damaged(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(words) = Words::read(&bytes) {
                prop_assert_eq!(words.iter().count(), words.len());
            }
        }

        #[test]
        fn numbers_are_read_as_they_were_written(column in prop::collection::vec(-1_i64..2, 0..5)) {
            prop_assert_eq!(numbers(&of_numbers(&column), column.len()).unwrap(), column);
        }
    }

    #[test]
    fn a_column_of_another_length_is_damaged() {
        assert!(numbers(&[1; 8], 2).is_err());
        assert!(numbers(&[1; 9], 1).is_err());
        assert!(codes(&[1; 3], 1).is_err());
        assert_eq!(codes(&[], 2), Ok(vec![0, 0]));
    }
}
