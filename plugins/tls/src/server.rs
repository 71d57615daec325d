//! The side that is connected to: its table, its files, and looking whether they changed.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use schemars::JsonSchema;
use sdk::{
    RunError,
    config::{ConfigError, ConfigErrors, Secret},
    metrics::{Gauge, Metrics},
};
use serde::Deserialize;
use tokio::sync::watch;
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem},
    server::WebPkiClientVerifier,
};

use crate::{
    expiry::not_after_secs,
    pem::Unusable,
    version::{TlsVersion, Versions, refuse_ciphers},
};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How TLS is spoken.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// The PEM file of the certificate, with the intermediate ones behind it. This file and the others here are
    /// read again when they change; connections that are open stay so.
    #[schemars(length(min = 1))]
    pub cert_path: String,
    /// The PEM file of its private key: PKCS #8, PKCS #1 or SEC 1.
    #[schemars(length(min = 1))]
    pub private_key_path: String,
    /// The passphrase of the key, where that is encrypted (PKCS #8, `BEGIN ENCRYPTED PRIVATE KEY`).
    pub private_key_passphrase: Option<Secret>,
    /// Ask each sender for a certificate that an authority in `ca_path` has signed.
    #[serde(default)]
    pub client_cert_auth: bool,
    /// The PEM file with the authorities that sign the certificates of senders.
    #[schemars(length(min = 1))]
    pub ca_path: Option<String>,
    /// The only version to speak, in place of `min_version` and `max_version`.
    #[schemars(extend("aliases" = ["tls_version"]))]
    pub version: Option<TlsVersion>,
    /// The oldest version to speak. `"TLSv1_2"` by default, which Fluentd's own output needs.
    pub min_version: Option<TlsVersion>,
    /// The newest version to speak. `"TLSv1_3"` by default.
    pub max_version: Option<TlsVersion>,
    /// Not supported: only good ciphers are spoken.
    pub ciphers: Option<String>,
}

/// A checked [`ServerTls`]. Nothing was read yet.
#[derive(Debug, Clone)]
pub struct ServerFiles {
    cert_path: PathBuf,
    key_path: PathBuf,
    passphrase: Option<Secret>,
    /// The authorities that sign the certificates of senders, when those are asked for.
    ca_path: Option<PathBuf>,
    versions: Versions,
    look_every: Duration,
    alpn: Vec<Vec<u8>>,
}

impl ServerTls {
    /// Checks the table at `path`, such as `/tls`, without I/O. `None` when it pushed errors.
    pub fn check(&self, path: &str, errors: &mut ConfigErrors) -> Option<ServerFiles> {
        let before = errors.len();
        match (self.client_cert_auth, &self.ca_path) {
            (true, None) => {
                let error = ConfigError::at(
                    format!("{path}/client_cert_auth"),
                    "certificates of senders are asked for, but no authority is named that signs them",
                );
                errors.push(error.help("add \"ca_path\""));
            }
            (false, Some(_)) => {
                let error = ConfigError::at(
                    format!("{path}/ca_path"),
                    "is not used without \"client_cert_auth = true\"",
                );
                errors.push(error.help("write that, too, or leave this out"));
            }
            _ => {}
        }
        refuse_ciphers(self.ciphers.as_deref(), path, errors);
        let versions = [self.version, self.min_version, self.max_version];
        let versions = Versions::check(versions, Versions::NAMES, path, errors);
        (errors.len() == before).then(|| ServerFiles {
            cert_path: (&self.cert_path).into(),
            key_path: (&self.private_key_path).into(),
            passphrase: self.private_key_passphrase.clone(),
            ca_path: self.ca_path.as_ref().map(Into::into),
            versions,
            look_every: LOOK_EVERY,
            alpn: Vec::new(),
        })
    }
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file without a certificate.
    #[error("{} holds no certificate: write PEM, the server's own certificate first", .0.display())]
    NoCertificate(PathBuf),
    /// A file that is no PEM.
    #[error("{} cannot be read as PEM: {error}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        error: pem::Error,
    },
    /// A file without a key.
    #[error("{} holds no private key: write PEM, as PKCS #8, PKCS #1 or SEC 1", .0.display())]
    NoKey(PathBuf),
    /// A key that is encrypted, and stays so.
    #[error("the private key in {} {why}", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// The key is another's.
    #[error("the certificate in {} and the private key in {} cannot be used together: {error}", cert_path.display(), key_path.display())]
    Pair {
        /// The file of the certificate.
        cert_path: PathBuf,
        /// The file of the key.
        key_path: PathBuf,
        /// Why.
        error: tokio_rustls::rustls::Error,
    },
    /// A certificate in `ca_path` is no authority.
    #[error("{} is not usable as authority: {error}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        error: String,
    },
}

impl From<ServerError> for RunError {
    fn from(error: ServerError) -> Self {
        Self::Other(format!("tls: {error}"))
    }
}

/// The contents of the files.
#[derive(Debug, PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    ca: Option<Vec<u8>>,
}

