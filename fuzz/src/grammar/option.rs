//! The option map.

use crate::{dice::Dice, encode};

/// What an option says.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// The value of `chunk`, encoded, where it asks for an acknowledgement.
    pub(crate) chunk: Option<Vec<u8>>,
    /// The value of `metadata`, encoded, where it is a map with something in it.
    pub(crate) metadata: Option<Vec<u8>>,
    pub(crate) is_signal: bool,
    pub(crate) compressed: Claim,
}

/// What `compressed` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Claim {
    #[default]
    Plain,
    Method,
    Unknown,
}

/// Appends an option; keys may occur twice, and then the last one counts. `may_signal` allows what is no event.
pub(crate) fn option(out: &mut Vec<u8>, dice: &mut Dice<'_>, may_signal: bool) -> Options {
    let mut options = Options::default();
    if dice.once_in(8) {
        out.extend_from_slice(dice.one_of(&[&[0xc0][..], &[0xa1, b'x'], &[0x90], &[0x05]]));
        return options;
    }
    let pairs = dice.below(5);
    encode::map(out, dice, pairs);
    for _ in 0..pairs {
        match dice.below(6) {
            0 | 1 => {
                encode::text(out, dice, b"chunk");
                options.chunk = chunk(out, dice);
            }
            2 => {
                encode::text(out, dice, b"compressed");
                options.compressed = compressed(out, dice);
            }
            3 => {
                encode::text(out, dice, b"size");
                encode::any(out, dice, 1);
            }
            4 if may_signal => {
                encode::text(out, dice, b"fluent_signal");
                let signal = dice.below(5);
                options.is_signal = signal > 0;
                out.extend(u8::try_from(signal));
            }
            _ => {
                encode::text(out, dice, b"metadata");
                let start = out.len();
                encode::record(out, dice);
                let value = out.get(start..).unwrap_or_default();
                let is_empty = matches!(value, [0x80] | [0xde, 0, 0] | [0xdf, 0, 0, 0, 0]);
                options.metadata = (!is_empty).then(|| value.to_vec());
            }
        }
    }
    options
}

fn chunk(out: &mut Vec<u8>, dice: &mut Dice<'_>) -> Option<Vec<u8>> {
    if dice.once_in(6) {
        out.push(dice.one_of(&[0xc0, 0xc2]));
        return None;
    }
    let start = out.len();
    let id = dice.bytes(24);
    match dice.below(4) {
        0 => encode::binary(out, dice, id),
        1 => out.extend_from_slice(dice.one_of(&[
            &[0x01][..],
            &[0xc3],
            &[0x91, 0x01],
            &[0x80],
            &[0xa0],
        ])),
        _ => encode::text(out, dice, id),
    }
    out.get(start..).map(<[u8]>::to_vec)
}

fn compressed(out: &mut Vec<u8>, dice: &mut Dice<'_>) -> Claim {
    let (value, claim) = match dice.below(6) {
        0 => (&b"text"[..], Claim::Plain),
        1 | 2 => (&b"gzip"[..], Claim::Method),
        3 => (&b"zstd"[..], Claim::Method),
        4 => (&b"lz4"[..], Claim::Unknown),
        _ => {
            out.push(0xc0);
            return Claim::Plain;
        }
    };
    encode::text(out, dice, value);
    claim
}
