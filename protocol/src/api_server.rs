//! The API server as agent and controller reach it, and why it did not do what it was asked for, in one sentence.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Config;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::Status;
use kube::runtime::watcher;

/// After so many seconds the API server ends a watch, which is begun again.
pub const WATCH_SECONDS: u32 = 60;

/// Why no API server can be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No kubeconfig was named, and the surroundings are not those of a pod.
    #[error("neither in a pod nor a kubeconfig ({reason})", reason = cause(.0))]
    Surroundings(Box<InferConfigError>),
    /// The kubeconfig.
    #[error("the kubeconfig {path} names no usable cluster: {reason}", path = path.display(), reason = cause(&**error))]
    Kubeconfig {
        /// Its path.
        path: PathBuf,
        /// Why.
        error: Box<KubeconfigError>,
    },
}

/// How the API server is reached: by this kubeconfig, else as in a pod, else as kubectl finds it.
pub async fn config(kubeconfig: Option<&Path>) -> Result<Config, ConfigError> {
    let mut config = match kubeconfig {
        None => Config::infer().await.map_err(|error| ConfigError::Surroundings(Box::new(error)))?,
        Some(path) => read(path)
            .await
            .map_err(|error| ConfigError::Kubeconfig { path: path.to_owned(), error: Box::new(error) })?,
    };
    // The API server ends a watch before that: a connection so silent is dead.
    config.read_timeout = Some(Duration::from_secs(u64::from(WATCH_SECONDS) + 10));
    Ok(config)
}

async fn read(path: &Path) -> Result<Config, KubeconfigError> {
    Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default()).await
}

/// Why a request failed.
pub fn why(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => refusal(status),
        error => cause(error),
    }
}

/// Why a watch broke off.
pub fn why_no_watch(error: &watcher::Error) -> String {
    use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => why(error),
        WatchError(status) => refusal(status),
        NoResourceVersion => error.to_string(),
    }
}

fn refusal(status: &Status) -> String {
    let message = status.message.trim();
    match (status.code, message) {
        (401, _) => "it does not know the credentials that it is shown".to_owned(),
        (403, message) => format!("a right is missing in the role: {message}"),
        (code, "") => format!("it answers {code}"),
        (_, message) => message.to_owned(),
    }
}

/// The cause behind all others: what is above it only says where it happened. Its first line: a parser shows the place in
/// more lines.
fn cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, message: message.to_owned(), ..Status::default() }))
    }

    #[test]
    fn a_missing_right_is_one_sentence() {
        let message = "leases \"a\" is forbidden: User \"b\" cannot get resource \"leases\"";
        assert_eq!(why(&api(403, message)), format!("a right is missing in the role: {message}"));
        assert_eq!(
            why_no_watch(&watcher::Error::InitialListFailed(api(403, message))),
            why(&api(403, message))
        );
    }

    #[test]
    fn an_answer_without_words_is_its_status() {
        assert_eq!(why(&api(500, "")), "it answers 500");
        assert_eq!(why(&api(401, "Unauthorized")), "it does not know the credentials that it is shown");
    }

    #[test]
    fn a_kubeconfig_that_is_none_is_one_line() {
        let error = Kubeconfig::from_yaml("a list\n  of: names\n").unwrap_err();
        let said = ConfigError::Kubeconfig { path: PathBuf::from("names.txt"), error: Box::new(error) };
        let said = said.to_string();
        assert!(said.starts_with("the kubeconfig names.txt names no usable cluster: "), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }

    #[test]
    fn what_no_server_answered_is_its_cause() {
        let inner = std::io::Error::other("connection refused");
        assert_eq!(why(&kube::Error::ReadEvents(inner)), "connection refused");
    }
}
