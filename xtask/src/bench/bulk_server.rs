//! A bulk server that counts documents and says yes; as cheap as can be, so that the router is what is measured.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};

/// The listening server. Its threads end with the process.
pub(super) struct BulkServer {
    port: u16,
    documents: Arc<AtomicU64>,
}

impl BulkServer {
    pub(super) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let documents = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&documents);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let documents = Arc::clone(&shared);
                // A connection that ends is the end of its thread and of nothing else.
                thread::spawn(move || drop(serve(&stream, &documents)));
            }
        });
        Ok(Self { port, documents })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Waits until exactly `count` documents arrived.
    pub(super) fn wait_for(&self, count: u64, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let seen = self.documents.load(Ordering::Relaxed);
            ensure!(seen <= count, "{seen} documents arrived of {count} sent");
            if seen == count {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{seen} of {count} documents arrived in {patience:?}");
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn serve(stream: &TcpStream, documents: &AtomicU64) -> std::io::Result<()> {
    let mut reader = BufReader::with_capacity(256 << 10, stream);
    let mut writer = stream;
    let mut body = Vec::new();
    let mut line = String::new();
    loop {
        let (mut length, mut is_bulk) = (0, false);
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let text = line.trim_end().to_ascii_lowercase();
            is_bulk |= text.starts_with("post") && text.contains("_bulk");
            if let Some(value) = text.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if text.is_empty() {
                break;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        let count = if is_bulk { bytecount(&body) / 2 } else { 0 };
        writer.write_all(&answer(count))?;
        documents.fetch_add(count, Ordering::Relaxed);
    }
}

fn bytecount(body: &[u8]) -> u64 {
    body.chunks(128)
        .map(|part| {
            u64::from(
                part.iter()
                    .fold(0_u8, |sum, byte| sum + u8::from(*byte == b'\n')),
            )
        })
        .sum()
}

fn answer(count: u64) -> Vec<u8> {
    let mut items = String::with_capacity(27 * usize::try_from(count).unwrap_or(0) + 64);
    items.push_str(r#"{"errors":false,"took":1,"items":["#);
    for number in 0..count {
        items.push_str(if number == 0 {
            r#"{"create":{"status":201}}"#
        } else {
            r#",{"create":{"status":201}}"#
        });
    }
    items.push_str("]}");
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-elastic-product: Elasticsearch\r\ncontent-length: {}\r\n\r\n",
        items.len()
    );
    [head.as_bytes(), items.as_bytes()].concat()
}
