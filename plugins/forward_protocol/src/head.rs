//! The head of a MessagePack value: its marker with the length or count that belongs to it.

use sdk::msgpack::Malformed;

/// What a head announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes of the head itself.
    pub(crate) len: usize,
    /// Bytes of payload behind it.
    pub(crate) payload: u64,
    /// Values that follow inside it.
    pub(crate) children: u64,
    /// What kind of value it is, as far as messages tell kinds apart.
    pub(crate) kind: Kind,
}

/// Kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// nil
    Nil,
    /// str or bin
    Bytes,
    /// array
    Array,
    /// Anything else.
    Other,
}

/// Reads the head at the start of `bytes`; `None` when it is not complete.
///
/// # Errors
/// `Reserved` for the byte 0xc1.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let Some(&marker) = bytes.first() else {
        return Ok(None);
    };
    let fixed = |payload: u64, children: u64, kind| {
        Some(Head {
            len: 1,
            payload,
            children,
            kind,
        })
    };
    Ok(match marker {
        0xc0 => fixed(0, 0, Kind::Nil),
        0x00..=0x7f | 0xe0..=0xff | 0xc2 | 0xc3 => fixed(0, 0, Kind::Other),
        0x80..=0x8f => fixed(0, 2 * u64::from(marker & 0x0f), Kind::Other),
        0x90..=0x9f => fixed(0, u64::from(marker & 0x0f), Kind::Array),
        0xa0..=0xbf => fixed(u64::from(marker & 0x1f), 0, Kind::Bytes),
        0xca => fixed(4, 0, Kind::Other),
        0xcb => fixed(8, 0, Kind::Other),
        0xcc..=0xcf => fixed(1 << (marker - 0xcc), 0, Kind::Other),
        0xd0..=0xd3 => fixed(1 << (marker - 0xd0), 0, Kind::Other),
        0xd4..=0xd8 => fixed(1 + (1 << (marker - 0xd4)), 0, Kind::Other),
        0xc4..=0xc6 => sized(bytes, 1 << (marker - 0xc4), Kind::Bytes),
        0xd9..=0xdb => sized(bytes, 1 << (marker - 0xd9), Kind::Bytes),
        0xc7..=0xc9 => {
            let head = sized(bytes, 1 << (marker - 0xc7), Kind::Other);
            head.map(|head| Head {
                payload: head.payload + 1,
                ..head
            })
        }
        0xdc | 0xdd => counted(bytes, 2 << (marker - 0xdc), 1, Kind::Array),
        0xde | 0xdf => counted(bytes, 2 << (marker - 0xde), 2, Kind::Other),
        0xc1 => return Err(Malformed::Reserved),
    })
}

fn sized(bytes: &[u8], width: usize, kind: Kind) -> Option<Head> {
    Some(Head {
        len: 1 + width,
        payload: number(bytes, width)?,
        children: 0,
        kind,
    })
}

fn counted(bytes: &[u8], width: usize, each: u64, kind: Kind) -> Option<Head> {
    Some(Head {
        len: 1 + width,
        payload: 0,
        children: each * number(bytes, width)?,
        kind,
    })
}

/// The big-endian number of `width` bytes behind the marker.
fn number(bytes: &[u8], width: usize) -> Option<u64> {
    let digits = bytes.get(1..=width)?;
    Some(
        digits
            .iter()
            .fold(0, |sum, byte| (sum << 8) | u64::from(*byte)),
    )
}
