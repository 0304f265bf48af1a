//! A resource as used: everything checked, every default filled in.
//!
//! The same rules as the CustomResourceDefinition's: manifests in a folder have no API server that enforces them, and
//! an API group served by somebody else may have others.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use namewarden_protocol::entry::Scope;
use namewarden_protocol::feed;
use namewarden_protocol::obtain::request::Shown;
use namewarden_protocol::threat_set::FeedInfo;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::judge::Limits;
use super::period::parse_period;
use super::resource::{
    Content, CsvFormat, Format, GlobalThreatFeedSpec, Header, JsonFormat, Matching, Mode, PULL_ANNOTATION,
    Resource, Urls, ValueFrom,
};
use super::values::{Holder, SecretText, ValueReference};

/// MITRE ATT&CK: application layer protocol, DNS.
pub const TECHNIQUE_DEFAULT: &str = "T1071.004";

/// A feed as the controller uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Whether it is to be in the set.
    pub enabled: bool,
    /// Why it contributes nothing though it is valid.
    pub unsupported: Option<String>,
    /// Where its list comes from.
    pub origin: Origin,
    /// How its list is read.
    pub reading: Reading,
    /// What alerts say of it.
    pub info: FeedInfo,
    /// The annotation that asks for a pull when it changes.
    pub pull_mark: Option<String>,
}

/// Where a feed's list comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is pulled.
    Pull(PullOrigin),
    /// Somebody pushes it.
    Push,
}

/// What a pull asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullOrigin {
    /// http or https; may hold credentials.
    pub url: Url,
    /// From pull to pull.
    pub period: Duration,
    /// Headers sent along.
    pub headers: Vec<(String, HeaderValue)>,
}

/// A header's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValue {
    /// As the resource has it.
    Text(SecretText),
    /// To be read from a Secret or ConfigMap at every pull.
    From(ValueReference),
}

/// How a list is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The format; newline-delimited where none is named.
    pub format: Format,
    /// Which names a plain line speaks of.
    pub matching: Matching,
    /// What becomes of URLs.
    pub urls: Urls,
}

impl Definition {
    /// What a resource asks for, or every reason why it cannot be had.
    pub fn new(resource: &Resource) -> Result<Self, Vec<String>> {
        let name = resource.metadata.name.clone().unwrap_or_default();
        let spec = &resource.spec;
        let mut wrong = Vec::new();
        check_name(&name, &mut wrong);
        check_spec(spec, &mut wrong);
        let origin = origin(&name, spec, &mut wrong);
        let format = spec.pull.as_ref().and_then(|pull| pull.http.format.clone()).unwrap_or_default();
        check_format(&format, &mut wrong);
        let reading = match &origin {
            Some(Origin::Push) => Reading::of_document(spec.matching, spec.urls),
            _ => Reading { format, matching: spec.matching, urls: spec.urls },
        };
        match origin {
            Some(origin) if wrong.is_empty() => Ok(Self {
                enabled: spec.mode == Mode::Enabled,
                unsupported: unsupported(spec),
                origin,
                reading,
                info: info(&name, spec),
                pull_mark: mark(resource.metadata.annotations.as_ref()),
                name,
            }),
            _ => Err(wrong),
        }
    }

    /// Whether it is to be pulled or taken from pushes at all.
    pub fn is_active(&self) -> bool {
        self.enabled && self.unsupported.is_none()
    }

    /// Where it is pulled from, where it is.
    pub fn pull(&self) -> Option<&PullOrigin> {
        match &self.origin {
            Origin::Pull(pull) => Some(pull),
            Origin::Push => None,
        }
    }

    /// The place of its list for a person, without credentials.
    pub fn location(&self) -> String {
        match &self.origin {
            Origin::Pull(pull) => Shown(&pull.url).to_string(),
            Origin::Push => "push".to_owned(),
        }
    }
}

impl From<Matching> for Scope {
    fn from(matching: Matching) -> Self {
        match matching {
            Matching::Exact => Self::Exact,
            Matching::Subdomains => Self::Subdomains,
            Matching::Both => Self::Both,
        }
    }
}

/// Whether a text is a resource's name, as an API server has them; it becomes a file's name too.
pub fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

