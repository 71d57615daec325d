//! Requests as the HTTP servers of the harness read them.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpStream,
};

/// A request.
pub(crate) struct Request {
    /// Method and path, in lower case.
    pub(crate) line: String,
    /// The lines of its head as they came, the first one included.
    pub(crate) head: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The value of a header; `name` is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().skip(1).find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The next request of a connection; `None` when it has ended.
pub(crate) fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        head.push(line.to_owned());
    }
    let mut request = Request {
        line: head.first()?.to_ascii_lowercase(),
        head,
        body: Vec::new(),
    };
    let length = request.header("content-length").unwrap_or("0");
    request.body = vec![0; length.parse().ok()?];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}
