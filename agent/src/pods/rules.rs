//! Which pods are resolvers and which are left out, as the operator says: by namespace and label, never by a label alone.
//!
//! A namespace is written out: no rule speaks of every one, so that nobody hides by labelling a pod of his own.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::pipeline::attribute::pod::{Pod, Role};

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

    fn speaks_of(&self, pod: &Pod) -> bool {
        let has_label =
            self.label.as_ref().is_none_or(|(key, value)| pod.ruling_labels.get(key) == Some(value));
        let has_account = self.account.is_none() || self.account.as_deref() == pod.service_account.as_deref();
        self.namespace == pod.namespace && has_label && has_account
    }

    fn key(&self) -> Option<&str> {
        self.label.as_ref().map(|(key, _)| key.as_str())
    }
}

/// Every rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Pods that ask on behalf of others.
    pub resolvers: Vec<Rule>,
    /// Pods that the operator left out.
    pub excluded: Vec<Rule>,
}

impl Rules {
    /// Of a pod's labels those that some rule looks at.
    pub fn labels(&self, labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let keys = self.resolvers.iter().chain(&self.excluded).filter_map(Rule::key);
        keys.filter_map(|key| labels.get_key_value(key))
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect()
    }

    /// The pod, with the role that these rules give it.
    #[must_use]
    pub fn judged(&self, pod: Pod) -> Pod {
        let is_among = |rules: &[Rule]| rules.iter().any(|rule| rule.speaks_of(&pod));
        let role = if is_among(&self.excluded) {
            Role::Excluded
        } else if is_among(&self.resolvers) {
            Role::Resolver
        } else {
            Role::Watched
        };
        Pod { role, ..pod }
    }
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

    fn rules(resolvers: &[&str], excluded: &[&str]) -> Rules {
        let read = |rules: &[&str]| rules.iter().map(|rule| rule.parse().unwrap()).collect();
        Rules { resolvers: read(resolvers), excluded: read(excluded) }
    }

    fn role(rules: &Rules, namespace: &str, label: (&str, &str), account: Option<&str>) -> Role {
        let labels = [(label.0.to_owned(), label.1.to_owned())].into();
        let pod = Pod {
            namespace: namespace.to_owned(),
            ruling_labels: rules.labels(&labels),
            service_account: account.map(str::to_owned),
            ..Pod::default()
        };
        rules.judged(pod).role
    }

    #[test]
    fn a_resolver_is_known_by_namespace_and_label() {
        let rules = rules(&["kube-system/k8s-app=kube-dns"], &[]);
        let role = |namespace, key, value| role(&rules, namespace, (key, value), None);
        assert_eq!(role("kube-system", "k8s-app", "kube-dns"), Role::Resolver);
        assert_eq!(
            role("shop", "k8s-app", "kube-dns"),
            Role::Watched,
            "whoever labels himself so is watched"
        );
        assert_eq!(role("kube-system", "k8s-app", "kube-proxy"), Role::Watched);
        assert_eq!(role("kube-system", "app", "kube-dns"), Role::Watched);
    }

    #[test]
    fn where_a_service_account_is_given_it_must_be_the_pods() {
        let rules = rules(&["kube-system/k8s-app=kube-dns@coredns"], &[]);
        let role = |account| role(&rules, "kube-system", ("k8s-app", "kube-dns"), account);
        assert_eq!(role(Some("coredns")), Role::Resolver);
        assert_eq!((role(Some("default")), role(None)), (Role::Watched, Role::Watched));
    }

    #[test]
    fn pods_are_left_out_by_namespace_or_by_a_label_in_it() {
        let rules = rules(&[], &["scanners", "shop/example.com/team=red"]);
        let role = |namespace, value| role(&rules, namespace, ("example.com/team", value), None);
        assert_eq!((role("scanners", "any"), role("shop", "red")), (Role::Excluded, Role::Excluded));
        assert_eq!((role("shop", "blue"), role("cart", "red")), (Role::Watched, Role::Watched));
    }

    #[test]
    fn only_labels_that_a_rule_looks_at_are_kept() {
        let labels = BTreeMap::from(["a", "b"].map(|key| (key.to_owned(), "x".to_owned())));
        let kept = rules(&["n/b=1"], &["n/c=1"]).labels(&labels);
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["b"]);
    }

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
}