fn check_name(name: &str, wrong: &mut Vec<String>) {
    if !is_name(name) {
        wrong.push(format!(
            "metadata.name `{}` is no name for a feed: use lower-case letters, digits, `-` and `.`",
            name.escape_debug()
        ));
    }
}

fn check_spec(spec: &GlobalThreatFeedSpec, wrong: &mut Vec<String>) {
    if spec.description.as_ref().is_some_and(|text| text.chars().count() > 256) {
        wrong.push("spec.description is longer than 256 characters".to_owned());
    }
    if spec.global_network_set.is_some() && spec.content == Content::DomainNameSet {
        wrong.push(
            "spec.globalNetworkSet goes with content IPSet only: a DomainNameSet makes no network set"
                .to_owned(),
        );
    }
    if !(1..=100).contains(&spec.severity) {
        wrong.push(format!("spec.severity {} is not between 1 and 100", spec.severity));
    }
    if spec.mitre.len() > 16 {
        wrong.push("spec.mitre names more than 16 techniques".to_owned());
    }
    for technique in spec.mitre.iter().filter(|technique| !is_technique(technique)) {
        wrong.push(format!(
            "spec.mitre `{}` is no technique id: write T and four digits, as in T1071 or T1071.004",
            technique.escape_debug()
        ));
    }
}

fn is_technique(text: &str) -> bool {
    let (technique, sub) =
        text.split_once('.').map_or((text, None), |(technique, sub)| (technique, Some(sub)));
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    technique.strip_prefix('T').is_some_and(|rest| digits(rest, 4)) && sub.is_none_or(|sub| digits(sub, 3))
}

fn origin(name: &str, spec: &GlobalThreatFeedSpec, wrong: &mut Vec<String>) -> Option<Origin> {
    let Some(pull) = &spec.pull else { return Some(Origin::Push) };
    let period =
        parse_period(&pull.period).map_err(|error| wrong.push(format!("spec.pull.period: {error}"))).ok();
    let url =
        parse_url(&pull.http.url).map_err(|reason| wrong.push(format!("spec.pull.http.url: {reason}"))).ok();
    let mut headers = Vec::with_capacity(pull.http.headers.len());
    for (position, header) in pull.http.headers.iter().enumerate() {
        match header_value(name, header) {
            Ok(value) => headers.push((header.name.clone(), value)),
            Err(reason) => wrong.push(format!("spec.pull.http.headers[{position}]: {reason}")),
        }
    }
    if pull.http.headers.len() > 64 {
        wrong.push("spec.pull.http.headers has more than 64 headers".to_owned());
    }
    Some(Origin::Pull(PullOrigin { url: url?, period: period?, headers }))
}

/// The reason never holds the URL itself: it may hold a password.
fn parse_url(text: &str) -> Result<Url, String> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err("it has to begin with http:// or https://".to_owned());
    }
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if url.host_str().is_none_or(str::is_empty) { Err("it names no host".to_owned()) } else { Ok(url) }
}

