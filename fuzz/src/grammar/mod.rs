//! Connections that are as the protocol wants them, or wrong in a way that it says how to take, and beside the bytes
//! what must come out.

mod entry;
mod message;
mod option;

use forward_protocol::Limits;

use crate::{
    dice::Dice,
    encode,
    outcome::{Item, Outcome},
};

/// Messages of a connection at most; fewer than the values that are passed over in a row.
const MESSAGES: usize = 8;
/// What is no message; none of them looks like the beginning of another protocol.
const STRAYS: [&[u8]; 6] = [
    &[0x07],
    &[0xc2],
    &[0xa1, b'x'],
    &[0x81, 1, 0xc0],
    &[0xca, 0, 0, 0, 0],
    &[0xff],
];

/// A connection, and what it must come to.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Outcome,
}

/// Makes a connection up.
pub(crate) fn connection(dice: &mut Dice<'_>, limits: &Limits) -> Connection {
    let mut connection = Connection::default();
    connection.expected.is_clean = true;
    for _ in 0..=dice.below(MESSAGES) {
        match dice.below(12) {
            0 => connection.bytes.push(0xc0),
            1 => {
                connection.bytes.extend_from_slice(dice.one_of(&STRAYS));
                connection.expected.items.push(Item::Stray);
            }
            _ => {
                let start = connection.bytes.len();
                let (mut told, error) = message::message(&mut connection.bytes, dice, limits);
                told.wire_bytes = connection.bytes.len() - start;
                if error.is_some() {
                    connection.expected.error = error;
                    connection.expected.is_clean = false;
                    return connection;
                }
                connection.expected.push(told);
            }
        }
    }
    connection
}

/// What stands behind the option, or in place of what should be there.
fn surplus(out: &mut Vec<u8>, dice: &mut Dice<'_>, count: usize) {
    for _ in 0..count {
        encode::any(out, dice, 2);
    }
}
