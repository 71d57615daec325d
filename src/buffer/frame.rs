//! A frame: the bytes of one batch in a segment. `docs/BUFFER_FORMAT.md` has the same in words.

use std::time::Duration;

use bytes::Bytes;
use sdk::{
    event::{DIGEST_LEN, Fingerprint, Origin, Tag},
    output::Frame,
};

use super::bytes_in::Input;

/// Length of the header, in bytes.
pub(super) const HEADER_LEN: usize = 44;
/// Length of the CRC behind the payload, in bytes.
pub(super) const TRAILER_LEN: usize = 4;
/// Longest payload that is written or believed, in bytes.
pub(super) const PAYLOAD_MAX: usize = 64 << 20;
/// Most events that are taken in one batch, in bytes; the rest of the payload is for the metadata.
pub(super) const EVENTS_MAX: u64 = 48 << 20;
/// What a frame occupies besides its events and its tag, roughly; used to reserve room.
pub(super) const OVERHEAD: usize = 128;

const MAGIC: u32 = u32::from_le_bytes(*b"WFRM");
/// Length of what the header's CRC covers.
const COVERED_LEN: usize = HEADER_LEN - 4;

const KIND_DATA: u8 = 1;
const KIND_END: u8 = 2;

const FLAG_PIECE: u8 = 1;
const FLAG_LAST: u8 = 2;

const META_ORIGIN: u8 = 1;
const META_IDENTIFIES: u8 = 2;
const META_KEPT: u8 = 4;
const META_FINGERPRINT: u8 = 8;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole batch.
    Whole,
    /// A piece of a group; `last` completes it.
    Piece {
        /// Whether the group is valid from here on.
        last: bool,
    },
    /// The end of a sealed segment; holds no records.
    End,
}

/// The fixed part of a frame, already verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Bytes between header and trailer.
    pub(super) payload_len: u32,
    /// How many of them are metadata.
    pub(super) meta_len: u32,
    /// Records in the frame.
    pub(super) count: u32,
    /// Records in the frames before it in this segment.
    pub(super) before: u32,
    /// Its number in the buffer; the next one at an end frame.
    pub(super) sequence: u64,
    /// When it was written, in milliseconds since 1970.
    pub(super) stored_ms: u64,
    /// The CRC of the header.
    pub(super) crc: u32,
}

impl Header {
    /// Length of the whole frame.
    pub(super) fn total(&self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.payload_len) + TRAILER_LEN as u64
    }
}

/// The first four bytes of every frame of a segment with this salt.
pub(super) fn magic(salt: u32) -> [u8; 4] {
    (MAGIC ^ salt).to_le_bytes()
}

/// Salt and header, if `bytes` are the beginning of a frame of any segment. The CRC says nothing about the salt: the
/// magic behind it cancels it out.
pub(super) fn with_any_salt(bytes: &[u8]) -> Option<(u32, Header)> {
    // Most bytes are none, and this says so sooner than the CRC.
    if !matches!(bytes.get(4)?, &KIND_DATA | &KIND_END) {
        return None;
    }
    let salt = u32::from_le_bytes(*bytes.first_chunk::<4>()?) ^ MAGIC;
    Some((salt, decode_header(bytes, salt)?))
}

/// Reads and verifies a header. `None` when the bytes are not one.
pub(super) fn decode_header(bytes: &[u8], salt: u32) -> Option<Header> {
    let (covered, rest) = bytes.split_at_checked(COVERED_LEN)?;
    if !covered.starts_with(&magic(salt)) {
        return None;
    }
    let crc = u32::from_le_bytes(*rest.first_chunk::<4>()?);
    if crc32c::crc32c_append(salt, covered) != crc {
        return None;
    }
    let mut input = Input::new(covered.get(4..)?);
    let kind = match (input.u8()?, input.u8()?) {
        (KIND_DATA, 0) => Kind::Whole,
        (KIND_DATA, FLAG_PIECE) => Kind::Piece { last: false },
        (KIND_DATA, flags) if flags == FLAG_PIECE | FLAG_LAST => Kind::Piece { last: true },
        (KIND_END, 0) => Kind::End,
        _ => return None,
    };
    input.u16()?;
    let header = Header {
        kind,
        payload_len: input.u32()?,
        meta_len: input.u32()?,
        count: input.u32()?,
        before: input.u32()?,
        sequence: input.u64()?,
        stored_ms: input.u64()?,
        crc,
    };
    let fits = header.meta_len <= header.payload_len && header.payload_len as usize <= PAYLOAD_MAX;
    fits.then_some(header)
}

