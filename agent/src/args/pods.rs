//! How names of pods are had, and which pods are not told of, as typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use namewarden_protocol::pod_rule::DEFAULT_RESOLVER_PODS;

/// Names of pods.
#[derive(Clone, Debug, Args)]
pub struct PodArgs {
    /// Whether the API server is asked for the names of this node's pods.
    #[arg(long, env = "NAMEWARDEN_POD_NAMES", value_enum, default_value_t = PodNames::Auto, value_name = "WHEN")]
    pub pod_names: PodNames,

    /// Kubeconfig to reach the API server with (default: the pod's service account).
    #[arg(long, env = "NAMEWARDEN_KUBECONFIG", value_name = "PATH")]
    pub kubeconfig: Option<PathBuf>,

    /// Labels of pods that documents bear: keys, `all` or `none`. Repeatable; separated by commas in the environment.
    #[arg(
        long = "pod-label",
        env = "NAMEWARDEN_POD_LABELS",
        value_delimiter = ',',
        default_values_t = DEFAULT_POD_LABELS.map(str::to_owned),
        value_name = "KEY|all|none"
    )]
    pub pod_labels: Vec<String>,

    /// Pods that ask on behalf of others, by namespace and label, with a service account behind `@` where it is to count as
    /// well; or `none`. What they ask raises no alert, for the pod that asked them has raised it; it is counted. Repeatable;
    /// separated by commas in the environment.
    #[arg(
        long = "resolver-pods",
        env = "NAMEWARDEN_RESOLVER_PODS",
        value_delimiter = ',',
        default_values_t = DEFAULT_RESOLVER_PODS.map(str::to_owned),
        value_name = "NAMESPACE/KEY=VALUE[@ACCOUNT]|none"
    )]
    pub resolver_pods: Vec<String>,

    /// Pods that are left out: those of a namespace, or those in it with a label. What they ask raises no alert and makes no
    /// DNS log; it is counted for each workload. Repeatable; separated by commas in the environment.
    #[arg(
        long = "exclude-pods",
        env = "NAMEWARDEN_EXCLUDE_PODS",
        value_delimiter = ',',
        value_name = "NAMESPACE[/KEY=VALUE]"
    )]
    pub exclude_pods: Vec<String>,
}

/// Labels that say what a pod is part of.
const DEFAULT_POD_LABELS: [&str; 4] =
    ["app", "k8s-app", "app.kubernetes.io/name", "app.kubernetes.io/instance"];

/// Whether names of pods are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PodNames {
    /// In a cluster's pod, or with --kubeconfig.
    Auto,
    /// Never: pods are known by UID.
    Off,
}
