//! The CustomResourceDefinition of either group, written by `cargo xtask crds`.

use std::fmt;
use std::str::FromStr;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::{ApiResource, CustomResourceExt as _};

use super::GlobalThreatFeed;

/// What keeps the definition, and every feed with it, when the chart is uninstalled or says otherwise: Helm's word, and Argo CD's.
const KEPT: [(&str, &str); 2] =
    [("argocd.argoproj.io/sync-options", "Prune=false,Delete=false"), ("helm.sh/resource-policy", "keep")];

/// The API group that the resource is served in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// `projectcalico.org`: the reference's manifests apply as they are.
    ProjectCalico,
    /// `namewarden.dev`: where Calico itself serves the other one.
    Namewarden,
}

impl Group {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::ProjectCalico, Self::Namewarden];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProjectCalico => "projectcalico.org",
            Self::Namewarden => "namewarden.dev",
        }
    }

    /// `group/version`.
    pub fn api_version(self) -> String {
        format!("{}/v3", self.name())
    }

    /// What a client needs to know of the resource.
    pub fn api_resource(self) -> ApiResource {
        let mut resource = GlobalThreatFeed::api_resource();
        self.name().clone_into(&mut resource.group);
        resource.api_version = self.api_version();
        resource
    }

    /// The definition; kept when the chart is uninstalled, or every feed would go with it.
    pub fn crd(self) -> CustomResourceDefinition {
        let mut crd = GlobalThreatFeed::crd();
        self.name().clone_into(&mut crd.spec.group);
        crd.metadata.name = Some(format!("globalthreatfeeds.{}", self.name()));
        crd.metadata
            .annotations
            .get_or_insert_default()
            .extend(KEPT.map(|(name, value)| (name.to_owned(), value.to_owned())));
        crd
    }
}

impl fmt::Display for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|group| group.name() == text)
            .ok_or_else(|| format!("unknown API group `{text}`: use projectcalico.org or namewarden.dev"))
    }
}

/// The definition as a manifest.
pub fn crd_yaml(group: Group) -> anyhow::Result<String> {
    let text = serde_saphyr::to_string(&serde_json::to_value(group.crd())?)?;
    Ok(format!("# Written by `cargo xtask crds`.\n{}\n", text.trim_end()))
}
