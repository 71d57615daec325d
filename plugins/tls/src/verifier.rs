//! Judging the certificate of a server.

use std::sync::Arc;

use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

/// Judges the certificate of a server, with Fluentd's exceptions.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) roots: RootCertStore,
    /// Certificates that are trusted as they are.
    pub(crate) pinned: Vec<CertificateDer<'static>>,
    pub(crate) verify_hostname: bool,
    pub(crate) allow_self_signed: bool,
    pub(crate) insecure: bool,
    pub(crate) provider: Arc<CryptoProvider>,
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
