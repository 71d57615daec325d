//! TLS: the files, what is made of them, and looking whether they changed.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sdk::RunError;
use tokio::sync::watch;
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};

use crate::report::Report;

/// Checked `[source.tls]`.
#[derive(Debug, Clone)]
pub(crate) struct TlsSettings {
    pub(crate) cert_path: PathBuf,
    pub(crate) key_path: PathBuf,
    /// The authorities that sign the certificates of senders, when those are asked for.
    pub(crate) ca_path: Option<PathBuf>,
    pub(crate) has_12: bool,
    pub(crate) has_13: bool,
    /// How often the files are looked at.
    pub(crate) look_every: Duration,
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot read {}: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("{} holds no certificate: write PEM, the server's own certificate first", .0.display())]
    NoCertificate(PathBuf),
    #[error("{} cannot be read as PEM: {error}", path.display())]
    Pem { path: PathBuf, error: pem::Error },
    #[error("{} holds no private key: write PEM, as PKCS #8, PKCS #1 or SEC 1", .0.display())]
    NoKey(PathBuf),
    #[error("the private key in {} is encrypted: decrypt it, since there is nobody to ask for a passphrase", .0.display())]
    Encrypted(PathBuf),
    #[error("the certificate in {} and the private key in {} cannot be used together: {error}", cert_path.display(), key_path.display())]
    Pair {
        cert_path: PathBuf,
        key_path: PathBuf,
        error: tokio_rustls::rustls::Error,
    },
    #[error("{} is not usable as authority: {error}", path.display())]
    Authority { path: PathBuf, error: String },
}

impl From<TlsError> for RunError {
    fn from(error: TlsError) -> Self {
        Self::Other(format!("tls: {error}"))
    }
}

/// The contents of the files.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
    ca: Option<Vec<u8>>,
}

/// TLS as it is spoken to new connections.
#[derive(Debug)]
pub(crate) struct Current {
    settings: TlsSettings,
    files: Files,
    sender: watch::Sender<Arc<ServerConfig>>,
}

impl Current {
    /// Reads the files.
    pub(crate) async fn load(settings: TlsSettings) -> Result<Self, TlsError> {
        let files = read(&settings).await?;
        let config = settings.config(&files)?;
        Ok(Self {
            settings,
            files,
            sender: watch::Sender::new(Arc::new(config)),
        })
    }

    /// Where connections find the latest.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.sender.subscribe()
    }

    /// Looks at the files again and again. What cannot be used is said in the log, and the old goes on.
    pub(crate) async fn keep_up(mut self, report: Arc<Report>) {
        loop {
            tokio::time::sleep(self.settings.look_every).await;
            match self.look().await {
                Ok(false) => {}
                Ok(true) => {
                    report.tls_reload("ok");
                    report.info(&"the changed TLS files are in use for new connections");
                }
                Err(error) => {
                    report.tls_reload("failed");
                    let text = format!("{error}; what was read before stays in use");
                    report.warn("tls_files", &self.settings.cert_path.display(), &text);
                }
            }
        }
    }

    /// Whether something changed. All files are compared whole, so that links that move are noticed, too.
    async fn look(&mut self) -> Result<bool, TlsError> {
        let files = read(&self.settings).await?;
        if files == self.files {
            return Ok(false);
        }
        self.sender
            .send_replace(Arc::new(self.settings.config(&files)?));
        self.files = files;
        Ok(true)
    }
}

async fn read(settings: &TlsSettings) -> Result<Files, TlsError> {
    async fn file(path: &Path) -> Result<Vec<u8>, TlsError> {
        tokio::fs::read(path).await.map_err(|error| TlsError::Read {
            path: path.to_owned(),
            error,
        })
    }
    Ok(Files {
        cert: file(&settings.cert_path).await?,
        key: file(&settings.key_path).await?,
        ca: match &settings.ca_path {
            Some(path) => Some(file(path).await?),
            None => None,
        },
    })
}

impl TlsSettings {
    fn config(&self, files: &Files) -> Result<ServerConfig, TlsError> {
        let certificates = certificates(&self.cert_path, &files.cert)?;
        let provider = Arc::new(default_provider());
        let mut versions: Vec<&'static SupportedProtocolVersion> = Vec::new();
        versions.extend(self.has_13.then_some(&TLS13));
        versions.extend(self.has_12.then_some(&TLS12));
        let pair = |error| TlsError::Pair {
            cert_path: self.cert_path.clone(),
            key_path: self.key_path.clone(),
            error,
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(pair)?;
        let builder = match (&self.ca_path, &files.ca) {
            (Some(path), Some(pem)) => {
                let bad = |error: String| TlsError::Authority {
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
        builder
            .with_single_cert(certificates, key(&self.key_path, &files.key)?)
            .map_err(pair)
    }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| TlsError::Pem {
        path: path.to_owned(),
        error,
    })?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate(path.to_owned()));
    }
    Ok(found)
}

fn key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = String::from_utf8_lossy(pem);
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(TlsError::Encrypted(path.to_owned()));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey(path.to_owned()),
        error => TlsError::Pem {
            path: path.to_owned(),
            error,
        },
    })
}
