//! Tests of the decoder as a whole: written vectors, splits at every byte, properties, limits.

mod hostile;
mod json;
mod properties;
mod scans;
mod splits;
mod vectors;
pub(crate) mod work;

use sdk::{
    clock::Clock,
    event::{Entries, Time},
    msgpack::RawValue,
};

use crate::{Decoder, Flaw, Limits, Message, Part, ProtocolError, Step};

/// The time of receipt in every test.
const NOW: Time = Time {
    secs: 1_800_000_000,
    nanos: 5,
};

/// What a message came to, in words that are easy to write down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    tag: Option<String>,
    /// `seconds.nanoseconds record`, and metadata in front of the record where there is some.
    events: Vec<String>,
    /// The acknowledgement in hexadecimal.
    ack: Option<String>,
    /// Reasons with their counts.
    flaws: Vec<(String, u32)>,
    parts: u32,
}

/// What a connection came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Outcome {
    seen: Vec<Seen>,
    strays: u32,
    error: Option<ProtocolError>,
    /// Ended between two messages.
    is_clean: bool,
}

fn decoder(limits: Limits) -> Decoder {
    Decoder::new(limits, Clock::fixed(NOW).0)
}

/// Decodes `pieces` one after the other.
fn decode<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = decoder(limits);
    let mut outcome = Outcome::default();
    let mut open = Seen::default();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.poll() {
                Ok(Step::Read) => break,
                Ok(Step::Pause) => {}
                Ok(Step::Stray) => outcome.strays += 1,
                Ok(Step::Part(Part { tag, entries })) => {
                    assert!(
                        entries.bytes.len() <= limits.part_bytes + 16,
                        "a part is too large"
                    );
                    assert!(entries.count > 0, "a part is empty");
                    open.tag = Some(tag.to_string());
                    open.events.extend(events(&entries.bytes, entries.count));
                }
                Ok(Step::Message(message)) => outcome
                    .seen
                    .push(ended(std::mem::take(&mut open), &message)),
                Err(error) => {
                    assert_eq!(decoder.poll().err(), Some(error), "an error stays");
                    outcome.error = Some(error);
                    return outcome;
                }
            }
        }
    }
    outcome.is_clean = decoder.finish().is_ok();
    outcome
}

fn ended(mut seen: Seen, message: &Message) -> Seen {
    seen.tag = message
        .tag
        .as_ref()
        .map(|tag| tag.as_str().escape_default().to_string());
    seen.events
        .extend(events(&message.entries.bytes, message.entries.count));
    seen.ack = message.chunk.as_ref().map(|chunk| hex(&chunk.ack()));
    seen.parts = message.parts;
    let counts = Flaw::ALL
        .into_iter()
        .map(|flaw| (flaw.reason().to_owned(), message.flaws.of(flaw)));
    seen.flaws = counts.filter(|(_, count)| *count > 0).collect();
    seen.flaws.sort();
    seen
}

/// Comparable however small messages were gathered: neighbours without acknowledgement and with one tag are joined.
fn gathered(mut outcome: Outcome) -> Outcome {
    let mut all: Vec<Seen> = Vec::new();
    for seen in std::mem::take(&mut outcome.seen) {
        match all
            .last_mut()
            .filter(|last| last.tag == seen.tag && last.ack.is_none() && seen.ack.is_none())
        {
            Some(last) => {
                last.events.extend(seen.events);
                last.parts += seen.parts;
                for (reason, count) in seen.flaws {
                    match last.flaws.iter_mut().find(|(known, _)| *known == reason) {
                        Some((_, sum)) => *sum += count,
                        None => last.flaws.push((reason, count)),
                    }
                }
                last.flaws.sort();
            }
            None => all.push(seen),
        }
    }
    outcome.seen = all;
    outcome
}

fn events(stream: &[u8], count: u32) -> Vec<String> {
    let show = |value: RawValue<'_>| sdk::testing::to_json(value).to_string();
    let all: Vec<String> = Entries::new(stream)
        .map(|event| event.expect("every entry is well formed"))
        .map(|event| {
            let Time { secs, nanos } = event.time;
            let metadata = event
                .metadata
                .map(|value| format!("{} ", show(value)))
                .unwrap_or_default();
            format!("{secs}.{nanos:09} {metadata}{}", show(event.record))
        })
        .collect();
    assert_eq!(
        all.len(),
        count as usize,
        "the count is that of the entries"
    );
    all
}

/// A small limit for everything, so that tests reach it.
fn small() -> Limits {
    Limits {
        message_bytes: 1 << 20,
        part_bytes: 256,
        inflated_bytes: 1 << 20,
        inflated_ratio: 200,
        option_bytes: 512,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair[1]).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

fn encode(value: &rmpv::Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).unwrap();
    out
}

/// `[tag, blob, option]`, the option in hexadecimal.
fn packed(blob: &[u8], option: &str) -> Vec<u8> {
    let mut out = unhex("93 a174 c6");
    out.extend(u32::try_from(blob.len()).unwrap().to_be_bytes());
    out.extend_from_slice(blob);
    out.extend(unhex(option));
    out
}
