//! Why the API server did not do what it was asked for, in one sentence.

use std::error::Error;

use kube::core::Status;
use kube::runtime::watcher;

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
        (401, _) => "it does not know the credentials of this controller".to_owned(),
        (403, message) => format!("a right is missing in the controller's role: {message}"),
        (code, "") => format!("it answers {code}"),
        (_, message) => message.to_owned(),
    }
}

/// The cause behind all others: what is above it only says where it happened.
fn cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
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
        assert_eq!(
            why(&api(403, message)),
            format!("a right is missing in the controller's role: {message}")
        );
        assert_eq!(
            why_no_watch(&watcher::Error::InitialListFailed(api(403, message))),
            why(&api(403, message))
        );
    }

    #[test]
    fn an_answer_without_words_is_its_status() {
        assert_eq!(why(&api(500, "")), "it answers 500");
        assert_eq!(why(&api(401, "Unauthorized")), "it does not know the credentials of this controller");
    }

    #[test]
    fn what_no_server_answered_is_its_cause() {
        let inner = std::io::Error::other("connection refused");
        assert_eq!(why(&kube::Error::ReadEvents(inner)), "connection refused");
    }
}
