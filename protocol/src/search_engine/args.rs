//! How search engines are reached, as typed. No option holds a secret: the command line is there for all to see.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::{Credentials, CredentialsError, Secret, Settings};

/// How search engines are reached. Secrets are read from files, or from the environment: `NAMEWARDEN_SEARCH_PASSWORD`,
/// `NAMEWARDEN_SEARCH_API_KEY`, `NAMEWARDEN_SEARCH_TOKEN`.
#[derive(Clone, Debug, clap::Args)]
pub struct SearchEngineArgs {
    /// User of the search engine; the password is in --search-password-file or in `NAMEWARDEN_SEARCH_PASSWORD`.
    #[arg(long, env = "NAMEWARDEN_SEARCH_USER", value_name = "NAME")]
    pub search_user: Option<String>,

    /// File with that user's password; files with secrets are read anew for each request.
    #[arg(long, env = "NAMEWARDEN_SEARCH_PASSWORD_FILE", value_name = "PATH", requires = "search_user")]
    pub search_password_file: Option<PathBuf>,

    /// File with an API key of Elasticsearch, as it was handed out; or the key in `NAMEWARDEN_SEARCH_API_KEY`.
    #[arg(long, env = "NAMEWARDEN_SEARCH_API_KEY_FILE", value_name = "PATH")]
    pub search_api_key_file: Option<PathBuf>,

    /// File with a bearer token; or the token in `NAMEWARDEN_SEARCH_TOKEN`.
    #[arg(long, env = "NAMEWARDEN_SEARCH_TOKEN_FILE", value_name = "PATH")]
    pub search_token_file: Option<PathBuf>,

    /// Certificate authorities (PEM) that vouch for the search engine, beside the compiled-in ones.
    #[arg(long, env = "NAMEWARDEN_SEARCH_CA", value_name = "PATH")]
    pub search_ca: Option<PathBuf>,

    /// Certificate (PEM) by which the search engine knows who asks.
    #[arg(long, env = "NAMEWARDEN_SEARCH_CERTIFICATE", value_name = "PATH", requires = "search_key")]
    pub search_certificate: Option<PathBuf>,

    /// Key (PEM) of that certificate.
    #[arg(long, env = "NAMEWARDEN_SEARCH_KEY", value_name = "PATH", requires = "search_certificate")]
    pub search_key: Option<PathBuf>,
}

/// Why a search engine cannot be reached as the options say.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// A file.
    #[error("{option} {}: {error}; name a file that this program may read", path.display())]
    File {
        /// The option.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Who asks.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

impl SearchEngineArgs {
    /// As used: one kind of credentials; every file can be opened now. Files are read for each request, and may change.
    ///
    /// # Errors
    ///
    /// One sentence for files that cannot be read and for credentials that are none.
    pub fn settings(&self) -> Result<Settings, OptionsError> {
        self.readable()?;
        let credentials = Credentials::chosen(
            self.search_user.as_deref(),
            Secret::found(self.search_password_file.as_deref(), "NAMEWARDEN_SEARCH_PASSWORD"),
            Secret::found(self.search_api_key_file.as_deref(), "NAMEWARDEN_SEARCH_API_KEY"),
            Secret::found(self.search_token_file.as_deref(), "NAMEWARDEN_SEARCH_TOKEN"),
        )?;
        Ok(Settings {
            credentials,
            authorities: self.search_ca.clone(),
            certificate: self.search_certificate.clone().zip(self.search_key.clone()),
        })
    }

    fn readable(&self) -> Result<(), OptionsError> {
        let files = [
            ("--search-password-file", &self.search_password_file),
            ("--search-api-key-file", &self.search_api_key_file),
            ("--search-token-file", &self.search_token_file),
            ("--search-ca", &self.search_ca),
            ("--search-certificate", &self.search_certificate),
            ("--search-key", &self.search_key),
        ];
        for (option, path) in files.into_iter().filter_map(|(option, path)| Some((option, path.as_ref()?))) {
            File::open(path).map_err(|error| OptionsError::File { option, path: path.clone(), error })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        search: SearchEngineArgs,
    }

    fn of(arguments: &[&str]) -> Result<Settings, OptionsError> {
        Line::try_parse_from(["program"].iter().chain(arguments)).unwrap().search.settings()
    }

    #[test]
    fn a_file_with_a_secret_is_looked_at_before_the_start() {
        let error = of(&["--search-token-file", "/no/such/file"]).unwrap_err().to_string();
        assert!(error.starts_with("--search-token-file /no/such/file: "), "{error}");
        let token = of(&["--search-token-file", "/dev/null"]).unwrap().credentials;
        assert_eq!(token, Credentials::Bearer(Secret::File("/dev/null".into())));
    }
}
