//! A bulk server that refuses what it is told to refuse: documents whose text has a certain word.

use std::{
    io::{BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use super::request::{self, Request};

/// Documents with this word do not fit the mapping.
pub(crate) const MISFIT: &str = "misfit";
/// Documents with this word meet an overloaded server, each time.
pub(crate) const UNWELCOME: &str = "unwelcome";

/// Listens at a free port until the test ends.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(&stream));
        }
    });
    address
}

/// Answers requests until the connection ends.
fn serve(stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let Request { line, body } = request::read(&mut reader)?;
        let is_bulk = line.starts_with("post") && line.contains("_bulk");
        let text = if is_bulk {
            answer(&String::from_utf8_lossy(&body))
        } else {
            r#"{"version":{"number":"8.19.0"},"tagline":"You Know, for Search"}"#.to_owned()
        };
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-elastic-product: Elasticsearch\r\n";
        let length = text.len();
        write!(&*stream, "{head}content-length: {length}\r\n\r\n{text}").ok()?;
    }
}

/// One item per document, which is every second line.
fn answer(body: &str) -> String {
    let mut errors = false;
    let item = |document: &str| {
        let (status, kind) = if document.contains(MISFIT) {
            (400, "document_parsing_exception")
        } else if document.contains(UNWELCOME) {
            (429, "es_rejected_execution_exception")
        } else {
            return r#"{"create":{"status":201}}"#.to_owned();
        };
        errors = true;
        format!(
            r#"{{"create":{{"status":{status},"error":{{"type":"{kind}","reason":"told to"}}}}}}"#
        )
    };
    let items: Vec<String> = body.lines().skip(1).step_by(2).map(item).collect();
    let items = items.join(",");
    format!(r#"{{"took":7,"errors":{errors},"items":[{items}]}}"#)
}
