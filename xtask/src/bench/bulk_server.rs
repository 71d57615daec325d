//! A bulk server that counts documents and says yes; as cheap as can be, so that the router is what is measured.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicU64, Ordering},
};

/// Takes requests until the connection ends.
pub(super) fn serve(stream: &TcpStream, documents: &AtomicU64) -> anyhow::Result<()> {
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
