//! The target `protocol`: whole connections, made by a grammar, damaged, or as the engine wrote them.

use forward_protocol::Limits;

use crate::{
    dice::Dice,
    drive::{Arrival, drive, panic_with},
    grammar,
    mutate::mutate,
};

/// What the first byte of an input asks for.
const MODES: usize = 4;
/// One length in so many is tried byte by byte.
const SLOWLY_EVERY: usize = 4;

/// Checks one input. Its first bytes say how: a connection of the grammar must come to what the grammar says; one
/// that is damaged, and one that is the input itself, must come to the same however its bytes arrive.
///
/// # Panics
/// When something is wrong with the decoder.
pub fn check(input: &[u8]) {
    let mut dice = Dice::new(input);
    let mode = dice.below(MODES);
    let mut limits = limits(&mut dice);
    let arrival = Arrival::any(&mut dice);
    if mode == MODES - 1 {
        agree(tight(limits, &mut dice), dice.rest(), &arrival);
        return;
    }
    limits.option_bytes = Limits::default().option_bytes;
    let mut connection = grammar::connection(&mut dice, &limits);
    if mode == MODES - 2 {
        mutate(&mut connection.bytes, &mut dice);
        agree(tight(limits, &mut dice), &connection.bytes, &arrival);
        return;
    }
    for arrival in [&Arrival::default(), &arrival] {
        let outcome = drive(limits, &connection.bytes, arrival);
        if outcome != connection.expected {
            let expected = &connection.expected;
            let finding =
                format!("{outcome:?}\nis not as it must be: {expected:?}\nof {arrival:?}");
            panic_with(&finding, &connection.bytes);
        }
    }
}

/// Generous limits, or such as are reached.
fn limits(dice: &mut Dice<'_>) -> Limits {
    let part_bytes = match dice.below(3) {
        0 => Limits::default().part_bytes,
        _ => 24 + usize::from(dice.byte()),
    };
    Limits {
        message_bytes: 1 << 20,
        part_bytes,
        option_bytes: 64,
        ..Limits::default()
    }
}

/// The same with a limit of messages that is reached, sometimes.
fn tight(limits: Limits, dice: &mut Dice<'_>) -> Limits {
    if !dice.once_in(4) {
        return limits;
    }
    Limits {
        message_bytes: 16 + 4 * usize::from(dice.byte()),
        ..limits
    }
}

/// The outcome is the same however the bytes arrive.
fn agree(limits: Limits, bytes: &[u8], arrival: &Arrival) {
    let whole = drive(limits, bytes, &Arrival::default());
    // Byte by byte takes longer than all the rest, so that not every input is worth it.
    let slowly = bytes
        .len()
        .is_multiple_of(SLOWLY_EVERY)
        .then(Arrival::single_bytes);
    for arrival in [Some(arrival), slowly.as_ref()].into_iter().flatten() {
        let other = drive(limits, bytes, arrival);
        if !whole.is_like(&other) {
            let finding = format!("{whole:?}\nbecame {other:?}\nin {arrival:?} under {limits:?}");
            panic_with(&finding, bytes);
        }
    }
}
