//! Who may send: passwords and tokens, and the origins of pages (CORS).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, ORIGIN},
};
use sdk::config::{ConfigError, ConfigErrors};
use subtle::{Choice, ConstantTimeEq as _};

use crate::{Auth, Config};

/// Every `Authorization` that is let in, whole.
pub(crate) struct Doors {
    /// `user:password`
    basic: Vec<Vec<u8>>,
    bearer: Vec<Vec<u8>>,
}

impl Doors {
    /// `None` when it pushed errors.
    pub(crate) fn new(auth: &Auth, errors: &mut ConfigErrors) -> Option<Self> {
        let before = errors.len();
        if auth.user.is_empty() && auth.token.0.is_empty() {
            let error = ConfigError::at("/auth", "names no user and no token: nobody could send");
            errors.push(error.help("add [[source.auth.user]] or \"token\""));
        }
        for (index, user) in auth.user.iter().enumerate() {
            if user.username.contains(':') {
                let path = format!("/auth/user/{index}/username");
                let error = ConfigError::at(path, "has a colon, where the password would begin");
                errors.push(error.help("leave the colon out"));
            }
        }
        if auth.token.0.iter().any(|token| token.expose().is_empty()) {
            let error = ConfigError::at("/auth/token", "is empty");
            errors.push(error.help("write a long random token"));
        }
        (errors.len() == before).then(|| Self {
            basic: auth
                .user
                .iter()
                .map(|user| format!("{}:{}", user.username, user.password.expose()).into_bytes())
                .collect(),
            bearer: (auth.token.0.iter())
                .map(|token| token.expose().as_bytes().to_vec())
                .collect(),
        })
    }

    /// Whether a request with these headers is let in. Takes as long for a wrong word as for a right one.
    pub(crate) fn open_for(&self, headers: &HeaderMap) -> bool {
        let Some(given) = headers.get(AUTHORIZATION) else {
            return false;
        };
        let given = given.as_bytes();
        let Some(space) = given.iter().position(|byte| *byte == b' ') else {
            return false;
        };
        let (scheme, word) = given.split_at(space);
        let word = word.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"basic") {
            let decoded = STANDARD.decode(word).unwrap_or_default();
            is_among(&decoded, &self.basic)
        } else if scheme.eq_ignore_ascii_case(b"bearer") {
            is_among(word, &self.bearer)
        } else {
            false
        }
    }

    /// What `WWW-Authenticate` says.
    pub(crate) fn challenge(&self) -> &'static str {
        if self.basic.is_empty() {
            "Bearer realm=\"weir\""
        } else {
            "Basic realm=\"weir\", charset=\"UTF-8\""
        }
    }
}

fn is_among(given: &[u8], known: &[Vec<u8>]) -> bool {
    let found = known
        .iter()
        .fold(Choice::from(0), |found, one| found | given.ct_eq(one));
    found.into()
}

/// The origins of pages that may send.
#[derive(Debug, Clone)]
pub(crate) struct Origins {
    /// `*` stands for anything in one place.
    patterns: Vec<String>,
    credentials: bool,
}

/// What CORS says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It comes from no page, or nobody asked for CORS.
    NoPage,
    /// It may send; the value of `Access-Control-Allow-Origin`.
    Allowed(String),
    /// It may not.
    Refused,
}

impl Origins {
    /// `None` when pages are not looked at.
    pub(crate) fn new(config: &Config, errors: &mut ConfigErrors) -> Option<Self> {
        let patterns = &config.cors_allow_origins;
        if patterns.is_empty() {
            if config.cors_allow_credentials {
                let error = ConfigError::at(
                    "/cors_allow_credentials",
                    "is of no use without \"cors_allow_origins\"",
                );
                errors.push(error.help("name the origins, or leave it out"));
            }
            return None;
        }
        if config.cors_allow_credentials && patterns.iter().any(|pattern| pattern == "*") {
            let error = ConfigError::at(
                "/cors_allow_credentials",
                "browsers take no credentials where every origin is allowed",
            );
            errors.push(error.help("name the origins in place of \"*\""));
        }
        for (index, pattern) in patterns.iter().enumerate() {
            if pattern.matches('*').count() > 1 {
                let path = format!("/cors_allow_origins/{index}");
                let error = ConfigError::at(path, format!("{pattern:?} has more than one \"*\""));
                errors.push(error.help("write one, such as \"https://*.example.com\""));
            }
        }
        Some(Self {
            patterns: patterns.clone(),
            credentials: config.cors_allow_credentials,
        })
    }

    /// Judges a request by its headers.
    pub(crate) fn judge(&self, headers: &HeaderMap) -> Standing {
        let Some(origin) = headers.get(ORIGIN) else {
            return Standing::NoPage;
        };
        let Ok(origin) = origin.to_str() else {
            return Standing::Refused;
        };
        if self.patterns.iter().any(|pattern| pattern == "*") {
            return Standing::Allowed("*".into());
        }
        let fits = |pattern: &String| match pattern.split_once('*') {
            None => pattern == origin,
            Some((before, after)) => {
                origin.len() > before.len() + after.len()
                    && origin.starts_with(before)
                    && origin.ends_with(after)
            }
        };
        if self.patterns.iter().any(fits) {
            Standing::Allowed(origin.to_owned())
        } else {
            Standing::Refused
        }
    }

    /// Whether pages may send cookies and passwords.
    pub(crate) fn credentials(&self) -> bool {
        self.credentials
    }
}
