//! The text of a record -> its fields, one by one.

/// A quoted field does not end where the text does: the record goes on in the next line, or a quote is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenQuote;

/// The fields of a record.
pub struct Fields<'t> {
    /// `None` behind the last one.
    rest: Option<&'t str>,
    delimiter: char,
}

impl<'t> Fields<'t> {
    pub fn new(text: &'t str, delimiter: char) -> Self {
        Self { rest: Some(text), delimiter }
    }

    /// Puts the next field into `field`; `false` behind the last one.
    pub fn next(&mut self, field: &mut String) -> Result<bool, OpenQuote> {
        field.clear();
        let Some(rest) = self.rest else { return Ok(false) };
        let spaces = |character: char| character == ' ' && character != self.delimiter;
        let rest = match rest.trim_start_matches(spaces).strip_prefix('"') {
            Some(quoted) => unquote(quoted, field)?,
            None => rest,
        };
        // Of an unquoted field this is all, of a quoted one what carelessly follows its closing quote.
        let (text, behind) = match rest.split_once(self.delimiter) {
            Some((text, behind)) => (text, Some(behind)),
            None => (rest, None),
        };
        field.push_str(text);
        self.rest = behind;
        Ok(true)
    }
}

/// Puts what stands before the closing quote into `field`, two quotes as one, and returns what stands behind it.
fn unquote<'t>(mut text: &'t str, field: &mut String) -> Result<&'t str, OpenQuote> {
    loop {
        let (inside, rest) = text.split_once('"').ok_or(OpenQuote)?;
        field.push_str(inside);
        let Some(more) = rest.strip_prefix('"') else { return Ok(rest) };
        field.push('"');
        text = more;
    }
}
