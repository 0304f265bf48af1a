//! What agents and controllers say to each other over HTTPS: paths, headers, reports.
//!
//! `GET /v1/threat-set` answers 200 with a set on the wire (whole, or as the change from the base that `If-None-Match`
//! names: the bytes say which) and its `ETag`, or 304. With `?wait=SECONDS` it answers 304 only when that time has passed
//! without a new set. Both sides say in [`super::ports::PORTS_HEADER`] which ports of resolvers they know; a difference ends the
//! wait, too. `POST /v1/agents/report` takes an [`AgentReport`] and answers 204.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{Loss, ThreatSetStatus};
use crate::threat_set::SetId;

/// Path of the threat set.
pub const THREAT_SET_PATH: &str = "/v1/threat-set";
/// Path that agents report to.
pub const REPORT_PATH: &str = "/v1/agents/report";
/// Path of what agents reported.
pub const AGENTS_PATH: &str = "/v1/agents";
/// Path of the feeds' state.
pub const FEEDS_PATH: &str = "/v1/feeds";

/// Content type of a set on the wire. Its parameter `version` is [`SET_TYPE_VERSION`].
pub const SET_TYPE: &str = "application/vnd.namewarden.threat-set";
/// Version of the wire format that this build speaks.
pub const SET_TYPE_VERSION: u32 = 1;
/// Both, as agents ask for it and the controller answers with it.
pub const SET_TYPE_AND_VERSION: &str = "application/vnd.namewarden.threat-set;version=1";
/// The largest set on the wire, in bytes: ten million names are 60 MB.
pub const SET_BYTES_MAX: usize = 128 << 20;

/// Header of a set, and of a 304: when it was compiled, in whole seconds since 1970. An agent keeps it beside the set.
pub const PUBLISHED_HEADER: &str = "namewarden-published";

/// Query parameter of [`THREAT_SET_PATH`]: how many seconds a request may wait for a set other than the base.
pub const WAIT_PARAMETER: &str = "wait";
/// The longest wait, in seconds; a longer one is cut to it.
pub const WAIT_SECONDS_MAX: u64 = 300;

/// The audience of the service-account tokens that agents show, unless the operator names another.
pub const TOKEN_AUDIENCE: &str = "namewarden";

/// The largest report, in bytes.
pub const REPORT_BYTES_MAX: usize = 64 * 1024;

/// What an agent tells the controller, every minute and after each new set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentReport {
    /// Node it runs on.
    pub node: String,
    /// Cluster it belongs to.
    pub cluster: String,
    /// Version of the agent.
    pub version: String,
    /// Seconds since its hooks were attached.
    pub uptime_seconds: u64,
    /// The controller's set that it uses.
    pub threat_set: ThreatSetStatus,
    /// Where DNS messages were lost, and how many.
    pub loss: Loss,
    /// Every counter of the agent by its metric name.
    pub counters: BTreeMap<String, u64>,
}

/// A set's entity tag: `"<epoch>.<number>-<digest in hexadecimal>"`, quotes included.
pub fn entity_tag(id: SetId) -> String {
    format!("\"{}.{}-{}\"", id.epoch, id.number, digest_hex(id))
}

/// A set's digest in hexadecimal, as [`ThreatSetStatus`] has it.
pub fn digest_hex(id: SetId) -> String {
    id.digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The set that an entity tag names; a weak one names the same set.
pub fn parse_entity_tag(tag: &str) -> Option<SetId> {
    let tag = tag.trim();
    let quoted = tag.strip_prefix("W/").unwrap_or(tag);
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let (numbers, hex) = inner.split_once('-')?;
    let (epoch, number) = numbers.split_once('.')?;
    Some(SetId { epoch: decimal(epoch)?, number: decimal(number)?, digest: digest(hex)? })
}

/// Digits only: one set has one tag.
fn decimal(text: &str) -> Option<u64> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    text.parse().ok().filter(|_| plain)
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = hex.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<_>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SetId {
        SetId { epoch: 3, number: 42, digest: std::array::from_fn(|place| u8::try_from(place * 7).unwrap()) }
    }

    #[test]
    fn the_type_says_its_version() {
        assert_eq!(SET_TYPE_AND_VERSION, format!("{SET_TYPE};version={SET_TYPE_VERSION}"));
    }

    #[test]
    fn an_entity_tag_names_its_set() {
        let tag = entity_tag(id());
        assert!(tag.starts_with("\"3.42-00070e15") && tag.ends_with('"'), "{tag}");
        assert_eq!(parse_entity_tag(&tag), Some(id()));
        assert_eq!(parse_entity_tag(&format!(" W/{tag}")), Some(id()));
    }

    #[test]
    fn what_is_no_entity_tag_names_no_set() {
        let tag = entity_tag(id());
        let wrong = [
            String::new(),
            "*".to_owned(),
            tag.replace('"', ""),
            tag.replace("3.42", "+3.42"),
            tag.replace("3.42", "3.042"),
            tag.replace("3.42", "3"),
            tag.replace("070e", "070E"),
            tag.replace("070e", "0€"),
            tag.replace("070e", ""),
            tag.replace("3.42", "3.99999999999999999999"),
        ];
        for text in wrong {
            assert_eq!(parse_entity_tag(&text), None, "{text}");
        }
    }

    #[test]
    fn a_report_of_an_older_or_newer_agent_is_read() {
        let report: AgentReport = serde_json::from_str(r#"{"node":"n1","mood":"good"}"#).unwrap();
        assert_eq!(report, AgentReport { node: "n1".to_owned(), ..AgentReport::default() });
    }
}
