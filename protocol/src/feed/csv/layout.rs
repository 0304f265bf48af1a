//! Where a CSV list has its names: the settings of a feed, checked.

/// Settings of a CSV feed as an operator writes them; the words and their meaning are `GlobalThreatFeed`'s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvSettings {
    /// Position of the field that holds the name, from 0.
    pub field_num: Option<u32>,
    /// Or its name in the header.
    pub field_name: Option<String>,
    /// Whether the first record names the fields.
    pub header: bool,
    /// What parts fields; `,` where nothing is said.
    pub column_delimiter: Option<String>,
    /// What a line begins with that is no record; without it every line is one.
    pub comment_delimiter: Option<String>,
    /// Fields of each record; as many as the first one has where nothing is said.
    pub record_size: Option<u32>,
    /// Records may have any number of fields.
    pub disable_record_size_validation: bool,
}

/// Where a CSV list has its names. By default: the first field, no header, commas, no comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csv {
    column: Column,
    header: bool,
    delimiter: char,
    comment: Option<char>,
    record_size: RecordSize,
}

/// Which field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// By position, from 0.
    Number(u32),
    /// By its name in the header.
    Name(String),
}

/// How many fields a record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordSize {
    /// As many as the first one.
    Detected,
    /// So many.
    Exactly(u32),
    /// Any number.
    Any,
}

/// Settings that contradict each other or mean nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCsv {
    /// Neither of the two.
    #[error(
        "csv needs the field of the domain names: set `fieldNum` (from 0), or `fieldName` with `header: true`"
    )]
    NoField,
    /// Both.
    #[error("csv has both `fieldNum` and `fieldName`: keep one of them")]
    TwoFields,
    /// A name without the record that has it.
    #[error("csv finds `fieldName` in the first record: set `header: true` as well")]
    NoHeader,
    /// More or less than one character, or one that means something else.
    #[error("csv's `{setting}` is `{value}`: it must be one character, and no quote or line end")]
    Delimiter {
        /// Which setting.
        setting: &'static str,
        /// As it was written.
        value: String,
    },
    /// One character for both.
    #[error("csv's `columnDelimiter` and `commentDelimiter` are both `{0}`: they must differ")]
    SameDelimiter(char),
    /// No record has no field.
    #[error("csv's `recordSize` is 0: give the number of fields, or leave it out to take the first record's")]
    EmptyRecord,
    /// Both.
    #[error("csv has both `recordSize` and `disableRecordSizeValidation`: keep one of them")]
    TwoSizes,
    /// The field lies outside of every record.
    #[error("csv's `fieldNum` {field_num} counts from 0: a record of {record_size} fields has 0 to {}", record_size - 1)]
    FieldOutside {
        /// Which field.
        field_num: u32,
        /// How many there are.
        record_size: u32,
    },
}

impl Default for Csv {
    fn default() -> Self {
        Self {
            column: Column::Number(0),
            header: false,
            delimiter: ',',
            comment: None,
            record_size: RecordSize::Detected,
        }
    }
}

impl TryFrom<&CsvSettings> for Csv {
    type Error = BadCsv;

    fn try_from(settings: &CsvSettings) -> Result<Self, BadCsv> {
        let column = column(settings)?;
        let columns = delimiter("columnDelimiter", settings.column_delimiter.as_deref())?.unwrap_or(',');
        // An empty comment delimiter is what a form sends for none.
        let comment = settings.comment_delimiter.as_deref().filter(|text| !text.is_empty());
        let comment = delimiter("commentDelimiter", comment)?;
        if comment == Some(columns) {
            return Err(BadCsv::SameDelimiter(columns));
        }
        let record_size = match (settings.record_size, settings.disable_record_size_validation) {
            (Some(0), _) => return Err(BadCsv::EmptyRecord),
            (Some(_), true) => return Err(BadCsv::TwoSizes),
            (Some(size), false) => RecordSize::Exactly(size),
            (None, true) => RecordSize::Any,
            (None, false) => RecordSize::Detected,
        };
        match (&column, record_size) {
            (Column::Number(field_num), RecordSize::Exactly(record_size)) if *field_num >= record_size => {
                Err(BadCsv::FieldOutside { field_num: *field_num, record_size })
            }
            _ => Ok(Self { column, header: settings.header, delimiter: columns, comment, record_size }),
        }
    }
}

fn column(settings: &CsvSettings) -> Result<Column, BadCsv> {
    let name = settings.field_name.as_deref().filter(|name| !name.is_empty());
    match (settings.field_num, name) {
        (None, None) => Err(BadCsv::NoField),
        (Some(_), Some(_)) => Err(BadCsv::TwoFields),
        (Some(number), None) => Ok(Column::Number(number)),
        (None, Some(_)) if !settings.header => Err(BadCsv::NoHeader),
        (None, Some(name)) => Ok(Column::Name(name.to_owned())),
    }
}

fn delimiter(setting: &'static str, value: Option<&str>) -> Result<Option<char>, BadCsv> {
    let Some(value) = value else { return Ok(None) };
    let mut characters = value.chars();
    match (characters.next(), characters.next()) {
        (Some(one), None) if !matches!(one, '"' | '\r' | '\n' | '\0' | char::REPLACEMENT_CHARACTER) => {
            Ok(Some(one))
        }
        _ => Err(BadCsv::Delimiter { setting, value: value.to_owned() }),
    }
}

impl Csv {
    /// Which field holds the name.
    pub fn column(&self) -> &Column {
        &self.column
    }

    /// Whether the first record names the fields.
    pub fn header(&self) -> bool {
        self.header
    }

    /// What parts fields.
    pub fn delimiter(&self) -> char {
        self.delimiter
    }

    /// How many fields a record has.
    pub fn record_size(&self) -> RecordSize {
        self.record_size
    }

    /// Whether a line is no record.
    pub fn is_comment(&self, line: &str) -> bool {
        self.comment.is_some_and(|comment| line.trim_start().starts_with(comment))
    }
}
