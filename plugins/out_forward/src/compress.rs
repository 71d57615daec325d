//! gzip and zstd, off the threads that wait for sockets.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

use crate::config::Compress;

/// Larger entries are compressed on a thread of their own, in bytes.
const LARGE: usize = 64 << 10;
/// Level of zstd: its own default.
const ZSTD_LEVEL: i32 = 3;

/// Up to this size compressed entries may be however small; above it servers take too good a ratio for an attack.
const TRUSTED_LEN: usize = 4 << 20;
/// The best ratio above it, well below what Weir refuses.
const RATIO_MAX: usize = 100;

/// Compresses entries, `len` bytes in all, into one member. `None` when it had better be sent as it is.
///
/// # Errors
/// Those of the encoder, or that the thread panicked.
pub(crate) async fn pack(
    method: Compress,
    entries: &[Bytes],
    len: usize,
) -> std::io::Result<Option<Bytes>> {
    let entries = entries.to_vec();
    let work = move || match method {
        Compress::Text => Ok(None),
        Compress::Gzip => gzip(&entries, len).map(Some),
        Compress::Zstd => zstd(&entries, len).map(Some),
    };
    let packed = if len <= LARGE {
        work()
    } else {
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(std::io::Error::other)?
    };
    Ok(packed?.filter(|packed| len <= TRUSTED_LEN || packed.len() > len / RATIO_MAX))
}

fn gzip(entries: &[Bytes], len: usize) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(len / 4), Compression::fast());
    for part in entries {
        encoder.write_all(part)?;
    }
    encoder.finish().map(Bytes::from)
}

fn zstd(entries: &[Bytes], len: usize) -> std::io::Result<Bytes> {
    let mut encoder = zstd::Encoder::new(Vec::with_capacity(len / 4), ZSTD_LEVEL)?;
    for part in entries {
        encoder.write_all(part)?;
    }
    encoder.finish().map(Bytes::from)
}
