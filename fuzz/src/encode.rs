//! MessagePack in every width that the format has: senders do not all choose the shortest.

use crate::dice::Dice;

/// How a length may be written: the marker, bytes of the length (0 when it is in the marker), the longest.
type Form = (u8, usize, usize);

const STR: [Form; 4] = [
    (0xa0, 0, 31),
    (0xd9, 1, 0xff),
    (0xda, 2, 0xffff),
    (0xdb, 4, usize::MAX),
];
const BIN: [Form; 3] = [(0xc4, 1, 0xff), (0xc5, 2, 0xffff), (0xc6, 4, usize::MAX)];
const ARRAY: [Form; 3] = [(0x90, 0, 15), (0xdc, 2, 0xffff), (0xdd, 4, usize::MAX)];
const MAP: [Form; 3] = [(0x80, 0, 15), (0xde, 2, 0xffff), (0xdf, 4, usize::MAX)];
/// Levels of a value that is made up.
const LEVELS: usize = 5;
/// Items of a container and bytes of a string that is made up, at most.
const ITEMS: usize = 4;
const TEXT: usize = 40;

/// Writes a length. Mostly in the shortest form; sometimes in a longer one.
fn header(out: &mut Vec<u8>, dice: &mut Dice<'_>, len: usize, forms: &[Form]) {
    let fitting: Vec<&Form> = forms.iter().filter(|(_, _, max)| len <= *max).collect();
    let longer = if dice.once_in(4) {
        dice.below(fitting.len())
    } else {
        0
    };
    let Some((marker, width, _)) = fitting.get(longer) else {
        return;
    };
    let digits = len.to_be_bytes();
    if *width == 0 {
        out.push(marker | digits.last().copied().unwrap_or_default());
    } else {
        out.push(*marker);
        out.extend_from_slice(digits.get(digits.len() - width..).unwrap_or_default());
    }
}

/// A str; what is in it need not be UTF-8.
pub(crate) fn text(out: &mut Vec<u8>, dice: &mut Dice<'_>, bytes: &[u8]) {
    header(out, dice, bytes.len(), &STR);
    out.extend_from_slice(bytes);
}

/// A bin.
pub(crate) fn binary(out: &mut Vec<u8>, dice: &mut Dice<'_>, bytes: &[u8]) {
    header(out, dice, bytes.len(), &BIN);
    out.extend_from_slice(bytes);
}

/// The head of an array.
pub(crate) fn array(out: &mut Vec<u8>, dice: &mut Dice<'_>, len: usize) {
    header(out, dice, len, &ARRAY);
}

/// The head of a map.
pub(crate) fn map(out: &mut Vec<u8>, dice: &mut Dice<'_>, pairs: usize) {
    header(out, dice, pairs, &MAP);
}

/// An integer in one of the forms that can hold it.
pub(crate) fn int(out: &mut Vec<u8>, dice: &mut Dice<'_>, value: i64) {
    let wide = value.to_be_bytes();
    let (marker, width) = match (u32::try_from(value), dice.below(3)) {
        (Ok(_), 0) => (0xce, 4),
        (_, 1) if value >= 0 => (0xcf, 8),
        _ => (0xd3, 8),
    };
    out.push(marker);
    out.extend_from_slice(wide.get(wide.len() - width..).unwrap_or_default());
}

/// A map with text as keys.
pub(crate) fn record(out: &mut Vec<u8>, dice: &mut Dice<'_>) {
    let pairs = dice.below(ITEMS);
    map(out, dice, pairs);
    for _ in 0..pairs {
        let key = dice.bytes(6);
        text(out, dice, key);
        any(out, dice, LEVELS);
    }
}

/// Any value at all, of at most `levels`.
pub(crate) fn any(out: &mut Vec<u8>, dice: &mut Dice<'_>, levels: usize) {
    match dice.below(if levels == 0 { 11 } else { 14 }) {
        0 => out.push(0xc0),
        1 => out.push(0xc2 | (dice.byte() & 1)),
        2 => out.push(dice.byte() & 0x7f),
        3 => out.push(dice.byte() | 0xe0),
        // The four signed and the four unsigned integers.
        4 | 5 => {
            let size = dice.below(4);
            let marker = dice.one_of(&[0xcc_u8, 0xd0]);
            out.push(marker + u8::try_from(size).unwrap_or_default());
            let digits = dice.number().to_be_bytes();
            out.extend_from_slice(digits.get(..1 << size).unwrap_or_default());
        }
        6 => {
            out.push(0xca);
            out.extend_from_slice(digits(dice).get(..4).unwrap_or_default());
        }
        7 => {
            out.push(0xcb);
            out.extend_from_slice(&digits(dice));
        }
        8 => {
            let bytes = dice.bytes(TEXT);
            text(out, dice, bytes);
        }
        9 => {
            let bytes = dice.bytes(TEXT);
            binary(out, dice, bytes);
        }
        10 => extension(out, dice),
        11 => {
            let items = dice.below(ITEMS);
            array(out, dice, items);
            for _ in 0..items {
                any(out, dice, levels - 1);
            }
        }
        _ => {
            let pairs = dice.below(ITEMS);
            map(out, dice, pairs);
            for _ in 0..2 * pairs {
                any(out, dice, levels - 1);
            }
        }
    }
}

fn digits(dice: &mut Dice<'_>) -> [u8; 8] {
    dice.number().to_be_bytes()
}

fn extension(out: &mut Vec<u8>, dice: &mut Dice<'_>) {
    let kind = dice.byte();
    if dice.once_in(2) {
        let size = dice.below(5);
        out.extend_from_slice(&[0xd4 + u8::try_from(size).unwrap_or_default(), kind]);
        let bytes = dice.bytes(1 << size);
        out.extend_from_slice(bytes);
        out.resize(out.len() + (1 << size) - bytes.len(), 0);
    } else {
        let bytes = dice.bytes(TEXT);
        out.extend_from_slice(&[0xc7, u8::try_from(bytes.len()).unwrap_or_default(), kind]);
        out.extend_from_slice(bytes);
    }
}
