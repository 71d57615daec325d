//! Private keys that are encrypted with a passphrase.

use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use sdk::config::Secret;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
/// What OpenSSL wrote into the keys of its own formats.
const OLD: &str = "Proc-Type: 4,ENCRYPTED";

/// Why an encrypted key stays closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locked {
    /// It is encrypted as OpenSSL did long ago, with a digest that is broken.
    Old,
    /// There is no passphrase.
    NoPassphrase,
    /// Another passphrase, or a cipher that is not AES.
    Wrong,
    /// It only begins like one.
    Broken,
}

impl Locked {
    /// What is wrong and what to do, as the end of a sentence about the file; `parameter` is that of the passphrase.
    pub(crate) fn why(self, parameter: &str) -> String {
        match self {
            Self::Old => "is encrypted in an old form; write it anew: \
                          openssl pkcs8 -topk8 -v2 aes256 -in KEY -out NEW"
                .to_owned(),
            Self::NoPassphrase => format!("is encrypted: add `{parameter}`"),
            Self::Wrong => {
                format!("cannot be decrypted: `{parameter}` is another, or the cipher is not AES")
            }
            Self::Broken => "is no encrypted key of PKCS #8".to_owned(),
        }
    }
}

/// Decrypts a key (PKCS #8, RFC 5958); `None` when there is none that is encrypted.
pub(crate) fn unlock(
    pem: &str,
    passphrase: Option<&Secret>,
) -> Option<Result<PrivateKeyDer<'static>, Locked>> {
    if pem.contains(OLD) {
        return Some(Err(Locked::Old));
    }
    let block = pem.get(pem.find(BEGIN)?..)?;
    let end = block.find(END).map(|at| at + END.len());
    let block = end.and_then(|end| block.get(..end)).unwrap_or_default();
    let passphrase = passphrase.ok_or(Locked::NoPassphrase);
    Some(passphrase.and_then(|passphrase| decrypt(block, passphrase)))
}

fn decrypt(block: &str, passphrase: &Secret) -> Result<PrivateKeyDer<'static>, Locked> {
    let (_, document) = SecretDocument::from_pem(block).map_err(|_| Locked::Broken)?;
    let encrypted =
        EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| Locked::Broken)?;
    let plain = encrypted.decrypt(passphrase.expose());
    let plain = plain.map_err(|_| Locked::Wrong)?;
    let key = PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec());
    Ok(PrivateKeyDer::Pkcs8(key))
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;

    use super::*;

    const PLAIN: &str = include_str!("../../in_forward/src/tests/certs/server.key");
    const ENCRYPTED: &str = include_str!("../../in_forward/src/tests/certs/encrypted.key");

    #[test]
    fn a_key_is_decrypted_with_its_passphrase() {
        let pass = Secret::new("secret");
        let expected = PrivateKeyDer::from_pem_slice(PLAIN.as_bytes()).unwrap();
        let with_more = format!("Bag Attributes\n    x: y\n{ENCRYPTED}more\n");
        for pem in [ENCRYPTED, &with_more] {
            assert_eq!(unlock(pem, Some(&pass)).unwrap().unwrap(), expected);
        }
        // One that is not encrypted needs none.
        assert!(unlock(PLAIN, Some(&pass)).is_none());
        assert!(unlock(PLAIN, None).is_none());
    }

    #[test]
    fn a_key_that_stays_closed_is_named_with_the_remedy() {
        let check = |pem: &str, pass: Option<&str>, expected: &str| {
            let pass = pass.map(Secret::new);
            let locked = unlock(pem, pass.as_ref()).unwrap().unwrap_err();
            let message = locked.why("client_key_pass");
            assert!(message.contains(expected), "{message}");
        };
        check(ENCRYPTED, None, "add `client_key_pass`");
        check(ENCRYPTED, Some("other"), "`client_key_pass` is another");
        let cut = ENCRYPTED.replacen("MI", "", 1);
        check(&cut, Some("secret"), "no encrypted key");
        check(BEGIN, Some("secret"), "no encrypted key");
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n";
        check(old, Some("secret"), "openssl pkcs8");
    }
}
