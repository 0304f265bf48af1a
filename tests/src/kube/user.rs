//! Users of the API server, known by a token: those of a file that it reads at its start, and service accounts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

/// Users that the API server knows by itself: name, and group where there is one.
const USERS: [(&str, &str); 3] = [("admin", "system:masters"), ("alice", ""), ("bob", "")];

/// Somebody with a token.
#[derive(Clone, Debug)]
pub struct User {
    name: String,
    token: String,
}

impl User {
    /// Who may do everything.
    pub fn admin() -> Self {
        Self::named("admin")
    }

    /// A person who may do what RBAC says of `alice`: nothing at first.
    pub fn alice() -> Self {
        Self::named("alice")
    }

    /// Another one.
    pub fn bob() -> Self {
        Self::named("bob")
    }

    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), token: token(name) }
    }

    /// Who shows `token`; `name` tells the files of several users apart.
    pub fn of_token(name: &str, token: &str) -> Self {
        Self { name: name.to_owned(), token: token.to_owned() }
    }

    /// What it shows.
    pub fn token(&self) -> &str {
        &self.token
    }
}

fn token(name: &str) -> String {
    format!("token-of-{name}")
}

/// Writes the file of users that the API server reads.
pub(super) fn write_tokens(folder: &Path) -> Result<()> {
    let lines = USERS.map(|(name, group)| format!("{},{name},{name},\"{group}\"\n", token(name)));
    Ok(fs::write(folder.join("tokens.csv"), lines.concat())?)
}

/// Writes a file by which clients reach the server at `url` as `user`.
pub(super) fn kubeconfig(folder: &Path, user: &User, url: &str, authority: &Path) -> Result<PathBuf> {
    let place = url.rsplit(':').next().unwrap_or_default();
    let path = folder.join(format!("{}-{place}.kubeconfig", user.name));
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{name: test, cluster: {{server: {url}, certificate-authority: {}}}}}]\n\
         users: [{{name: test, user: {{token: {}}}}}]\n\
         contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n",
        authority.display(),
        user.token
    );
    // Renamed, so that a kubectl beside this one never reads half of it.
    let draft = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(draft.path(), text)?;
    draft.persist(&path)?;
    Ok(path)
}
