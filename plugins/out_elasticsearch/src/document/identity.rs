//! Ids of documents that are made from where a record stands, so that sending it again adds nothing.
//!
//! 23 characters of base64url: 10 of the buffer's id (its lowest 60 bits), 8 of the frame's sequence (48 bits), 5 of
//! the record's index (30 bits). Or, where the source says `identity = "origin"`: 18 of the FNV-1a hash of the
//! sender's chunk id (the lowest 108 bits of 128), 5 of the record's place in that chunk. The format is settled:
//! another one would let a restart after an update add documents twice.

use sdk::output::{ChunkView, Frame};

/// Characters of what all records of a frame have in common.
pub(crate) const FRAME_LEN: usize = 18;
/// Characters of the record's place.
pub(crate) const PLACE_LEN: usize = 5;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The characters that all records of a frame have in common, and whether places come from the origin.
pub(crate) fn of_frame(chunk: ChunkView<'_>, frame: &Frame) -> ([u8; FRAME_LEN], bool) {
    let origin = frame.origin.as_ref();
    let origin = origin.filter(|origin| origin.identifies && !origin.chunk.is_empty());
    let bits = match origin {
        Some(origin) => fnv1a(&origin.chunk),
        None => (chunk.buffer << 48) | u128::from(frame.sequence & 0xffff_ffff_ffff),
    };
    (digits(bits), origin.is_some())
}

/// The characters of one record.
#[inline]
pub(crate) fn of_place(place: u32) -> [u8; PLACE_LEN] {
    [24, 18, 12, 6, 0].map(|shift| digit(u64::from(place >> shift)))
}

/// Whether an id has the form of those that are made here.
pub(crate) fn has_form(id: &str) -> bool {
    id.len() == FRAME_LEN + PLACE_LEN && id.bytes().all(|byte| DIGITS.contains(&byte))
}

/// The lowest bits as `N` digits, the highest first.
fn digits<const N: usize>(mut bits: u128) -> [u8; N] {
    let mut text = [b'A'; N];
    for slot in text.iter_mut().rev() {
        *slot = digit(u64::try_from(bits & 0x3f).unwrap_or_default());
        bits >>= 6;
    }
    text
}

#[inline]
fn digit(bits: u64) -> u8 {
    let index = usize::try_from(bits & 0x3f).unwrap_or_default();
    DIGITS.get(index).copied().unwrap_or(b'-')
}

/// FNV-1a with 128 bits. Source: the FNV page of its authors (draft-eastlake-fnv).
fn fnv1a(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = (1 << 88) + (1 << 8) + 0x3b;
    bytes.iter().fold(BASIS, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
    })
}
