//! gzip, off the threads that wait for sockets.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

/// Larger bodies are compressed on a thread of their own, in bytes.
const LARGE: usize = 64 << 10;

/// Compresses a body, on a thread of its own when it is large.
///
/// # Errors
/// Those of the encoder, or that the thread panicked.
pub(crate) async fn compress(body: Bytes, level: u32) -> std::io::Result<Bytes> {
    if body.len() <= LARGE {
        return gzip(&body, level);
    }
    tokio::task::spawn_blocking(move || gzip(&body, level))
        .await
        .map_err(std::io::Error::other)?
}

/// Compresses a body into one member, on this thread.
pub(crate) fn gzip(body: &[u8], level: u32) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::new(level));
    encoder.write_all(body)?;
    encoder.finish().map(Bytes::from)
}