/// A frame to be written: everything but the events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) kind: Kind,
    pub(super) tag: &'a Tag,
    pub(super) origin: Option<&'a Origin>,
    pub(super) fingerprint: Option<&'a Fingerprint>,
    /// Sequence of the group's first frame, for a piece.
    pub(super) group: u64,
    pub(super) count: u32,
    pub(super) before: u32,
    pub(super) sequence: u64,
    pub(super) stored_ms: u64,
}

/// Appends header and metadata to `out`. Returns the CRC over the whole frame, which is its trailer, and the
/// frame's length; `None` when the payload is longer than [`PAYLOAD_MAX`].
pub(super) fn encode(
    out: &mut Vec<u8>,
    salt: u32,
    head: &Head<'_>,
    events: &[u8],
) -> Option<(u32, u64)> {
    let start = out.len();
    out.resize(start + HEADER_LEN, 0);
    encode_meta(out, head);
    let meta_len = u32::try_from(out.len() - start - HEADER_LEN).ok()?;
    let payload_len = meta_len as usize + events.len();
    if payload_len > PAYLOAD_MAX {
        out.truncate(start);
        return None;
    }
    let payload_len = u32::try_from(payload_len).ok()?;
    let (header, crc) = encode_header(salt, head, payload_len, meta_len);
    out.get_mut(start..start + HEADER_LEN)?
        .copy_from_slice(&header);
    let meta = out.get(start + HEADER_LEN..)?;
    let trailer = crc32c::crc32c_append(crc32c::crc32c_append(crc, meta), events);
    let total = HEADER_LEN as u64 + u64::from(payload_len) + TRAILER_LEN as u64;
    Some((trailer, total))
}

/// The end frame of a segment of `records` records, after which `sequence` comes.
pub(super) fn encode_end(salt: u32, sequence: u64, records: u32, stored_ms: u64) -> Vec<u8> {
    let tag = Tag::new("");
    let head = Head {
        kind: Kind::End,
        tag: &tag,
        origin: None,
        fingerprint: None,
        group: 0,
        count: 0,
        before: records,
        sequence,
        stored_ms,
    };
    let (header, crc) = encode_header(salt, &head, 0, 0);
    let mut out = header;
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn encode_header(salt: u32, head: &Head<'_>, payload_len: u32, meta_len: u32) -> (Vec<u8>, u32) {
    let (kind, flags) = match head.kind {
        Kind::Whole => (KIND_DATA, 0),
        Kind::Piece { last: false } => (KIND_DATA, FLAG_PIECE),
        Kind::Piece { last: true } => (KIND_DATA, FLAG_PIECE | FLAG_LAST),
        Kind::End => (KIND_END, 0),
    };
    let mut out = Vec::with_capacity(HEADER_LEN);
    out.extend_from_slice(&magic(salt));
    out.extend_from_slice(&[kind, flags, 0, 0]);
    for number in [payload_len, meta_len, head.count, head.before] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&head.sequence.to_le_bytes());
    out.extend_from_slice(&head.stored_ms.to_le_bytes());
    let crc = crc32c::crc32c_append(salt, &out);
    out.extend_from_slice(&crc.to_le_bytes());
    (out, crc)
}

