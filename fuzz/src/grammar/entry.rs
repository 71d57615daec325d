//! One entry with its fate.

use forward_protocol::Flaw;

use crate::{
    dice::Dice,
    encode,
    rules::{Fate, Reading, fate, of_float, rewritten},
};

/// An entry, whole and in its pieces.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) bytes: Vec<u8>,
    pub(crate) fate: Fate,
    /// The time as it was written, for what is put beside it later.
    pub(crate) reading: Reading,
    metadata: Option<Vec<u8>>,
    pub(crate) record: Vec<u8>,
}

impl Entry {
    /// What must come out of it; `None` when it goes.
    pub(crate) fn result(&self) -> Option<Vec<u8>> {
        match self.fate {
            Fate::Keep => Some(self.bytes.clone()),
            Fate::Retime(secs, nanos) => Some(rewritten(
                secs,
                nanos,
                self.metadata.as_deref(),
                &self.record,
            )),
            Fate::Marker | Fate::Drop(_) => None,
        }
    }
}

/// An entry of Forward mode or of packed ones.
pub(crate) fn entry(dice: &mut Dice<'_>) -> Entry {
    let mut bytes = Vec::new();
    let shape = dice.below(16);
    if shape == 15 {
        return no_entry(bytes, dice);
    }
    let extra = if shape == 14 { 1 + dice.below(2) } else { 0 };
    encode::array(&mut bytes, dice, 2 + extra);
    let (mut time, reading) = time(dice, true);
    let mut metadata = None;
    if let 10..=13 = shape {
        // Fluent Bit's form; also without metadata, and with more than that.
        let inner = 1 + dice.below(3);
        encode::array(&mut bytes, dice, inner);
        bytes.append(&mut time);
        let mut beside = Vec::new();
        for number in 1..inner {
            let begun = beside.len();
            encode::any(&mut beside, dice, 2);
            if number == 1 {
                metadata = beside.get(begun..).map(<[u8]>::to_vec);
            }
        }
        bytes.append(&mut beside);
    } else {
        bytes.append(&mut time);
    }
    let (record, is_map) = record(dice);
    bytes.extend_from_slice(&record);
    super::surplus(&mut bytes, dice, extra);
    Entry {
        fate: fate(reading, metadata.is_some(), is_map),
        bytes,
        reading,
        metadata,
        record,
    }
}

/// Time and record of Message mode, as they stand in the message.
pub(crate) fn single(dice: &mut Dice<'_>) -> Entry {
    let mut bytes = vec![0x92];
    let (time, reading) = time(dice, false);
    bytes.extend_from_slice(&time);
    let (record, is_map) = record(dice);
    bytes.extend_from_slice(&record);
    Entry {
        fate: fate(reading, false, is_map),
        bytes,
        reading,
        metadata: None,
        record,
    }
}

fn no_entry(mut bytes: Vec<u8>, dice: &mut Dice<'_>) -> Entry {
    match dice.below(4) {
        0 => bytes.push(0x90),
        1 => {
            bytes.push(0x91);
            encode::any(&mut bytes, dice, 1);
        }
        2 => bytes.extend_from_slice(&[0xa1, b'x']),
        _ => bytes.push(0xc0),
    }
    Entry {
        bytes,
        fate: Fate::Drop(Flaw::Entry),
        reading: Reading::Other,
        metadata: None,
        record: Vec::new(),
    }
}

fn record(dice: &mut Dice<'_>) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let is_map = !dice.once_in(12);
    if is_map {
        encode::record(&mut bytes, dice);
    } else {
        bytes.extend_from_slice(dice.one_of(&[&[0xc0][..], &[0x01], &[0xa1, b'x'], &[0x91, 0x80]]));
    }
    (bytes, is_map)
}

/// Seconds that are taken as they are, or in Fluent Bit's form for marks of groups.
const SECONDS: [i64; 6] = [
    1_700_000_001,
    1,
    0xffff_fffd,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
];
/// Seconds at the edges of what is taken for milliseconds and of what is taken at all.
const ODD_SECONDS: [i64; 11] = [
    0,
    -5,
    1_700_000_001_250,
    100_000_000_000,
    100_000_000_001,
    253_402_300_799_999,
    253_402_300_800_000,
    -62_135_596_800,
    -62_135_596_801,
    i64::MAX,
    i64::MIN,
];
const FLOATS: [f64; 7] = [
    1_700_000_001.25,
    0.5,
    -0.5,
    1.7e12,
    f64::NAN,
    f64::INFINITY,
    1e300,
];
/// What is no time: true, a map, another extension, an integer beyond 63 bits; a str and an array, which would change
/// the mode of a message.
const OTHERS: [&[u8]; 6] = [
    &[0xc3],
    &[0x80],
    &[0xd7, 1, 0, 0, 0, 9, 0, 0, 0, 0],
    &[0xcf; 9],
    &[0xa1, b'x'],
    &[0x90],
];

/// A time, and how it reads. Unless `is_free`, it does not change the mode of a message.
fn time(dice: &mut Dice<'_>, is_free: bool) -> (Vec<u8>, Reading) {
    let mut bytes = Vec::new();
    let reading = match dice.below(10) {
        0..=2 => whole(&mut bytes, dice, &SECONDS),
        3 | 4 => event_time(&mut bytes, dice),
        5 => {
            bytes.push(0xc0);
            Reading::Nil
        }
        6 => whole(&mut bytes, dice, &ODD_SECONDS),
        7 => {
            let secs = dice.one_of(&FLOATS);
            bytes.push(0xcb);
            bytes.extend_from_slice(&secs.to_be_bytes());
            of_float(secs)
        }
        8 => {
            let secs = dice.one_of(&[1.7e9_f32, 0.25, f32::NAN]);
            bytes.push(0xca);
            bytes.extend_from_slice(&secs.to_be_bytes());
            of_float(f64::from(secs))
        }
        _ => {
            let count = OTHERS.len() - if is_free { 0 } else { 2 };
            bytes.extend_from_slice(dice.one_of(OTHERS.get(..count).unwrap_or_default()));
            Reading::Other
        }
    };
    (bytes, reading)
}

fn whole(bytes: &mut Vec<u8>, dice: &mut Dice<'_>, all: &[i64]) -> Reading {
    let secs = dice.one_of(all);
    encode::int(bytes, dice, secs);
    Reading::At(secs, 0)
}

fn event_time(bytes: &mut Vec<u8>, dice: &mut Dice<'_>) -> Reading {
    let secs = dice.one_of(&[1_700_000_001_u32, 0, 1, 0xffff_fffe, 0xffff_ffff]);
    let nanos = dice.one_of(&[0, 5, 999_999_999, 1_000_000_000, u32::MAX]);
    if dice.once_in(3) {
        bytes.extend_from_slice(&[0xc7, 8, 0]);
    } else {
        bytes.extend_from_slice(&[0xd7, 0]);
    }
    bytes.extend_from_slice(&secs.to_be_bytes());
    bytes.extend_from_slice(&nanos.to_be_bytes());
    Reading::At(secs.into(), nanos.min(999_999_999))
}
