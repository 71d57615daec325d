//! TLS: whom to trust and what to show.

use std::{io, path::Path, sync::Arc};

use sdk::{
    config::{ConfigError, ConfigErrors},
    output::FailureKind,
};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
        SignatureScheme,
        client::{
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
            verify_server_cert_signed_by_trust_anchor, verify_server_name,
        },
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{
            CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem, pem::PemObject as _,
        },
        server::ParsedCertificate,
    },
};

use crate::{config::Tls, trouble::Trouble};

/// Makes TLS connections. Reads its files each time, so that a renewed certificate needs no restart.
#[derive(Debug)]
pub(crate) struct Connector {
    config: Tls,
    provider: Arc<CryptoProvider>,
}

impl Connector {
    /// Reads no files.
    ///
    /// # Errors
    /// A certificate without a key, or the other way round.
    pub(crate) fn new(config: Tls) -> Result<Self, ConfigErrors> {
        if config.client_cert_path.is_some() != config.client_private_key_path.is_some() {
            let missing = match config.client_cert_path {
                Some(_) => "client_private_key_path",
                None => "client_cert_path",
            };
            let error = ConfigError::at("/tls", format!("`{missing}` is missing"));
            return Err(vec![error.help(
                "a certificate is shown together with its key; give both or none",
            )]);
        }
        Ok(Self {
            config,
            provider: Arc::new(ring::default_provider()),
        })
    }

    /// Random bytes, fit for keys; `None` when the system has none.
    pub(crate) fn random<const N: usize>() -> Option<[u8; N]> {
        let mut bytes = [0; N];
        let filled = ring::default_provider().secure_random.fill(&mut bytes);
        filled.ok().map(|()| bytes)
    }

    /// The handshake over `stream` with the server `name`.
    ///
    /// # Errors
    /// A file that cannot be used, or a server that is not trusted or does not trust us.
    pub(crate) async fn connect(
        &self,
        name: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Trouble> {
        let failed = |message: String| Trouble::connect(FailureKind::Tls, message);
        let config = self.client().await.map_err(failed)?;
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| failed(format!("{name:?} cannot be the name of a server")))?;
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream);
        connected
            .await
            .map_err(|error| failed(format!("the TLS handshake failed: {error}")))
    }

    async fn client(&self) -> Result<ClientConfig, String> {
        let mut verifier = Verifier {
            roots: RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
            pinned: Vec::new(),
            verify_hostname: self.config.verify_hostname,
            allow_self_signed: self.config.allow_self_signed_cert,
            insecure: self.config.insecure_mode,
            provider: Arc::clone(&self.provider),
        };
        for path in &self.config.ca_cert_path.0 {
            for certificate in certificates("ca_cert_path", path).await? {
                // What cannot be an authority may still be the certificate of a server.
                drop(verifier.roots.add(certificate.clone()));
                verifier.pinned.push(certificate);
            }
        }
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let files = [
            &self.config.client_cert_path,
            &self.config.client_private_key_path,
        ];
        let [Some(certificate), Some(key)] = files else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates("client_cert_path", certificate).await?;
        let pem = read("client_private_key_path", key).await?;
        let key = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|error| unusable("client_private_key_path", key, &error))?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| format!("client_cert_path {}: {error}", certificate.display()))
    }
}

async fn read(parameter: &str, path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let read = tokio::fs::read(path).await;
    read.map_err(|error: io::Error| format!("{parameter} {shown} cannot be read: {error}"))
}

async fn certificates(
    parameter: &str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(parameter, path).await?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.map_err(|error| unusable(parameter, path, &error))?;
    if all.is_empty() {
        return Err(format!(
            "{parameter} {} holds no certificate in PEM",
            path.display()
        ));
    }
    Ok(all)
}

fn unusable(parameter: &str, path: &Path, error: &pem::Error) -> String {
    format!("{parameter} {} cannot be used: {error}", path.display())
}

/// Judges the certificate of a server, with Fluentd's exceptions.
#[derive(Debug)]
struct Verifier {
    roots: RootCertStore,
    /// Certificates that are trusted as they are.
    pinned: Vec<CertificateDer<'static>>,
    verify_hostname: bool,
    allow_self_signed: bool,
    insecure: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn verify_chain(
        &self,
        end: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let verified =
            verify_server_cert_signed_by_trust_anchor(parsed, &self.roots, others, now, algorithms);
        match verified {
            Err(error) if self.pinned.contains(end) && is_unknown(&error) => Ok(()),
            // Nobody but itself vouches for it: an authority would send more than one, or be known.
            Err(error) if self.allow_self_signed && others.is_empty() && is_unknown(&error) => {
                Ok(())
            }
            verified => verified,
        }
    }
}

/// Whether nothing is wrong with a certificate but that no known authority signed it. Certificates that sign
/// themselves are often marked as those of an authority, which is then all there is to complain of.
fn is_unknown(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) => {
            cause.to_string().contains("CaUsedAsEndEntity")
        }
        _ => false,
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.insecure {
            let parsed = ParsedCertificate::try_from(end)?;
            self.verify_chain(end, &parsed, others, now)?;
            if self.verify_hostname {
                verify_server_name(&parsed, name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
