//! Reading from a socket; a connection that is silent holds no memory to read into.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Poll, ready},
};

use forward_protocol::Decoder;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

/// Bytes of the first read after a silence. They are read into the stack and copied.
const FIRST_BYTES: usize = 4 << 10;

/// Reads once; 0 at the end of the stream. Safe to cancel.
///
/// # Errors
/// Those of the reader.
pub(crate) async fn read<R>(reader: &mut R, decoder: &mut Decoder) -> io::Result<usize>
where
    R: AsyncRead + Unpin,
{
    if !decoder.is_relaxed() {
        return reader.read_buf(decoder.space()).await;
    }
    poll_fn(|cx| {
        let mut bytes = [const { MaybeUninit::uninit() }; FIRST_BYTES];
        let mut first = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut *reader).poll_read(cx, &mut first))?;
        decoder.push(first.filled());
        Poll::Ready(Ok(first.filled().len()))
    })
    .await
}
