//! Bulk servers of our own: one refuses what it is told to refuse, documents whose text has a certain word; the other is
//! overloaded for a while, and remembers what it stored.

use std::{
    collections::HashMap,
    io::{BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::Value;

use super::{
    listening::listen,
    request::{self, Request},
};

/// Documents with this word do not fit the mapping.
pub(crate) const MISFIT: &str = "misfit";
/// Documents with this word meet an overloaded server, each time.
pub(crate) const UNWELCOME: &str = "unwelcome";

/// Listens at a free port until the test ends.
pub(crate) fn start() -> SocketAddr {
    serve_with(answer)
}

/// A server that answers every second document with 429 while it is busy.
#[derive(Clone, Default)]
pub(crate) struct Overloaded {
    busy: Arc<AtomicBool>,
    documents: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    /// The `n` of each document, by its id.
    stored: Arc<Mutex<HashMap<String, u64>>>,
}

impl Overloaded {
    /// Listens at a free port until the test ends.
    pub(crate) fn start(&self) -> SocketAddr {
        let own = self.clone();
        serve_with(move |body| own.answer(body))
    }

    pub(crate) fn be_busy(&self, is_busy: bool) {
        self.busy.store(is_busy, Ordering::Relaxed);
    }

    /// How many documents were refused so far.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// The `n` of each document that is stored.
    pub(crate) fn stored(&self) -> Vec<u64> {
        let stored = self.stored.lock().expect("the documents");
        stored.values().copied().collect()
    }

    fn answer(&self, body: &str) -> String {
        let lines: Vec<&str> = body.lines().collect();
        let statuses = lines.chunks(2).map(|pair| self.take(pair[0], pair[1]));
        let items: Vec<String> = statuses
            .map(|status| match status {
                201 => r#"{"create":{"status":201}}"#.to_owned(),
                status => format!(
                    r#"{{"create":{{"status":{status},"error":{{"type":"es_rejected_execution_exception","reason":"told to"}}}}}}"#
                ),
            })
            .collect();
        let errors = items.iter().any(|item| item.contains("error"));
        let items = items.join(",");
        format!(r#"{{"took":7,"errors":{errors},"items":[{items}]}}"#)
    }

    /// The status of one document.
    fn take(&self, action: &str, document: &str) -> u16 {
        let place = self.documents.fetch_add(1, Ordering::Relaxed);
        if self.busy.load(Ordering::Relaxed) && place.is_multiple_of(2) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return 429;
        }
        let parse = |text| serde_json::from_str::<Value>(text).expect("JSON");
        let id = parse(action)["create"]["_id"].clone();
        let id = id.as_str().expect("an id").to_owned();
        let n = parse(document)["n"].as_u64().expect("a number");
        let before = self.stored.lock().expect("the documents").insert(id, n);
        if before.is_some() { 409 } else { 201 }
    }
}

/// Answers requests to the bulk API with what `answer` makes of their bodies.
fn serve_with(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> SocketAddr {
    listen(move |stream| serve(stream, &answer))
}

/// Answers requests until the connection ends.
fn serve(stream: &TcpStream, answer: &dyn Fn(&str) -> String) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let Request { line, body, .. } = request::read(&mut reader)?;
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
