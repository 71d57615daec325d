//! An HTTP server that takes batches as JSON arrays and remembers them, in the order in which it answered.

use std::{
    io::{BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use super::{
    listening::listen,
    request::{self, Request},
};

/// What one request carried.
pub(crate) type Batch = Vec<Value>;

/// Which requests are answered 503.
type Refuses = Box<dyn Fn(&Batch) -> bool + Send + Sync>;

/// The running server. It listens until the test ends.
#[derive(Clone)]
pub(crate) struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    taken: Mutex<Vec<Batch>>,
    refused: Mutex<usize>,
    refuses: Mutex<Refuses>,
}

impl Collector {
    /// Listens at a free port, and takes everything.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared {
            taken: Mutex::default(),
            refused: Mutex::default(),
            refuses: Mutex::new(Box::new(|_| false)),
        });
        let own = Arc::clone(&shared);
        let address = listen(move |stream| own.serve(stream));
        Self { address, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on these are answered 503.
    pub(crate) fn refuse(&self, which: impl Fn(&Batch) -> bool + Send + Sync + 'static) {
        *self.shared.refuses.lock().expect("no panic") = Box::new(which);
    }

    /// What was taken.
    pub(crate) fn taken(&self) -> Vec<Batch> {
        self.shared.taken.lock().expect("no panic").clone()
    }

    /// How many requests were refused.
    pub(crate) fn refused(&self) -> usize {
        *self.shared.refused.lock().expect("no panic")
    }
}

impl Shared {
    /// Answers requests until the connection ends.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let Request { body, .. } = request::read(&mut reader)?;
            if body.is_empty() {
                // Somebody asks whether anybody is there.
                write!(&*stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
                continue;
            }
            let batch: Batch = serde_json::from_slice(&body).expect("a JSON array");
            let is_refused = (self.refuses.lock().expect("no panic"))(&batch);
            let status = if is_refused {
                *self.refused.lock().expect("no panic") += 1;
                "503 Service Unavailable"
            } else {
                self.taken.lock().expect("no panic").push(batch);
                "200 OK"
            };
            write!(&*stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").ok()?;
        }
    }
}
