//! The second element of a message and what belongs to it: the four modes.

use bytes::BytesMut;

use super::{Behind, Decoder, Flow, Inflating, State};
use crate::{
    EntryStream, Flaw, Part, ProtocolError, Step,
    head::{Head, Kind, head},
    inflate::Inflater,
    judge::{Verdict, judge, retime},
    scan::Scan,
    sieve::{Extent, Fed},
    sniff::{self, MAGIC_LEN},
};

/// Steps of decompression, of 64 KiB each at most, between two pauses.
const STEPS_PER_TURN: u32 = 8;

impl Decoder {
    /// The second element: its type is the mode.
    pub(super) fn body(&mut self) -> Result<Flow, ProtocolError> {
        if self.frame.elements == 0 {
            self.state = self.incomplete();
            return Ok(Flow::On);
        }
        let Some(Head {
            len,
            payload,
            children,
            kind,
        }) = head(&self.buf)?
        else {
            return Ok(Flow::Read);
        };
        self.state = match kind {
            Kind::Nil | Kind::Other => {
                self.frame.is_single = true;
                self.state = State::Single;
                return Ok(Flow::On);
            }
            Kind::Array => State::Entries(Extent {
                bytes: usize::MAX,
                entries: children,
            }),
            Kind::Bytes => {
                let payload = usize::try_from(payload).unwrap_or(usize::MAX);
                let limit_bytes = self.limits.message_bytes;
                if self.frame.wire_bytes.saturating_add(payload) > limit_bytes {
                    return Err(ProtocolError::TooLarge { limit_bytes });
                }
                State::Sniff(payload)
            }
        };
        self.take(len);
        self.frame.elements -= 1;
        Ok(Flow::On)
    }

    /// Message mode: time and record stand in the message itself.
    pub(super) fn single(&mut self) -> Result<Flow, ProtocolError> {
        if self.frame.elements < 2 {
            self.frame.flaws.add(Flaw::Message, 1);
            return Ok(self.pass_over(Scan::new(0, 1), 1));
        }
        let Some(end) = self.complete(2)? else {
            if self.buf.len() >= self.limits.part_bytes
                && let Some(scan) = self.scan.take()
            {
                self.frame.flaws.add(Flaw::TooLarge, 1);
                return Ok(self.pass_over(scan, 2));
            }
            return Ok(Flow::Read);
        };
        let mut entry = Vec::with_capacity(1 + end);
        entry.push(0x92);
        entry.extend_from_slice(self.buf.get(..end).unwrap_or_default());
        let (_, verdict) = judge(&entry)?;
        let time = match verdict {
            _ if entry.len() > self.limits.part_bytes => {
                self.frame.flaws.add(Flaw::TooLarge, 1);
                entry.clear();
                None
            }
            Verdict::Keep => None,
            Verdict::Retime(time) => Some(time),
            Verdict::Now => Some(self.receipt.get()),
            Verdict::Drop(flaw) => {
                self.frame.flaws.add(flaw, 1);
                entry.clear();
                None
            }
            Verdict::Marker => {
                entry.clear();
                None
            }
        };
        if let Some(time) = time {
            let old = std::mem::take(&mut entry);
            retime(&mut entry, &old, time)?;
        }
        self.take(end);
        self.frame.elements -= 2;
        let count = u32::from(!entry.is_empty());
        self.close(EntryStream {
            bytes: entry.into(),
            count,
        });
        Ok(Flow::On)
    }

    /// Lets elements of the message go.
    fn pass_over(&mut self, scan: Scan, elements: u32) -> Flow {
        self.frame.elements -= elements;
        self.state = State::Pass(Box::new(scan), Behind::Rest);
        Flow::On
    }

    /// Entries that are not compressed: the items of an array, or back to back in a string.
    pub(super) fn entries(&mut self) -> Result<Flow, ProtocolError> {
        let State::Entries(extent) = &mut self.state else {
            return Ok(Flow::On);
        };
        let before = self.buf.len();
        let fed = self.sieve.feed(
            &mut self.buf,
            extent,
            &mut self.frame.flaws,
            &mut self.receipt,
        )?;
        let stream = match fed {
            Fed::More => EntryStream::default(),
            Fed::Full | Fed::Done => self.sieve.take(&mut self.buf, extent, self.block_bytes),
        };
        self.frame.wire_bytes += before - self.buf.len();
        Ok(self.fed(fed, stream))
    }

    /// The first bytes of packed entries tell the codec, since the option stands behind them.
    pub(super) fn sniff(&mut self, len: usize) -> Result<Flow, ProtocolError> {
        let Some(magic) = self.buf.get(..len.min(MAGIC_LEN)) else {
            return Ok(Flow::Read);
        };
        let codec = sniff::codec(magic);
        self.frame.codec = (len > 0).then_some(codec);
        self.state = match Inflater::new(codec, &self.limits)? {
            None => State::Entries(Extent {
                bytes: len,
                entries: u64::MAX,
            }),
            Some(inflater) => State::Inflate(Box::new(Inflating {
                inflater,
                left: len,
                plain: BytesMut::new(),
                extent: Extent {
                    bytes: usize::MAX,
                    entries: u64::MAX,
                },
                steps: 0,
            })),
        };
        Ok(Flow::On)
    }

    /// Compressed entries: a step of decompression, and what came out through the sieve.
    pub(super) fn inflate(&mut self) -> Result<Flow, ProtocolError> {
        let State::Inflate(inflating) = &mut self.state else {
            return Ok(Flow::On);
        };
        let Inflating {
            inflater,
            left,
            plain,
            extent,
            steps,
        } = &mut **inflating;
        let fed = self
            .sieve
            .feed(plain, extent, &mut self.frame.flaws, &mut self.receipt)?;
        if fed == Fed::More {
            let len = self.buf.len().min(*left);
            let input = self.buf.get(..len).unwrap_or_default();
            if !input.is_empty() || inflater.may_have_more() {
                let taken = inflater.step(input, plain)?;
                *left -= taken;
                *steps += 1;
                let turn_is_over = steps.is_multiple_of(STEPS_PER_TURN);
                self.take(taken);
                return Ok(if turn_is_over {
                    Flow::Out(Step::Pause)
                } else {
                    Flow::On
                });
            }
            if *left > 0 {
                return Ok(Flow::Read);
            }
            if !inflater.is_at_end() {
                return Err(ProtocolError::Damaged);
            }
            extent.bytes = plain.len();
            return Ok(Flow::On);
        }
        let block_bytes = plain.capacity();
        let stream = self.sieve.take(plain, extent, block_bytes);
        Ok(self.fed(fed, stream))
    }

    /// Hands a part out, or goes on behind the entries.
    fn fed(&mut self, fed: Fed, stream: EntryStream) -> Flow {
        match fed {
            Fed::More => return Flow::Read,
            Fed::Done => {
                self.close(stream);
                return Flow::On;
            }
            Fed::Full => {}
        }
        let Some(tag) = self.frame.tag.clone() else {
            self.frame.flaws.add(Flaw::Tag, stream.count);
            return Flow::On;
        };
        self.frame.parts += 1;
        Flow::Out(Step::Part(Part {
            tag,
            entries: stream,
        }))
    }

    /// The entries of the message are done.
    fn close(&mut self, stream: EntryStream) {
        if self.frame.tag.is_some() {
            self.frame.entries = stream;
        } else {
            self.frame.flaws.add(Flaw::Tag, stream.count);
        }
        self.rest();
    }
}
