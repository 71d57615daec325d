//! Damage to a connection that was whole.

use crate::dice::Dice;

/// Damages at most this many places.
const PLACES: usize = 4;

/// Changes, removes, repeats or cuts.
pub(crate) fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice<'_>) {
    for _ in 0..=dice.below(PLACES) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.below(bytes.len());
        let end = (at + 1 + dice.below(16)).min(bytes.len());
        match dice.below(6) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = dice.byte();
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes.get(at..end).unwrap_or_default().to_vec();
                bytes.splice(at..at, copy);
            }
            4 => bytes.truncate(at),
            _ => bytes.insert(at, dice.byte()),
        }
    }
}
