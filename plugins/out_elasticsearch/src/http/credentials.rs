//! Who we say that we are: a header made of parameters, or of a file that is read again when a server refuses it.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::header::HeaderValue;
use sdk::{
    config::{ConfigError, ConfigErrors, Secret},
    output::{Failure, FailureKind},
};

use crate::config::Config;

/// The header `Authorization` of an output.
#[derive(Debug)]
pub(crate) struct Credentials {
    scheme: Scheme,
    source: Source,
    latest: Mutex<Latest>,
}

/// What stands in the header.
#[derive(Debug)]
enum Scheme {
    /// A user and the secret.
    Basic(String),
    /// `id:key`, or the same encoded.
    ApiKey,
    /// The secret.
    Bearer,
}

/// Where the secret comes from.
#[derive(Debug)]
enum Source {
    Given(Secret),
    /// The parameter that names it, and where it is.
    File(&'static str, PathBuf),
}

#[derive(Debug, Default)]
struct Latest {
    header: Option<HeaderValue>,
    /// A server refused it, so the file is read before it is sent again.
    is_refused: bool,
}

impl Credentials {
    /// What the parameters say. Reads no files.
    pub(crate) fn of(config: &Config, errors: &mut ConfigErrors) -> Option<Self> {
        let (scheme, source) = config.credentials()?;
        if let Source::Given(secret) = &source
            && scheme.header(secret).is_none()
        {
            let (name, what) = match scheme {
                Scheme::ApiKey => ("api_key", "an API key"),
                Scheme::Basic(_) | Scheme::Bearer => ("bearer_token", "a token"),
            };
            let error = ConfigError::at(format!("/{name}"), format!("this is not {what}"));
            errors.push(match scheme {
                Scheme::ApiKey => error.help("write it as `id:key`, or as Elasticsearch prints it"),
                Scheme::Basic(_) | Scheme::Bearer => error.help("write it as it was issued"),
            });
        }
        Some(Self {
            scheme,
            source,
            latest: Mutex::default(),
        })
    }

    /// The header. Reads the file when it was not read before, or when what it held was refused.
    ///
    /// # Errors
    /// A file that cannot be read, or that holds no secret.
    pub(crate) async fn header(&self) -> Result<HeaderValue, Failure> {
        if let Some(header) = self.known() {
            return Ok(header);
        }
        let header = self.read().await?;
        self.keep(header.clone(), false);
        Ok(header)
    }

    /// Another header than the one that a server refused: what was read meanwhile, or what the file holds now.
    pub(crate) async fn other_than(&self, refused: &HeaderValue) -> Option<HeaderValue> {
        if matches!(self.source, Source::Given(_)) {
            return None;
        }
        if let Some(header) = self.known().filter(|header| header != refused) {
            return Some(header);
        }
        let header = self.read().await.unwrap_or_else(|_| refused.clone());
        let is_another = header != *refused;
        self.keep(header.clone(), !is_another);
        is_another.then_some(header)
    }

    fn known(&self) -> Option<HeaderValue> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.header.clone().filter(|_| !latest.is_refused)
    }

    fn keep(&self, header: HeaderValue, is_refused: bool) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Latest {
            header: Some(header),
            is_refused,
        };
    }

    async fn read(&self) -> Result<HeaderValue, Failure> {
        let failed = |message: String| Failure::new(FailureKind::Auth, message);
        let (place, secret) = match &self.source {
            Source::Given(secret) => ("the secret".to_owned(), secret.clone()),
            Source::File(parameter, path) => {
                let place = format!("{parameter} {}", path.display());
                let text = tokio::fs::read_to_string(path).await;
                let text =
                    text.map_err(|error| failed(format!("{place} cannot be read: {error}")))?;
                (place, Secret::new(text.trim_end_matches(['\r', '\n'])))
            }
        };
        if secret.expose().is_empty() && matches!(self.source, Source::File(..)) {
            return Err(failed(format!("{place} is empty")));
        }
        let header = self.scheme.header(&secret);
        header.ok_or_else(|| failed(format!("{place} holds what cannot be sent in a header")))
    }
}

impl Scheme {
    /// The header; `None`: the secret has bytes that a header cannot have.
    fn header(&self, secret: &Secret) -> Option<HeaderValue> {
        match self {
            Self::Basic(user) => Some(basic(user, secret)),
            Self::ApiKey => {
                let key = secret.expose().trim();
                let is_raw = key.contains(':');
                let encoded = is_raw.then(|| STANDARD.encode(key));
                sensitive(&format!("ApiKey {}", encoded.as_deref().unwrap_or(key)))
            }
            Self::Bearer => sensitive(&format!("Bearer {}", secret.expose().trim())),
        }
    }
}

/// What stands in Fluentd's `%{...}`, which is needed there for some characters.
fn unwrapped(text: &str) -> &str {
    let inside = text
        .strip_prefix("%{")
        .and_then(|text| text.strip_suffix('}'));
    inside.unwrap_or(text)
}

/// The header for a user.
pub(crate) fn basic(user: &str, password: &Secret) -> HeaderValue {
    let encoded = STANDARD.encode(format!("{user}:{}", password.expose()));
    // Base64 has no byte that a header cannot have.
    sensitive(&format!("Basic {encoded}")).unwrap_or(HeaderValue::from_static("Basic"))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Config {
    /// How requests say who sends them, and where the secret comes from.
    fn credentials(&self) -> Option<(Scheme, Source)> {
        let source = |given: &Option<Secret>, name, path: &Option<PathBuf>| {
            let given = given.as_ref();
            let given = given.map(|secret| Source::Given(Secret::new(unwrapped(secret.expose()))));
            given.or_else(|| Some(Source::File(name, path.clone()?)))
        };
        if let Some(user) = &self.user {
            let secret = source(&self.password, "password_file", &self.password_file);
            let secret = secret.unwrap_or_else(|| Source::Given(Secret::new("")));
            return Some((Scheme::Basic(unwrapped(user).to_owned()), secret));
        }
        let key = source(&self.api_key, "api_key_file", &self.api_key_file);
        let token = source(
            &self.bearer_token,
            "bearer_token_file",
            &self.bearer_token_file,
        );
        let key = key.map(|key| (Scheme::ApiKey, key));
        key.or_else(|| Some((Scheme::Bearer, token?)))
    }

    /// Complains of secrets that are given twice, or without what they belong to.
    pub(crate) fn check_credentials(&self, errors: &mut ConfigErrors) {
        let mut given = [
            ("user", self.user.is_some()),
            ("api_key", self.api_key.is_some()),
            ("api_key_file", self.api_key_file.is_some()),
            ("bearer_token", self.bearer_token.is_some()),
            ("bearer_token_file", self.bearer_token_file.is_some()),
            ("endpoint", self.endpoint.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_given)| is_given.then_some(name));
        if let Some(first) = given.next() {
            for second in given {
                let message = format!("`{second}` and `{first}` are both given");
                errors.push(
                    ConfigError::at(format!("/{second}"), message).help("remove one of the two"),
                );
            }
        }
        if self.password.is_some() && self.password_file.is_some() {
            let message = "`password` and `password_file` are both given";
            errors.push(ConfigError::at("/password_file", message).help("remove one of the two"));
        }
        let passwords = [
            ("password", self.password.is_some()),
            ("password_file", self.password_file.is_some()),
        ];
        for (name, _) in passwords.iter().filter(|(_, is_given)| *is_given) {
            if self.user.is_none() {
                let message = format!("`{name}` is given without `user`");
                errors.push(ConfigError::at(format!("/{name}"), message).help("add `user`"));
            }
        }
    }
}
