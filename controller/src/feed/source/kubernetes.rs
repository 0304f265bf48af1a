//! Resources of an API server: watched, listed anew when the watch is lost; statuses applied, events told.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Api, Client, Resource as _};
use serde_json::json;

use super::{Change, Notice, Observed, SourceError, Unusable};
use crate::feed::resource::{GlobalThreatFeedStatus, Group, Resource};
use crate::feed::values::{Holder, SecretText, ValueReference};
use namewarden_protocol::api_server;

/// Who writes statuses and events.
const FIELD_MANAGER: &str = "namewarden-controller";
/// Between two looks for the group.
const GROUP_RETRY: Duration = Duration::from_secs(5);

/// An API server.
#[derive(Clone)]
pub struct Kubernetes {
    client: Client,
    group: Group,
    resource: ApiResource,
    namespace: String,
    recorder: Recorder,
}

impl Kubernetes {
    /// The resources of a group; Secrets and ConfigMaps are read in `namespace` only.
    pub fn new(client: Client, group: Group, namespace: &str) -> Self {
        let instance = std::env::var("HOSTNAME").ok();
        let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            resource: group.api_resource(),
            namespace: namespace.to_owned(),
            client,
            group,
        }
    }

    /// The client, for whoever else asks the API server.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The namespace of the controller.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The group that the resources are of.
    pub fn group(&self) -> Group {
        self.group
    }

    /// Every change, for ever.
    pub fn changes(&self) -> BoxStream<'static, Change> {
        let events = watcher(self.feeds(), watcher::Config::default().timeout(api_server::WATCH_SECONDS))
            .default_backoff();
        let mut listed = Vec::new();
        events.filter_map(move |event| std::future::ready(change(event, &mut listed))).boxed()
    }

    /// Applies a status; the fields of others stay theirs.
    pub async fn write_status(&self, name: &str, status: &GlobalThreatFeedStatus) -> Result<(), SourceError> {
        let patch = Patch::Apply(json!({
            "apiVersion": self.resource.api_version,
            "kind": self.resource.kind,
            "metadata": { "name": name },
            "status": status,
        }));
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        match self.feeds().patch_status(name, &parameters, &patch).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(boxed(error)),
        }
    }

    /// A value of the controller's own namespace.
    pub async fn value(&self, of: &ValueReference) -> Result<Option<SecretText>, SourceError> {
        let bytes = match of.holder {
            Holder::Secret => {
                let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
                let secret = secrets.get_opt(&of.name).await.map_err(boxed)?;
                secret.and_then(|secret| secret.data?.remove(&of.key)).map(|value| value.0)
            }
            Holder::ConfigMap => {
                let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
                let map = maps.get_opt(&of.name).await.map_err(boxed)?;
                map.and_then(|map| map.data?.remove(&of.key)).map(String::into_bytes)
            }
        };
        bytes.map(|bytes| text(bytes, of)).transpose()
    }

    /// Tells of a feed as an event of its resource. What cannot be told is logged.
    pub async fn announce(&self, feed: &Resource, notice: Notice) {
        let name = feed.metadata.name.as_deref().unwrap_or_default();
        tracing::info!(feed = name, reason = notice.reason, "{}", notice.note);
        let event = Event {
            type_: if notice.is_warning { EventType::Warning } else { EventType::Normal },
            reason: notice.reason.to_owned(),
            // An event's note has at most 1 KiB.
            note: Some(notice.note.chars().take(1000).collect()),
            action: "Sync".to_owned(),
            secondary: None,
        };
        let about = feed.object_ref(&self.resource);
        let told = tokio::time::timeout(Duration::from_secs(5), self.recorder.publish(&event, &about));
        match told.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(feed = name, "an event could not be told: {}", api_server::why(&error));
            }
            Err(_) => tracing::warn!(feed = name, "an event could not be told: the API server is silent"),
        }
    }

    fn feeds(&self) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &self.resource)
    }
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Kubernetes")
            .field("group", &self.group)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// The group that is served here: the recorded one, else ours where both are; waits until there is one.
pub async fn served_group(client: &Client, recorded: Option<Group>) -> Group {
    let candidates = match recorded {
        Some(group) => vec![group],
        // Ours is only ever installed because somebody else serves the other one.
        None => vec![Group::Namewarden, Group::ProjectCalico],
    };
    loop {
        for group in &candidates {
            match client.list_api_group_resources(&group.api_version()).await {
                Ok(list) if list.resources.iter().any(|resource| resource.name == "globalthreatfeeds") => {
                    return *group;
                }
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => {
                    tracing::warn!("the API server does not say what it serves: {}", api_server::why(&error));
                }
            }
        }
        let names: Vec<_> = candidates.iter().map(|group| group.api_version()).collect();
        tracing::warn!(
            "no globalthreatfeeds in {}: install the CustomResourceDefinition (`namewarden-controller crd`); waiting",
            names.join(" or ")
        );
        tokio::time::sleep(GROUP_RETRY).await;
    }
}

/// What an event of the watch means; what is being listed is collected until it is whole.
fn change(
    event: Result<watcher::Event<DynamicObject>, watcher::Error>,
    listed: &mut Vec<Observed>,
) -> Option<Change> {
    match event {
        Ok(watcher::Event::Init) => {
            listed.clear();
            None
        }
        Ok(watcher::Event::InitApply(object)) => {
            listed.push(observed(object));
            None
        }
        Ok(watcher::Event::InitDone) => Some(Change::All(std::mem::take(listed))),
        Ok(watcher::Event::Apply(object)) => Some(Change::Applied(observed(object))),
        Ok(watcher::Event::Delete(object)) => Some(Change::Deleted(object.metadata.name?)),
        Err(error) => {
            tracing::warn!(
                "the watch of feeds broke off and is begun again: {}",
                api_server::why_no_watch(&error)
            );
            None
        }
    }
}

/// One resource that cannot be read must not hide the others.
fn observed(object: DynamicObject) -> Observed {
    let name = object.metadata.name.clone().unwrap_or_default();
    serde_json::to_value(object)
        .and_then(serde_json::from_value)
        .map(Box::new)
        .map_err(|error| Unusable { name, reason: error.to_string() })
}

/// A value as text, without the line end that files have.
fn text(bytes: Vec<u8>, of: &ValueReference) -> Result<SecretText, SourceError> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SecretText::new(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(_) => Err(SourceError::Reference(format!("{of} is no text"))),
    }
}

fn boxed(error: kube::Error) -> SourceError {
    SourceError::Kubernetes(Box::new(error))
}
