//! Bytes as they come, in one push.

use forward_protocol::{Decoder, Limits, Step};

/// Decodes `data`.
pub fn check(data: &[u8]) {
    let mut decoder = Decoder::new(Limits::default(), sdk::clock::Clock::system());
    decoder.push(data);
    while !matches!(decoder.poll(), Ok(Step::Read) | Err(_)) {}
}
