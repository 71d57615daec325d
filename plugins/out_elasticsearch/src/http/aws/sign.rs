//! AWS Signature Version 4: from a request to its header `Authorization`.

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, percent_decode_str, percent_encode};
use sdk::event::Time;
use sha2::{Digest as _, Sha256};

use super::Keys;
use crate::http::uri::RESERVED;

/// What is encoded in a path, whose parts are encoded each by itself.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Larger bodies are hashed on a thread of their own, in bytes.
const LARGE: usize = 64 << 10;

/// What a signature is good for, besides its day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// As it is on the wire.
    pub(crate) path: &'a str,
    /// As it is on the wire, without the question mark.
    pub(crate) query: &'a str,
    /// The headers that are signed: names in lower case and in order, and values without spaces around them.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// The SHA-256 of the body, in hexadecimal.
    pub(crate) digest: &'a str,
}

/// The time as it stands in a request.
pub(crate) fn date(now: Time) -> String {
    let time = jiff::Timestamp::from_second(now.secs).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The SHA-256 of a body, in hexadecimal.
pub(crate) async fn digest(body: Option<Bytes>) -> String {
    let body = body.unwrap_or_default();
    if body.len() <= LARGE {
        return hex(&Sha256::digest(&body));
    }
    let bytes = body.clone();
    let hashed = tokio::task::spawn_blocking(move || hex(&Sha256::digest(&bytes))).await;
    hashed.unwrap_or_else(|_| hex(&Sha256::digest(&body)))
}

/// The header `Authorization` of a request at this [`date`].
pub(crate) fn sign(keys: &Keys, scope: Scope<'_>, date: &str, request: &Request<'_>) -> String {
    let day = date.get(..8).unwrap_or_default();
    let Scope { region, service } = scope;
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let canonical = hex(&Sha256::digest(canonical(request, &names)));
    let text = format!("{ALGORITHM}\n{date}\n{scope}\n{canonical}");
    let mut key = format!("AWS4{}", keys.secret.expose()).into_bytes();
    for part in [day, region, service, "aws4_request", &text] {
        key = mac(&key, part);
    }
    let (id, signature) = (&keys.id, hex(&key));
    format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
}

/// The form of a request that both sides agree on.
fn canonical(request: &Request<'_>, names: &str) -> String {
    let path = percent_encode(request.path.as_bytes(), RESERVED_IN_PATH);
    let query = canonical_query(request.query);
    let mut headers = String::new();
    for (name, value) in request.headers {
        headers.extend([name, ":", value, "\n"]);
    }
    let (method, digest) = (request.method, request.digest);
    format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{digest}")
}

fn canonical_query(query: &str) -> String {
    let recoded = |text: &str| {
        let bytes: Vec<u8> = percent_decode_str(text).collect();
        percent_encode(&bytes, RESERVED).to_string()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (recoded(name), recoded(value)))
        .collect();
    pairs.sort_unstable();
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(half.into(), 16));
        }
    }
    text
}
