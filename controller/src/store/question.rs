//! What is asked of a store.

use std::{fmt, ops::RangeInclusive, str::FromStr, sync::Arc};

use namewarden_protocol::document::{Action, Time};

use super::Stream;

/// What is to be thought of an alert group. A document of no group, or of one that nobody spoke of, is [`State::New`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nobody has looked at it.
    #[default]
    New,
    /// Somebody takes care of it.
    Acknowledged,
    /// It is nothing.
    Dismissed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::New, Self::Acknowledged, Self::Dismissed];

    /// One lower-case word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Acknowledged => "acknowledged",
            Self::Dismissed => "dismissed",
        }
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.name() == text);
        found.ok_or_else(|| "use one of new, acknowledged, dismissed".to_owned())
    }
}

/// Which documents of a cluster; what is `None` or empty does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `orchestrator.cluster.name`.
    pub cluster: String,
    /// `@timestamp` is this or later.
    pub since: Option<Time>,
    /// `@timestamp` is earlier.
    pub until: Option<Time>,
    /// The pod's namespace.
    pub namespace: Option<String>,
    /// The pod's name or UID.
    pub pod: Option<String>,
    /// The name that was asked for, or the entry; in lower case, without the final dot.
    pub domain: Option<String>,
    /// One of the feeds that list the entry.
    pub feed: Option<String>,
    /// `event.severity`; a document without one lies in no range.
    pub severity: Option<RangeInclusive<u8>>,
    /// Any of these.
    pub kinds: Vec<Action>,
    /// The alert group's, any of these.
    pub states: Vec<State>,
}

/// In which order documents come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By time, then by id, the greatest first.
    #[default]
    NewestFirst,
    /// By time, then by id.
    OldestFirst,
    /// As they came in, data stream by data stream: what comes in later is always behind what is there, however old it is.
    Arrival,
}

/// Where a page begins: behind this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// A document, in the orders by time.
    Document {
        /// Its `@timestamp`.
        time: Time,
        /// Its `_id`.
        id: String,
        /// Third part of its data stream's name.
        namespace: String,
    },
    /// A moment, in the order of arrival.
    Arrival(u64),
    /// A moment in the order of arrival, where a number does not tell it: the store that gave it reads it again.
    Opaque(String),
}

/// What an opaque cursor begins with.
const OPAQUE: char = '@';

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document { time, id, namespace } => write!(formatter, "{}/{namespace}/{id}", time.0),
            Self::Arrival(arrival) => write!(formatter, "{arrival}"),
            Self::Opaque(text) => write!(formatter, "{OPAQUE}{text}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(opaque) = text.strip_prefix(OPAQUE) {
            return Ok(Self::Opaque(opaque.to_owned()));
        }
        let wrong = || "give what the page before said is next".to_owned();
        let mut parts = text.splitn(3, '/');
        let number = parts.next().and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
        match (parts.next(), parts.next()) {
            (None, _) => Ok(Self::Arrival(number)),
            (Some(namespace), Some(id)) => {
                Ok(Self::Document { time: Time(number), id: id.to_owned(), namespace: namespace.to_owned() })
            }
            (Some(_), None) => Err(wrong()),
        }
    }
}

/// A page of documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Where they are looked for.
    pub stream: Stream,
    /// Which.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// Behind what; a cursor of another order is the beginning.
    pub after: Option<Cursor>,
    /// At most so many; a store gives [`Search::LIMIT_MAX`] at most.
    pub limit: usize,
}

impl Search {
    /// Documents of a page.
    pub const LIMIT_MAX: usize = 1000;
}

/// How documents are spread over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Where they are counted.
    pub stream: Stream,
    /// Which; its `since` and `until` play no part.
    pub filter: Filter,
    /// Where the first step begins.
    pub from: Time,
    /// Nanoseconds of a step; not 0.
    pub step: u64,
    /// Steps, [`Histogram::STEPS_MAX`] at most.
    pub steps: usize,
}

impl Histogram {
    /// Steps of a histogram.
    pub const STEPS_MAX: usize = 1000;
}

/// What the most frequent values are asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The pod's namespace.
    Namespace,
    /// The pod's name, its UID where it has none.
    Pod,
    /// The name that was asked for.
    Question,
    /// The entry.
    Entry,
    /// A feed; a document may bear several.
    Feed,
    /// The node.
    Node,
    /// `event.action`.
    Kind,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 7] =
        [Self::Namespace, Self::Pod, Self::Question, Self::Entry, Self::Feed, Self::Node, Self::Kind];
}

/// The most frequent values of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top {
    /// Where they are counted.
    pub stream: Stream,
    /// In which documents.
    pub filter: Filter,
    /// Of what.
    pub field: Field,
    /// At most so many.
    pub limit: usize,
}

/// Whether a value of one of [`Naming::FIELDS`] is what is looked for.
pub type IsMeant = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// DNS logs with certain names in them, whatever names these are: as many may be meant as a threat set lists.
#[derive(Clone)]
pub struct Naming {
    /// `orchestrator.cluster.name`.
    pub cluster: String,
    /// `@timestamp` is this or later.
    pub since: Time,
    /// They arrived behind this.
    pub arrived_after: Option<u64>,
    /// Asked of values, each perhaps more than once; a document is meant when one of its values is.
    pub is_meant: IsMeant,
    /// Behind what the page before said is next.
    pub after: Option<String>,
}

impl Naming {
    /// Where names stand; data in presentation format.
    pub const FIELDS: [&str; 7] = [
        "dns.question.name",
        "dns.answers.name",
        "dns.answers.data",
        "dns.authorities.name",
        "dns.authorities.data",
        "dns.additionals.name",
        "dns.additionals.data",
    ];
}

impl fmt::Debug for Naming {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, since, arrived_after, is_meant: _, after } = self;
        let mut shown = formatter.debug_struct("Naming");
        shown.field("cluster", cluster).field("since", since).field("arrived_after", arrived_after);
        shown.field("after", after).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let document =
            Cursor::Document { time: Time(17), id: "a/b c".to_owned(), namespace: "default".to_owned() };
        let opaque = Cursor::Opaque("a.b:0=7,c/d".to_owned());
        for cursor in [document, Cursor::Arrival(u64::MAX), opaque] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "x", "1/2", "-1", "99999999999999999999"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
