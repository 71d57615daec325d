//! Decompressing entries step by step, under limits.

use std::fmt;

use bytes::BytesMut;
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

use crate::{Limits, ProtocolError, limits::RATIO_FREE_BYTES, sniff::Codec};

/// Most bytes that one step makes.
const STEP_BYTES: usize = 64 << 10;
/// Room of a step for little input: a sender of single bytes must not make us clear much memory.
const STEP_BYTES_MIN: usize = 4 << 10;
/// Largest zstd window, as a power of two: 8 MiB, which RFC 8878 recommends to support at least and at most.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Window of gzip, as a power of two. RFC 1951 knows no larger one.
const GZIP_WINDOW_LOG: u8 = 15;

/// The state of decompressing one message: members or frames back to back.
pub(crate) struct Inflater {
    engine: Engine,
    taken: u64,
    made: u64,
    /// At the end of a member, so that the input may end.
    at_end: bool,
    /// The last step filled its room, so that more may come without more input.
    may_have_more: bool,
    limit_bytes: u64,
    limit_ratio: u64,
}

enum Engine {
    Gzip(Box<Decompress>),
    Zstd(Box<Decoder<'static>>),
}

impl Inflater {
    /// For entries of this codec; `None` when they are plain.
    ///
    /// # Errors
    /// `Damaged` when the decompressor cannot be made.
    pub(crate) fn new(codec: Codec, limits: &Limits) -> Result<Option<Self>, ProtocolError> {
        let engine = match codec {
            Codec::Plain => return Ok(None),
            Codec::Gzip => Engine::gzip(),
            Codec::Zstd => {
                let mut decoder = Decoder::new().map_err(|_| ProtocolError::Damaged)?;
                decoder
                    .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))
                    .map_err(|_| ProtocolError::Damaged)?;
                Engine::Zstd(Box::new(decoder))
            }
        };
        Ok(Some(Self {
            engine,
            taken: 0,
            made: 0,
            at_end: true,
            may_have_more: false,
            limit_bytes: limits.inflated_bytes,
            limit_ratio: limits.inflated_ratio,
        }))
    }

    /// Whether the input may end here.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at_end
    }

    /// Whether a step without input may make something.
    pub(crate) fn may_have_more(&self) -> bool {
        self.may_have_more
    }

    /// Takes some of `input` and appends at most 64 KiB to `out`. Returns how much it took.
    ///
    /// # Errors
    /// `Damaged`, `Inflated`, `Ratio`.
    pub(crate) fn step(
        &mut self,
        input: &[u8],
        out: &mut BytesMut,
    ) -> Result<usize, ProtocolError> {
        let before = out.len();
        let room = match input.len() {
            0 => STEP_BYTES,
            len => len.saturating_mul(8).clamp(STEP_BYTES_MIN, STEP_BYTES),
        };
        out.resize(before + room, 0);
        let target = out.get_mut(before..).unwrap_or_default();
        let (taken, made, ended) = self.engine.run(input, target, self.at_end)?;
        out.truncate(before + made);
        self.at_end = ended;
        self.may_have_more = made == room && !ended;
        if taken == 0 && made == 0 && !input.is_empty() {
            return Err(ProtocolError::Damaged);
        }
        self.taken += taken as u64;
        self.made += made as u64;
        if self.made > self.limit_bytes {
            return Err(ProtocolError::Inflated {
                limit_bytes: self.limit_bytes,
            });
        }
        if self.made > RATIO_FREE_BYTES && self.made / self.taken.max(1) > self.limit_ratio {
            return Err(ProtocolError::Ratio {
                limit: self.limit_ratio,
            });
        }
        Ok(taken)
    }
}

impl Engine {
    fn gzip() -> Self {
        Self::Gzip(Box::new(Decompress::new_gzip(GZIP_WINDOW_LOG)))
    }

    /// Bytes taken, bytes made, and whether a member ended.
    fn run(
        &mut self,
        input: &[u8],
        room: &mut [u8],
        is_next: bool,
    ) -> Result<(usize, usize, bool), ProtocolError> {
        match self {
            Self::Gzip(decompress) => {
                if is_next && decompress.total_in() > 0 {
                    *self = Self::gzip();
                    return self.run(input, room, false);
                }
                let (taken, made) = (decompress.total_in(), decompress.total_out());
                let status = decompress
                    .decompress(input, room, FlushDecompress::None)
                    .map_err(|_| ProtocolError::Damaged)?;
                let since = |now: u64, then: u64| usize::try_from(now - then).unwrap_or_default();
                let taken = since(decompress.total_in(), taken);
                Ok((
                    taken,
                    since(decompress.total_out(), made),
                    status == Status::StreamEnd,
                ))
            }
            Self::Zstd(decoder) => {
                let mut input = InBuffer::around(input);
                let mut output = OutBuffer::around(room);
                let hint = decoder
                    .run(&mut input, &mut output)
                    .map_err(|_| ProtocolError::Damaged)?;
                Ok((input.pos(), output.pos(), hint == 0))
            }
        }
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inflater({} bytes became {})", self.taken, self.made)
    }
}