fn encode_meta(out: &mut Vec<u8>, head: &Head<'_>) {
    put_bytes(out, head.tag.as_str().as_bytes());
    if let Kind::Piece { .. } = head.kind {
        out.extend_from_slice(&head.group.to_le_bytes());
    }
    let flags_at = out.len();
    out.push(0);
    let mut flags = 0;
    if let Some(origin) = head.origin {
        flags |= META_ORIGIN;
        put_bytes(out, &origin.chunk);
        out.extend_from_slice(&origin.first.to_le_bytes());
        if origin.identifies {
            flags |= META_IDENTIFIES;
        }
        if let Some(kept) = &origin.kept {
            flags |= META_KEPT;
            put_bytes(out, kept);
        }
    }
    if let Some(fingerprint) = head.fingerprint {
        flags |= META_FINGERPRINT;
        out.extend_from_slice(&fingerprint.digest);
        out.extend_from_slice(&window_secs(fingerprint.window).to_le_bytes());
    }
    if let Some(slot) = out.get_mut(flags_at) {
        *slot = flags;
    }
}

/// A window in whole seconds, rounded up.
pub(super) fn window_secs(window: Duration) -> u32 {
    u32::try_from(window.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // A length beyond 32 bits makes the payload larger than `PAYLOAD_MAX`, which `encode` refuses.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// A frame read back: the batch, and the group it belongs to.
#[derive(Debug, Clone)]
pub(super) struct Decoded {
    pub(super) frame: Frame,
    pub(super) group: Option<u64>,
    /// The digest by which its message is recognised, and the seconds that it is remembered.
    pub(super) known_by: Option<([u8; DIGEST_LEN], u32)>,
}

/// Verifies and reads what follows a header: payload and trailer. `None` when it is damaged.
pub(super) fn decode(header: &Header, rest: &Bytes) -> Option<Decoded> {
    let payload_len = header.payload_len as usize;
    let (payload, trailer) = rest.split_at_checked(payload_len)?;
    let crc = u32::from_le_bytes(*trailer.first_chunk::<4>()?);
    let is_whole = crc32c::crc32c_append(header.crc, payload) == crc;
    #[cfg(feature = "defects")]
    let is_whole = is_whole || crate::telemetry::defects::is_on("trust_without_checksum");
    is_whole.then(|| parse(header, rest)).flatten()
}

/// Reads what follows a header, whatever its checksum says.
pub(super) fn parse(header: &Header, rest: &Bytes) -> Option<Decoded> {
    let payload_len = header.payload_len as usize;
    let payload = rest.get(..payload_len)?;
    let meta_len = header.meta_len as usize;
    let mut input = Input::new(payload.get(..meta_len)?);
    let tag = Tag::new(&String::from_utf8_lossy(input.bytes()?));
    let group = match header.kind {
        Kind::Piece { .. } => Some(input.u64()?),
        _ => None,
    };
    let flags = input.u8()?;
    let origin = match flags & META_ORIGIN {
        0 => None,
        _ => Some(decode_origin(&mut input, flags)?),
    };
    let known_by = match flags & META_FINGERPRINT {
        0 => None,
        _ => Some((input.array()?, input.u32()?)),
    };
    let events = rest.slice(meta_len..payload_len);
    let frame = Frame {
        sequence: header.sequence,
        tag,
        events,
        count: header.count,
        origin,
    };
    Some(Decoded {
        frame,
        group,
        known_by,
    })
}

fn decode_origin(input: &mut Input<'_>, flags: u8) -> Option<Origin> {
    // Copied: a chunk id is short, and a slice of the block would keep all of the block.
    let chunk = Bytes::copy_from_slice(input.bytes()?);
    let first = input.u32()?;
    let kept = if flags & META_KEPT == 0 {
        None
    } else {
        Some(Bytes::copy_from_slice(input.bytes()?))
    };
    Some(Origin {
        chunk,
        first,
        kept,
        identifies: flags & META_IDENTIFIES != 0,
    })
}
