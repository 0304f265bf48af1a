//! Who asks a search engine. Secrets are in files or in the environment, never on a command line.

use std::path::{Path, PathBuf};
use std::{env, fmt, fs};

/// A secret, or the file that holds it, read anew for each request: it is renewed there.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// From the environment.
    Value(String),
    /// In this file.
    File(PathBuf),
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => formatter.write_str("Value(…)"),
            Self::File(path) => write!(formatter, "File({})", path.display()),
        }
    }
}

impl Secret {
    pub(super) fn read(&self) -> Result<String, String> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::File(path) => {
                fs::read_to_string(path).map(|text| text.trim().to_owned()).map_err(|error| {
                    format!("the file {} with its secret cannot be read: {error}", path.display())
                })
            }
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody in particular, or the holder of a certificate.
    #[default]
    None,
    /// A user with a password.
    Basic {
        /// The user.
        user: String,
        /// Its password.
        password: Secret,
    },
    /// An API key of Elasticsearch's, as it hands it out (encoded).
    ApiKey(Secret),
    /// A token.
    Bearer(Secret),
}

/// Why credentials are none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// A user alone.
    #[error(
        "the search engine's user {0:?} has no password; give --search-password-file or NAMEWARDEN_SEARCH_PASSWORD"
    )]
    NoPassword(String),
    /// A password alone.
    #[error("there is a password for the search engine and no user; give --search-user")]
    NoUser,
    /// More than one kind.
    #[error(
        "there is more than one kind of credentials for the search engine; give a user with a password, an API key, or a \
         token"
    )]
    Several,
}

impl Secret {
    /// The file where one is named, else what the environment variable holds, unless it is empty.
    pub fn found(file: Option<&Path>, variable: &str) -> Option<Self> {
        match file {
            Some(path) => Some(Self::File(path.to_owned())),
            None => env::var(variable).ok().filter(|value| !value.is_empty()).map(Self::Value),
        }
    }
}

impl Credentials {
    /// The one kind that was given.
    ///
    /// # Errors
    ///
    /// A user without password, a password without user, more than one kind.
    pub fn chosen(
        user: Option<&str>,
        password: Option<Secret>,
        key: Option<Secret>,
        token: Option<Secret>,
    ) -> Result<Self, CredentialsError> {
        match (user, password, key, token) {
            (None, None, None, None) => Ok(Self::None),
            (Some(user), Some(password), None, None) => Ok(Self::Basic { user: user.to_owned(), password }),
            (None, None, Some(key), None) => Ok(Self::ApiKey(key)),
            (None, None, None, Some(token)) => Ok(Self::Bearer(token)),
            (Some(user), None, None, None) => Err(CredentialsError::NoPassword(user.to_owned())),
            (None, Some(_), None, None) => Err(CredentialsError::NoUser),
            _ => Err(CredentialsError::Several),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Secret {
        Secret::Value(text.to_owned())
    }

    #[test]
    fn one_kind_of_credentials_is_taken() {
        let of = Credentials::chosen;
        assert_eq!(of(None, None, None, None).unwrap(), Credentials::None);
        let basic = Credentials::Basic { user: "agent".to_owned(), password: value("s3cret") };
        assert_eq!(of(Some("agent"), Some(value("s3cret")), None, None).unwrap(), basic);
        assert_eq!(of(None, None, Some(value("k")), None).unwrap(), Credentials::ApiKey(value("k")));
        assert_eq!(of(None, None, None, Some(value("t"))).unwrap(), Credentials::Bearer(value("t")));
    }

    #[test]
    fn credentials_that_are_half_or_two_are_refused() {
        let refused = |user, password, key, token| {
            Credentials::chosen(user, password, key, token).unwrap_err().to_string()
        };
        assert!(refused(Some("agent"), None, None, None).contains("--search-password-file"));
        assert!(refused(None, Some(value("p")), None, None).contains("--search-user"));
        assert!(
            refused(Some("agent"), Some(value("p")), None, Some(value("t"))).contains("more than one kind")
        );
        assert!(refused(None, None, Some(value("k")), Some(value("t"))).contains("more than one kind"));
    }

    #[test]
    fn a_file_goes_before_the_environment_and_a_secret_is_never_shown() {
        let file = Secret::found(Some(Path::new("/key")), "PATH");
        assert_eq!(file, Some(Secret::File("/key".into())));
        let found = Secret::found(None, "PATH").unwrap();
        assert_eq!(format!("{found:?}"), "Value(…)");
        assert_eq!(Secret::found(None, "NAMEWARDEN_NO_SUCH_VARIABLE"), None);
    }
}
