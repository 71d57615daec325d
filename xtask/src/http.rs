//! The little HTTP that a look at a local server needs.

use anyhow::{Context as _, Result};
use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};

/// Bytes of an answer that are read at most.
const ANSWER_MAX_BYTES: u64 = 1 << 20;

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The body as it came; a chunked one still holds its chunk sizes.
    pub(crate) body: String,
}

/// Asks for `url`, which begins with `http://` and names a port.
pub(crate) fn get(url: &str, patience: Duration) -> Result<Answer> {
    let rest = url.strip_prefix("http://").context("not an http url")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = host
        .to_socket_addrs()?
        .next()
        .context("the host has no address")?;
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_MAX_BYTES).read_to_end(&mut bytes)?;
    parse(&String::from_utf8_lossy(&bytes)).with_context(|| format!("{url} answers no HTTP"))
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    Some(Answer {
        status: status.parse().ok()?,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    #[test]
    fn status_and_body_are_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a/b", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut part = [0; 256];
            while !request.ends_with(b"\r\n\r\n") {
                let length = stream.read(&mut part).unwrap();
                request.extend_from_slice(&part[..length]);
            }
            stream
                .write_all(b"HTTP/1.1 503 Busy\r\na: b\r\n\r\nlater")
                .unwrap();
            String::from_utf8(request).unwrap()
        });
        let answer = get(&url, Duration::from_secs(5)).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (503, "later"));
        assert!(server.join().unwrap().starts_with("GET /a/b HTTP/1.1\r\n"));
        assert_eq!(parse("SSH-2.0"), None);
    }
}
