//! The seeds of the corpus: the conformance vectors of `forward_protocol` as inputs of the targets, and noise that the
//! grammar makes connections of.

use std::{fs, io, path::Path};

use forward_protocol::Limits;

use crate::{
    drive::{Arrival, drive},
    outcome::Item,
    packed::{Codec, compress},
};

const VECTORS: &str = include_str!("../../plugins/forward_protocol/src/tests/vectors.txt");
/// What makes `protocol` take the rest as it is, in pieces of seven bytes, under generous limits.
const AS_IT_IS: &[u8] = &[3, 0, 0, 6, 0, 0, 0];
/// The same for `packed`; the first byte is the codec, the second says whether it is compressed already.
const ENTRIES: [&[u8]; 3] = [
    &[0, 0, 0, 6, 0, 0, 0],
    &[1, 0, 0, 6, 0, 0, 1],
    &[2, 0, 0, 6, 0, 0, 1],
];
const COMPRESSED: &[u8] = &[0, 3, 0, 6, 0, 0, 0];
/// Inputs of noise for the grammar, and their length in bytes.
const NOISE: u64 = 12;
const NOISE_BYTES: usize = 400;
/// One vector in so many is a seed: neighbours differ in little.
const EVERY: usize = 3;

/// Writes the seeds of every target below `corpus`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(corpus: &Path) -> io::Result<()> {
    let seed = |target: &str, name: &str, parts: &[&[u8]]| {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), parts.concat())
    };
    for (number, connection) in connections().iter().enumerate().step_by(EVERY) {
        let name = format!("vector-{number:02}");
        seed("protocol", &name, &[AS_IT_IS, connection])?;
        let entries = entries(connection);
        if entries.is_empty() {
            continue;
        }
        let way = ENTRIES
            .get(number % ENTRIES.len())
            .copied()
            .unwrap_or_default();
        seed("packed", &name, &[way, &entries])?;
        if let Some(codec) = [Codec::Gzip, Codec::Zstd].get(number % 8) {
            let name = format!("compressed-{number:02}");
            seed(
                "packed",
                &name,
                &[COMPRESSED, &compress(*codec, &[&entries])],
            )?;
        }
    }
    for number in 0..NOISE {
        let mut bytes = noise(number, NOISE_BYTES);
        for target in ["protocol", "handshake"] {
            // The first byte of `protocol` is its mode: whole twice as often as damaged.
            if let Some(mode) = bytes.first_mut() {
                *mode = u8::try_from(number % 3).unwrap_or_default();
            }
            seed(target, &format!("noise-{number:02}"), &[&bytes])?;
        }
    }
    Ok(())
}

/// The bytes of every vector.
fn connections() -> Vec<Vec<u8>> {
    let mut connections: Vec<Vec<u8>> = Vec::new();
    for line in VECTORS.lines().skip_while(|line| !line.starts_with("# ")) {
        if line.starts_with("# ") {
            connections.push(Vec::new());
        } else if let (Some(hex), Some(connection)) =
            (line.strip_prefix("> "), connections.last_mut())
        {
            connection.extend(unhex(hex));
        }
    }
    connections
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    let bytes = digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |sum, digit| 16 * sum + digit));
    bytes.filter_map(|byte| u8::try_from(byte).ok()).collect()
}

/// The entries that come out of a connection.
fn entries(connection: &[u8]) -> Vec<u8> {
    let outcome = drive(Limits::default(), connection, &Arrival::default());
    let told = outcome.items.into_iter().map(|item| match item {
        Item::Message(told) => told.entries,
        Item::Stray => Vec::new(),
    });
    told.collect::<Vec<_>>().concat()
}

/// Bytes without order, the same in every run. Xorshift by Marsaglia.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes().last().copied().unwrap_or_default()
    };
    (0..len).map(|_| next()).collect()
}
