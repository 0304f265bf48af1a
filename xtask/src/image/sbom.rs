//! What a program is made of, as CycloneDX 1.6: every crate that is linked into it with version, licence and the digest of its
//! source, as Cargo resolved it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::command::output;
use crate::compiler;
use crate::layout::Layout;

/// A crate as cargo's tree names it.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Component {
    name: String,
    version: String,
    licence: String,
}

/// The document for `package` of this version, built for `target`, with what else is embedded in it.
pub fn write(layout: &Layout, package: &str, embedded: &[&str], target: &str) -> Result<String> {
    let mut components = tree(layout, package, target)?;
    for part in embedded {
        components.extend(tree(layout, part, "all")?);
    }
    let lock = layout.root.join("Cargo.lock");
    let lock = fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let document = document(package, target, &components, &checksums(&lock));
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// What is linked into a package: neither build scripts nor macros.
fn tree(layout: &Layout, package: &str, target: &str) -> Result<BTreeSet<Component>> {
    let mut cargo = compiler::user_cargo(layout, "tree");
    cargo.args(["--locked", "--package", package, "--target", target]);
    cargo.args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}\t{l}"]);
    let text = output(&mut cargo).with_context(|| format!("cannot say what {package} is made of"))?;
    Ok(text.lines().filter_map(component).collect())
}

/// From `aya v0.16.0<tab>MIT OR Apache-2.0`, or with a folder behind the version.
fn component(line: &str) -> Option<Component> {
    let (package, licence) = line.split_once('\t')?;
    let mut words = package.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some(Component {
        name: name.to_owned(),
        version: version.to_owned(),
        // A crate that was seen before is marked so; old crates write "or" as a slash.
        licence: licence.trim_end_matches("(*)").trim().replace('/', " OR ").replace("  OR  ", " OR "),
    })
}

/// SHA-256 of each published crate's source, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let mut checksums = BTreeMap::new();
    for package in lock.split("[[package]]") {
        let value = |key: &str| {
            package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'))
        };
        if let (Some(name), Some(version), Some(sum)) = (value("name"), value("version"), value("checksum")) {
            checksums.insert((name.to_owned(), version.to_owned()), sum.to_owned());
        }
    }
    checksums
}

fn document(
    package: &str,
    target: &str,
    components: &BTreeSet<Component>,
    checksums: &BTreeMap<(String, String), String>,
) -> Value {
    let itself = components.iter().find(|component| component.name == package);
    let others = components.iter().filter(|component| component.name != package);
    let list: Vec<Value> = others
        .map(|component| {
            let key = (component.name.clone(), component.version.clone());
            describe(component, "library", checksums.get(&key))
        })
        .collect();
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": itself.map(|component| describe(component, "application", None)),
            "properties": [{ "name": "cargo:target", "value": target }],
        },
        "components": list,
    })
}

fn describe(component: &Component, kind: &str, checksum: Option<&String>) -> Value {
    let Component { name, version, licence } = component;
    let url = format!("pkg:cargo/{name}@{version}");
    let mut described =
        json!({ "type": kind, "name": name, "version": version, "purl": url, "bom-ref": url });
    if let Some(fields) = described.as_object_mut() {
        if !licence.is_empty() {
            fields.insert("licenses".to_owned(), json!([{ "expression": licence }]));
        }
        if let Some(sum) = checksum {
            fields.insert("hashes".to_owned(), json!([{ "alg": "SHA-256", "content": sum }]));
        }
    }
    described
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crate_has_version_licence_and_digest() {
        let lines = "thing v0.1.0 (/src/thing)\tApache-2.0\naya v0.16.0\tMIT/Apache-2.0\naya v0.16.0\tMIT/Apache-2.0 (*)\n";
        let components: BTreeSet<Component> = lines.lines().filter_map(component).collect();
        let lock =
            "[[package]]\nname = \"aya\"\nversion = \"0.16.0\"\nsource = \"x\"\nchecksum = \"c0ffee\"\n";
        let document = document("thing", "t", &components, &checksums(lock));
        assert_eq!(document["metadata"]["component"]["name"], "thing");
        assert_eq!(
            document["components"],
            json!([{
                "type": "library", "name": "aya", "version": "0.16.0", "purl": "pkg:cargo/aya@0.16.0",
                "bom-ref": "pkg:cargo/aya@0.16.0", "licenses": [{ "expression": "MIT OR Apache-2.0" }],
                "hashes": [{ "alg": "SHA-256", "content": "c0ffee" }],
            }])
        );
    }
}
