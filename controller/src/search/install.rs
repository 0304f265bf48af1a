//! What the data streams and pushed feeds need in a search engine. Done again it changes nothing; after an upgrade it changes
//! what is older.

use serde_json::{Value, json};

use super::engine::{Engine, EngineError, Server};
use super::lifecycle;
use super::mapping::Types;
use super::step::{Outcome, Step};
use super::template::{self, ANNOTATIONS, FIELDS_COMPONENT, Lane, PUSH_PREFIX, PUSH_TEMPLATE};

/// What is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Name of the cluster: part of the alias that feeds are pushed to.
    pub cluster: String,
    /// Days that alerts are kept.
    pub alert_days: u16,
    /// Days that DNS logs are kept.
    pub log_days: u16,
}

/// Installs it; what was done, in order.
///
/// # Errors
///
/// No answer, or the first refusal.
pub async fn install(engine: &Engine, plan: &Plan) -> Result<(Server, Vec<Step>), EngineError> {
    let server = engine.server().await?;
    let mut steps = Vec::new();
    let (types, fields) = fields(engine, Types::of(server.product)).await?;
    steps.push(fields.clone());
    for lane in Lane::ALL {
        steps.extend(data_stream(engine, &server, lane, plan).await?);
    }
    if fields.outcome != Outcome::Kept {
        steps.extend(existing_streams(engine, types).await?);
    }
    steps.extend(pushed_feeds(engine, &plan.cluster).await?);
    steps.extend(annotations(engine).await?);
    Ok((server, steps))
}

/// The fields, with the types that this server has.
async fn fields(engine: &Engine, mut types: Types) -> Result<(Types, Step), EngineError> {
    loop {
        let body = template::fields(types);
        match component(engine, FIELDS_COMPONENT, &body).await {
            Err(EngineError::Refused { status: 400, reason, what }) => match types.without(&reason) {
                Some(plainer) => types = plainer,
                None => return Err(EngineError::Refused { status: 400, reason, what }),
            },
            done => return Ok((types, done?)),
        }
    }
}

async fn data_stream(
    engine: &Engine,
    server: &Server,
    lane: Lane,
    plan: &Plan,
) -> Result<Vec<Step>, EngineError> {
    let days = if lane == Lane::Alerts { plan.alert_days } else { plan.log_days };
    let (lifecycle, policy) = lifecycle::install(engine, server.product, lane, days).await?;
    let name = lane.settings_component();
    let settings = match component(engine, &name, &template::settings(lane, Some(lifecycle), days)).await {
        // Neither lifecycle management nor a retention of data streams.
        Err(EngineError::Refused { status: 400, .. }) if lifecycle == lifecycle::Lifecycle::DataStream => {
            component(engine, &name, &template::settings(lane, None, days)).await?;
            let why = "this server cannot do that: documents stay until somebody deletes their indices";
            vec![Step::new(policy.what, Outcome::Short(why.to_owned()))]
        }
        done => vec![policy, done?],
    };
    let custom = create_once(engine, "component template", &lane.custom_component()).await?;
    let template = index_template(engine, lane.template(), &template::index_template(lane)).await?;
    Ok(settings.into_iter().chain([custom, template]).collect())
}

async fn component(engine: &Engine, name: &str, body: &Value) -> Result<Step, EngineError> {
    let list = "/component_templates/0/component_template";
    versioned(engine, "component template", &format!("/_component_template/{name}"), list, body).await
}

async fn index_template(engine: &Engine, name: &str, body: &Value) -> Result<Step, EngineError> {
    let list = "/index_templates/0/index_template";
    versioned(engine, "index template", &format!("/_index_template/{name}"), list, body).await
}

/// Writes what is not there, older, or of the same version and different.
async fn versioned(
    engine: &Engine,
    kind: &str,
    path: &str,
    place: &str,
    body: &Value,
) -> Result<Step, EngineError> {
    let what = format!("{kind} {}", path.rsplit('/').next().unwrap_or_default());
    let reply = engine.get(path).await?;
    let found = match reply.status {
        404 => None,
        _ => reply.or_refused(&format!("show the {what}"))?.body.pointer(place).cloned(),
    };
    let version = found.as_ref().and_then(|found| found.get("version")?.as_u64());
    if let Some(newer) = version.filter(|version| *version > template::VERSION) {
        tracing::info!(what, newer, "a newer Namewarden wrote it");
        return Ok(Step::new(what, Outcome::Kept));
    }
    if found.as_ref().is_some_and(|found| holds(found, body)) {
        return Ok(Step::new(what, Outcome::Kept));
    }
    engine.put(path, body).await?.or_refused(&format!("take the {what}"))?;
    Ok(Step::new(what, if found.is_some() { Outcome::Updated } else { Outcome::Created }))
}

