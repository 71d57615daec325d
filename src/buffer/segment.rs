//! The head of a segment file: its name and its first 64 bytes. `docs/BUFFER_FORMAT.md` has the same in words.

use super::bytes_in::Input;

/// Length of the segment header, in bytes.
pub(super) const SEGMENT_HEADER_LEN: usize = 64;
/// Frames in a segment at most. After a crash the next sequence is at least this far behind the start of the
/// newest segment, so that no sequence is ever given twice.
pub(super) const FRAMES_MAX: u32 = 65_536;
/// The format version that is written, and the only one that is read.
pub(super) const VERSION: u16 = 1;

/// Sequences are below this, so that no file name can make one overflow.
pub(super) const SEQUENCE_END: u64 = 1 << 62;

const MAGIC: [u8; 8] = *b"WEIRSEG\n";
/// Where the salt stands.
const SALT_AT: usize = 12;
const COVERED_LEN: usize = SEGMENT_HEADER_LEN - 4;
const NAME_ENDING: &str = ".seg";

/// The first bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// The buffer it belongs to.
    pub(super) buffer: u128,
    /// Sequence of its first frame.
    pub(super) first: u64,
    /// When it was made, in milliseconds since 1970.
    pub(super) created_ms: u64,
    /// Makes its frames look unlike those of any other segment.
    pub(super) salt: u32,
    /// Frames with sequences from here up to `first`, without it, were written and never became durable.
    pub(super) void_from: Option<u64>,
}

/// Why the first bytes are not a header that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// Not what was written.
    Damaged,
    /// Whole, but of a newer version.
    Newer(u16),
}

impl SegmentHeader {
    /// As bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER_LEN);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&0_u16.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&self.buffer.to_be_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.created_ms.to_le_bytes());
        out.extend_from_slice(&self.void_from.unwrap_or(0).to_le_bytes());
        out.resize(COVERED_LEN, 0);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let (header, version) = read(bytes).ok_or(HeaderError::Damaged)?;
        if version == VERSION {
            Ok(header)
        } else {
            Err(HeaderError::Newer(version))
        }
    }
}

/// What the salt field of a header says that may be damaged.
pub(super) fn salt_field(bytes: &[u8]) -> Option<u32> {
    let field = bytes.get(SALT_AT..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*field))
}

fn read(bytes: &[u8]) -> Option<(SegmentHeader, u16)> {
    let (covered, rest) = bytes.split_at_checked(COVERED_LEN)?;
    let crc = u32::from_le_bytes(*rest.first_chunk::<4>()?);
    if crc32c::crc32c(covered) != crc {
        return None;
    }
    let mut input = Input::new(covered.strip_prefix(&MAGIC)?);
    let version = input.u16()?;
    input.u16()?;
    let salt = input.u32()?;
    let buffer = u128::from_be_bytes(input.array()?);
    let header = SegmentHeader {
        buffer,
        first: input.u64()?,
        created_ms: input.u64()?,
        salt,
        void_from: input.u64().filter(|from| *from > 0),
    };
    Some((header, version))
}

/// The file name of the segment whose first sequence is `first`.
pub(super) fn file_name(first: u64) -> String {
    format!("{first:016x}{NAME_ENDING}")
}

/// The first sequence that a file name tells; `None` when it is not the name of a segment.
pub(super) fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(NAME_ENDING)?;
    let plain = digits.len() == 16
        && digits
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let first = plain
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()?;
    (first < SEQUENCE_END).then_some(first)
}
