//! What sources of lines over sockets share: framing of streams, receiving of datagrams, limits, and the way into the
//! pipeline.
//!
//! A source gives [`serve_streams`] or [`serve_datagrams`] a [`Take`], which makes events of messages. Nobody waits for
//! an answer, so a batch that is refused is offered again, and the sender is slowed down where the transport can.

mod datagram;
mod framing;
mod gather;
mod intake;
mod names;
mod parsed;
mod peer;
mod place;
mod report;
mod stream;
#[cfg(test)]
mod tests;

pub use datagram::{DatagramSettings, prepare_datagrams, serve_datagrams};
pub use framing::{Framer, Framing, Step};
pub use gather::{Gather, set_fields, take_number};
pub use names::Names;
pub use parsed::{Keys, ParsedLines, unmatched};
pub use peer::Peer;
pub use place::{Place, message_limit, place};
pub use report::Report;
pub use stream::{StreamSettings, bind, prepare_streams, serve_streams};

use sdk::event::Time;

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub struct Message<'m> {
    /// Without its frame. At most as long as the limit.
    pub bytes: &'m [u8],
    /// Who sent it.
    pub peer: &'m Peer,
    /// When it was read.
    pub now: Time,
}

/// Makes events of messages.
pub trait Take: Send + Sync {
    /// Adds the events of one message to `gather`, or counts in `report` why there are none.
    fn take(&self, message: &Message<'_>, report: &Report, gather: &mut Gather);
}
