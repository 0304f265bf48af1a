//! Query parameters of a push, as Elasticsearch takes them: what is unknown is refused, so that nothing is silently not
//! done.

/// These change nothing here.
const WITHOUT_EFFECT: [&str; 8] = [
    "error_trace",
    "filter_path",
    "human",
    "require_alias",
    "routing",
    "timeout",
    "wait_for_active_shards",
    "retry_on_conflict",
];
const MAX_PARAMETERS: usize = 32;

/// What the query asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Readable JSON in the answer.
    pub pretty: bool,
    /// `refresh=true`: the answer says that it was done.
    pub refreshed: bool,
    /// Only if there is no such document.
    pub create: bool,
    /// Only if this operation wrote the document last: `if_seq_no`, `if_primary_term`.
    pub expected: Option<(u64, u64)>,
}

impl Parameters {
    /// Reads a query string.
    ///
    /// # Errors
    /// Elasticsearch's words for what is wrong.
    pub fn read(query: &str, path: &str) -> Result<Self, String> {
        let mut read = Self::default();
        let (mut seq_no, mut primary_term) = (None, None);
        for (count, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if count == MAX_PARAMETERS {
                return Err(format!("request [{path}] has more than {MAX_PARAMETERS} parameters"));
            }
            match name {
                "pretty" => read.pretty = flag(name, value)?,
                "refresh" => read.refreshed = refresh(value)?,
                "op_type" => read.create = operation(value)?,
                "if_seq_no" => seq_no = Some(number(name, value)?),
                "if_primary_term" => primary_term = Some(number(name, value)?),
                name if WITHOUT_EFFECT.contains(&name) => {}
                name => {
                    let name: String = name.chars().take(100).collect();
                    return Err(format!("request [{path}] contains unrecognized parameter: [{name}]"));
                }
            }
        }
        read.expected = match (seq_no, primary_term) {
            (Some(seq_no), Some(term)) => Some((seq_no, term)),
            (None, None) => None,
            (Some(_), None) => return Err(one_without_the_other("ifSeqNo is set, but primary term is [0]")),
            (None, Some(term)) => {
                return Err(one_without_the_other(&format!(
                    "ifSeqNo is unassigned, but primary term is [{term}]"
                )));
            }
        };
        Ok(read)
    }
}

fn one_without_the_other(what: &str) -> String {
    format!("Validation Failed: 1: {what};")
}

fn flag(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "" | "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("Failed to parse value [{value}] of [{name}]: only [true] or [false] are allowed.")),
    }
}

fn refresh(value: &str) -> Result<bool, String> {
    match value {
        "" | "true" => Ok(true),
        "false" | "wait_for" => Ok(false),
        _ => Err(format!("Unknown value for refresh: [{value}].")),
    }
}

fn operation(value: &str) -> Result<bool, String> {
    match value {
        "create" => Ok(true),
        "index" => Ok(false),
        _ => Err(format!("opType must be 'create' or 'index', found: [{value}]")),
    }
}

fn number(name: &str, value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("Failed to parse long parameter [{name}] with value [{value}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Parameters, String> {
        Parameters::read(query, "/i/_doc/f")
    }

    #[test]
    fn what_clients_send_is_understood() {
        let read = read("pretty&refresh=wait_for&op_type=create&filter_path=_id&timeout=1m").unwrap();
        assert_eq!(read, Parameters { pretty: true, create: true, ..Parameters::default() });
    }

    #[test]
    fn sequence_number_and_term_go_together() {
        assert_eq!(read("if_seq_no=5&if_primary_term=1").unwrap().expected, Some((5, 1)));
        assert!(read("if_seq_no=5").unwrap_err().starts_with("Validation Failed"));
        assert!(read("if_primary_term=1").is_err());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for query in
            ["pipeline=x", "version=3", "pretty=maybe", "refresh=soon", "op_type=delete", "if_seq_no=x"]
        {
            assert!(read(query).is_err(), "{query}");
        }
        assert!(read(&"pretty&".repeat(40)).is_err());
    }
}
