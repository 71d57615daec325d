//! The side that connects: whom it trusts and what it shows.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use schemars::JsonSchema;
use sdk::config::{ConfigError, ConfigErrors, OneOrMany, Secret};
use serde::Deserialize;
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
};

use crate::{
    pem::{self, Unusable},
    verifier::Verifier,
    version::{TlsVersion, Versions, refuse_ciphers},
};

/// TLS.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientTls {
    /// Files with certificates in PEM to trust besides the known authorities: of authorities, or of the servers
    /// themselves.
    #[serde(default)]
    #[schemars(extend("aliases" = ["tls_ca_cert_path", "tls_cert_path", "cert_path"]))]
    pub ca_cert_path: OneOrMany<PathBuf>,
    /// A file with the certificate chain in PEM to show to servers, with `client_private_key_path`.
    #[schemars(extend("aliases" = ["tls_client_cert_path"]))]
    pub client_cert_path: Option<PathBuf>,
    /// A file with the key of `client_cert_path` in PEM.
    #[schemars(extend("aliases" = ["tls_client_private_key_path", "tls_private_key_path", "private_key_path"]))]
    pub client_private_key_path: Option<PathBuf>,
    /// The passphrase of the key, where that is encrypted (PKCS #8, `BEGIN ENCRYPTED PRIVATE KEY`).
    #[schemars(extend("aliases" = ["tls_private_key_passphrase", "private_key_passphrase"]))]
    pub client_private_key_passphrase: Option<Secret>,
    /// Check that the certificate names the server.
    #[serde(default = "yes")]
    #[schemars(extend("aliases" = ["tls_verify_hostname"]))]
    pub verify_hostname: bool,
    /// Trust a server whose certificate nobody vouches for but itself.
    #[serde(default)]
    #[schemars(extend("aliases" = ["tls_allow_self_signed_cert"]))]
    pub allow_self_signed_cert: bool,
    /// Trust anybody who answers.
    #[serde(default)]
    #[schemars(extend("aliases" = ["tls_insecure_mode"]))]
    pub insecure_mode: bool,
    /// The only version to speak, in place of `min_version` and `max_version`.
    #[schemars(extend("aliases" = ["tls_version"]))]
    pub version: Option<TlsVersion>,
    /// The oldest version to speak. `"TLSv1_2"` by default.
    pub min_version: Option<TlsVersion>,
    /// The newest version to speak. `"TLSv1_3"` by default.
    pub max_version: Option<TlsVersion>,
    /// Not supported: only good ciphers are spoken.
    #[schemars(extend("aliases" = ["tls_ciphers"]))]
    pub ciphers: Option<String>,
}

fn yes() -> bool {
    true
}

impl Default for ClientTls {
    /// As without a table: the known authorities, and names are checked.
    fn default() -> Self {
        Self {
            ca_cert_path: OneOrMany::default(),
            client_cert_path: None,
            client_private_key_path: None,
            client_private_key_passphrase: None,
            verify_hostname: true,
            allow_self_signed_cert: false,
            insecure_mode: false,
            version: None,
            min_version: None,
            max_version: None,
            ciphers: None,
        }
    }
}

/// What the parameters are called where they stand in no table of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// `ca_cert_path`.
    pub ca_cert: &'static str,
    /// `client_cert_path`.
    pub cert: &'static str,
    /// `client_private_key_path`.
    pub key: &'static str,
    /// `client_private_key_passphrase`.
    pub passphrase: &'static str,
    /// `version`, `min_version` and `max_version`.
    pub versions: [&'static str; 3],
}

impl Names {
    /// In a table.
    const TABLE: Self = Self {
        ca_cert: "ca_cert_path",
        cert: "client_cert_path",
        key: "client_private_key_path",
        passphrase: "client_private_key_passphrase",
        versions: Versions::NAMES,
    };
}

/// Why TLS cannot be spoken: a file and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(String);

/// Makes configurations for connections. Reads its files each time, so that a renewed certificate needs no restart.
#[derive(Debug)]
pub struct Client {
    table: ClientTls,
    names: Names,
    versions: Versions,
    alpn: Vec<Vec<u8>>,
    provider: Arc<CryptoProvider>,
    latest: Mutex<Option<(Contents, Arc<ClientConfig>)>>,
}

/// The contents of the files, in the order of the table.
#[derive(Debug, PartialEq, Eq)]
struct Contents {
    authorities: Vec<Vec<u8>>,
    /// Certificate and key.
    identity: Option<[Vec<u8>; 2]>,
}

impl Client {
    /// Checks the table at `path`, such as `/tls`. Reads no files.
    ///
    /// # Errors
    /// A certificate without a key, or the other way round, and what is not supported.
    pub fn new(table: ClientTls, path: &str) -> Result<Self, ConfigErrors> {
        Self::named(table, path, Names::TABLE)
    }

