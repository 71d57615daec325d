//! A second reader of packed entries: slow, simple, and built on another library.

use forward_protocol::Flaw;
use rmp::Marker;
use rmpv::Value;

use crate::{
    outcome::Told,
    rules::{Fate, Reading, fate, of_float, rewritten},
};

/// Levels from which on the two readers need not agree whether it is too deep.
const LEVELS: usize = 60;
/// Where `rmpv` ends, which counts more than one for a level.
const DEPTH_MAX: usize = 1000;

/// Why a value cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    /// More bytes are needed.
    CutOff,
    /// A byte that MessagePack does not use.
    Reserved,
    /// Nested so far that it may be refused.
    Deep,
}

/// What a stream of entries must come to.
///
/// # Errors
/// `Reserved` and `Deep`; a stream that is cut off has a flaw.
pub(crate) fn read(stream: &[u8]) -> Result<Told, Bad> {
    let mut told = Told::default();
    let mut rest = stream;
    while !rest.is_empty() {
        let len = match walk(rest, LEVELS) {
            Ok(len) => len,
            Err(Bad::CutOff) => {
                told.add(Flaw::CutOff, 1);
                break;
            }
            Err(bad) => return Err(bad),
        };
        let (entry, behind) = rest.split_at(len);
        count(&mut told, entry);
        rest = behind;
    }
    Ok(told)
}

/// Counts one entry.
fn count(told: &mut Told, entry: &[u8]) {
    let items = items(entry);
    let [first, record, ..] = items.as_slice() else {
        return told.add(Flaw::Entry, 1);
    };
    let inner = self::items(first);
    let (time, metadata) = match inner.as_slice() {
        [] => (first, None),
        [time, behind @ ..] => (time, behind.first()),
    };
    let is_map = matches!(value(record), Some(Value::Map(_)));
    let fate = fate(reading(time), metadata.is_some(), is_map);
    match fate {
        Fate::Keep => told.entries.extend_from_slice(entry),
        Fate::Retime(secs, nanos) => {
            let anew = rewritten(secs, nanos, metadata.copied(), record);
            told.entries.extend_from_slice(&anew);
        }
        Fate::Marker => return,
        Fate::Drop(flaw) => return told.add(flaw, 1),
    }
    told.count += 1;
}

fn reading(time: &[u8]) -> Reading {
    match value(time) {
        Some(Value::Nil) => Reading::Nil,
        Some(Value::Integer(secs)) => secs
            .as_i64()
            .map_or(Reading::Other, |secs| Reading::At(secs, 0)),
        Some(Value::F32(secs)) => of_float(secs.into()),
        Some(Value::F64(secs)) => of_float(secs),
        Some(Value::Ext(0, bytes)) if bytes.len() == 8 => {
            let number = |half: &[u8]| {
                half.iter()
                    .fold(0, |sum, byte| (sum << 8) | u32::from(*byte))
            };
            let (secs, nanos) = bytes.split_at(4);
            Reading::At(number(secs).into(), number(nanos).min(999_999_999))
        }
        _ => Reading::Other,
    }
}

/// Decodes a whole value; `None` when that is not possible. It is for what one of the readers took already, so that it
/// need not be careful.
pub(crate) fn value(mut bytes: &[u8]) -> Option<Value> {
    let value = rmpv::decode::read_value_with_max_depth(&mut bytes, DEPTH_MAX).ok()?;
    bytes.is_empty().then_some(value)
}

/// The items of an array; none when it is none.
fn items(bytes: &[u8]) -> Vec<&[u8]> {
    let mut rest = bytes;
    let count = rmp::decode::read_array_len(&mut rest).unwrap_or_default();
    let mut items = Vec::new();
    for _ in 0..count {
        let Ok(len) = walk(rest, LEVELS) else {
            return Vec::new();
        };
        let (item, behind) = rest.split_at(len);
        items.push(item);
        rest = behind;
    }
    items
}

/// The length of the value at the front.
///
/// # Errors
/// [`Bad`].
fn walk(bytes: &[u8], levels: usize) -> Result<usize, Bad> {
    let Some((marker, rest)) = bytes.split_first() else {
        return Err(Bad::CutOff);
    };
    let size = |width: usize| -> Result<usize, Bad> {
        let digits = rest.get(..width).ok_or(Bad::CutOff)?;
        Ok(digits
            .iter()
            .fold(0, |sum, digit| (sum << 8) | usize::from(*digit)))
    };
    let (len, children) = match Marker::from_u8(*marker) {
        Marker::Reserved => return Err(Bad::Reserved),
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => {
            (0, 0)
        }
        Marker::U8 | Marker::I8 => (1, 0),
        Marker::U16 | Marker::I16 | Marker::FixExt1 => (2, 0),
        Marker::FixExt2 => (3, 0),
        Marker::U32 | Marker::I32 | Marker::F32 => (4, 0),
        Marker::FixExt4 => (5, 0),
        Marker::U64 | Marker::I64 | Marker::F64 => (8, 0),
        Marker::FixExt8 => (9, 0),
        Marker::FixExt16 => (17, 0),
        Marker::FixStr(len) => (usize::from(len), 0),
        Marker::Str8 | Marker::Bin8 => (1 + size(1)?, 0),
        Marker::Str16 | Marker::Bin16 => (2 + size(2)?, 0),
        Marker::Str32 | Marker::Bin32 => (4 + size(4)?, 0),
        Marker::Ext8 => (2 + size(1)?, 0),
        Marker::Ext16 => (3 + size(2)?, 0),
        Marker::Ext32 => (5 + size(4)?, 0),
        Marker::FixArray(count) => (0, usize::from(count)),
        Marker::Array16 => (2, size(2)?),
        Marker::Array32 => (4, size(4)?),
        Marker::FixMap(count) => (0, 2 * usize::from(count)),
        Marker::Map16 => (2, 2 * size(2)?),
        Marker::Map32 => (4, 2 * size(4)?),
    };
    let mut end = 1 + len;
    if end > bytes.len() {
        return Err(Bad::CutOff);
    }
    if children > 0 && levels == 0 {
        return Err(Bad::Deep);
    }
    for _ in 0..children {
        end += walk(bytes.get(end..).unwrap_or_default(), levels - 1)?;
    }
    Ok(end)
}
