//! Certificates and keys out of PEM.

use sdk::config::Secret;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject as _},
};

use crate::locked::{Locked, unlock};

/// Why PEM cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// There is nothing of the kind in it.
    Nothing,
    /// A key that its passphrase does not open.
    Locked(Locked),
    /// It is no PEM.
    Pem(pem::Error),
}

/// All certificates, in order; there is at least one.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(Unusable::Nothing),
        found => found.map_err(Unusable::Pem),
    }
}

/// The first private key, decrypted where it is encrypted.
pub(crate) fn key(
    pem: &[u8],
    passphrase: Option<&Secret>,
) -> Result<PrivateKeyDer<'static>, Unusable> {
    if let Some(unlocked) = unlock(&String::from_utf8_lossy(pem), passphrase) {
        return unlocked.map_err(Unusable::Locked);
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => Unusable::Nothing,
        error => Unusable::Pem(error),
    })
}
