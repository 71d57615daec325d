//! The target `packed`: a stream of entries, plain and compressed, beside a second reader.

use std::io::{Read as _, Write as _};

use forward_protocol::{Limits, ProtocolError};
use sdk::{
    event::Entries,
    json::{Clash, Lead, Names, Writer},
    msgpack::Malformed,
};

use crate::{
    dice::Dice,
    drive::{Arrival, drive, panic_with},
    outcome::{Item, Told},
    reader::{self, Bad},
};

/// Names that the writer must keep clear of.
const RESERVED: &[&str] = &["_id", "_index"];

/// How the entries are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Codec {
    /// As they are.
    #[default]
    Plain,
    /// Members back to back.
    Gzip,
    /// Frames back to back.
    Zstd,
}

/// Checks one input: two bytes that say how, then the entries, or what is to be taken for compressed entries.
///
/// # Panics
/// When the decoder and the second reader do not agree, or when what was accepted cannot be written as JSON.
pub fn check(input: &[u8]) {
    let mut dice = Dice::new(input);
    let codec = dice.one_of(&[Codec::Plain, Codec::Gzip, Codec::Zstd]);
    let is_raw = dice.once_in(4);
    let arrival = Arrival::any(&mut dice);
    let members = 1 + dice.below(3);
    let bytes = dice.rest();
    let (blob, stream) = if is_raw || codec == Codec::Plain {
        (bytes.to_vec(), inflated(bytes))
    } else {
        let size = bytes.len().div_ceil(members).max(1);
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        (compress(codec, &pieces), Some(bytes.to_vec()))
    };
    let outcome = drive(limits(), &message(&blob), &arrival);
    let expected = stream.map(|stream| reader::read(&stream));
    match (outcome.items.as_slice(), outcome.error, expected) {
        ([Item::Message(told)], None, Some(Ok(expected))) => compare(told, expected, &blob),
        // Where the second reader finds it too deep it does not look on.
        (_, None | Some(ProtocolError::Malformed(Malformed::TooDeep)), Some(Err(Bad::Deep)))
        | ([], Some(ProtocolError::Malformed(Malformed::Reserved)), Some(Err(_)))
        // The entries before the damage may be what is objected to.
        | ([], Some(ProtocolError::Damaged | ProtocolError::Malformed(_)), None) => {}
        (items, error, expected) => {
            let finding =
                format!("{items:?} and {error:?}, but the second reader says {expected:?}");
            panic_with(&finding, &blob);
        }
    }
    for item in &outcome.items {
        if let Item::Message(told) = item {
            check_json(&told.entries);
        }
    }
}

/// Generous, but for what a small input must not become.
fn limits() -> Limits {
    Limits {
        inflated_ratio: u64::MAX,
        ..Limits::default()
    }
}

/// `["t", blob, {"chunk": 1}]`
fn message(blob: &[u8]) -> Vec<u8> {
    let len = u32::try_from(blob.len()).unwrap_or_default();
    let mut out = b"\x93\xa1t\xc6".to_vec();
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(blob);
    out.extend_from_slice(b"\x81\xa5chunk\x01");
    out
}

fn compare(told: &Told, mut expected: Told, blob: &[u8]) {
    expected.tag = Some("t".into());
    expected.ack = Some(b"\x81\xa3ack\x01".to_vec());
    expected.wire_bytes = message(blob).len();
    if *told != expected {
        panic_with(
            &format!("{told:?}\nis not as it must be: {expected:?}"),
            blob,
        );
    }
}

/// What the other library makes of compressed bytes; `None` when it refuses them.
fn inflated(blob: &[u8]) -> Option<Vec<u8>> {
    let limit = limits().inflated_bytes + 1;
    let mut out = Vec::new();
    if blob.starts_with(&[0x1f, 0x8b]) {
        let mut reader = flate2::read::MultiGzDecoder::new(blob).take(limit);
        reader.read_to_end(&mut out).ok()?;
    } else if blob.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = zstd::stream::read::Decoder::new(blob).ok()?;
        decoder.window_log_max(23).ok()?;
        decoder.take(limit).read_to_end(&mut out).ok()?;
    } else {
        out.extend_from_slice(blob);
    }
    Some(out)
}

/// Compresses each piece by itself.
pub(crate) fn compress(codec: Codec, pieces: &[&[u8]]) -> Vec<u8> {
    let one = |piece: &&[u8]| -> std::io::Result<Vec<u8>> {
        match codec {
            Codec::Plain => Ok(piece.to_vec()),
            Codec::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(piece)?;
                encoder.finish()
            }
            Codec::Zstd => zstd::stream::encode_all(*piece, 1),
        }
    };
    let pieces: Result<Vec<Vec<u8>>, _> = pieces.iter().map(one).collect();
    // Writing into memory cannot fail.
    pieces.unwrap_or_default().concat()
}

/// Every entry can be decoded by others, and its record is JSON for everybody.
fn check_json(entries: &[u8]) {
    let mut writers = [
        Writer::new(Names::Any),
        Writer::new(Names::Document { reserved: RESERVED }),
    ];
    let lead = Lead::new().time("@timestamp").string("tag", "t");
    for event in Entries::new(entries).flatten() {
        if reader::value(event.entry).is_none() {
            panic_with("another library cannot read an entry", event.entry);
        }
        for (writer, may_refuse) in writers.iter_mut().zip([false, true]) {
            let mut out = Vec::new();
            let written = writer.record(&mut out, &lead, event.record, &mut |_, _| {
                Clash::Rename("other".into())
            });
            if written.is_err() {
                assert!(may_refuse, "{written:?} of {:02x?}", event.record.bytes());
                continue;
            }
            let read = serde_json::from_slice::<serde_json::Value>(&out);
            let is_object = read.as_ref().is_ok_and(serde_json::Value::is_object);
            assert!(
                is_object,
                "{read:?} is what {} is read as",
                String::from_utf8_lossy(&out)
            );
        }
    }
}
