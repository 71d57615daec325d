//! The state machine: where in a message the connection stands, and the bytes that are held for it.

mod body;
mod framing;
mod merge;
mod space;

use bytes::BytesMut;
use merge::Merged;
use sdk::{clock::Clock, event::Tag};

use crate::{
    EntryStream, Flaws, Limits, Message, ProtocolError, Step,
    inflate::Inflater,
    json::Json,
    judge::ReceiptTime,
    option::Options,
    scan::Scan,
    sieve::{Extent, Sieve},
    sniff::Codec,
};

/// Decodes the messages of one connection.
///
/// Bytes go in by [`Self::push`], or are read into [`Self::space`]; then [`Self::poll`] until it says
/// [`Step::Read`]. After an error it says the same error again: the connection cannot go on.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// A tag that is no text is taken for its text.
    any_tag: bool,
    receipt: ReceiptTime,
    /// Bytes that came and are not taken yet.
    buf: BytesMut,
    /// Size of the block of memory that `buf` is a part of.
    block_bytes: usize,
    read_bytes: usize,
    /// Set when the connection speaks JSON.
    json: Option<Box<Json>>,
    state: State,
    frame: Frame,
    sieve: Sieve,
    /// Set while the value at the front of `buf` is not complete.
    scan: Option<Scan>,
    last_tag: Option<Tag>,
    /// Nothing but nil came so far.
    is_fresh: bool,
    /// Values since the last message that were none.
    strays: u32,
    failed: Option<ProtocolError>,
    /// Small messages that wait for more of their kind, as long as there are bytes.
    merged: Option<Merged>,
    /// What comes behind them.
    next: Option<Step>,
}

/// What comes next.
#[derive(Debug)]
enum State {
    /// A message.
    Root,
    /// Values that are passed over, and what comes behind them.
    Pass(Box<Scan>, Behind),
    /// The tag.
    Tag,
    /// The second element, which tells the mode.
    Body,
    /// Time and record of Message mode.
    Single,
    /// Entries as they are: of Forward mode, or packed.
    Entries(Extent),
    /// Packed entries of this length, whose codec is not known yet.
    Sniff(usize),
    /// Compressed entries.
    Inflate(Box<Inflating>),
    /// The option map.
    Option,
    /// The end of the message.
    End,
}

/// What comes behind values that were passed over.
#[derive(Debug, Clone, Copy)]
enum Behind {
    /// The next message; what was passed over was none.
    Root,
    /// The second element of the message.
    Body,
    /// What is left of the message.
    Rest,
}

/// Compressed entries on their way.
#[derive(Debug)]
struct Inflating {
    inflater: Inflater,
    /// Compressed bytes that are not taken yet, on the wire or in the buffer.
    left: usize,
    /// What came out and is not taken yet.
    plain: BytesMut,
    extent: Extent,
    /// Steps since the last pause.
    steps: u32,
}

/// The message at hand.
#[derive(Debug, Default)]
struct Frame {
    /// Elements of the array that are still to come.
    elements: u32,
    tag: Option<Tag>,
    /// Bytes that were taken of it so far.
    wire_bytes: usize,
    /// It is in Message mode.
    is_single: bool,
    /// The codec, if it has packed entries and they are not empty.
    codec: Option<Codec>,
    /// Its entries, or those since the last part, once they are done.
    entries: EntryStream,
    options: Options,
    flaws: Flaws,
    parts: u32,
}

/// What a state did.
enum Flow {
    /// It changed the state.
    On,
    /// It needs more bytes.
    Read,
    /// It has something for the caller.
    Out(Step),
    /// It has something for the caller that came before what it gathers now.
    Before(Message),
}

impl Decoder {
    /// A decoder at the beginning of a connection. `clock` gives the time of receipt to events without one.
    pub fn new(limits: Limits, clock: Clock) -> Self {
        Self {
            limits,
            any_tag: false,
            receipt: ReceiptTime::new(clock),
            buf: BytesMut::new(),
            block_bytes: 0,
            read_bytes: space::READ_BYTES_MIN,
            json: None,
            state: State::Root,
            frame: Frame::default(),
            sieve: Sieve::new(limits.part_bytes),
            scan: None,
            last_tag: None,
            is_fresh: true,
            strays: 0,
            failed: None,
            merged: None,
            next: None,
        }
    }

    /// Takes a tag that is a number, a truth or nil for its text, as Fluentd did before 1.19.
    #[must_use]
    pub fn taking_any_tag(mut self, any_tag: bool) -> Self {
        self.any_tag = any_tag;
        self
    }

    /// Whether it stands between two messages and holds nothing.
    pub fn is_between_messages(&self) -> bool {
        matches!(self.state, State::Root)
            && self.buf.is_empty()
            && self.json.as_deref().is_none_or(Json::is_idle)
    }

    /// The connection ended.
    ///
    /// # Errors
    /// `Truncated` when it ended inside a message.
    pub fn finish(&self) -> Result<(), ProtocolError> {
        if self.is_between_messages() {
            Ok(())
        } else {
            Err(self.failed.unwrap_or(ProtocolError::Truncated))
        }
    }

    /// Goes on with the bytes that came.
    ///
    /// # Errors
    /// [`ProtocolError`]: the connection cannot go on.
    pub fn poll(&mut self) -> Result<Step, ProtocolError> {
        if let Some(step) = self.next.take() {
            return Ok(step);
        }
        if let Some(error) = self.failed {
            return Err(error);
        }
        let step = loop {
            match self.advance() {
                Ok(Flow::On) => {}
                Ok(Flow::Before(message)) => return Ok(Step::Message(message)),
                Ok(Flow::Read) if self.json.is_some() => match self.turn() {
                    Ok(true) => {}
                    Ok(false) => break Ok(Step::Read),
                    Err(error) => break Err(error),
                },
                Ok(Flow::Read) => break self.check_length().map(|()| Step::Read),
                Ok(Flow::Out(step)) => break Ok(step),
                Err(error) => break Err(error),
            }
        };
        self.failed = step.as_ref().err().copied();
        let Some(merged) = self.merged.take() else {
            return step;
        };
        // What was gathered came before the step or the error.
        self.next = step.ok().filter(|step| !matches!(step, Step::Read));
        Ok(Step::Message(merged.into_message()))
    }

    fn advance(&mut self) -> Result<Flow, ProtocolError> {
        match &self.state {
            State::Root => self.root(),
            State::Pass(..) => self.pass(),
            State::Tag => self.tag(),
            State::Body => self.body(),
            State::Single => self.single(),
            State::Entries(_) => self.entries(),
            State::Sniff(len) => self.sniff(*len),
            State::Inflate(_) => self.inflate(),
            State::Option => self.option(),
            State::End => self.end(),
        }
    }

    /// Everything that is held for want of more belongs to the message at hand.
    fn check_length(&self) -> Result<(), ProtocolError> {
        let limit_bytes = self.limits.message_bytes;
        if self.frame.wire_bytes.saturating_add(self.buf.len()) > limit_bytes {
            return Err(ProtocolError::TooLarge { limit_bytes });
        }
        Ok(())
    }
}
