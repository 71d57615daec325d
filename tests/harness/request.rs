//! Requests as the HTTP servers of the harness read them.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpStream,
};

/// A request.
pub(crate) struct Request {
    /// Method and path, in lower case.
    pub(crate) line: String,
    pub(crate) body: Vec<u8>,
}

/// The next request of a connection; `None` when it has ended.
pub(crate) fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        line: head.into_iter().next()?,
        body,
    })
}
