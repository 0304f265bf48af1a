//! A feed as the operator names it: `[NAME=]PATH|URL`, with the format and the matching that hold for it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use namewarden_protocol::entry::Scope;
use namewarden_protocol::feed::Format;
use namewarden_protocol::obtain::request::Shown;
use namewarden_protocol::threat_set::FeedInfo;
use reqwest::Url;

/// Severity of a feed that says none.
pub const SEVERITY_DEFAULT: u8 = 75;
/// MITRE ATT&CK: application layer protocol, DNS.
pub const TECHNIQUE_DEFAULT: &str = "T1071.004";
/// The longest name of a feed, in bytes: it is a file's name too.
const NAME_BYTES_MAX: usize = 100;

/// Where a feed is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file of this machine.
    File(PathBuf),
    /// An http or https URL, credentials included: shown only by [`fmt::Display`], which leaves them out.
    Url(Url),
}

/// One feed of the operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedSpec {
    /// Its name in alerts: letters, digits, `.`, `-`, `_`.
    pub name: Arc<str>,
    /// Where it is read from.
    pub location: Location,
    /// How it is written.
    pub format: Format,
    /// What a plain line lists where it does not say so itself.
    pub matching: Scope,
    /// 1 to 100.
    pub severity: u8,
    /// The operator's words on it; may be empty.
    pub description: Arc<str>,
    /// MITRE ATT&CK technique ids.
    pub techniques: Arc<[String]>,
}

/// What is wrong with the feeds as they were typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Nothing after the name.
    #[error("feed `{0}` has no path or URL: write [NAME=]PATH or [NAME=]URL")]
    NoLocation(String),
    /// A name with other characters.
    #[error("`{0}` is no name for a feed: use up to 100 letters, digits, `.`, `-` and `_`")]
    BadName(String),
    /// A URL that is none.
    #[error("the URL of feed `{name}` is not valid: {reason}")]
    BadUrl {
        /// The feed as far as it can be named.
        name: String,
        /// Why, without the URL: it may hold a password.
        reason: String,
    },
    /// A scheme that is not fetched.
    #[error("feed `{name}`: `{scheme}` URLs are not fetched, use http, https or a path")]
    BadScheme {
        /// The feed as far as it can be named.
        name: String,
        /// The scheme.
        scheme: String,
    },
    /// Two feeds of one name.
    #[error("two feeds are named `{0}`: give one of them another name with NAME=")]
    Duplicate(String),
    /// A format or matching for a feed that is not there.
    #[error("`{text}` speaks of feed `{name}`, which no --feed names")]
    UnknownFeed {
        /// The option as typed.
        text: String,
        /// The name in it.
        name: String,
    },
    /// No such format.
    #[error(transparent)]
    Format(#[from] namewarden_protocol::feed::UnknownFormat),
    /// No such matching.
    #[error("unknown matching `{0}`: use one of exact, subdomains, both")]
    Matching(String),
}

impl FromStr for FeedSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, location) = split_name(text);
        if location.is_empty() {
            return Err(SpecError::NoLocation(text.to_owned()));
        }
        let location = Location::parse(name, location)?;
        let name = match name {
            Some(name) if is_name(name) => name.to_owned(),
            Some(name) => return Err(SpecError::BadName(name.to_owned())),
            None => location.default_name().ok_or_else(|| SpecError::BadName(location.to_string()))?,
        };
        Ok(Self::new(&name, location))
    }
}

impl FeedSpec {
    /// A feed in any format, with the defaults of everything else.
    pub fn new(name: &str, location: Location) -> Self {
        Self {
            name: name.into(),
            location,
            format: Format::Auto,
            matching: Scope::Both,
            severity: SEVERITY_DEFAULT,
            description: "".into(),
            techniques: [TECHNIQUE_DEFAULT.to_owned()].into(),
        }
    }

