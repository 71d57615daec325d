//! One message in any of the modes.

use forward_protocol::{Flaw, Limits, ProtocolError};
use sdk::event::TAG_LEN_MAX;

use super::{
    entry::{Entry, entry, single},
    option::{Claim, Options, option},
    surplus,
};
use crate::{
    dice::Dice,
    encode,
    outcome::Told,
    packed::{Codec, compress},
    rules::{Fate, Reading, fate, rewritten},
};

/// Entries of a message, at most.
const ENTRIES: usize = 12;

/// What is left of a message when its array and its tag are made.
struct Body {
    told: Told,
    bytes: Vec<u8>,
    /// Elements of the outer array.
    elements: usize,
    /// Packed entries that are not empty: whether they are compressed.
    is_compressed: Option<bool>,
    /// Of Message mode.
    single: Option<Entry>,
}

/// Appends a message. Returns what must come of it, or the error that must end the connection.
pub(crate) fn message(
    out: &mut Vec<u8>,
    dice: &mut Dice<'_>,
    limits: &Limits,
) -> (Told, Option<ProtocolError>) {
    if dice.once_in(24) {
        return (too_short(out, dice), None);
    }
    let mut tag_bytes = Vec::new();
    let tag = tag(&mut tag_bytes, dice);
    let mut body = match dice.below(5) {
        0 => message_mode(dice, limits),
        1 => forward_mode(dice, limits),
        mode => packed_mode(
            dice,
            limits,
            [Codec::Plain, Codec::Gzip, Codec::Zstd],
            mode - 2,
        ),
    };
    let mut option_bytes = Vec::new();
    let mut options = Options::default();
    if !dice.once_in(3) {
        // Where messages come in parts, those of a signal are out before it is known.
        options = option(
            &mut option_bytes,
            dice,
            limits.part_bytes == Limits::default().part_bytes,
        );
        let more = if dice.once_in(8) {
            1 + dice.below(2)
        } else {
            0
        };
        surplus(&mut option_bytes, dice, more);
        body.elements += 1 + more;
    }
    encode::array(out, dice, 1 + body.elements);
    out.append(&mut tag_bytes);
    out.append(&mut body.bytes);
    out.append(&mut option_bytes);
    finish(body, tag, options, limits)
}

/// What the tag and the option make of the entries.
fn finish(
    body: Body,
    tag: Option<String>,
    options: Options,
    limits: &Limits,
) -> (Told, Option<ProtocolError>) {
    let Body {
        mut told,
        is_compressed,
        single,
        ..
    } = body;
    let error = match (is_compressed, options.compressed) {
        (Some(false), Claim::Method) => Some(ProtocolError::NotCompressed),
        (Some(_), Claim::Unknown) => Some(ProtocolError::UnknownCompression),
        _ => None,
    };
    if let Some(entry) = single.filter(|_| told.count > 0)
        && let Some(metadata) = &options.metadata
    {
        told.entries = beside(&entry, metadata, told.entries);
    }
    if tag.is_none() {
        told.add(Flaw::Tag, told.count);
        told.entries.clear();
        told.count = 0;
    }
    if options.is_signal {
        told = Told::default();
        told.add(Flaw::Signal, 1);
    }
    told.tag = tag;
    told.ack = options
        .chunk
        .map(|value| [b"\x81\xa3ack", value.as_slice()].concat());
    assert!(
        limits.message_bytes > 1 << 19,
        "the grammar knows no tight limit"
    );
    (told, error)
}

/// Puts metadata beside the time of an event of Message mode, unless that would make a marker of it.
fn beside(entry: &Entry, metadata: &[u8], plain: Vec<u8>) -> Vec<u8> {
    let ((Fate::Retime(secs, nanos), _) | (_, Reading::At(secs, nanos))) =
        (entry.fate, entry.reading)
    else {
        return plain;
    };
    // What cannot be written as an EventTime loses its fraction.
    let kept = if u32::try_from(secs).is_ok() {
        nanos
    } else {
        0
    };
    match fate(Reading::At(secs, kept), true, true) {
        Fate::Keep => rewritten(secs, nanos, Some(metadata), &entry.record),
        _ => plain,
    }
}