fn header_value(feed: &str, header: &Header) -> Result<HeaderValue, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+.^_`|~-".contains(&byte);
    if header.name.is_empty() || !header.name.bytes().all(is_token) {
        return Err(format!("`{}` is no name of a header", header.name.escape_debug()));
    }
    match (&header.value, &header.value_from) {
        (Some(value), None) if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') => {
            Err("its value holds control characters".to_owned())
        }
        (Some(value), None) => Ok(HeaderValue::Text(SecretText::new(value.clone()))),
        (None, Some(from)) => reference(feed, from),
        _ => Err("give it exactly one of value and valueFrom".to_owned()),
    }
}

fn reference(feed: &str, from: &ValueFrom) -> Result<HeaderValue, String> {
    let (holder, key) = match (&from.secret_key_ref, &from.config_map_key_ref) {
        (Some(key), None) => (Holder::Secret, key),
        (None, Some(key)) => (Holder::ConfigMap, key),
        _ => return Err("valueFrom names exactly one of configMapKeyRef and secretKeyRef".to_owned()),
    };
    let reference = ValueReference {
        feed: feed.to_owned(),
        holder,
        name: key.name.clone(),
        key: key.key.clone(),
        optional: key.optional,
    };
    reference.check().map_err(|error| error.to_string())?;
    Ok(HeaderValue::From(reference))
}

fn check_format(format: &Format, wrong: &mut Vec<String>) {
    if format.names().len() > 1 {
        wrong.push(format!("spec.pull.http.format names {} at once: name one", format.names().join(" and ")));
    }
    let place = "spec.pull.http.format";
    if let Some(Err(error)) = format.csv.as_ref().map(csv) {
        wrong.push(format!("{place}: {error}"));
    }
    if let Some(Err(error)) = format.json.as_ref().map(|json| json.path.parse::<feed::JsonPath>()) {
        wrong.push(format!("{place}: {error}"));
    }
}

/// As the feed parser has it.
fn csv(settings: &CsvFormat) -> Result<feed::Csv, feed::BadCsv> {
    feed::Csv::try_from(&feed::CsvSettings {
        field_num: settings.field_num,
        field_name: settings.field_name.clone(),
        header: settings.header,
        column_delimiter: settings.column_delimiter.clone(),
        comment_delimiter: settings.comment_delimiter.clone(),
        record_size: settings.record_size,
        disable_record_size_validation: settings.disable_record_size_validation,
    })
}

impl Format {
    /// The formats that it names: one or none in a valid resource.
    pub fn names(&self) -> Vec<&'static str> {
        [
            ("newlineDelimited", self.newline_delimited.is_some()),
            ("json", self.json.is_some()),
            ("csv", self.csv.is_some()),
            ("hosts", self.hosts.is_some()),
            ("adblock", self.adblock.is_some()),
            ("dnsmasq", self.dnsmasq.is_some()),
            ("rpz", self.rpz.is_some()),
            ("auto", self.auto.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_named)| is_named.then_some(name))
        .collect()
    }
}

fn unsupported(spec: &GlobalThreatFeedSpec) -> Option<String> {
    match spec.content {
        Content::DomainNameSet => None,
        Content::IPSet if spec.global_network_set.is_some() => Some(
            "content IPSet and globalNetworkSet are accepted, but Namewarden matches domain names only: \
             no network set is made and the feed contributes nothing"
                .to_owned(),
        ),
        Content::IPSet => Some(
            "content IPSet (also the default) is accepted, but Namewarden matches domain names only: \
             set content: DomainNameSet if the list holds domain names"
                .to_owned(),
        ),
    }
}

fn info(name: &str, spec: &GlobalThreatFeedSpec) -> FeedInfo {
    let techniques = match spec.mitre.as_slice() {
        [] => [TECHNIQUE_DEFAULT.to_owned()].into(),
        techniques => techniques.into(),
    };
    let description: Arc<str> = spec.description.as_deref().unwrap_or_default().into();
    FeedInfo { name: name.into(), description, severity: spec.severity, techniques }
}

fn mark(annotations: Option<&BTreeMap<String, String>>) -> Option<String> {
    annotations?.get(PULL_ANNOTATION).cloned()
}

impl Reading {
    /// The same for the feed parser.
    pub fn options(&self, limits: Limits) -> feed::Options {
        let format = match self.format.names().first() {
            Some(&"hosts") => feed::Format::Hosts,
            Some(&"adblock") => feed::Format::Adblock,
            Some(&"dnsmasq") => feed::Format::Dnsmasq,
            Some(&"rpz") => feed::Format::Rpz,
            Some(&"auto") => feed::Format::Auto,
            Some(&"csv") => feed::Format::Csv,
            Some(&"json") => feed::Format::Json,
            _ => feed::Format::Plain,
        };
        feed::Options {
            format,
            matching: self.matching.into(),
            urls: match self.urls {
                Urls::Reject => feed::Urls::Reject,
                Urls::Host => feed::Urls::Host,
            },
            // Checked when the resource was applied.
            csv: self.format.csv.as_ref().and_then(|settings| csv(settings).ok()).unwrap_or_default(),
            json: self.format.json.as_ref().and_then(|json| json.path.parse().ok()).unwrap_or_default(),
            bytes_max: limits.bytes_max,
            entries_max: limits.entries_max,
            ..feed::Options::default()
        }
    }

    /// How a pushed document is read.
    pub fn of_document(matching: Matching, urls: Urls) -> Self {
        let json = Some(JsonFormat { path: "$.domains".to_owned() });
        Self { format: Format { json, ..Format::default() }, matching, urls }
    }
}
