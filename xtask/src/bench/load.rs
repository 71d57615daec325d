//! Senders with acknowledgements: messages made beforehand, a few in flight on each connection.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, anyhow, ensure};

use super::records::{self, Shape};

/// Messages that a connection sends before it waits for the first answer.
const IN_FLIGHT: usize = 2;
/// Bytes of distinct records; they are sent again and again.
const POOL_BYTES: usize = 24 << 20;

/// A pool of messages and the count of what was sent.
pub(super) struct Load {
    port: u16,
    messages: Vec<Message>,
    /// The entries of the pool, for the comparison.
    pub(super) entries: Vec<Vec<u8>>,
    sent: AtomicU64,
}

struct Message {
    blob: Vec<u8>,
    records: u64,
}

impl Load {
    /// Messages of about `message_bytes`.
    pub(super) fn new(port: u16, message_bytes: usize) -> Self {
        let entries = records::entries(Shape::Usual, POOL_BYTES / 470, 42);
        let mut messages = Vec::new();
        let mut blob = Vec::new();
        let mut records = 0;
        for entry in &entries {
            blob.extend_from_slice(entry);
            records += 1;
            if blob.len() >= message_bytes {
                messages.push(Message {
                    blob: std::mem::take(&mut blob),
                    records,
                });
                records = 0;
            }
        }
        Self {
            port,
            messages,
            entries,
            sent: AtomicU64::new(0),
        }
    }

    /// Records acknowledged so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Sends at least `records` over `connections` and returns when all are acknowledged.
    pub(super) fn send(&self, records: u64, connections: usize) -> anyhow::Result<()> {
        let share = records / connections as u64;
        thread::scope(|scope| {
            let senders: Vec<_> = (0..connections)
                .map(|number| scope.spawn(move || self.connection(number, share)))
                .collect();
            for sender in senders {
                sender.join().map_err(|_| anyhow!("a sender panicked"))??;
            }
            Ok(())
        })
    }

    fn connection(&self, number: usize, records: u64) -> anyhow::Result<()> {
        let mut stream =
            TcpStream::connect(("127.0.0.1", self.port)).context("connect to the router")?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_nodelay(true)?;
        let mut messages = self
            .messages
            .iter()
            .cycle()
            .skip(number * 17 % self.messages.len());
        let mut waiting = std::collections::VecDeque::new();
        let (mut begun, mut serial) = (0, 0_u64);
        while begun < records || !waiting.is_empty() {
            if begun < records && waiting.len() < IN_FLIGHT {
                let message = messages.next().context("the pool is empty")?;
                let chunk = format!("{number:04}{serial:020}");
                serial += 1;
                stream.write_all(&header(message.blob.len()))?;
                stream.write_all(&message.blob)?;
                stream.write_all(&option(&chunk))?;
                begun += message.records;
                waiting.push_back((chunk, message.records));
                continue;
            }
            let Some((chunk, count)) = waiting.pop_front() else {
                break;
            };
            read_ack(&mut stream, &chunk)?;
            self.sent.fetch_add(count, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// `[tag, bin blob, option]` up to the blob.
fn header(len: usize) -> Vec<u8> {
    let mut out = vec![0x93, 0xa8];
    out.extend_from_slice(b"kube.app");
    out.push(0xc6);
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    out
}

/// `{"chunk": ID}` with an id of 24 characters.
fn option(chunk: &str) -> Vec<u8> {
    let mut out = vec![0x81, 0xa5];
    out.extend_from_slice(b"chunk");
    out.push(0xa0 | u8::try_from(chunk.len()).unwrap_or(0));
    out.extend_from_slice(chunk.as_bytes());
    out
}

fn read_ack(stream: &mut TcpStream, chunk: &str) -> anyhow::Result<()> {
    let mut expected = vec![0x81, 0xa3];
    expected.extend_from_slice(b"ack");
    expected.push(0xa0 | u8::try_from(chunk.len()).unwrap_or(0));
    expected.extend_from_slice(chunk.as_bytes());
    let mut answer = vec![0; expected.len()];
    stream
        .read_exact(&mut answer)
        .context("read an acknowledgement")?;
    ensure!(answer == expected, "an acknowledgement of another chunk");
    Ok(())
}
