//! How names of pods are had, and which pods are not told of, as used.

use std::path::Path;

use anyhow::{anyhow, bail};
use namewarden_protocol::pod_rule;

use crate::args::{PodArgs, PodNames};
use crate::pods::{Labels, Rules, Settings};

/// Validates the options; `None` where no API server is asked.
///
/// # Errors
/// One sentence for the first rule that says no pods, or for rules where no pods are known.
pub fn settings(
    arguments: &PodArgs,
    state_dir: Option<&Path>,
    node: &str,
) -> anyhow::Result<Option<Settings>> {
    let PodArgs { pod_names, kubeconfig, pod_labels, resolver_pods, exclude_pods } = arguments;
    // Also where none is asked: a wrong option is said while it is being written.
    let rules = rules(resolver_pods, exclude_pods)?;
    // The kubelet sets it in every pod.
    let is_in_cluster = || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    if *pod_names == PodNames::Off || (kubeconfig.is_none() && !is_in_cluster()) {
        if !rules.excluded.is_empty() {
            bail!(
                "--exclude-pods takes names of pods, and none are asked for: give --kubeconfig, or leave it out"
            );
        }
        return Ok(None);
    }
    let labels = match pod_labels.as_slice() {
        [all] if all == "all" => Labels::All,
        keys => Labels::Keys(keys.iter().filter(|key| *key != "none").cloned().collect()),
    };
    Ok(Some(Settings {
        kubeconfig: kubeconfig.clone(),
        node: node.to_owned(),
        labels,
        rules,
        state_dir: state_dir.map(Path::to_path_buf),
    }))
}

fn rules(resolvers: &[String], excluded: &[String]) -> anyhow::Result<Rules> {
    let of = |option: &'static str| move |reason: String| anyhow!("{option} {reason}");
    let resolvers =
        pod_rule::resolvers(resolvers.iter().map(String::as_str)).map_err(of("--resolver-pods"))?;
    let excluded =
        pod_rule::read(excluded.iter().map(String::as_str), "NAMESPACE or NAMESPACE/KEY=VALUE", str::parse);
    Ok(Rules { resolvers, excluded: excluded.map_err(of("--exclude-pods"))? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(resolvers: &[&str], excluded: &[&str]) -> PodArgs {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        PodArgs {
            pod_names: PodNames::Auto,
            kubeconfig: Some("kubeconfig".into()),
            pod_labels: Vec::new(),
            resolver_pods: owned(resolvers),
            exclude_pods: owned(excluded),
        }
    }

    #[test]
    fn none_means_no_resolvers() {
        let settings = settings(&arguments(&["none"], &["n"]), None, "node").unwrap().unwrap();
        assert_eq!((settings.rules.resolvers.len(), settings.rules.excluded.len()), (0, 1));
    }

    #[test]
    fn a_rule_that_says_no_pods_is_refused_with_its_option() {
        for (resolvers, excluded, option) in [
            (&["*/k8s-app=kube-dns"][..], &[][..], "--resolver-pods"),
            (&["kube-system"], &[], "--resolver-pods"),
            (&[], &["*"], "--exclude-pods"),
            (&[], &["shop/app"], "--exclude-pods"),
        ] {
            let sentence = settings(&arguments(resolvers, excluded), None, "node").unwrap_err().to_string();
            assert!(sentence.starts_with(option) && sentence.contains("; write NAMESPACE"), "{sentence}");
        }
    }

    #[test]
    fn pods_cannot_be_left_out_where_none_are_known() {
        let arguments = PodArgs { pod_names: PodNames::Off, ..arguments(&[], &["n"]) };
        let sentence = settings(&arguments, None, "node").unwrap_err().to_string();
        assert!(sentence.starts_with("--exclude-pods takes names of pods"), "{sentence}");
    }
}
