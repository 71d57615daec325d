//! A bulk server that takes nothing until it is told to, and counts meanwhile.

use std::{
    io::{BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use serde_json::Value;

use super::{
    listening::listen,
    request::{self, Request},
};

/// The server. It listens at a free port until the test ends.
pub(crate) struct Refusing {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_open: AtomicBool,
    refused: AtomicU64,
    /// Of the last request that was refused.
    ids_refused: Mutex<Vec<String>>,
    ids_taken: Mutex<Vec<String>>,
}

impl Refusing {
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let server = Arc::clone(&shared);
        let address = listen(move |stream| server.serve(stream));
        Self { address, shared }
    }

    /// Requests that were answered with 503.
    pub(crate) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::SeqCst)
    }

    /// The ids in the last request that was answered so.
    pub(crate) fn ids_refused(&self) -> Vec<String> {
        self.shared.ids_refused.lock().expect("ids").clone()
    }

    /// From now on it takes everything.
    pub(crate) fn open(&self) {
        self.shared.is_open.store(true, Ordering::SeqCst);
    }

    /// The ids that it took, in the order in which they came.
    pub(crate) fn ids_taken(&self) -> Vec<String> {
        self.shared.ids_taken.lock().expect("ids").clone()
    }
}

impl Shared {
    /// Answers requests until the connection ends.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let Request { body, .. } = request::read(&mut reader)?;
            let ids = ids(&body);
            let (status, text) = if self.is_open.load(Ordering::SeqCst) {
                let items = vec![r#"{"create":{"status":201}}"#; ids.len()].join(",");
                self.ids_taken.lock().expect("ids").extend(ids);
                ("200 OK", format!(r#"{{"errors":false,"items":[{items}]}}"#))
            } else {
                *self.ids_refused.lock().expect("ids") = ids;
                self.refused.fetch_add(1, Ordering::SeqCst);
                ("503 Service Unavailable", String::new())
            };
            let length = text.len();
            // In one piece, so that no part of it waits for the other side.
            let reply = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{text}");
            (&*stream).write_all(reply.as_bytes()).ok()?;
        }
    }
}

/// The ids of a request, from every second line.
fn ids(body: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(body).expect("UTF-8");
    let id = |line: &str| {
        let action: Value = serde_json::from_str(line).expect("JSON");
        action["create"]["_id"].as_str().expect("an id").to_owned()
    };
    text.lines().step_by(2).map(id).collect()
}
