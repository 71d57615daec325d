//! Decompressing a body under limits: gzip, deflate, zstd, one after the other where several were applied.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Largest zstd window, as a power of two: 8 MiB, which RFC 8878 recommends to support at least and at most.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Up to this size the ratio is not looked at.
const RATIO_FREE_BYTES: usize = 1 << 20;
/// Decompressed between two looks at the limits.
const STEP_BYTES: usize = 256 << 10;
/// The most encodings of one body: honest senders apply one.
const CODINGS_MAX: usize = 2;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// gzip, in any number of members.
    Gzip,
    /// zlib, or what some senders take it for: deflate alone.
    Deflate,
    /// Zstandard.
    Zstd,
}

/// Why a body cannot be decompressed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InflateError {
    /// It is damaged.
    #[error("the body cannot be decompressed: {0}")]
    Damaged(io::Error),
    /// It is larger than allowed.
    #[error(
        "the body has more than {0} bytes when it is decompressed: raise body_size_limit, or send less at a time"
    )]
    Large(usize),
    /// It is a bomb.
    #[error(
        "the body is compressed by more than {0} to 1: raise decompression_ratio_limit if that is meant"
    )]
    Ratio(u64),
}

/// What `Content-Encoding` says, in the order in which the codings were applied.
///
/// # Errors
/// The coding that is not known.
pub(crate) fn codings(header: &str) -> Result<Vec<Coding>, String> {
    let mut codings = Vec::new();
    for name in header.split(',').map(str::trim) {
        match &*name.to_ascii_lowercase() {
            "" | "identity" => {}
            "gzip" | "x-gzip" => codings.push(Coding::Gzip),
            "deflate" => codings.push(Coding::Deflate),
            "zstd" => codings.push(Coding::Zstd),
            _ => return Err("is not known; send gzip, deflate, zstd or identity".into()),
        }
    }
    if codings.len() > CODINGS_MAX {
        return Err("has more than two codings".into());
    }
    Ok(codings)
}

/// A body that is being decompressed, in steps, so that memory can be asked for in between.
pub(crate) struct Inflater {
    reader: Box<dyn Read + Send>,
    taken_bytes: usize,
    out: Vec<u8>,
    limit_bytes: usize,
    limit_ratio: u64,
}

impl Inflater {
    /// At the beginning.
    ///
    /// # Errors
    /// [`InflateError`].
    pub(crate) fn new(
        body: Bytes,
        codings: &[Coding],
        limit_bytes: usize,
        limit_ratio: u64,
    ) -> Result<Self, InflateError> {
        let taken_bytes = body.len();
        let is_zlib = is_zlib(&body);
        let mut reader: Box<dyn Read + Send> = Box::new(body.reader());
        for (depth, coding) in codings.iter().rev().enumerate() {
            reader = match coding {
                Coding::Gzip => Box::new(MultiGzDecoder::new(reader)),
                Coding::Deflate if is_zlib || depth > 0 => Box::new(ZlibDecoder::new(reader)),
                Coding::Deflate => Box::new(DeflateDecoder::new(reader)),
                Coding::Zstd => {
                    let decoder = zstd::Decoder::new(reader);
                    let mut decoder = decoder.map_err(InflateError::Damaged)?;
                    decoder
                        .window_log_max(ZSTD_WINDOW_LOG_MAX)
                        .map_err(InflateError::Damaged)?;
                    Box::new(decoder)
                }
            };
        }
        Ok(Self {
            reader,
            taken_bytes,
            out: Vec::new(),
            limit_bytes,
            limit_ratio,
        })
    }

    /// What it holds, in bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.out.len()
    }

    /// Makes up to [`STEP_BYTES`] more; returns whether that was all.
    ///
    /// # Errors
    /// [`InflateError`].
    pub(crate) fn step(&mut self) -> Result<bool, InflateError> {
        if self.taken_bytes == 0 {
            return Ok(true);
        }
        let step = STEP_BYTES as u64;
        let made = (&mut self.reader).take(step).read_to_end(&mut self.out);
        let made = made.map_err(InflateError::Damaged)?;
        if self.out.len() > self.limit_bytes {
            return Err(InflateError::Large(self.limit_bytes));
        }
        let ratio = (self.out.len() / self.taken_bytes) as u64;
        if self.out.len() > RATIO_FREE_BYTES && ratio > self.limit_ratio {
            return Err(InflateError::Ratio(self.limit_ratio));
        }
        Ok(made == 0)
    }

    /// What came out.
    pub(crate) fn finish(self) -> Bytes {
        self.out.into()
    }
}

/// The first byte of zlib names its method, 8, in the lower half, and both make a multiple of 31.
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31))
}
