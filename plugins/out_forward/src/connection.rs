//! One open connection, and sending messages over it while their acknowledgements come.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::atomic::{AtomicUsize, Ordering},
    task::Poll,
    time::Duration,
};

use tokio::{
    io::{
        AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufWriter, ReadBuf, ReadHalf,
        WriteHalf,
    },
    time::{Instant, sleep_until, timeout},
};

use crate::{
    acks::{Due, Inbox},
    message::Message,
    trouble::Trouble,
};

/// Small pieces are gathered up to this size before they are written, in bytes.
const GATHERED: usize = 128 << 10;
/// How long a connection that cannot be written to may still bring acknowledgements.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long closing may take.
const GOODBYE: Duration = Duration::from_secs(1);
/// Once a keepalive connection has this much of old answers unread, it is not used again, in bytes.
const UNREAD_MAX: usize = 512;

/// TCP or TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) send: Duration,
    pub(crate) ack: Duration,
}

/// An open connection, past all handshakes.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    inbox: Inbox,
    /// The other end.
    pub(crate) peer: SocketAddr,
    /// Whether the server takes several messages over it, as far as it said.
    pub(crate) keepalive: bool,
    idle_since: Instant,
}

impl Connection {
    /// Of a stream past its handshakes.
    pub(crate) fn new(stream: Box<dyn Stream>, peer: SocketAddr, keepalive: bool) -> Self {
        Self {
            stream,
            inbox: Inbox::default(),
            peer,
            keepalive,
            idle_since: Instant::now(),
        }
    }

    /// For how long it was not used.
    pub(crate) fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.idle_since)
    }

    /// Whether the other side has not closed it, as far as is known without waiting.
    pub(crate) async fn is_open(&mut self) -> bool {
        let mut space = [0; UNREAD_MAX];
        let mut buf = ReadBuf::new(&mut space);
        let read = poll_fn(|cx| Poll::Ready(Pin::new(&mut self.stream).poll_read(cx, &mut buf)));
        match read.await {
            Poll::Pending => true,
            // An answer that comes twice is not the end.
            Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                self.inbox.bytes.extend_from_slice(buf.filled());
                self.inbox.bytes.len() < UNREAD_MAX
            }
            Poll::Ready(_) => false,
        }
    }

    /// Sends the messages at `indexes` and waits for the acknowledgements that they ask for. `arrived` is told each
    /// message that has arrived: acknowledged, or written when no answer is wanted.
    ///
    /// # Errors
    /// The connection must not be used again then.
    pub(crate) async fn exchange(
        &mut self,
        messages: &[Message],
        indexes: &[usize],
        patience: Patience,
        mut arrived: impl FnMut(usize) + Send,
    ) -> Result<(), Trouble> {
        let mut due = Due::default();
        let wanted = || {
            indexes
                .iter()
                .filter_map(|at| Some((*at, messages.get(*at)?)))
        };
        for (index, message) in wanted() {
            if let Some(id) = &message.id {
                due.add(id.clone(), index);
            }
        }
        let (reader, writer) = tokio::io::split(&mut self.stream);
        let written = AtomicUsize::new(0);
        let writing = write_all(
            writer,
            wanted().map(|(_, message)| message),
            patience.send,
            &written,
        );
        let reading = Reading {
            reader,
            inbox: &mut self.inbox,
            due,
            patience: patience.ack,
            written: &written,
        };
        reading.beside(writing, &mut arrived).await?;
        for (index, _) in wanted().filter(|(_, message)| message.id.is_none()) {
            arrived(index);
        }
        self.idle_since = Instant::now();
        Ok(())
    }

    /// Closes it in order, so that what was written arrives.
    pub(crate) async fn close(mut self) {
        // The other side may be gone already.
        drop(timeout(GOODBYE, self.stream.shutdown()).await);
    }
}

/// The reading half of an exchange.
struct Reading<'a> {
    reader: ReadHalf<&'a mut Box<dyn Stream>>,
    inbox: &'a mut Inbox,
    due: Due,
    patience: Duration,
    written: &'a AtomicUsize,
}

impl Reading<'_> {
    /// Reads until everything is written and every acknowledgement came.
    async fn beside(
        mut self,
        writing: impl Future<Output = Result<(), Trouble>>,
        arrived: &mut (impl FnMut(usize) + Send),
    ) -> Result<(), Trouble> {
        let mut writing = pin!(writing);
        let mut wrote = None;
        let mut known_written = 0;
        let mut acked = 0;
        let mut gives_up = Instant::now() + self.patience;
        loop {
            while let Some(index) = self.inbox.next(&mut self.due)? {
                arrived(index);
                acked += 1;
                gives_up = gives_up.max(Instant::now() + self.patience);
            }
            if self.due.left() == 0 && wrote.is_some() {
                return wrote.unwrap_or(Ok(()));
            }
            tokio::select! {
                biased;
                result = &mut writing, if wrote.is_none() => {
                    let patience = if result.is_ok() { self.patience } else { LAST_WORDS };
                    gives_up = Instant::now() + patience;
                    wrote = Some(result);
                }
                read = self.reader.read_buf(&mut self.inbox.bytes) => {
                    closed(read).map_err(|end| match &wrote {
                        Some(Err(trouble)) => trouble.clone(),
                        _ => end,
                    })?;
                }
                () = sleep_until(gives_up) => {
                    if let Some(Err(trouble)) = wrote {
                        return Err(trouble);
                    }
                    // While large messages are being written, time counts from the last that was.
                    let now_written = self.written.load(Ordering::Relaxed);
                    if wrote.is_some() || (now_written == known_written && now_written > acked) {
                        return Err(Trouble::no_ack(self.patience));
                    }
                    known_written = now_written;
                    gives_up = Instant::now() + self.patience;
                }
            }
        }
    }
}

fn closed(read: io::Result<usize>) -> Result<(), Trouble> {
    match read {
        Ok(0) => Err(Trouble::closed("closed the connection")),
        Ok(_) => Ok(()),
        Err(error) => Err(Trouble::closed(format!("the connection broke: {error}"))),
    }
}

async fn write_all(
    writer: WriteHalf<&mut Box<dyn Stream>>,
    messages: impl Iterator<Item = &Message>,
    patience: Duration,
    written: &AtomicUsize,
) -> Result<(), Trouble> {
    let mut writer = BufWriter::with_capacity(GATHERED, writer);
    for message in messages {
        for part in &message.parts {
            let mut rest = &part[..];
            while !rest.is_empty() {
                let len = in_time(patience, writer.write(rest)).await?;
                if len == 0 {
                    return Err(Trouble::closed("takes no more bytes"));
                }
                rest = rest.get(len..).unwrap_or_default();
            }
        }
        written.fetch_add(1, Ordering::Relaxed);
    }
    in_time(patience, writer.flush()).await
}

async fn in_time<T>(
    patience: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, Trouble> {
    match timeout(patience, work).await {
        Ok(done) => done.map_err(|error| Trouble::closed(format!("the connection broke: {error}"))),
        Err(_) => Err(Trouble::stalled(patience)),
    }
}
