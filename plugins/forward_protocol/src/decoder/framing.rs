//! What stands around the entries: the outer array, the tag, the option, and values that are none of these.

use bytes::Buf as _;
use sdk::{
    event::{TAG_LEN_MAX, Tag},
    msgpack::{Malformed, RawValue, Reader, Token, skip},
};

use super::{Behind, Decoder, Flow, Frame, State};
use crate::{
    Chunk, EntryStream, Flaw, Flaws, Message, ProtocolError, Step,
    head::{Head, Kind, head},
    json::Json,
    judge::with_metadata,
    option::{Claim, Options},
    scan::Scan,
    sniff::{self, Codec, First},
};

/// So many values in a row that are no messages are passed over; behind them the connection is given up.
const STRAYS_MAX: u32 = 16;

impl Decoder {
    /// Before a message. Source for nil and for values that are no arrays: Fluentd's `in_forward`.
    pub(super) fn root(&mut self) -> Result<Flow, ProtocolError> {
        if self.is_fresh && self.json.is_none() && matches!(self.buf.first(), Some(b'{' | b'[')) {
            let limit_bytes = self.limits.part_bytes.min(self.limits.message_bytes);
            self.json = Some(Box::new(Json::new(self.buf.split(), limit_bytes)));
        }
        let Some(Head {
            len,
            children,
            kind,
            ..
        }) = head(&self.buf)?
        else {
            return Ok(Flow::Read);
        };
        match kind {
            Kind::Nil => {
                self.buf.advance(len);
                return Ok(Flow::On);
            }
            Kind::Array => {}
            Kind::Bytes | Kind::Other => return self.stray(),
        }
        self.is_fresh = false;
        self.strays = 0;
        self.receipt.forget();
        self.frame = Frame {
            elements: u32::try_from(children).unwrap_or(u32::MAX),
            ..Frame::default()
        };
        self.take(len);
        self.state = if children == 0 {
            self.incomplete()
        } else {
            State::Tag
        };
        Ok(Flow::On)
    }

    fn stray(&mut self) -> Result<Flow, ProtocolError> {
        if self.is_fresh {
            match sniff::first(&self.buf) {
                First::Foreign(error) => return Err(error),
                First::Undecided => return Ok(Flow::Read),
                First::Unknown => self.is_fresh = false,
            }
        }
        if self.strays >= STRAYS_MAX {
            return Err(ProtocolError::NoMessages {
                in_a_row: self.strays,
            });
        }
        self.strays += 1;
        self.frame = Frame::default();
        self.state = State::Pass(Box::new(Scan::new(0, 1)), Behind::Root);
        Ok(Flow::On)
    }

    /// Passes over values without holding them.
    pub(super) fn pass(&mut self) -> Result<Flow, ProtocolError> {
        let State::Pass(scan, behind) = &mut self.state else {
            return Ok(Flow::On);
        };
        let is_done = scan.advance(&self.buf)?;
        let seen = scan.at();
        scan.shift(seen);
        let behind = *behind;
        self.take(seen);
        if !is_done {
            return Ok(Flow::Read);
        }
        match behind {
            Behind::Root => {
                // In one piece it is as large as in many.
                self.check_taken()?;
                self.frame = Frame::default();
                self.state = State::Root;
                return Ok(Flow::Out(Step::Stray));
            }
            Behind::Body => self.state = State::Body,
            Behind::Rest => self.rest(),
        }
        Ok(Flow::On)
    }

    /// The tag: str or bin. A message with any other is read all the same, for its acknowledgement and its count.
    pub(super) fn tag(&mut self) -> Result<Flow, ProtocolError> {
        let Some(Head {
            len,
            payload,
            children,
            kind,
        }) = head(&self.buf)?
        else {
            return Ok(Flow::Read);
        };
        let is_scalar = matches!(kind, Kind::Nil | Kind::Other) && children == 0;
        if self.any_tag && is_scalar && payload <= 8 {
            return self.odd_tag(len, payload);
        }
        if kind != Kind::Bytes || payload > TAG_LEN_MAX as u64 {
            self.frame.elements -= 1;
            self.state = State::Pass(Box::new(Scan::new(0, 1)), Behind::Body);
            return Ok(Flow::On);
        }
        let end = len + usize::try_from(payload).unwrap_or(usize::MAX);
        let Some(bytes) = self.buf.get(len..end) else {
            return Ok(Flow::Read);
        };
        let known = self
            .last_tag
            .take()
            .filter(|tag| tag.as_str().as_bytes() == bytes);
        self.frame.tag = known.or_else(|| Tag::from_wire(bytes));
        self.last_tag.clone_from(&self.frame.tag);
        self.take(end);
        self.frame.elements -= 1;
        self.state = State::Body;
        Ok(Flow::On)
    }