    /// The feeds of a command line: `--feed`, `--feed-format [NAME=]FORMAT`, `--feed-matching [NAME=]SCOPE`.
    ///
    /// A format or matching with a name is for that feed, one without for all that have none of their own.
    pub fn parse_all(
        feeds: &[String],
        formats: &[String],
        matchings: &[String],
    ) -> Result<Vec<Self>, SpecError> {
        let mut specs: Vec<Self> = Vec::with_capacity(feeds.len());
        for text in feeds.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            let spec: Self = text.parse()?;
            if specs.iter().any(|other| other.name == spec.name) {
                return Err(SpecError::Duplicate(spec.name.to_string()));
            }
            specs.push(spec);
        }
        apply(&mut specs, formats, |spec, word| {
            spec.format = word.parse()?;
            Ok(())
        })?;
        apply(&mut specs, matchings, |spec, word| {
            spec.matching = parse_scope(word)?;
            Ok(())
        })?;
        Ok(specs)
    }

    /// What an alert says of the feed.
    pub fn info(&self) -> FeedInfo {
        FeedInfo {
            name: Arc::clone(&self.name),
            description: Arc::clone(&self.description),
            severity: self.severity,
            techniques: Arc::clone(&self.techniques),
        }
    }
}

impl Location {
    fn parse(name: Option<&str>, text: &str) -> Result<Self, SpecError> {
        let Some((scheme, _)) = text.split_once("://") else {
            return Ok(Self::File(PathBuf::from(text)));
        };
        let named = || name.unwrap_or("(without a name)").to_owned();
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Err(SpecError::BadScheme { name: named(), scheme: scheme.to_owned() });
        }
        Url::parse(text)
            .map(Self::Url)
            .map_err(|error| SpecError::BadUrl { name: named(), reason: error.to_string() })
    }

    /// What a copy is known to be of: as shown, and told apart from what is shown alike.
    pub fn key(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Url(url) => Shown(url).with_digest(),
        }
    }

    /// The file's stem, or the last part of the URL's path, else its host.
    fn default_name(&self) -> Option<String> {
        let stem = match self {
            Self::File(path) => stem(path)?,
            Self::Url(url) => url
                .path_segments()
                .and_then(|segments| segments.rev().find(|segment| !segment.is_empty()))
                .and_then(|segment| stem(Path::new(segment)))
                .or_else(|| url.host_str().map(str::to_owned))?,
        };
        let named: String = stem.chars().map(|c| if is_name_character(c) { c } else { '-' }).collect();
        is_name(&named).then_some(named)
    }
}

/// Of a URL, nothing that may be a secret.
impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Url(url) => Shown(url).fmt(formatter),
        }
    }
}

/// `name=rest`, where the `=` is not part of a path or URL.
fn split_name(text: &str) -> (Option<&str>, &str) {
    match text.split_once('=') {
        Some((name, location)) if !name.contains(['/', ':']) => (Some(name), location),
        _ => (None, text),
    }
}

fn stem(path: &Path) -> Option<String> {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned())
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && text.chars().all(is_name_character)
        && !text.starts_with('.')
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_')
}

/// Applies `[NAME=]WORD` options: first those for all feeds, then those for one.
fn apply(
    specs: &mut [FeedSpec],
    options: &[String],
    mut set: impl FnMut(&mut FeedSpec, &str) -> Result<(), SpecError>,
) -> Result<(), SpecError> {
    let options = || options.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
    for word in options().filter(|text| !text.contains('=')) {
        specs.iter_mut().try_for_each(|spec| set(spec, word))?;
    }
    for text in options() {
        let Some((name, word)) = text.split_once('=') else { continue };
        let unknown = || SpecError::UnknownFeed { text: text.to_owned(), name: name.to_owned() };
        let spec = specs.iter_mut().find(|spec| *spec.name == *name).ok_or_else(unknown)?;
        set(spec, word)?;
    }
    Ok(())
}

fn parse_scope(word: &str) -> Result<Scope, SpecError> {
    match word.to_ascii_lowercase().as_str() {
        "exact" => Ok(Scope::Exact),
        "subdomains" => Ok(Scope::Subdomains),
        "both" => Ok(Scope::Both),
        _ => Err(SpecError::Matching(word.to_owned())),
    }
}

#[cfg(test)]
mod tests;
