//! What takes the place of a value.

use hmac::{Hmac, KeyInit as _, Mac as _};
use schemars::JsonSchema;
use sdk::config::Secret;
use serde::Deserialize;
use sha2::Sha256;

use crate::{detectors::Same, text::is_word};

/// What is done with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Put `[REDACTED:detector]` in its place, or with `keep_last` stars and its last characters.
    #[default]
    Mask,
    /// Put its keyed hash in its place (HMAC-SHA-256, 128 bits of it): `hash_detector_...`.
    Hash,
    /// Put a short keyed token in its place, of one length for each detector: `tok_detector_...`.
    Tokenize,
    /// Remove the field that holds it.
    Drop,
    /// Take the whole event out; it is counted as filtered.
    DropEvent,
}

/// What is done with the values of one detector, compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deed {
    pub(crate) action: Action,
    pub(crate) keep_last: usize,
}

/// The key of hashes and tokens, and its name.
#[derive(Clone)]
pub(crate) struct Key {
    mac: Hmac<Sha256>,
    id: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// Stars in front of the characters that are kept.
const STARS: &[u8] = b"********";
/// Of so many characters at most one is kept.
const KEEP_SHARE: usize = 3;
/// Bytes of a hash that are written.
const HASH_LEN: usize = 16;
/// Characters of a token.
const TOKEN_LEN: usize = 16;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

impl Key {
    pub(crate) fn new(secret: &Secret, id: Option<&str>) -> Option<Self> {
        let mac = Hmac::new_from_slice(secret.expose().as_bytes()).ok()?;
        let id = id.map(|id| format!("{id}_")).unwrap_or_default();
        Some(Self { mac, id })
    }

    fn digest(&self, name: &str, same: Same, value: &[u8]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        mac.update(name.as_bytes());
        mac.update(&[0]);
        match same {
            Same::Exact => mac.update(value),
            Same::AnyCase => mac.update(&value.to_ascii_lowercase()),
            Same::Alphanumeric => {
                let bare = value.iter().filter(|byte| byte.is_ascii_alphanumeric());
                mac.update(&bare.copied().collect::<Vec<_>>());
            }
        }
        mac.finalize().into_bytes().into()
    }
}

/// Appends what stands for `value`.
pub(crate) fn stand_in(
    out: &mut Vec<u8>,
    deed: Deed,
    key: Option<&Key>,
    name: &str,
    same: Same,
    value: &[u8],
) {
    match (deed.action, key) {
        (Action::Hash, Some(key)) => {
            out.extend_from_slice(format!("hash_{name}_{}", key.id).as_bytes());
            for byte in key.digest(name, same, value).iter().take(HASH_LEN) {
                out.extend_from_slice(format!("{byte:02x}").as_bytes());
            }
        }
        (Action::Tokenize, Some(key)) => {
            out.extend_from_slice(format!("tok_{name}_{}", key.id).as_bytes());
            let digest = key.digest(name, same, value);
            let letters = digest.iter().rev().take(TOKEN_LEN);
            out.extend(letters.filter_map(|byte| BASE32.get(usize::from(byte & 31))));
        }
        _ => mask(out, deed.keep_last, name, value),
    }
}

/// With nothing to keep, or too little to hide, the name alone.
fn mask(out: &mut Vec<u8>, keep_last: usize, name: &str, value: &[u8]) {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let count = text.chars().count();
    let kept = keep_last.min(count / KEEP_SHARE);
    if kept == 0 {
        out.extend_from_slice(format!("[REDACTED:{name}]").as_bytes());
        return;
    }
    out.extend_from_slice(STARS);
    let from = text
        .char_indices()
        .nth(count - kept)
        .map_or(0, |(at, _)| at);
    out.extend_from_slice(value.get(from..).unwrap_or_default());
}

/// Whether `value` begins with what stands for another already.
pub(crate) fn is_stand_in(value: &[u8]) -> bool {
    let keyed = |prefix: &[u8], len: usize| {
        let rest = value.strip_prefix(prefix).unwrap_or_default();
        let word = rest
            .split(|byte| !is_word(*byte))
            .next()
            .unwrap_or_default();
        let tail = word.rsplit(|byte| *byte == b'_').next().unwrap_or_default();
        let lower = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        word.len() > tail.len() && tail.len() == len && tail.iter().all(lower)
    };
    let marks: [&[u8]; 3] = [b"[REDACTED:", b"REDACTED:", STARS];
    marks.iter().any(|mark| value.starts_with(mark))
        || keyed(b"hash_", 2 * HASH_LEN)
        || keyed(b"tok_", TOKEN_LEN)
}