/// An array that is too short: without a tag, a body, or a record.
fn too_short(out: &mut Vec<u8>, dice: &mut Dice<'_>) -> Told {
    let mut told = Told::default();
    told.add(Flaw::Message, 1);
    let elements = dice.below(3);
    encode::array(out, dice, elements);
    if elements > 0 {
        told.tag = Some("t".into());
        encode::text(out, dice, b"t");
    }
    if elements > 1 {
        encode::int(out, dice, 1_700_000_001);
    }
    told
}

fn tag(out: &mut Vec<u8>, dice: &mut Dice<'_>) -> Option<String> {
    let bytes = match dice.below(8) {
        0 => dice.bytes(20),
        1 => {
            let bad: [&[u8]; 4] = [&[0x05], &[0xc0], &[0x91, 0xa1, b't'], &[0x80]];
            out.extend_from_slice(dice.one_of(&bad));
            return None;
        }
        2 => {
            let len = TAG_LEN_MAX + 1 + dice.below(8);
            encode::text(out, dice, &vec![b't'; len]);
            return None;
        }
        3 => b"",
        4 => b"kube.var.log",
        _ => b"t",
    };
    if dice.once_in(4) {
        encode::binary(out, dice, bytes);
    } else {
        encode::text(out, dice, bytes);
    }
    Some(String::from_utf8_lossy(bytes).into_owned())
}

fn message_mode(dice: &mut Dice<'_>, limits: &Limits) -> Body {
    let entry = single(dice);
    let mut told = Told::default();
    count(&mut told, &entry, limits);
    Body {
        bytes: entry.bytes.get(1..).unwrap_or_default().to_vec(),
        told,
        elements: 2,
        is_compressed: None,
        single: Some(entry),
    }
}

fn forward_mode(dice: &mut Dice<'_>, limits: &Limits) -> Body {
    let entries: Vec<Entry> = (0..dice.below(ENTRIES)).map(|_| entry(dice)).collect();
    let (mut told, mut bytes) = (Told::default(), Vec::new());
    encode::array(&mut bytes, dice, entries.len());
    for entry in &entries {
        count(&mut told, entry, limits);
        bytes.extend_from_slice(&entry.bytes);
    }
    Body {
        told,
        bytes,
        elements: 1,
        is_compressed: None,
        single: None,
    }
}

fn packed_mode(dice: &mut Dice<'_>, limits: &Limits, codecs: [Codec; 3], which: usize) -> Body {
    let codec = codecs.get(which).copied().unwrap_or_default();
    let (mut told, mut blob) = (Told::default(), Vec::new());
    for _ in 0..dice.below(ENTRIES) {
        let entry = entry(dice);
        count(&mut told, &entry, limits);
        blob.extend_from_slice(&entry.bytes);
    }
    if dice.once_in(8) {
        let entry = entry(dice).bytes;
        let cut = entry.get(..dice.below(entry.len())).unwrap_or_default();
        told.add(Flaw::CutOff, u32::from(!cut.is_empty()));
        blob.extend_from_slice(cut);
    }
    if codec != Codec::Plain {
        let size = blob.len().div_ceil(1 + dice.below(3)).max(1);
        let members: Vec<&[u8]> = blob.chunks(size).collect();
        blob = compress(codec, &members);
    }
    let mut bytes = Vec::new();
    if dice.once_in(2) {
        encode::text(&mut bytes, dice, &blob);
    } else {
        encode::binary(&mut bytes, dice, &blob);
    }
    Body {
        told,
        bytes,
        elements: 1,
        is_compressed: (!blob.is_empty()).then_some(codec != Codec::Plain),
        single: None,
    }
}

/// What becomes of an entry under these limits.
fn count(told: &mut Told, entry: &Entry, limits: &Limits) {
    if entry.bytes.len() > limits.part_bytes {
        told.add(Flaw::TooLarge, 1);
        return;
    }
    if let Fate::Drop(flaw) = entry.fate {
        told.add(flaw, 1);
    }
    if let Some(bytes) = entry.result() {
        told.entries.extend_from_slice(&bytes);
        told.count += 1;
    }
}
