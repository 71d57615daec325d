//! A proxy in front of a real server that passes requests on, remembers them, and does harm when it is told to.

use std::{
    io::{BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Arc, Mutex},
};

use super::{
    listening::listen,
    request::{self, Request},
};

/// What it does to a request to the bulk API, from the next one on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    Nothing,
    /// Passes on nine tenths of a compressed body, as if that were all.
    CutsBodies,
    /// Passes on the whole request, and half of the answer.
    CutsAnswers,
}

/// A request to the bulk API that was passed on.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// Path and query.
    pub(crate) path: String,
    /// `Content-Encoding`.
    pub(crate) encoding: Option<String>,
    /// Whether it was harmed.
    pub(crate) is_harmed: bool,
    /// Status of the server's answer; 0 when there was none.
    pub(crate) status: u16,
}

/// The running proxy. It listens until the test ends.
pub(crate) struct Meddler {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    harm: Mutex<Harm>,
    seen: Mutex<Vec<Seen>>,
}

impl Meddler {
    /// Listens at a free port.
    pub(crate) fn start(target: SocketAddr, harm: Harm) -> Self {
        let shared = Arc::new(Shared {
            target,
            harm: Mutex::new(harm),
            seen: Mutex::default(),
        });
        let own = Arc::clone(&shared);
        let address = listen(move |stream| own.serve(stream));
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn behave(&self, harm: Harm) {
        *self.shared.harm.lock().expect("the harm") = harm;
    }

    /// The requests to the bulk API so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("the requests").clone()
    }

    /// How many of them were harmed.
    pub(crate) fn harmed(&self) -> usize {
        let seen = self.shared.seen.lock().expect("the requests");
        seen.iter().filter(|seen| seen.is_harmed).count()
    }
}

impl Shared {
    /// Passes one request on. Each has a connection of its own.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let request = request::read(&mut BufReader::new(stream))?;
        let is_bulk = request.line.contains("/_bulk");
        let encoding = request.header("content-encoding").map(str::to_owned);
        let harm = if is_bulk {
            *self.harm.lock().expect("the harm")
        } else {
            Harm::Nothing
        };
        let is_harmed = match harm {
            Harm::Nothing => false,
            Harm::CutsBodies => encoding.is_some(),
            Harm::CutsAnswers => true,
        };
        let sent = if is_harmed && harm == Harm::CutsBodies {
            request.body.len() * 9 / 10
        } else {
            request.body.len()
        };
        let answer = self.pass(&request, sent).unwrap_or_default();
        if is_bulk {
            let path = request.head[0].split(' ').nth(1)?.to_owned();
            self.seen.lock().expect("the requests").push(Seen {
                path,
                encoding,
                is_harmed,
                status: status(&answer).unwrap_or(0),
            });
        }
        let returned = if is_harmed && harm == Harm::CutsAnswers {
            answer.len() / 2
        } else {
            answer.len()
        };
        let mut back = stream;
        back.write_all(&answer[..returned]).ok()?;
        stream.shutdown(Shutdown::Both).ok()
    }

    /// Sends the beginning of the body to the server; its whole answer.
    fn pass(&self, request: &Request, sent: usize) -> Option<Vec<u8>> {
        let mut upstream = TcpStream::connect(self.target).ok()?;
        let mut text = String::new();
        for line in &request.head {
            let name = line.split(':').next().unwrap_or_default();
            let is_ours = ["content-length", "connection"]
                .iter()
                .any(|own| own.eq_ignore_ascii_case(name));
            if !is_ours {
                text.push_str(line);
                text.push_str("\r\n");
            }
        }
        write!(
            upstream,
            "{text}connection: close\r\ncontent-length: {sent}\r\n\r\n"
        )
        .ok()?;
        upstream.write_all(&request.body[..sent]).ok()?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer).ok()?;
        Some(answer)
    }
}

/// The status in the first line of an answer.
fn status(answer: &[u8]) -> Option<u16> {
    let line = String::from_utf8_lossy(answer.get(..64)?).into_owned();
    line.split(' ').nth(1)?.parse().ok()
}
