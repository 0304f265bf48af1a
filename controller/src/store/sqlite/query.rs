//! A filter -> the part of a statement that finds its documents.
//!
//! Documents are walked in order of time, either all of them (an index holds what else is filtered by most) or those that bear
//! one value: the one that occurs least often of those that are asked for. Everything else is checked document by document.

use rusqlite::{Connection, types::Value};

use super::rows::TermField;
use crate::store::{Filter, State};

/// Values that occur more often than this are equally frequent.
const SAMPLE: i64 = 2000;

/// `FROM ... WHERE ...` with its values.
#[derive(Clone, Debug)]
pub struct Clause {
    /// The statement's part; the facts are `f`.
    pub text: String,
    /// What stands for its question marks.
    pub values: Vec<Value>,
    /// The column that documents are walked by in order of time.
    pub time: &'static str,
}

impl Clause {
    /// Adds a condition.
    pub fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
        self.values.extend(values);
    }
}

/// Documents of a filter, walked by time.
pub fn by_time(connection: &Connection, filter: &Filter) -> rusqlite::Result<Clause> {
    let terms = terms(filter);
    let driver = match terms.as_slice() {
        [] => None,
        [one] => Some(*one),
        several => rarest(connection, filter, several)?,
    };
    let mut clause = match driver {
        None => Clause {
            text: "FROM fact f INDEXED BY fact_time WHERE f.cluster = ?".to_owned(),
            values: vec![text(&filter.cluster)],
            time: "f.time",
        },
        Some((field, value)) => Clause {
            text: "FROM term t CROSS JOIN fact f ON f.seq = t.seq WHERE t.cluster = ? AND t.field = ? AND t.value = ?"
                .to_owned(),
            values: vec![text(&filter.cluster), Value::Integer(field as i64), text(value)],
            time: "t.time",
        },
    };
    between(&mut clause, filter);
    facts(&mut clause, filter, driver.map(|(field, _)| field));
    Ok(clause)
}

/// Documents of a filter that arrived behind `seq`, walked as they arrived.
pub fn by_arrival(filter: &Filter, seq: i64) -> Clause {
    let mut clause = Clause {
        text: "FROM fact f NOT INDEXED WHERE f.seq > ? AND f.cluster = ?".to_owned(),
        values: vec![Value::Integer(seq), text(&filter.cluster)],
        time: "f.time",
    };
    between(&mut clause, filter);
    facts(&mut clause, filter, None);
    clause
}

/// A text as a value.
pub fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// A time as a value.
pub fn time(time: namewarden_protocol::document::Time) -> Value {
    Value::Integer(i64::try_from(time.0).unwrap_or(i64::MAX))
}

/// As it is stored.
pub const fn state_number(state: State) -> i64 {
    match state {
        State::New => 0,
        State::Acknowledged => 1,
        State::Dismissed => 2,
    }
}

fn terms(filter: &Filter) -> Vec<(TermField, &str)> {
    let terms = [
        (TermField::Domain, &filter.domain),
        (TermField::Pod, &filter.pod),
        (TermField::Feed, &filter.feed),
        (TermField::Namespace, &filter.namespace),
    ];
    terms.into_iter().filter_map(|(field, value)| Some((field, value.as_deref()?))).collect()
}

/// The term that occurs least often in the time that is asked for.
fn rarest<'f>(
    connection: &Connection,
    filter: &Filter,
    terms: &[(TermField, &'f str)],
) -> rusqlite::Result<Option<(TermField, &'f str)>> {
    let mut rarest = None;
    for &(field, value) in terms {
        let mut clause = Clause {
            text: "SELECT count(*) FROM (SELECT 1 FROM term t WHERE t.cluster = ? AND t.field = ? AND t.value = ?"
                .to_owned(),
            values: vec![text(&filter.cluster), Value::Integer(field as i64), text(value)],
            time: "t.time",
        };
        between(&mut clause, filter);
        clause.text.push_str(" LIMIT ?)");
        clause.values.push(Value::Integer(SAMPLE));
        let mut statement = connection.prepare_cached(&clause.text)?;
        let count: i64 = statement.query_row(rusqlite::params_from_iter(clause.values), |row| row.get(0))?;
        if rarest.is_none_or(|(least, _)| count < least) {
            rarest = Some((count, (field, value)));
        }
    }
    Ok(rarest.map(|(_, term)| term))
}

fn between(clause: &mut Clause, filter: &Filter) {
    if let Some(since) = filter.since {
        clause.and(&format!("{} >= ?", clause.time), [time(since)]);
    }
    if let Some(until) = filter.until {
        clause.and(&format!("{} < ?", clause.time), [time(until)]);
    }
}

/// What is checked document by document; `found` is what they are found by.
fn facts(clause: &mut Clause, filter: &Filter, found: Option<TermField>) {
    let unless = |field, value: &Option<String>| value.clone().filter(|_| found != Some(field));
    if let Some(severity) = &filter.severity {
        let bounds = [*severity.start(), *severity.end()];
        clause.and("f.severity BETWEEN ? AND ?", bounds.map(|bound| Value::Integer(bound.into())));
    }
    if !filter.kinds.is_empty() {
        let kinds = filter.kinds.iter().map(|kind| text(action(*kind)));
        clause.and(&one_of("f.action", filter.kinds.len()), kinds);
    }
    if !filter.states.is_empty() {
        let states = filter.states.iter().map(|state| Value::Integer(state_number(*state)));
        clause.and(&one_of("f.state", filter.states.len()), states);
    }
    if let Some(namespace) = unless(TermField::Namespace, &filter.namespace) {
        clause.and("f.namespace = ?", [Value::Text(namespace)]);
    }
    if let Some(pod) = unless(TermField::Pod, &filter.pod) {
        clause.and("(f.pod = ? OR f.pod_uid = ?)", [Value::Text(pod.clone()), Value::Text(pod)]);
    }
    if let Some(domain) = unless(TermField::Domain, &filter.domain) {
        clause.and("(f.question = ? OR f.entry = ?)", [Value::Text(domain.clone()), Value::Text(domain)]);
    }
    if let Some(feed) = unless(TermField::Feed, &filter.feed) {
        let bears = "EXISTS (SELECT 1 FROM term u WHERE u.cluster = f.cluster AND u.field = ? AND u.value = ? \
                     AND u.time = f.time AND u.seq = f.seq)";
        clause.and(bears, [Value::Integer(TermField::Feed as i64), Value::Text(feed)]);
    }
}

fn one_of(column: &str, count: usize) -> String {
    format!("{column} IN ({})", vec!["?"; count].join(", "))
}

/// `event.action` as documents write it.
pub fn action(action: namewarden_protocol::document::Action) -> &'static str {
    use namewarden_protocol::document::Action;
    match action {
        Action::ListedName => "listed-name",
        Action::LimitReached => "limit-reached",
        Action::Flood => "flood",
        Action::DnsLog => "dns-log",
        Action::Unlogged => "unlogged",
        Action::CaptureGap => "capture-gap",
    }
}
