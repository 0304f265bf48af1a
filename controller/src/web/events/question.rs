//! The query string -> what is looked for. What is not understood is refused: a filter that does not filter would mislead.

use jiff::Timestamp;
use namewarden_protocol::{
    document::{Action, Time},
    name,
};

use crate::store::{Filter, Order, Search, Stream};

/// Documents of a page, unless another number is asked for.
const LIMIT: usize = 100;

/// Reads the query's parameters.
///
/// # Errors
/// One sentence.
pub fn read(query: &[(String, String)], cluster: &str) -> Result<Search, String> {
    let filter = Filter { cluster: cluster.to_owned(), ..Filter::default() };
    let mut search =
        Search { stream: Stream::Alerts, filter, order: Order::NewestFirst, after: None, limit: LIMIT };
    for (name, value) in query {
        take(&mut search, name, value).map_err(|reason| format!("`{name}`: {reason}"))?;
    }
    Ok(search)
}

fn take(search: &mut Search, name: &str, value: &str) -> Result<(), String> {
    let filter = &mut search.filter;
    let text = || Ok::<_, String>(Some(value.to_owned()));
    match name {
        "cluster" => value.clone_into(&mut filter.cluster),
        "since" => filter.since = Some(time(value)?),
        "until" => filter.until = Some(time(value)?),
        "namespace" => filter.namespace = text()?,
        "pod" => filter.pod = text()?,
        "domain" => filter.domain = Some(domain(value)),
        "feed" => filter.feed = text()?,
        "severity" => {
            let least = value.parse().ok().filter(|least| (1..=100).contains(least));
            filter.severity = Some(least.ok_or("takes the least severity, from 1 to 100")?..=100);
        }
        "kind" => filter.kinds = list(value, kind)?,
        "state" => filter.states = list(value, str::parse)?,
        "order" => search.order = order(value)?,
        "after" => search.after = Some(value.parse()?),
        "limit" => {
            let limit = value.parse().ok().filter(|limit| (1..=Search::LIMIT_MAX).contains(limit));
            search.limit = limit.ok_or_else(|| format!("takes a number from 1 to {}", Search::LIMIT_MAX))?;
        }
        _ => return Err("there is no such parameter".to_owned()),
    }
    Ok(())
}

fn list<T>(value: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    value.split(',').map(|one| read(one.trim())).collect()
}

fn kind(text: &str) -> Result<Action, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "use one of listed-name, limit-reached, flood, capture-gap".to_owned())
}

fn order(text: &str) -> Result<Order, String> {
    match text {
        "newest" => Ok(Order::NewestFirst),
        "oldest" => Ok(Order::OldestFirst),
        "arrival" => Ok(Order::Arrival),
        _ => Err("use one of newest, oldest, arrival".to_owned()),
    }
}

fn time(text: &str) -> Result<Time, String> {
    let time: Timestamp = text.parse().map_err(|_| "takes a time such as 2026-11-22T15:00:00Z".to_owned())?;
    u64::try_from(time.as_nanosecond()).map(Time).map_err(|_| "takes a time after 1970".to_owned())
}

/// As documents write it; what is no name is looked for as it is.
fn domain(text: &str) -> String {
    let mut buffer = String::new();
    name::fold(text, &mut buffer).map_or_else(|_| text.to_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Cursor, State};

    fn search(query: &[(&str, &str)]) -> Result<Search, String> {
        let query: Vec<_> =
            query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        read(&query, "cluster")
    }

    #[test]
    fn each_parameter_is_part_of_the_search() {
        let found = search(&[
            ("since", "2026-11-22T15:00:00Z"),
            ("until", "2026-11-22T16:00:00+01:00"),
            ("namespace", "shop"),
            ("pod", "cart"),
            ("domain", "EVIL.example."),
            ("feed", "urlhaus"),
            ("severity", "70"),
            ("kind", "listed-name,flood"),
            ("state", "new, acknowledged"),
            ("order", "oldest"),
            ("after", "1/default/x"),
            ("limit", "7"),
        ]);
        let hour = Time(1_795_359_600_000_000_000);
        let filter = Filter {
            cluster: "cluster".to_owned(),
            since: Some(hour),
            until: Some(hour),
            namespace: Some("shop".to_owned()),
            pod: Some("cart".to_owned()),
            domain: Some("evil.example".to_owned()),
            feed: Some("urlhaus".to_owned()),
            severity: Some(70..=100),
            kinds: vec![Action::ListedName, Action::Flood],
            states: vec![State::New, State::Acknowledged],
        };
        let after = Cursor::Document { time: Time(1), id: "x".to_owned(), namespace: "default".to_owned() };
        let expected = Search {
            stream: Stream::Alerts,
            filter,
            order: Order::OldestFirst,
            after: Some(after),
            limit: 7,
        };
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn a_filter_that_is_not_understood_is_refused() {
        for (name, value) in [
            ("since", "soon"),
            ("until", "1960-01-01T00:00:00Z"),
            ("severity", "0"),
            ("severity", "101"),
            ("kind", "x"),
            ("kind", ""),
            ("state", "open"),
            ("order", "random"),
            ("after", "x"),
            ("limit", "0"),
            ("limit", "1001"),
            ("namespaces", "x"),
        ] {
            let reason = search(&[(name, value)]).unwrap_err();
            assert!(reason.starts_with(&format!("`{name}`: ")), "{reason}");
        }
    }
}
