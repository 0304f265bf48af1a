//! OpenSearch with its security plugin: TLS, users, roles.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{Guard, SUPERUSER, password, variable};

/// What the server's settings say of it. Nodes talk over TLS too, though there is one.
pub(super) const SETTINGS: &str = "\
plugins.security.allow_default_init_securityindex: true
plugins.security.nodes_dn: ['CN=rcgen self signed cert']
plugins.security.ssl.http.clientauth_mode: OPTIONAL
plugins.security.ssl.transport.pemcert_filepath: tls.crt
plugins.security.ssl.transport.pemkey_filepath: tls.key
plugins.security.ssl.transport.pemtrustedcas_filepath: ca.crt
plugins.security.ssl.transport.enforce_hostname_verification: false
plugins.security.ssl.http.enabled: true
plugins.security.ssl.http.pemcert_filepath: tls.crt
plugins.security.ssl.http.pemkey_filepath: tls.key
plugins.security.ssl.http.pemtrustedcas_filepath: ca.crt
";

/// Writes down who may do what, where the plugin reads it at its first start.
pub(super) fn let_in(home: &Path, settings: &Path, guard: &Guard<'_>) -> Result<()> {
    let plugin = home.join("plugins/opensearch-security");
    let folder = settings.join("opensearch-security");
    fs::create_dir(&folder)?;
    super::copy_files(&plugin.join("config"), &folder)?;
    let mut users = document("internalusers");
    let mut roles = document("roles");
    let mut mapping = document("rolesmapping");
    put(&mut users, SUPERUSER, json!({"hash": hash(&plugin, SUPERUSER)?}));
    put(&mut mapping, "all_access", json!({"users": [SUPERUSER]}));
    for (name, role) in guard.users {
        put(&mut users, name, json!({"hash": hash(&plugin, name)?}));
        put(&mut roles, name, serde_json::from_str(role)?);
        put(&mut mapping, name, json!({"users": [name]}));
    }
    // JSON is YAML.
    let files = [("config", ways()), ("internal_users", users), ("roles", roles), ("roles_mapping", mapping)];
    for (file, document) in files {
        fs::write(folder.join(format!("{file}.yml")), document.to_string())?;
    }
    Ok(())
}

/// The key that tokens are signed with (HMAC with SHA-256), as the plugin is told it.
pub const TOKEN_KEY: &str = "a key of the tests alone, of at least 256 bits";

/// How somebody shows who they are: by a token, by a certificate, by a password.
fn ways() -> Value {
    let way = |order, kind: &str, challenge, config: Value, backend: &str| {
        json!({
            "http_enabled": true, "order": order,
            "http_authenticator": {"type": kind, "challenge": challenge, "config": config},
            "authentication_backend": {"type": backend, "config": {}},
        })
    };
    let mut config = document("config");
    let key = data_encoding::BASE64.encode(TOKEN_KEY.as_bytes());
    let authc = json!({
        "token": way(0, "jwt", false, json!({"signing_key": key}), "noop"),
        "certificate": way(1, "clientcert", false, json!({"username_attribute": "cn"}), "noop"),
        "password": way(2, "basic", true, json!({}), "intern"),
    });
    put(
        &mut config,
        "config",
        json!({"dynamic": {"http": {"anonymous_auth_enabled": false}, "authc": authc}}),
    );
    config
}

fn document(kind: &str) -> Value {
    json!({"_meta": {"type": kind, "config_version": 2}})
}

fn put(document: &mut Value, name: &str, value: Value) {
    if let Some(members) = document.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

/// The hash of a user's password, as the plugin makes it.
fn hash(plugin: &Path, user: &str) -> Result<String> {
    let mut command = Command::new("bash");
    command.arg(plugin.join("tools/hash.sh")).args(["-p", &password(user)]);
    command.env("OPENSEARCH_JAVA_HOME", variable("NAMEWARDEN_SEARCH_JAVA")?).stderr(Stdio::null());
    let output = command.output().context("cannot start the plugin's hash.sh")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let hash = said.lines().rev().find(|line| line.starts_with("$2"));
    Ok(hash.with_context(|| format!("the plugin's hash.sh gives no hash: {said}"))?.to_owned())
}
