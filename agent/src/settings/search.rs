//! How search engines are reached, as used: one kind of credentials, secrets from a file or the environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use namewarden_protocol::document::{Action, DataStream};

use super::STATE_DIR;
use crate::args::{SearchArgs, StateArgs};
use crate::pipeline::sink::search::{
    Settings,
    client::{self, Credentials, Secret},
};
use crate::pipeline::sink::spool::Limits;

/// Validates the options; the folder is not looked at before it is needed.
pub fn settings(arguments: &SearchArgs, state: &StateArgs, namespace: &str) -> anyhow::Result<Settings> {
    let SearchArgs { search_ca, search_certificate, search_key, spool_mib, spool_hours, .. } = arguments;
    let stream = |action: Action| DataStream::of(action, namespace).name();
    Ok(Settings {
        client: client::Settings {
            credentials: credentials(arguments, &|name| std::env::var(name).ok())?,
            authorities: search_ca.clone(),
            certificate: search_certificate.clone().zip(search_key.clone()),
        },
        limits: Limits { bytes: spool_mib << 20, age: Duration::from_hours(*spool_hours) },
        folder: state.state_dir.clone().unwrap_or_else(|| PathBuf::from(STATE_DIR)).join("spool"),
        alert_stream: stream(Action::ListedName),
        log_stream: stream(Action::DnsLog),
    })
}

fn credentials(
    arguments: &SearchArgs,
    variable: &dyn Fn(&str) -> Option<String>,
) -> anyhow::Result<Credentials> {
    let SearchArgs { search_user, search_password_file, search_api_key_file, search_token_file, .. } =
        arguments;
    let secret = |file: Option<&Path>, name: &str| match file {
        Some(path) => Some(Secret::File(path.to_owned())),
        None => variable(name).filter(|value| !value.is_empty()).map(Secret::Value),
    };
    let password = secret(search_password_file.as_deref(), "NAMEWARDEN_SEARCH_PASSWORD");
    let key = secret(search_api_key_file.as_deref(), "NAMEWARDEN_SEARCH_API_KEY");
    let token = secret(search_token_file.as_deref(), "NAMEWARDEN_SEARCH_TOKEN");
    match (search_user, password, key, token) {
        (None, None, None, None) => Ok(Credentials::None),
        (Some(user), Some(password), None, None) => Ok(Credentials::Basic { user: user.clone(), password }),
        (None, None, Some(key), None) => Ok(Credentials::ApiKey(key)),
        (None, None, None, Some(token)) => Ok(Credentials::Bearer(token)),
        (Some(user), None, None, None) => bail!(
            "the search engine's user {user:?} has no password; give --search-password-file or \
             NAMEWARDEN_SEARCH_PASSWORD"
        ),
        (None, Some(_), None, None) => {
            bail!("there is a password for the search engine and no user; give --search-user")
        }
        _ => bail!(
            "there is more than one kind of credentials for the search engine; give a user with a password, an API \
             key, or a token"
        ),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        search: SearchArgs,
    }

    fn of(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Credentials> {
        let line = Line::try_parse_from(["agent"].iter().chain(arguments)).unwrap();
        let known = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        credentials(&line.search, &known)
    }

    #[test]
    fn a_secret_comes_from_a_file_or_from_the_environment() {
        assert_eq!(of(&[], &[]).unwrap(), Credentials::None);
        let user = ["--search-user", "agent"];
        let password = Secret::Value("s3cret".to_owned());
        let basic = Credentials::Basic { user: "agent".to_owned(), password };
        assert_eq!(of(&user, &[("NAMEWARDEN_SEARCH_PASSWORD", "s3cret")]).unwrap(), basic);
        let key = Credentials::ApiKey(Secret::File("/key".into()));
        assert_eq!(
            of(&["--search-api-key-file", "/key"], &[("NAMEWARDEN_SEARCH_API_KEY", "x")]).unwrap(),
            key
        );
        let token = Credentials::Bearer(Secret::Value("t".to_owned()));
        assert_eq!(of(&[], &[("NAMEWARDEN_SEARCH_TOKEN", "t")]).unwrap(), token);
    }

    #[test]
    fn credentials_that_are_none_or_two_are_refused() {
        let user = ["--search-user", "agent"];
        assert!(of(&user, &[]).unwrap_err().to_string().contains("--search-password-file"));
        let password = ("NAMEWARDEN_SEARCH_PASSWORD", "p");
        assert!(of(&[], &[password]).unwrap_err().to_string().contains("--search-user"));
        let both = of(&user, &[password, ("NAMEWARDEN_SEARCH_TOKEN", "t")]);
        assert!(both.unwrap_err().to_string().contains("more than one kind"));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let shown = format!("{:?}", of(&[], &[("NAMEWARDEN_SEARCH_TOKEN", "t0p")]).unwrap());
        assert!(!shown.contains("t0p"), "{shown}");
    }
}
