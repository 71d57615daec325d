//! The versions of TLS, and which of them are spoken.

use schemars::JsonSchema;
use sdk::config::{ConfigError, ConfigErrors};
use serde::Deserialize;
use tokio_rustls::rustls::{
    SupportedProtocolVersion,
    version::{TLS12, TLS13},
};

/// A version of TLS, under both of Fluentd's names. Older ones are broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// 1.2
    #[serde(rename = "TLSv1_2")]
    V12,
    /// 1.3
    #[serde(rename = "TLSv1_3")]
    V13,
    /// 1.2
    #[serde(rename = "TLS1_2")]
    Short12,
    /// 1.3
    #[serde(rename = "TLS1_3")]
    Short13,
}

/// The versions to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    has_12: bool,
    has_13: bool,
}

impl Versions {
    /// The parameters of a table.
    pub(crate) const NAMES: [&str; 3] = ["version", "min_version", "max_version"];
    /// Both.
    pub(crate) const ALL: Self = Self {
        has_12: true,
        has_13: true,
    };

    /// What `version`, `min_version` and `max_version` of the table at `path` say together; they have these names there.
    pub(crate) fn check(
        [version, min, max]: [Option<TlsVersion>; 3],
        names: [&str; 3],
        path: &str,
        errors: &mut ConfigErrors,
    ) -> Self {
        let [version_name, min_name, max_name] = names;
        if version.is_some() && (min.is_some() || max.is_some()) {
            let error = ConfigError::at(
                format!("{path}/{version_name}"),
                format!("stands beside \"{min_name}\" or \"{max_name}\""),
            );
            errors.push(error.help("it means both of them: leave it out, or them"));
        }
        let is_13 = |version| matches!(version, TlsVersion::V13 | TlsVersion::Short13);
        let has_12 = !version.or(min).is_some_and(is_13);
        let has_13 = version.or(max).is_none_or(is_13);
        if !has_12 && !has_13 {
            let message = format!("is above \"{max_name}\"");
            let error = ConfigError::at(format!("{path}/{min_name}"), message);
            errors.push(error.help("leave one of them out"));
        }
        Self { has_12, has_13 }
    }

    /// As rustls names them.
    pub(crate) fn supported(self) -> Vec<&'static SupportedProtocolVersion> {
        let mut versions = Vec::new();
        versions.extend(self.has_13.then_some(&TLS13));
        versions.extend(self.has_12.then_some(&TLS12));
        versions
    }
}

/// Complains of `ciphers`: rustls has only good ones, and no way to name them as OpenSSL does.
pub(crate) fn refuse_ciphers(ciphers: Option<&str>, path: &str, errors: &mut ConfigErrors) {
    if ciphers.is_some() {
        let error = ConfigError::at(
            format!("{path}/ciphers"),
            "a choice of ciphers is not supported",
        );
        errors.push(error.help(
            "leave it out: only ciphers with forward secrecy and authentication are spoken (AES-GCM, ChaCha20-Poly1305)",
        ));
    }
}
