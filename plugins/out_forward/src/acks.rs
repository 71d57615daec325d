//! Which acknowledgements are due on a connection, and what to make of those that come.

use std::collections::{HashMap, VecDeque};

use bytes::{Buf as _, Bytes, BytesMut};
use sdk::msgpack::{Malformed, RawValue, Reader};

use crate::trouble::Trouble;

/// Acknowledgements of the past that are remembered, so that one that comes twice is known.
const PAST_MAX: usize = 64;
/// Longest answer, in bytes: an id is at most as long as the sender's option map.
const ANSWER_LEN_MAX: usize = 2 << 20;

/// Bytes that came from a server, and what it acknowledged last.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) bytes: BytesMut,
    past: VecDeque<Bytes>,
}

/// Messages whose acknowledgement is due, by id. Messages may have one id: Fluent Bit makes ids from content.
#[derive(Debug, Default)]
pub(crate) struct Due {
    by_id: HashMap<Bytes, VecDeque<usize>>,
    left: usize,
}

impl Due {
    /// The acknowledgement of the message `index` is due.
    pub(crate) fn add(&mut self, id: Bytes, index: usize) {
        self.by_id.entry(id).or_default().push_back(index);
        self.left += 1;
    }

    /// How many are due.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    fn settle(&mut self, id: &[u8]) -> Option<usize> {
        let index = self.by_id.get_mut(id)?.pop_front()?;
        self.left -= 1;
        Some(index)
    }
}

impl Inbox {
    /// The next message that was acknowledged; `None` when more bytes are needed.
    ///
    /// # Errors
    /// What is no acknowledgement, or one of something else.
    pub(crate) fn next(&mut self, due: &mut Due) -> Result<Option<usize>, Trouble> {
        while let Some(id) = self.take()? {
            if let Some(index) = due.settle(&id) {
                if self.past.len() == PAST_MAX {
                    self.past.pop_front();
                }
                self.past.push_back(id);
                return Ok(Some(index));
            }
            if !self.past.contains(&id) {
                return Err(Trouble::wrong_ack(
                    "acknowledged something that was not sent",
                ));
            }
        }
        Ok(None)
    }

    /// Takes one whole answer `{"ack": ID}` and gives its id.
    fn take(&mut self) -> Result<Option<Bytes>, Trouble> {
        let mut reader = Reader::new(&self.bytes);
        let answer = match reader.value() {
            Ok(value) => value,
            Err(Malformed::Truncated) if self.bytes.len() <= ANSWER_LEN_MAX => return Ok(None),
            Err(_) => return Err(Trouble::wrong_ack("sent what is no acknowledgement")),
        };
        let id = answer.get(b"ack").and_then(RawValue::as_bytes);
        let id = id.map(Bytes::copy_from_slice);
        let len = reader.position();
        self.bytes.advance(len);
        id.map(Some)
            .ok_or_else(|| Trouble::wrong_ack("sent what is no acknowledgement"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of `bytes`, taken at once, when acknowledgements of these ids are due.
    fn take(ids: &[&'static str], bytes: &[u8]) -> (Vec<usize>, Result<(), String>) {
        let (mut due, mut inbox) = (Due::default(), Inbox::default());
        for (index, id) in ids.iter().enumerate() {
            due.add(Bytes::from_static(id.as_bytes()), index);
        }
        inbox.bytes.extend_from_slice(bytes);
        let mut acked = Vec::new();
        loop {
            match inbox.next(&mut due) {
                Ok(Some(index)) => acked.push(index),
                Ok(None) => return (acked, Ok(())),
                Err(trouble) => return (acked, Err(trouble.failure.message)),
            }
        }
    }

    #[test]
    fn acknowledgements_are_taken_in_any_number_and_as_str_or_bin() {
        let bytes = b"\x81\xa3ack\xa1a\x81\xa3ack\xc4\x01b\x81\xa3ac";
        assert_eq!(take(&["a", "b", "c"], bytes), (vec![0, 1], Ok(())));
    }

    #[test]
    fn equal_ids_are_settled_in_their_order() {
        let bytes = b"\x81\xa3ack\xa1a\x81\xa3ack\xa1b\x81\xa3ack\xa1a";
        assert_eq!(take(&["a", "a", "b"], bytes), (vec![0, 2, 1], Ok(())));
    }

    #[test]
    fn one_that_comes_twice_is_passed_over() {
        let bytes = b"\x81\xa3ack\xa1a\x81\xa3ack\xa1a\x81\xa3ack\xa1b";
        assert_eq!(take(&["a", "b"], bytes), (vec![0, 1], Ok(())));
    }

    #[test]
    fn anything_else_is_refused() {
        let unknown = Err("acknowledged something that was not sent".to_owned());
        let nonsense = || Err("sent what is no acknowledgement".to_owned());
        assert_eq!(take(&["a"], b"\x81\xa3ack\xa1x"), (vec![], unknown));
        for bytes in [&b"\x80"[..], b"\xc0", b"\x81\xa3ack\x07", b"\xc1", b"HTTP"] {
            assert_eq!(take(&["a"], bytes), (vec![], nonsense()), "{bytes:?}");
        }
    }
}
