//! Did a step fail for want of a network? Read from what the package clients say, so that one sentence can say it.

/// What rustup, cargo, go and apt-get say when they reach nobody.
const SIGNS: &[&str] = &[
    // The resolver's own words, by way of any of them.
    "Temporary failure in name resolution",
    "Temporary failure resolving",
    "Could not resolve host",
    "Couldn't resolve host",
    "no such host",
    "server misbehaving",
    // No route, or nobody there.
    "Network is unreachable",
    "network is unreachable",
    "Connection refused",
    "connection refused",
    "Could not connect to",
    "Couldn't connect to server",
    // rustup and cargo, whatever the reason.
    "could not download file from",
    "error sending request for url",
    "spurious network error",
    "failed to get successful HTTP response",
];

/// True where `output` says so, and not that code of ours does not compile, whose lines may hold any words.
pub fn is_missing(output: &str) -> bool {
    !output.contains("could not compile") && SIGNS.iter().any(|sign| output.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_is_understood() {
        for output in [
            "error: could not download file from 'https://a.example/x' to '/tmp/x'",
            "warning: spurious network error (3 tries remaining): [6] Couldn't resolve host name",
            "W: Failed to fetch http://a.example/x  Temporary failure resolving 'a.example'",
            "go: k8s.io/k@v1: dial tcp: lookup a.example: no such host",
        ] {
            assert!(is_missing(output), "{output}");
        }
    }

    #[test]
    fn an_error_of_the_code_is_no_missing_network() {
        let output = "error[E0425]\n7 | fail(\"Connection refused\")\nerror: could not compile `agent`";
        assert!(!is_missing(output));
    }
}
