//! Which pods are resolvers and which are left out, as the operator says.

use std::collections::BTreeMap;

use crate::pipeline::attribute::pod::{Pod, Role};

pub use namewarden_protocol::pod_rule::Rule;

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
        let keys = self.resolvers.iter().chain(&self.excluded).filter_map(Rule::label).map(|(key, _)| key);
        keys.filter_map(|key| labels.get_key_value(key))
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect()
    }

    /// The pod, with the role that these rules give it.
    #[must_use]
    pub fn judged(&self, pod: Pod) -> Pod {
        let is_among = |rules: &[Rule]| {
            rules.iter().any(|rule| {
                rule.speaks_of(&pod.namespace, &pod.ruling_labels, pod.service_account.as_deref())
            })
        };
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
}