    /// A tag that is no text, as its text.
    fn odd_tag(&mut self, len: usize, payload: u64) -> Result<Flow, ProtocolError> {
        let end = len.saturating_add(usize::try_from(payload).unwrap_or(usize::MAX));
        let Some(bytes) = self.buf.get(..end) else {
            return Ok(Flow::Read);
        };
        let text = match Reader::new(bytes).token()? {
            Token::Nil => Some(String::new()),
            Token::Bool(truth) => Some(truth.to_string()),
            Token::Int(number) => Some(number.to_string()),
            Token::UInt(number) => Some(number.to_string()),
            Token::F32(number) => Some(number.to_string()),
            Token::F64(number) => Some(number.to_string()),
            _ => None,
        };
        self.frame.tag = text.as_deref().map(Tag::new);
        self.take(end);
        self.frame.elements -= 1;
        self.state = State::Body;
        Ok(Flow::On)
    }

    /// The option map.
    pub(super) fn option(&mut self) -> Result<Flow, ProtocolError> {
        let end = self.complete(1)?;
        let limit_bytes = self.limits.option_bytes;
        if end.unwrap_or(self.buf.len()) > limit_bytes {
            return Err(ProtocolError::TooLarge { limit_bytes });
        }
        let Some(end) = end else {
            return Ok(Flow::Read);
        };
        let value = RawValue::parse(self.buf.get(..end).unwrap_or_default())?;
        self.frame.options = Options::read(value);
        self.take(end);
        self.frame.elements -= 1;
        self.state = match self.frame.elements {
            0 => State::End,
            surplus => {
                self.frame.elements = 0;
                State::Pass(Box::new(Scan::new(0, u64::from(surplus))), Behind::Rest)
            }
        };
        Ok(Flow::On)
    }

    /// What is left of the message when its entries are done.
    pub(super) fn rest(&mut self) {
        self.state = if self.frame.elements > 0 {
            State::Option
        } else {
            State::End
        };
    }

    /// The array ended before the message did.
    pub(super) fn incomplete(&mut self) -> State {
        self.frame.flaws.add(Flaw::Message, 1);
        State::End
    }

    /// What was taken of the message at hand is within the limit.
    fn check_taken(&self) -> Result<(), ProtocolError> {
        let limit_bytes = self.limits.message_bytes;
        if self.frame.wire_bytes > limit_bytes {
            return Err(ProtocolError::TooLarge { limit_bytes });
        }
        Ok(())
    }

    /// A message ended.
    pub(super) fn end(&mut self) -> Result<Flow, ProtocolError> {
        self.check_taken()?;
        match (self.frame.codec, self.frame.options.compressed) {
            (Some(Codec::Plain), Claim::Method(_)) => return Err(ProtocolError::NotCompressed),
            (Some(_), Claim::Unknown) => return Err(ProtocolError::UnknownCompression),
            _ => {}
        }
        self.state = State::Root;
        let mut frame = std::mem::take(&mut self.frame);
        if frame.options.is_signal {
            frame.entries = EntryStream::default();
            frame.flaws = Flaws::default();
            frame.flaws.add(Flaw::Signal, 1);
        } else if frame.is_single
            && let Some(metadata) = &frame.options.metadata
            && let Some(entry) = with_metadata(&frame.entries.bytes, metadata)
        {
            frame.entries.bytes = entry.into();
        }
        let message = Message {
            tag: frame.tag,
            entries: frame.entries,
            parts: frame.parts,
            chunk: match self.json {
                None => frame.options.chunk,
                Some(_) => frame.options.chunk.map(Chunk::in_json),
            },
            flaws: frame.flaws,
            wire_bytes: frame.wire_bytes,
        };
        if frame.is_single && message.chunk.is_none() {
            return Ok(self.merge(message));
        }
        Ok(Flow::Out(Step::Message(message)))
    }

    /// Goes on with messages that came as JSON; whether there are any.
    pub(super) fn turn(&mut self) -> Result<bool, ProtocolError> {
        let Some(json) = &mut self.json else {
            return Ok(false);
        };
        let turned = json.turn()?;
        self.buf.extend_from_slice(&turned);
        self.block_bytes = self.buf.capacity();
        Ok(!turned.is_empty())
    }

    /// The end of the first `count` values in the buffer, once they are complete.
    pub(super) fn complete(&mut self, count: u64) -> Result<Option<usize>, Malformed> {
        if self.scan.is_none() {
            let mut end = Ok(0);
            for _ in 0..count {
                end = end.and_then(|at| skip(&self.buf, at));
            }
            #[cfg(test)]
            crate::tests::work::looked_at(end.unwrap_or(self.buf.len()));
            match end {
                Err(Malformed::Truncated) => self.scan = Some(Scan::new(0, count)),
                end => return end.map(Some),
            }
        }
        let Some(scan) = &mut self.scan else {
            return Ok(None);
        };
        if !scan.advance(&self.buf)? {
            return Ok(None);
        }
        let end = scan.at();
        self.scan = None;
        Ok(Some(end))
    }

    /// Lets the first `len` bytes go; they belonged to the message at hand.
    pub(super) fn take(&mut self, len: usize) {
        self.buf.advance(len);
        self.frame.wire_bytes += len;
    }
}