/// What became of changed files.
#[derive(Debug)]
pub enum Reload<'a> {
    /// They are in use for new connections.
    Done,
    /// They cannot be used, and what was read before stays in use.
    Failed {
        /// The file of the certificate, to tell several sources apart.
        cert_path: &'a Path,
        /// Why.
        error: ServerError,
    },
}

/// TLS as it is spoken to new connections.
#[derive(Debug)]
pub struct Server {
    files: ServerFiles,
    contents: Contents,
    sender: watch::Sender<Arc<ServerConfig>>,
    /// When the certificates expire, for the operator.
    not_after: Option<Gauge>,
}

impl Server {
    /// Reads the files.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn load(files: ServerFiles) -> Result<Self, ServerError> {
        let contents = files.read().await?;
        let config = files.config(&contents)?;
        Ok(Self {
            files,
            contents,
            sender: watch::Sender::new(Arc::new(config)),
            not_after: None,
        })
    }

    /// Tells when the first of the certificates expires, now and after each change; `metrics` carries the labels of the
    /// component.
    #[must_use]
    pub fn measured(mut self, metrics: &Metrics) -> Self {
        let file = self.files.cert_path.to_string_lossy();
        let help = "When the first certificate of the file expires, in seconds since 1970";
        let labels = [("file", &*file)];
        let gauge = metrics.gauge("tls_certificate_not_after_timestamp_seconds", help, &labels);
        self.not_after = Some(gauge);
        self.measure();
        self
    }

    fn measure(&self) {
        let found = crate::pem::certificates(&self.contents.cert).unwrap_or_default();
        let first = found.iter().filter_map(|der| not_after_secs(der)).min();
        if let Some((gauge, secs)) = self.not_after.as_ref().zip(first) {
            gauge.set(secs);
        }
    }

    /// Where connections find the latest.
    pub fn subscribe(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.sender.subscribe()
    }

    /// Looks at the files again and again, and tells `notice` what became of a change. Never ends.
    pub async fn keep_up(mut self, notice: impl Fn(Reload<'_>) + Send) {
        loop {
            tokio::time::sleep(self.files.look_every).await;
            match self.look().await {
                Ok(false) => {}
                Ok(true) => notice(Reload::Done),
                Err(error) => notice(Reload::Failed {
                    cert_path: &self.files.cert_path,
                    error,
                }),
            }
        }
    }

    /// Whether something changed. All files are compared whole, so that links that move are noticed, too.
    async fn look(&mut self) -> Result<bool, ServerError> {
        let contents = self.files.read().await?;
        if contents == self.contents {
            return Ok(false);
        }
        self.sender
            .send_replace(Arc::new(self.files.config(&contents)?));
        self.contents = contents;
        self.measure();
        Ok(true)
    }
}

impl ServerFiles {
    /// With another time between two looks at the files.
    #[must_use]
    pub fn look_every(mut self, interval: Duration) -> Self {
        self.look_every = interval;
        self
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

    async fn read(&self) -> Result<Contents, ServerError> {
        async fn file(path: &Path) -> Result<Vec<u8>, ServerError> {
            tokio::fs::read(path)
                .await
                .map_err(|error| ServerError::Read {
                    path: path.to_owned(),
                    error,
                })
        }
        Ok(Contents {
            cert: file(&self.cert_path).await?,
            key: file(&self.key_path).await?,
            ca: match &self.ca_path {
                Some(path) => Some(file(path).await?),
                None => None,
            },
        })
    }

    fn config(&self, contents: &Contents) -> Result<ServerConfig, ServerError> {
        let certificates = certificates(&self.cert_path, &contents.cert)?;
        let provider = Arc::new(default_provider());
        let pair = |error| ServerError::Pair {
            cert_path: self.cert_path.clone(),
            key_path: self.key_path.clone(),
            error,
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions.supported())
            .map_err(pair)?;
        let builder = match (&self.ca_path, &contents.ca) {
            (Some(path), Some(pem)) => {
                let bad = |error: String| ServerError::Authority {
                    path: path.clone(),
                    error,
                };
                let mut roots = RootCertStore::empty();
                for certificate in self::certificates(path, pem)? {
                    roots
                        .add(certificate)
                        .map_err(|error| bad(error.to_string()))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| bad(error.to_string()))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(certificates, self.key(&contents.key)?)
            .map_err(pair)?;
        config.alpn_protocols.clone_from(&self.alpn);
        Ok(config)
    }
    fn key(&self, pem: &[u8]) -> Result<PrivateKeyDer<'static>, ServerError> {
        let path = self.key_path.clone();
        crate::pem::key(pem, self.passphrase.as_ref()).map_err(|why| match why {
            Unusable::Nothing => ServerError::NoKey(path),
            Unusable::Locked(locked) => ServerError::Locked {
                path,
                why: locked.why("private_key_passphrase"),
            },
            Unusable::Pem(error) => ServerError::Pem { path, error },
        })
    }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    crate::pem::certificates(pem).map_err(|why| match why {
        Unusable::Pem(error) => ServerError::Pem {
            path: path.to_owned(),
            error,
        },
        Unusable::Nothing | Unusable::Locked(_) => ServerError::NoCertificate(path.to_owned()),
    })
}
