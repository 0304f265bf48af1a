//! What is said of each thing that was to be installed in a search engine.

use std::fmt;

/// One thing, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What: `index template namewarden-alerts`.
    pub what: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It was there, in another version.
    Updated,
    /// It was there as it should be, or is somebody else's to change.
    Kept,
    /// It is not as it should be, and why.
    Short(String),
}

impl Step {
    /// Something, and what became of it.
    pub fn new(what: impl Into<String>, outcome: Outcome) -> Self {
        Self { what: what.into(), outcome }
    }

    /// Whether a person should look at it.
    pub fn is_short(&self) -> bool {
        matches!(self.outcome, Outcome::Short(_))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Created => write!(formatter, "created  {}", self.what),
            Outcome::Updated => write!(formatter, "updated  {}", self.what),
            Outcome::Kept => write!(formatter, "kept     {}", self.what),
            Outcome::Short(why) => write!(formatter, "NOTE     {}: {why}", self.what),
        }
    }
}
