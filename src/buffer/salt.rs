//! The salt of a segment whose own header is damaged, told by its frames.

use std::{cmp::Reverse, io};

use super::{
    files::OpenFile,
    frame::{self, HEADER_LEN},
    segment::{self, FRAMES_MAX, SEGMENT_HEADER_LEN},
};

/// How much of a file is looked at at once, in bytes.
const BLOCK: usize = 256 << 10;

/// The salt of the segment `first`, of `end` bytes: what most whole frames have, since the beginning of one may be damaged
/// as well; what the header still says counts like a frame. `None` when it has no whole frame.
///
/// # Errors
/// The file cannot be read.
pub(super) fn find_salt(file: &OpenFile, first: u64, end: u64) -> io::Result<Option<u32>> {
    let header = file.read_at(0, SEGMENT_HEADER_LEN).ok().flatten();
    let field = header.and_then(|header| segment::salt_field(&header));
    let mut found: Vec<(u32, u32)> = Vec::new();
    let mut at = SEGMENT_HEADER_LEN as u64;
    while let Some(block) = block_at(file, at, end)? {
        for salt in block
            .windows(HEADER_LEN)
            .filter_map(|bytes| salt_of(bytes, first))
        {
            match found.iter_mut().find(|(other, _)| *other == salt) {
                Some((_, frames)) => *frames += 1,
                None => found.push((salt, 1)),
            }
        }
        at += (block.len() - HEADER_LEN + 1) as u64;
    }
    let weight = |(salt, frames): (u32, u32)| {
        let differs = field.map_or(0, |field| (field ^ salt).count_ones());
        (frames + u32::from(field == Some(salt)), Reverse(differs))
    };
    // Of several that are alike, the first.
    let most = found.into_iter().rev().max_by_key(|found| weight(*found));
    Ok(most.map(|(salt, _)| salt))
}

/// `None` when not even the header of a frame has room before the end.
fn block_at(file: &OpenFile, at: u64, end: u64) -> io::Result<Option<Vec<u8>>> {
    let len = usize::try_from(end.saturating_sub(at)).map_or(BLOCK, |left| left.min(BLOCK));
    if len < HEADER_LEN {
        return Ok(None);
    }
    file.read_at(at, len)
}

/// The salt, if `bytes` are the beginning of a frame of the segment `first`.
fn salt_of(bytes: &[u8], first: u64) -> Option<u32> {
    let (salt, header) = frame::with_any_salt(bytes)?;
    let belongs = (first..=first + u64::from(FRAMES_MAX)).contains(&header.sequence);
    belongs.then_some(salt)
}
