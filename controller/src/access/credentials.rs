//! The `Authorization` header -> credentials.

use std::fmt;

use axum::http::{HeaderMap, header};
use data_encoding::{BASE64, BASE64_NOPAD};

use super::Denied;

/// Longer tokens and passwords are refused: nobody's are.
const MAX_BYTES: usize = 16 * 1024;

/// A token or password: neither logs nor debug output show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text that must not be shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a request shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    None,
    Bearer(Secret),
    Basic { user: String, password: Secret },
}

impl Credentials {
    /// Reads them; a header that is no credentials is refused, for it was meant as some.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Denied> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(Self::None) };
        if values.next().is_some() || value.len() > MAX_BYTES {
            return Err(Denied::BadCredentials);
        }
        let text = value.to_str().map_err(|_| Denied::BadCredentials)?;
        let (scheme, rest) = text.trim().split_once(' ').ok_or(Denied::BadCredentials)?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") && !rest.is_empty() {
            Ok(Self::Bearer(Secret::new(rest)))
        } else if scheme.eq_ignore_ascii_case("basic") {
            basic(rest).ok_or(Denied::BadCredentials)
        } else {
            Err(Denied::BadCredentials)
        }
    }

    /// The token: of clients that speak basic only, their password.
    pub(super) fn token(&self) -> Option<&Secret> {
        match self {
            Self::None => None,
            Self::Bearer(token) => Some(token),
            Self::Basic { password, .. } => Some(password),
        }
    }
}

fn basic(encoded: &str) -> Option<Credentials> {
    let bytes =
        BASE64.decode(encoded.as_bytes()).or_else(|_| BASE64_NOPAD.decode(encoded.as_bytes())).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials::Basic { user: user.to_owned(), password: Secret::new(password) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Credentials, Denied> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        Credentials::read(&headers)
    }

    #[test]
    fn a_bearer_token_is_read_whatever_the_case_of_its_scheme() {
        assert_eq!(read("bEARER abc"), Ok(Credentials::Bearer(Secret::new("abc"))));
    }

    #[test]
    fn a_password_may_hold_colons_and_be_encoded_without_padding() {
        let expected = Credentials::Basic { user: "ann".to_owned(), password: Secret::new("a:b") };
        assert_eq!(read("Basic YW5uOmE6Yg=="), Ok(expected));
        assert!(read("Basic YW5uOmE6Yg").is_ok());
    }

    #[test]
    fn what_is_no_credentials_is_refused() {
        for value in ["Bearer", "Bearer ", "Basic ///", "Basic YW5u", "Digest x=y", "abc"] {
            assert_eq!(read(value), Err(Denied::BadCredentials), "{value}");
        }
    }

    #[test]
    fn two_headers_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(header::AUTHORIZATION, "Bearer a".parse().unwrap());
        headers.append(header::AUTHORIZATION, "Bearer b".parse().unwrap());
        assert_eq!(Credentials::read(&headers), Err(Denied::BadCredentials));
    }

    #[test]
    fn debug_output_hides_the_secret() {
        assert!(!format!("{:?}", read("Bearer hush").unwrap()).contains("hush"));
    }
}