/// Whether all that is wanted is there. Servers say scalars as text, and more than they were told.
fn holds(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| found.get(name).is_some_and(|found| holds(found, wanted)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found.iter().zip(wanted).all(|(found, wanted)| holds(found, wanted))
        }
        (found, wanted) => text(found) == text(wanted),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Makes it empty where it is not there.
async fn create_once(engine: &Engine, kind: &str, name: &str) -> Result<Step, EngineError> {
    let (what, path) = (format!("{kind} {name}"), format!("/_component_template/{name}"));
    let found = engine.get(&path).await?;
    if found.status != 404 {
        found.or_refused(&format!("show the {what}"))?;
        return Ok(Step::new(what, Outcome::Kept));
    }
    let made = engine.put(&format!("{path}?create=true"), &template::custom()).await?;
    made.or_refused(&format!("take the {what}"))?;
    Ok(Step::new(what, Outcome::Created))
}

/// Streams that are written to already learn the new fields; one that cannot gets a new index.
async fn existing_streams(engine: &Engine, types: Types) -> Result<Vec<Step>, EngineError> {
    let pattern = Lane::ALL.map(Lane::pattern).join(",");
    let found =
        engine.get(&format!("/_resolve/index/{pattern}")).await?.or_refused("list the data streams")?;
    let streams = found.body.get("data_streams").and_then(Value::as_array).cloned().unwrap_or_default();
    let mappings = super::mapping::mappings(types);
    let properties = json!({ "properties": mappings.get("properties") });
    let mut steps = Vec::new();
    for stream in streams.iter().filter_map(|stream| stream.get("name")?.as_str()) {
        let what = format!("fields of data stream {stream}");
        let told = engine.put(&format!("/{stream}/_mapping?write_index_only=true"), &properties).await?;
        if !told.is_success() {
            let rolled = engine.post(&format!("/{stream}/_rollover"), &json!({})).await?;
            rolled.or_refused(&format!("roll over {stream}"))?;
        }
        steps.push(Step::new(what, Outcome::Updated));
    }
    Ok(steps)
}

/// The alias that feeds are pushed to, where there is none.
async fn pushed_feeds(engine: &Engine, cluster: &str) -> Result<Vec<Step>, EngineError> {
    let template = index_template(engine, PUSH_TEMPLATE, &template::push_template()).await?;
    let alias = format!("{PUSH_PREFIX}{cluster}.");
    let what = format!("alias {alias}");
    let found = engine.get(&format!("/_alias/{alias}")).await?;
    if found.status != 404 {
        found.or_refused(&format!("show the {what}"))?;
        return Ok(vec![template, Step::new(what, Outcome::Kept)]);
    }
    let index = format!("{alias}namewarden-000001");
    let body = json!({ "aliases": { (&alias): { "is_write_index": true } } });
    engine.put(&format!("/{index}"), &body).await?.or_refused(&format!("make the {what}"))?;
    Ok(vec![template, Step::new(what, Outcome::Created)])
}

/// The index with what is said of alert groups, where there is none.
async fn annotations(engine: &Engine) -> Result<Vec<Step>, EngineError> {
    let template = index_template(engine, ANNOTATIONS, &template::annotations_template()).await?;
    let (what, path) = (format!("index {ANNOTATIONS}"), format!("/{ANNOTATIONS}"));
    let found = engine.get(&path).await?;
    if found.status != 404 {
        found.or_refused(&format!("show the {what}"))?;
        return Ok(vec![template, Step::new(what, Outcome::Kept)]);
    }
    engine.put(&path, &json!({})).await?.or_refused(&format!("make the {what}"))?;
    Ok(vec![template, Step::new(what, Outcome::Created)])
}
