//! The fields by which Docker marks the parts of a long line, read from the slice, and records made of several parts.
//!
//! Source: moby `daemon/logger/fluentd` since 19.03. All values are strings: `partial_message` = `true`, `partial_id`,
//! `partial_ordinal` from `1` on, `partial_last` = `true` or `false`, and the text in `log`.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use sdk::msgpack::{RawValue, Reader, Token, write};

const MESSAGE: &[u8] = b"partial_message";
const ID: &[u8] = b"partial_id";
const ORDINAL: &[u8] = b"partial_ordinal";
const LAST: &[u8] = b"partial_last";
const LOG: &[u8] = b"log";
/// Docker's ids are 64 hexadecimal digits.
const ID_LEN_MAX: usize = 256;
/// The most parts of a line, and so the highest number. Docker cuts at 16 KiB.
const ORDINAL_MAX: u32 = 1 << 16;

/// What marks a record as a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    /// Which line it belongs to.
    pub(super) id: &'a [u8],
    /// Its place in the line, from 1 on.
    pub(super) ordinal: u32,
    /// Whether it is the last one.
    pub(super) is_last: bool,
}

/// Whether there can be parts among these entries: the one question that is asked of every batch.
pub(super) fn may_hold_parts(events: &[u8]) -> bool {
    static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MESSAGE));
    FINDER.find(events).is_some()
}

/// The fields of a record that is a part; `None` for any other, and for one that cannot be joined.
pub(super) fn read(record: RawValue<'_>) -> Option<Fields<'_>> {
    let (mut is_part, mut has_log) = (false, false);
    let (mut id, mut ordinal, mut is_last) = (None, None, None);
    for (key, value) in record.pairs()? {
        match key.as_bytes()? {
            MESSAGE => is_part = value.as_bytes() == Some(b"true"),
            ID => id = value.as_bytes(),
            ORDINAL => ordinal = value.as_str()?.parse().ok(),
            LAST => is_last = truth(value),
            LOG => has_log = value.as_bytes().is_some(),
            _ => {}
        }
    }
    let id = id.filter(|id| (1..=ID_LEN_MAX).contains(&id.len()))?;
    let ordinal = ordinal.filter(|ordinal| (1..=ORDINAL_MAX).contains(ordinal))?;
    (is_part && has_log).then_some(Fields {
        id,
        ordinal,
        is_last: is_last?,
    })
}

fn truth(value: RawValue<'_>) -> Option<bool> {
    match value.as_bytes()? {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// What becomes of several parts that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// They are the whole line: the fields of parts go away.
    Whole,
    /// They are a stretch of it: a larger part, which still says where in its line it belongs.
    Stretch,
}

/// One entry made of the entries of parts that follow each other: time and fields of the first, `log` of all.
/// Appended to `out`; `false` when one is no part, and then nothing is.
pub(super) fn join<'a, I>(entries: &I, form: Form, out: &mut Vec<u8>) -> bool
where
    I: DoubleEndedIterator<Item = &'a [u8]> + Clone,
{
    let begin = out.len();
    let joined = try_join(entries, form, out);
    if joined.is_none() {
        out.truncate(begin);
    }
    joined.is_some()
}

fn try_join<'a, I>(entries: &I, form: Form, out: &mut Vec<u8>) -> Option<()>
where
    I: DoubleEndedIterator<Item = &'a [u8]> + Clone,
{
    let (time, record) = open(entries.clone().next()?)?;
    let (_, last) = open(entries.clone().next_back()?)?;
    let is_kept = |key: RawValue<'_>| {
        let key = key.as_bytes();
        form == Form::Stretch || !key.is_some_and(|key| [MESSAGE, ID, ORDINAL, LAST].contains(&key))
    };
    write::array(out, 2);
    out.extend_from_slice(time.bytes());
    let kept = record.pairs()?.filter(|(key, _)| is_kept(*key)).count();
    write::map(out, u32::try_from(kept).ok()?);
    for (key, value) in record.pairs()?.filter(|(key, _)| is_kept(*key)) {
        out.extend_from_slice(key.bytes());
        match key.as_bytes() {
            Some(LOG) => log(value, entries.clone(), out)?,
            Some(LAST) => out.extend_from_slice(last.get(LAST)?.bytes()),
            _ => out.extend_from_slice(value.bytes()),
        }
    }
    Some(())
}

/// The text of all, of the type that the first has.
fn log<'a>(
    first: RawValue<'a>,
    entries: impl Iterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) -> Option<()> {
    let mut text = Vec::new();
    for entry in entries {
        let (_, record) = open(entry)?;
        text.extend_from_slice(record.get(LOG)?.as_bytes()?);
    }
    match first.token() {
        Token::Bin(_) => write::bin(out, &text),
        _ => write::str_bytes(out, &text),
    }
    Some(())
}

/// Time, with metadata where there is some, and record of an entry.
fn open(entry: &[u8]) -> Option<(RawValue<'_>, RawValue<'_>)> {
    let mut reader = Reader::new(entry);
    let Token::Array(2..) = reader.token().ok()? else {
        return None;
    };
    Some((reader.value().ok()?, reader.value().ok()?))
}
