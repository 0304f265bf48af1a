//! Fields that the resource does not have: an API server refuses them, a folder of manifests must too.

use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use serde_json::Value;

use super::Group;

/// The paths of all fields below `spec` that the schema does not know.
pub fn unknown_fields(document: &Value) -> Vec<String> {
    static SCHEMA: LazyLock<Option<JSONSchemaProps>> = LazyLock::new(|| {
        let version = Group::ProjectCalico.crd().spec.versions.into_iter().next()?;
        version.schema?.open_api_v3_schema?.properties?.remove("spec")
    });
    let mut unknown = Vec::new();
    if let (Some(schema), Some(spec)) = (&*SCHEMA, document.get("spec")) {
        find(spec, schema, "spec", &mut unknown);
    }
    unknown
}

fn find(value: &Value, schema: &JSONSchemaProps, path: &str, unknown: &mut Vec<String>) {
    match (value, &schema.properties, &schema.items) {
        (Value::Object(fields), Some(properties), _) => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                match properties.get(name) {
                    Some(schema) => find(value, schema, &path, unknown),
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(items), _, Some(JSONSchemaPropsOrArray::Schema(schema))) => {
            for (position, item) in items.iter().enumerate() {
                find(item, schema, &format!("{path}[{position}]"), unknown);
            }
        }
        _ => {}
    }
}
