//! Which pods somebody means, as the operator says: by namespace and label, never by a label alone.
//!
//! A namespace is written out: no rule speaks of every one, so that nobody hides by labelling a pod of his own.

use std::collections::BTreeMap;
use std::str::FromStr;

/// How clusters label `CoreDNS` and its caches on the nodes.
pub const DEFAULT_RESOLVER_PODS: [&str; 2] =
    ["kube-system/k8s-app=kube-dns", "kube-system/k8s-app=node-local-dns"];

/// How a rule for resolvers is written, in words.
const RESOLVER_FORM: &str =
    "NAMESPACE/KEY=VALUE, with @ACCOUNT where the service account is to count, or none";

/// Why a rule says no pods.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// What should be a namespace is none.
    #[error("{0:?} is no namespace, which is lower-case letters, digits and '-' (a wildcard is not taken)")]
    Namespace(String),
    /// There is a label, but it is none.
    #[error("{0:?} is no label, which is KEY=VALUE")]
    Label(String),
    /// What should be a service account is none.
    #[error("{0:?} is no service account")]
    Account(String),
    /// A resolver is known by a label.
    #[error("the label is missing")]
    NoLabel,
}

/// Pods of one namespace: all of them, or those with a label, or those with a label and a service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    namespace: String,
    label: Option<(String, String)>,
    account: Option<String>,
}

impl FromStr for Rule {
    type Err = RuleError;

    /// Reads `NAMESPACE[/KEY=VALUE[@ACCOUNT]]`; a key may hold a slash itself.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (namespace, rest) =
            text.split_once('/').map_or((text, None), |(space, rest)| (space, Some(rest)));
        if !is_name(namespace, 63, "-") {
            return Err(RuleError::Namespace(namespace.to_owned()));
        }
        let (label, account) = match rest.map(|rest| rest.split_once('@').map_or((rest, None), split_some)) {
            None => (None, None),
            Some((label, account)) => (Some(read_label(label)?), account),
        };
        if let Some(account) = account.filter(|account| !is_name(account, 253, "-.")) {
            return Err(RuleError::Account(account.to_owned()));
        }
        Ok(Self { namespace: namespace.to_owned(), label, account: account.map(str::to_owned) })
    }
}

fn split_some<'t>((label, account): (&'t str, &'t str)) -> (&'t str, Option<&'t str>) {
    (label, Some(account))
}

impl Rule {
    /// The same, which must have a label.
    ///
    /// # Errors
    /// It has none.
    pub fn with_label(self) -> Result<Self, RuleError> {
        if self.label.is_some() { Ok(self) } else { Err(RuleError::NoLabel) }
    }

    /// Whether a pod of this namespace with these labels and this service account is meant.
    pub fn speaks_of(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
        account: Option<&str>,
    ) -> bool {
        let has_label = self.label.as_ref().is_none_or(|(key, value)| labels.get(key) == Some(value));
        let has_account = self.account.is_none() || self.account.as_deref() == account;
        self.namespace == namespace && has_label && has_account
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The label, where there is one: key and value.
    pub fn label(&self) -> Option<(&str, &str)> {
        self.label.as_ref().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// The rules that say which pods are resolvers; `none` and what is empty say none.
///
/// # Errors
/// Which text says no pods, why, and how it is written.
pub fn resolvers<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Vec<Rule>, String> {
    read(texts, RESOLVER_FORM, |text| text.parse().and_then(Rule::with_label))
}

/// Rules of any kind, of texts of this form; `none` and what is empty say none.
///
/// # Errors
/// As of [`resolvers`].
pub fn read<'t>(
    texts: impl IntoIterator<Item = &'t str>,
    form: &str,
    rule: impl Fn(&str) -> Result<Rule, RuleError>,
) -> Result<Vec<Rule>, String> {
    let texts = texts.into_iter().map(str::trim).filter(|text| !text.is_empty() && *text != "none");
    let read =
        |text: &str| rule(text).map_err(|error| format!("{text:?} says no pods: {error}; write {form}"));
    texts.map(read).collect()
}

fn read_label(text: &str) -> Result<(String, String), RuleError> {
    let wrong = || RuleError::Label(text.to_owned());
    let (key, value) = text.split_once('=').ok_or_else(wrong)?;
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let is_key = prefix.is_none_or(|prefix| is_name(prefix, 253, "-.")) && is_word(name);
    if is_key && is_word(value) { Ok((key.to_owned(), value.to_owned())) } else { Err(wrong()) }
}

/// Lower-case letters and digits, in between also these marks, as names of objects are.
fn is_name(text: &str, longest: usize, marks: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    text.len() <= longest
        && text.starts_with(is_plain)
        && text.ends_with(is_plain)
        && text.chars().all(|letter| is_plain(letter) || marks.contains(letter))
}

/// Name of a label, or its value.
fn is_word(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric();
    text.len() <= 63
        && text.starts_with(is_plain)
        && text.ends_with(is_plain)
        && text.chars().all(|letter| is_plain(letter) || "-_.".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_namespace_and_no_label_is_refused() {
        let wrong = |text: &str| text.parse::<Rule>().unwrap_err();
        for text in ["*/a=b", "", "/a=b", "Kube/a=b", "kube-*/a=b", "a.b/c=d", "-a/b=c"] {
            assert!(matches!(wrong(text), RuleError::Namespace(_)), "{text}");
        }
        for text in ["n/", "n/a", "n/a=", "n/=b", "n/a=*", "n/a=b=c", "n/a b=c", "n/x/y/z=1"] {
            assert!(matches!(wrong(text), RuleError::Label(_)), "{text}");
        }
        assert!(matches!(wrong("n/a=b@"), RuleError::Account(_)));
        assert!(matches!("n".parse::<Rule>().unwrap().with_label(), Err(RuleError::NoLabel)));
    }

    #[test]
    fn none_says_no_resolvers_and_a_wrong_one_is_told_with_its_form() {
        assert_eq!(resolvers(["none", " "]), Ok(Vec::new()));
        assert_eq!(resolvers(DEFAULT_RESOLVER_PODS).unwrap().len(), 2);
        let said = resolvers(["kube-system"]).unwrap_err();
        assert!(
            said.starts_with("\"kube-system\" says no pods") && said.contains("; write NAMESPACE/KEY=VALUE"),
            "{said}"
        );
    }
}
