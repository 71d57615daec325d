//! What a request is called, so that the other side recognises it when it comes again.
//!
//! After a restart the same records may be grouped into other chunks, so a chunk has no name that lasts. The frames
//! of a buffer do: a frame is called by its sequence, or by the sender's own id where its source says
//! `identity = "origin"`. A part of a frame has a hash of its places besides.

use std::fmt::Write as _;

use sdk::output::Frame;
use sha2::{Digest as _, Sha256};

/// The longest header, in bytes: servers commonly take 8 KiB in one line.
const HEADER_BYTES_MAX: usize = 4096;

/// The records of one frame that are in a request.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    /// The frame, by its place in the chunk.
    pub(crate) frame: usize,
    /// Places in the frame, ascending.
    pub(crate) places: Vec<u32>,
}

/// The two headers of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// `X-Weir-Chunk`; `None` when it would be too long.
    pub(crate) chunk: Option<String>,
    /// `Idempotency-Key`
    pub(crate) key: String,
}

/// The name of a frame, or of a part of it, within its buffer. One that begins with `o` stands for itself.
pub(crate) fn name(frame: &Frame, places: &[u32]) -> String {
    let mut name = String::new();
    match frame.origin.as_ref().filter(|origin| origin.identifies) {
        None => {
            let _infallible = write!(name, "{}", frame.sequence);
        }
        Some(origin) => {
            name.push('o');
            for byte in &origin.chunk {
                let _infallible = write!(name, "{byte:02x}");
            }
            let _infallible = write!(name, ".{}", origin.first);
            if let Some(kept) = &origin.kept {
                let _infallible = write!(name, ".{}", digest(kept));
            }
        }
    }
    if places.len() as u64 != u64::from(frame.count) {
        let bytes: Vec<u8> = places
            .iter()
            .flat_map(|place| place.to_le_bytes())
            .collect();
        let _infallible = write!(name, "p{}", digest(&bytes));
    }
    name
}

/// Names the request with these shares.
pub(crate) fn names(buffer: u128, frames: &[Frame], shares: &[Share]) -> Names {
    let mut list = format!("{buffer:032x};");
    for share in shares {
        if let Some(frame) = frames.get(share.frame) {
            let name = name(frame, &share.places);
            let _infallible = write!(list, " {name}:{}", share.places.len());
        }
    }
    Names {
        key: format!("{buffer:032x}-{}", digest(list.as_bytes())),
        chunk: (list.len() <= HEADER_BYTES_MAX).then_some(list),
    }
}

/// 128 bits in hexadecimal: a request must never be taken for another one.
fn digest(bytes: &[u8]) -> String {
    let whole = Sha256::digest(bytes);
    let half = whole.iter().take(16);
    half.fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// How much a share adds to the header, at most.
pub(crate) fn is_full(shares: &[Share], frames: &[Frame]) -> bool {
    let width = |share: &Share| {
        let frame = frames.get(share.frame);
        let origin = frame.and_then(|frame| frame.origin.as_ref());
        100 + origin
            .filter(|origin| origin.identifies)
            .map_or(0, |origin| origin.chunk.len() * 2)
    };
    shares.iter().map(width).sum::<usize>() + 120 > HEADER_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sdk::{event::Origin, testing::frame};
    use serde_json::json;

    use super::*;

    #[test]
    fn names_last_and_parts_differ() {
        let records = [json!({}), json!({}), json!({})];
        let whole = frame(12, "a", &records);
        assert_eq!(name(&whole, &[0, 1, 2]), "12");
        let part = name(&whole, &[0, 1]);
        assert!(
            part.starts_with("12p") && part != name(&whole, &[1, 2]),
            "{part}"
        );
        let mut named = frame(13, "a", &records);
        named.origin = Some(Origin {
            chunk: Bytes::from("\x01k"),
            first: 4,
            kept: None,
            identifies: true,
        });
        assert_eq!(name(&named, &[0, 1, 2]), "o016b.4");
        let shares = [(0, vec![0, 1, 2]), (1, vec![0, 1, 2])];
        let shares = shares.map(|(frame, places)| Share { frame, places });
        let request = names(1, &[whole, named], &shares);
        let expected = format!("{}1; 12:3 o016b.4:3", "0".repeat(31));
        assert_eq!(request.chunk, Some(expected));
    }
}
