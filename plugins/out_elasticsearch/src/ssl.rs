//! TLS: what we show to servers, and which versions are spoken.

use std::path::PathBuf;

use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, SecretDocument};
use schemars::JsonSchema;
use sdk::config::{ConfigError, ConfigErrors, Secret};
use serde::Deserialize;

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
    /// The version of TLS. 1.2 and 1.3 are spoken, the newest that the server knows; so only `TLSv1_2` is taken, and it
    /// means no older one.
    pub ssl_version: Option<SslVersion>,
    /// The oldest version: only `TLSv1_2`.
    pub ssl_min_version: Option<SslVersion>,
    /// The newest version: only `TLSv1_3`.
    pub ssl_max_version: Option<SslVersion>,
}

/// Fluentd's names of the versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SslVersion {
    /// Whatever both sides know.
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
    /// Complains of what does not go together, and of what cannot be spoken or left unspoken.
    pub(crate) fn check(&self, errors: &mut ConfigErrors) {
        if self.client_cert.is_some() != self.client_key.is_some() {
            let place = if self.client_cert.is_some() {
                "/client_cert"
            } else {
                "/client_key"
            };
            errors.push(
                ConfigError::at(place, "`client_cert` and `client_key` belong together")
                    .help("give both"),
            );
        }
        if self.client_key_pass.is_some() && self.client_key.is_none() {
            let message = "`client_key_pass` is given without `client_key`";
            errors.push(ConfigError::at("/client_key_pass", message).help("add `client_key`"));
        }
        let given = [
            ("ssl_version", self.ssl_version, SslVersion::V12),
            ("ssl_min_version", self.ssl_min_version, SslVersion::V12),
            ("ssl_max_version", self.ssl_max_version, SslVersion::V13),
        ];
        for (name, version, spoken) in given {
            let (message, help) = match version {
                None => continue,
                Some(version) if version == spoken => continue,
                Some(SslVersion::V12 | SslVersion::V13) => (
                    "TLS 1.2 and 1.3 are both spoken, and none of them can be left out",
                    "remove it, and choose the version in the configuration of the server",
                ),
                Some(SslVersion::Any | SslVersion::V10 | SslVersion::V11) => (
                    "versions of TLS before 1.2 are broken, and not spoken",
                    "remove it; a server that knows no TLS 1.2 needs a proxy in front of it",
                ),
            };
            errors.push(ConfigError::at(format!("/{name}"), message).help(help));
        }
    }
}

/// The key in PEM, which is decrypted where it is encrypted.
///
/// # Errors
/// Why it cannot be; nothing of the key or the passphrase.
pub(crate) fn plain_key(pem: Vec<u8>, pass: Option<&Secret>) -> Result<Vec<u8>, &'static str> {
    let text = String::from_utf8_lossy(&pem);
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(
            "is encrypted in an old form; write it anew: openssl pkcs8 -topk8 -v2 aes256 -in KEY -out NEW",
        );
    }
    let Some(start) = text.find(BEGIN) else {
        return Ok(pem);
    };
    let Some(pass) = pass else {
        return Err("is encrypted: add `client_key_pass`");
    };
    let block = text.get(start..).unwrap_or_default();
    let end = block.find(END).map(|at| at + END.len());
    let block = end.and_then(|end| block.get(..end)).unwrap_or_default();
    let broken = "is no encrypted key of PKCS #8";
    let (_, document) = SecretDocument::from_pem(block).map_err(|_| broken)?;
    let encrypted =
        EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| broken)?;
    let plain = encrypted.decrypt(pass.expose()).map_err(
        |_| "cannot be decrypted: `client_key_pass` is another, or the cipher is not AES",
    )?;
    let plain = plain.to_pem("PRIVATE KEY", LineEnding::LF);
    Ok(plain.map_err(|_| broken)?.as_bytes().to_vec())
}

const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = include_bytes!("tests/tls/server.key");
    const ENCRYPTED: &str = include_str!("tests/tls/server.encrypted.key");

    #[test]
    fn a_key_is_decrypted_with_its_passphrase() {
        let pass = Secret::new("geheim");
        let with_more = format!("Bag Attributes\n    x: y\n{ENCRYPTED}more\n");
        for pem in [ENCRYPTED.to_owned(), with_more] {
            let key = plain_key(pem.into_bytes(), Some(&pass)).unwrap();
            assert_eq!(key, PLAIN);
        }
        // One that is not encrypted needs none.
        assert_eq!(plain_key(PLAIN.to_vec(), Some(&pass)).unwrap(), PLAIN);
        assert_eq!(plain_key(PLAIN.to_vec(), None).unwrap(), PLAIN);
    }

    #[test]
    fn a_key_that_cannot_be_decrypted_is_named_with_the_remedy() {
        let check = |pem: &str, pass: Option<&str>, expected: &str| {
            let pass = pass.map(Secret::new);
            let message = plain_key(pem.as_bytes().to_vec(), pass.as_ref()).unwrap_err();
            assert!(message.contains(expected), "{message}");
        };
        check(ENCRYPTED, None, "add `client_key_pass`");
        check(ENCRYPTED, Some("other"), "`client_key_pass` is another");
        let cut = ENCRYPTED.replace("MIHsMFcG", "");
        check(&cut, Some("geheim"), "no encrypted key");
        check(BEGIN, Some("geheim"), "no encrypted key");
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n";
        check(old, Some("geheim"), "openssl pkcs8");
    }
}
