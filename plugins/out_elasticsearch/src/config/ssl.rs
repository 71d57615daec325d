//! TLS: what we show to servers, and which versions are spoken.

use std::path::PathBuf;

use schemars::JsonSchema;
use sdk::config::{ConfigError, ConfigErrors, OneOrMany, Secret};
use serde::Deserialize;
use tls::{Client, ClientTls, Names, TlsVersion};

/// What the parameters of TLS are called here.
const NAMES: Names = Names {
    ca_cert: "ca_file",
    cert: "client_cert",
    key: "client_key",
    passphrase: "client_key_pass",
    versions: ["ssl_version", "ssl_min_version", "ssl_max_version"],
};

/// What we show to servers, and which versions of TLS are spoken.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Ssl {
    /// A file with the certificate in PEM to show to the server, with `client_key`.
    pub client_cert: Option<PathBuf>,
    /// A file with the key of `client_cert` in PEM.
    pub client_key: Option<PathBuf>,
    /// The passphrase of `client_key`, where that is encrypted (PKCS #8, `BEGIN ENCRYPTED PRIVATE KEY`).
    pub client_key_pass: Option<Secret>,
    /// The oldest version of TLS to speak, where `ssl_min_version` is not given. By default 1.2.
    pub ssl_version: Option<SslVersion>,
    /// The oldest version of TLS to speak.
    pub ssl_min_version: Option<SslVersion>,
    /// The newest version of TLS to speak. By default 1.3.
    pub ssl_max_version: Option<SslVersion>,
}

/// Fluentd's names of the versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SslVersion {
    /// The newest that both sides know.
    #[serde(rename = "SSLv23")]
    Any,
    /// 1.0
    #[serde(rename = "TLSv1")]
    V10,
    /// 1.1
    #[serde(rename = "TLSv1_1")]
    V11,
    /// 1.2
    #[serde(rename = "TLSv1_2")]
    V12,
    /// 1.3
    #[serde(rename = "TLSv1_3")]
    V13,
}

impl Ssl {
    /// What speaks TLS with these parameters. Reads no files.
    ///
    /// # Errors
    /// What does not go together, and versions that are not spoken.
    pub(crate) fn client(
        &self,
        ca_file: Option<&PathBuf>,
        verify: bool,
    ) -> Result<Client, ConfigErrors> {
        let mut errors = Vec::new();
        let [version, min, max] = NAMES.versions;
        let mut spoken = |name, version: Option<SslVersion>| {
            version.and_then(|version| spoken(name, version, &mut errors))
        };
        let version = spoken(version, self.ssl_version);
        let min = spoken(min, self.ssl_min_version).or(version);
        let max = spoken(max, self.ssl_max_version);
        let table = ClientTls {
            ca_cert_path: OneOrMany(ca_file.cloned().into_iter().collect()),
            client_cert_path: self.client_cert.clone(),
            client_private_key_path: self.client_key.clone(),
            client_private_key_passphrase: self.client_key_pass.clone(),
            insecure_mode: !verify,
            min_version: min,
            max_version: max,
            ..ClientTls::default()
        };
        match Client::named(table, "", NAMES) {
            Ok(client) if errors.is_empty() => Ok(client),
            Ok(_) => Err(errors),
            Err(more) => Err(errors.into_iter().chain(more).collect()),
        }
    }
}

/// The version as TLS knows it; `None` for any, and for one that is not spoken.
fn spoken(name: &str, version: SslVersion, errors: &mut ConfigErrors) -> Option<TlsVersion> {
    match version {
        SslVersion::Any => None,
        SslVersion::V12 => Some(TlsVersion::V12),
        SslVersion::V13 => Some(TlsVersion::V13),
        SslVersion::V10 | SslVersion::V11 => {
            let message = "versions of TLS before 1.2 are broken, and not spoken";
            let error = ConfigError::at(format!("/{name}"), message);
            errors
                .push(error.help(
                    "remove it; a server that knows no TLS 1.2 needs a proxy in front of it",
                ));
            None
        }
    }
}
