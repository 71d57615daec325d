//! The Fluentd forward protocol without I/O: bytes in, messages out.
//!
//! [`Decoder`] frames and checks a stream of MessagePack messages in one pass. It builds no values, waits for
//! nothing and owns no socket, so that inputs, outputs, tests and fuzzers drive it alike:
//!
//! ```
//! use forward_protocol::{Decoder, Limits, Step};
//! let mut decoder = Decoder::new(Limits::default(), sdk::clock::Clock::system());
//! decoder.push(b"\x93\xa1t\xce\x65\x53\xf1\x01\x81\xa1m\x01");
//! let Ok(Step::Message(message)) = decoder.poll() else { panic!("a whole message was pushed") };
//! assert_eq!(message.entries.count, 1);
//! assert!(matches!(decoder.poll(), Ok(Step::Read)));
//! ```
//!
//! Source: the forward protocol specification v1 and v1.5, and what Fluentd and Fluent Bit do.

mod decoder;
mod error;
pub mod handshake;
mod head;
mod inflate;
mod json;
mod judge;
mod limits;
mod message;
mod option;
mod scan;
mod sieve;
mod sniff;

pub use decoder::Decoder;
pub use error::ProtocolError;
pub use limits::Limits;
pub use message::{Chunk, EntryStream, Flaw, Flaws, Message, Part, Step};

#[cfg(test)]
mod tests;
