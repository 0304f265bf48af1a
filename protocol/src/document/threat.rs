//! `threat.*`: the entry, the feeds that list it, the name of the message that matched, and the technique.

use serde::{Deserialize, Serialize};

use super::Text;

/// Technique of an alert whose feeds name none: Application Layer Protocol: DNS.
pub const DEFAULT_TECHNIQUE: &str = "T1071.004";

/// `threat.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threat {
    /// The entry that matched.
    pub indicator: Indicator,
    /// The feeds that list it.
    pub feed: Feeds,
    /// What matched it, as an indicator match of Elastic's looks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enrichments: Vec<Enrichment>,
    /// `MITRE ATT&CK`.
    pub framework: Text,
    /// Tactics of the techniques, as far as they are known.
    #[serde(default, skip_serializing_if = "Tactics::is_empty")]
    pub tactic: Tactics,
    /// Techniques that the feeds name, or the default one.
    pub technique: Techniques,
}

/// A feed that lists an entry, as far as an alert speaks of it.
#[derive(Clone, Copy, Debug)]
pub struct ListedBy<'f> {
    /// Its name.
    pub name: &'f str,
    /// The operator's words on it; may be empty.
    pub description: &'f str,
    /// 1 to 100.
    pub severity: u8,
    /// MITRE ATT&CK technique ids.
    pub techniques: &'f [String],
}

impl Threat {
    /// What is said of an entry that covers `name`, which stood in that field of the document.
    pub fn new<'f>(
        entry: &str,
        name: &str,
        field: &'static str,
        listed_by: impl IntoIterator<Item = ListedBy<'f>>,
    ) -> Self {
        let mut feeds: Vec<_> = listed_by.into_iter().collect();
        feeds.sort_by_key(|feed| std::cmp::Reverse(feed.severity));
        let mut techniques: Vec<String> = Vec::new();
        for technique in feeds.iter().flat_map(|feed| feed.techniques) {
            if !techniques.contains(technique) {
                techniques.push(technique.clone());
            }
        }
        if techniques.is_empty() {
            techniques.push(DEFAULT_TECHNIQUE.to_owned());
        }
        let indicator = Indicator::domain(entry);
        let descriptions = feeds.iter().map(|feed| feed.description).filter(|text| !text.is_empty());
        let matched = Matched {
            atomic: name.to_owned(),
            field: Text::Borrowed(field),
            kind: Text::Borrowed("indicator_match_rule"),
        };
        Self {
            indicator: indicator.clone(),
            feed: Feeds {
                name: feeds.iter().map(|feed| feed.name.to_owned()).collect(),
                description: descriptions.map(str::to_owned).collect(),
            },
            enrichments: vec![Enrichment { indicator, matched }],
            framework: Text::Borrowed("MITRE ATT&CK"),
            tactic: tactics(&techniques),
            technique: Techniques { id: techniques },
        }
    }
}

impl Feeds {
    /// Feeds named in a sentence; the others are counted.
    const NAMED: usize = 3;

    /// "feed urlhaus", "feeds urlhaus, ours and 3 more".
    pub fn phrase(&self) -> String {
        let word = if self.name.len() == 1 { "feed" } else { "feeds" };
        let named = self.name.iter().take(Self::NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        match self.name.len().checked_sub(Self::NAMED).filter(|more| *more > 0) {
            Some(more) => format!("{word} {named} and {more} more"),
            None => format!("{word} {named}"),
        }
    }
}

/// `threat.indicator.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indicator {
    /// `domain-name`.
    #[serde(rename = "type")]
    pub kind: Text,
    /// The entry, normalised.
    pub name: String,
}

impl Indicator {
    /// The indicator of one entry.
    pub fn domain(name: &str) -> Self {
        Self { kind: Text::Borrowed("domain-name"), name: name.to_owned() }
    }
}

/// `threat.feed.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feeds {
    /// Names of the feeds, the most severe first.
    pub name: Vec<String>,
    /// What the feeds say of themselves, where they do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub description: Vec<String>,
}

/// One element of `threat.enrichments`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrichment {
    /// The entry once more.
    pub indicator: Indicator,
    /// What it matched.
    pub matched: Matched,
}

/// `threat.enrichments.matched.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matched {
    /// Name of the message that the entry covers.
    pub atomic: String,
    /// Where it stood: `dns.question.name`, `dns.answers.data`, ...
    pub field: Text,
    /// `indicator_match_rule`.
    #[serde(rename = "type")]
    pub kind: Text,
}

/// `threat.tactic.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tactics {
    /// `TA0011`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub id: Vec<Text>,
    /// `Command and Control`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub name: Vec<Text>,
}

impl Tactics {
    /// Whether no tactic is known.
    pub fn is_empty(&self) -> bool {
        self.id.is_empty()
    }
}

/// `threat.technique.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Techniques {
    /// `T1071.004`.
    pub id: Vec<String>,
}

/// Tactics of techniques that feeds of names speak of; others are left out rather than guessed.
pub fn tactics(techniques: &[String]) -> Tactics {
    let mut tactics = Tactics::default();
    for (id, name) in techniques.iter().filter_map(|technique| tactic(technique)) {
        if !tactics.id.iter().any(|known| known == id) {
            tactics.id.push(Text::Borrowed(id));
            tactics.name.push(Text::Borrowed(name));
        }
    }
    tactics
}

/// The one tactic of a technique or sub-technique, where it belongs to exactly one.
fn tactic(technique: &str) -> Option<(&'static str, &'static str)> {
    match technique.split('.').next()? {
        "T1008" | "T1071" | "T1090" | "T1095" | "T1102" | "T1104" | "T1105" | "T1132" | "T1219" | "T1568"
        | "T1571" | "T1572" | "T1573" | "T1001" => Some(("TA0011", "Command and Control")),
        "T1011" | "T1020" | "T1029" | "T1030" | "T1041" | "T1048" | "T1052" | "T1537" | "T1567" => {
            Some(("TA0010", "Exfiltration"))
        }
        "T1189" | "T1190" | "T1195" | "T1199" | "T1566" => Some(("TA0001", "Initial Access")),
        "T1203" | "T1204" => Some(("TA0002", "Execution")),
        "T1485" | "T1486" | "T1489" | "T1490" | "T1496" | "T1498" | "T1499" => Some(("TA0040", "Impact")),
        "T1583" | "T1584" | "T1587" | "T1588" | "T1608" => Some(("TA0042", "Resource Development")),
        "T1590" | "T1591" | "T1593" | "T1595" | "T1596" | "T1598" => Some(("TA0043", "Reconnaissance")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_technique_is_command_and_control() {
        let tactics = tactics(&[DEFAULT_TECHNIQUE.to_owned()]);
        assert_eq!((tactics.id, tactics.name), (vec!["TA0011".into()], vec!["Command and Control".into()]));
    }

    #[test]
    fn a_tactic_is_named_once() {
        assert_eq!(
            tactics(&["T1071".to_owned(), "T1568.002".to_owned(), "T1566".to_owned()]).id,
            ["TA0011", "TA0001"]
        );
    }

    #[test]
    fn the_tactic_of_an_unknown_technique_is_not_guessed() {
        assert!(tactics(&["T9999".to_owned(), String::new()]).is_empty());
    }
}