    /// Does the same for parameters with other names.
    ///
    /// # Errors
    /// As those of [`Client::new`].
    pub fn named(table: ClientTls, path: &str, names: Names) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let (has_cert, has_key) = (
            table.client_cert_path.is_some(),
            table.client_private_key_path.is_some(),
        );
        if has_cert != has_key {
            let (given, missing) = if has_cert {
                (names.cert, names.key)
            } else {
                (names.key, names.cert)
            };
            let place = format!("{path}/{given}");
            let error = ConfigError::at(place, format!("`{missing}` is missing"));
            errors.push(
                error.help("a certificate is shown together with its key; give both or none"),
            );
        }
        if table.client_private_key_passphrase.is_some() && !has_key {
            let place = format!("{path}/{}", names.passphrase);
            let error = ConfigError::at(place, format!("is given without `{}`", names.key));
            errors.push(error.help("add the file of the key, or leave this out"));
        }
        refuse_ciphers(table.ciphers.as_deref(), path, &mut errors);
        let versions = [table.version, table.min_version, table.max_version];
        let versions = Versions::check(versions, names.versions, path, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            table,
            names,
            versions,
            alpn: Vec::new(),
            provider: Arc::new(ring::default_provider()),
            latest: Mutex::new(None),
        })
    }

    /// As without a table.
    pub fn standard() -> Self {
        Self {
            table: ClientTls::default(),
            names: Names::TABLE,
            versions: Versions::ALL,
            alpn: Vec::new(),
            provider: Arc::new(ring::default_provider()),
            latest: Mutex::new(None),
        }
    }

    /// Offers these protocols by ALPN, such as `http/1.1`, the best first.
    #[must_use]
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        self
    }

    /// The configuration for a connection: the same one (by [`Arc::ptr_eq`]) while the files are the same.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub async fn config(&self) -> Result<Arc<ClientConfig>, ClientError> {
        let contents = self.read().await?;
        if let Some((same, config)) = &*self.latest.lock().unwrap_or_else(PoisonError::into_inner)
            && *same == contents
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.build(&contents).map_err(ClientError)?);
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some((contents, Arc::clone(&config)));
        Ok(config)
    }

    async fn read(&self) -> Result<Contents, ClientError> {
        let mut authorities = Vec::new();
        for path in &self.table.ca_cert_path.0 {
            authorities.push(read(self.names.ca_cert, path).await?);
        }
        let files = [
            &self.table.client_cert_path,
            &self.table.client_private_key_path,
        ];
        let identity = match files {
            [Some(certificate), Some(key)] => Some([
                read(self.names.cert, certificate).await?,
                read(self.names.key, key).await?,
            ]),
            _ => None,
        };
        Ok(Contents {
            authorities,
            identity,
        })
    }

    fn build(&self, contents: &Contents) -> Result<ClientConfig, String> {
        let mut verifier = Verifier {
            roots: RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
            pinned: Vec::new(),
            verify_hostname: self.table.verify_hostname,
            allow_self_signed: self.table.allow_self_signed_cert,
            insecure: self.table.insecure_mode,
            provider: Arc::clone(&self.provider),
        };
        for (path, text) in self.table.ca_cert_path.0.iter().zip(&contents.authorities) {
            let found = pem::certificates(text);
            for certificate in found.map_err(|why| self.unusable(self.names.ca_cert, path, &why))? {
                // What cannot be an authority may still be the certificate of a server.
                drop(verifier.roots.add(certificate.clone()));
                verifier.pinned.push(certificate);
            }
        }
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&self.versions.supported())
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let paths = [
            &self.table.client_cert_path,
            &self.table.client_private_key_path,
        ];
        let mut config = match (paths, &contents.identity) {
            ([Some(cert_path), Some(key_path)], Some([cert, key])) => {
                let chain = pem::certificates(cert)
                    .map_err(|why| self.unusable(self.names.cert, cert_path, &why))?;
                let key = pem::key(key, self.table.client_private_key_passphrase.as_ref())
                    .map_err(|why| self.unusable(self.names.key, key_path, &why))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    format!("{} {}: {error}", self.names.cert, cert_path.display())
                })?
            }
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        Ok(config)
    }
    fn unusable(&self, parameter: &str, path: &Path, why: &Unusable) -> String {
        let shown = path.display();
        match why {
            Unusable::Nothing if parameter == self.names.key => {
                format!("{parameter} {shown} holds no private key in PEM")
            }
            Unusable::Nothing => format!("{parameter} {shown} holds no certificate in PEM"),
            Unusable::Locked(locked) => {
                format!("{parameter} {shown} {}", locked.why(self.names.passphrase))
            }
            Unusable::Pem(error) => format!("{parameter} {shown} cannot be used: {error}"),
        }
    }
}

async fn read(parameter: &str, path: &Path) -> Result<Vec<u8>, ClientError> {
    let shown = path.display();
    let read = tokio::fs::read(path).await;
    read.map_err(|error: io::Error| {
        ClientError(format!("{parameter} {shown} cannot be read: {error}"))
    })
}
