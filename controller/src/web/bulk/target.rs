//! Names of data streams, and of the index behind each: as Elasticsearch names them, and one for ever.

use crate::store::Stream;

/// Why an index is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It is none of the data streams.
    Foreign,
    /// The third part of its name cannot be.
    Namespace,
}

/// `logs-namewarden.alert-default` -> alerts, `default`.
pub fn stream(name: &str) -> Result<(Stream, &str), Unknown> {
    let rest = name.strip_prefix("logs-").ok_or(Unknown::Foreign)?;
    for stream in Stream::ALL {
        let Some(namespace) = rest.strip_prefix(stream.dataset()).and_then(|rest| rest.strip_prefix('-'))
        else {
            continue;
        };
        let is_allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.".contains(&byte);
        let is_good = (1..=100).contains(&namespace.len()) && namespace.bytes().all(is_allowed);
        return if is_good { Ok((stream, namespace)) } else { Err(Unknown::Namespace) };
    }
    Err(Unknown::Foreign)
}

/// The index behind a data stream.
pub fn backing(name: &str) -> String {
    format!(".ds-{name}-000001")
}

/// The data stream of its name, or of the index behind it.
pub fn stream_or_backing(name: &str) -> Result<(Stream, &str), Unknown> {
    let inner = name.strip_prefix(".ds-").and_then(|name| name.strip_suffix("-000001"));
    stream(inner.unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_streams_of_ours_are_known() {
        assert_eq!(stream("logs-namewarden.alert-default"), Ok((Stream::Alerts, "default")));
        assert_eq!(stream("logs-namewarden.dns-eu_1.prod"), Ok((Stream::Logs, "eu_1.prod")));
        let backing = backing("logs-namewarden.dns-default");
        assert_eq!(stream_or_backing(&backing), Ok((Stream::Logs, "default")));
        for name in
            ["", "logs", "logs-namewarden.alert", "logs-other-default", "namewarden.alert-default", ".kibana"]
        {
            assert_eq!(stream(name), Err(Unknown::Foreign), "{name}");
        }
        let long = format!("logs-namewarden.alert-{}", "x".repeat(101));
        for name in
            ["logs-namewarden.alert-", "logs-namewarden.alert-a-b", "logs-namewarden.alert-A", long.as_str()]
        {
            assert_eq!(stream(name), Err(Unknown::Namespace), "{name}");
        }
    }
}
