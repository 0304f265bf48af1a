//! `annotate`: says of alert groups what is to be thought of them.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, ConnectArgs};
use crate::store::State;

/// Options of `annotate`.
#[derive(Debug, Args)]
pub struct AnnotateArgs {
    /// Which controller, and who asks.
    #[command(flatten)]
    pub connect: ConnectArgs,

    /// What is to be thought of them: acknowledged, dismissed, or new as if nobody had said anything.
    #[arg(long, short = 's', value_name = "STATE")]
    pub state: State,

    /// Why, in a few words.
    #[arg(long, short = 'r', default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub reason: String,

    /// Who says so. In a cluster the token says it.
    #[arg(long, env = "NAMEWARDEN_ANNOTATE_BY", value_name = "NAME")]
    pub by: Option<String>,

    /// Cluster that they are of (default: the controller's).
    #[arg(long, env = "NAMEWARDEN_EVENTS_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,

    /// Alert groups: `namewarden.group` of a document, the column `group` of `events --output csv`.
    #[arg(required = true, value_name = "GROUP")]
    pub groups: Vec<String>,
}

/// What the controller wrote.
#[derive(Debug, Deserialize)]
struct Written {
    group: String,
    annotation: Annotation,
}

#[derive(Debug, Deserialize)]
struct Annotation {
    state: String,
    by: String,
}

/// Annotates group by group; ends at the first that cannot be.
pub fn run(arguments: &AnnotateArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(&arguments.connect)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let body = json!({
        "state": arguments.state.name(),
        "reason": arguments.reason,
        "by": arguments.by,
        "cluster": arguments.cluster,
    });
    for group in &arguments.groups {
        let path = ["v1", "events", group, "annotation"];
        let Written { group, annotation: Annotation { state, by } } =
            runtime.block_on(client.put(&path, &body))?;
        println!("{group} {state} by {by}");
    }
    Ok(ExitCode::SUCCESS)
}
