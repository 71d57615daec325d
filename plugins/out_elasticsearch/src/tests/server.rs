//! A bulk server that follows a script and is stricter than a real one: what it gets must be perfect.

mod strict;

use std::{
    collections::VecDeque,
    io::Write as _,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
};

use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::http::aws::sign::hex;

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) line: String,
    pub(super) headers: Vec<(String, String)>,
    /// Decoded.
    pub(super) body: Vec<u8>,
    pub(super) actions: Vec<Action>,
    /// SHA-256 of the body as it came, in hexadecimal.
    pub(super) digest: String,
}

/// An action, its metadata, and the document.
pub(super) type Action = (String, Map<String, Value>, Value);

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn documents(&self) -> Vec<Value> {
        self.actions
            .iter()
            .map(|(_, _, document)| document.clone())
            .collect()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        let id = |meta: &Map<String, Value>| meta["_id"].as_str().unwrap().to_owned();
        self.actions.iter().map(|(_, meta, _)| id(meta)).collect()
    }

    /// The values of the field `n`.
    pub(super) fn numbers(&self) -> Vec<i64> {
        self.actions
            .iter()
            .map(|(_, _, document)| document["n"].as_i64().unwrap())
            .collect()
    }
}

/// What the server answers.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: String,
    pub(super) body: String,
    /// Bytes of the body that are sent before the connection is closed.
    pub(super) cut: Option<usize>,
    /// Bytes of each chunk; `None` sends the body with its length.
    pub(super) chunk: Option<usize>,
    /// Whether the body is compressed.
    pub(super) is_gzip: bool,
    /// Whether the connection is closed behind it.
    pub(super) closes: bool,
    /// Whether the server says nothing at all.
    pub(super) is_silent: bool,
}

impl Reply {
    /// The bytes on the wire.
    fn bytes(&self) -> Vec<u8> {
        let mut body = self.body.clone().into_bytes();
        let mut head = format!("HTTP/1.1 {} Scripted\r\n{}", self.status, self.headers);
        if self.is_gzip {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&body).unwrap();
            body = encoder.finish().unwrap();
            head.push_str("content-encoding: gzip\r\n");
        }
        let len = body.len();
        body.truncate(self.cut.unwrap_or(len));
        let length = format!("content-length: {len}\r\n");
        match self.chunk {
            None => head.push_str(&length),
            Some(piece) => {
                head.push_str("transfer-encoding: chunked\r\n");
                let chunk = |piece: &[u8]| {
                    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
                };
                body = body.chunks(piece).flat_map(chunk).collect();
                if self.cut.is_none() {
                    body.extend_from_slice(b"0\r\n\r\n");
                }
            }
        }
        [head.as_bytes(), b"\r\n", &body].concat()
    }
}

/// Answers with a status and a body.
pub(super) fn plain(status: u16, body: impl Into<String>) -> Reply {
    Reply {
        status,
        headers: String::new(),
        body: body.into(),
        cut: None,
        chunk: None,
        is_gzip: false,
        closes: false,
        is_silent: false,
    }
}

/// Never answers.
pub(super) fn silence() -> Reply {
    Reply {
        is_silent: true,
        ..plain(0, "")
    }
}

/// Answers with these statuses; those of 400 and above have an error.
pub(super) fn items(statuses: &[(u16, &str)]) -> Reply {
    let items: Vec<Value> = statuses
        .iter()
        .map(|(status, kind)| match kind {
            &"" => json!({ "create": { "status": status } }),
            kind => json!({ "create": { "status": status, "error": { "type": kind, "reason": "because" } } }),
        })
        .collect();
    let errors = statuses.iter().any(|(_, kind)| !kind.is_empty());
    plain(
        200,
        json!({ "took": 1, "errors": errors, "items": items }).to_string(),
    )
}

type Step = Box<dyn Fn(&Request) -> Reply + Send>;

/// The server. It ends when it is dropped; the test fails then if a request was wrong.
pub(super) struct Server {
    pub(super) port: u16,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Default)]
struct Shared {
    script: Mutex<VecDeque<Step>>,
    later: Mutex<Option<Step>>,
    requests: Mutex<Vec<Request>>,
    connections: Mutex<u32>,
    pages: Mutex<Vec<(String, Reply)>>,
    visits: Mutex<Vec<Request>>,
    faults: Mutex<Vec<String>>,
    delay: Mutex<Option<Delay>>,
}

type Pause = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
type Delay = Box<dyn Fn() -> Pause + Send>;

impl Server {
    /// Starts a server; each request takes the next step of its script, and later ones succeed.
    pub(super) async fn start() -> Self {
        Self::listen(None).await
    }

    /// The same with TLS, for 127.0.0.1, from the authority in `tls/authority.pem`.
    pub(super) async fn start_tls() -> Self {
        let cert = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![cert], key)
            .unwrap();
        Self::listen(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&shared))).abort_handle();
        Self { port, shared, task }
    }

    /// Adds a step that does not look at the request.
    pub(super) fn then(&self, reply: Reply) -> &Self {
        self.then_with(move |_| reply.clone())
    }

    /// Adds a step.
    pub(super) fn then_with(&self, step: impl Fn(&Request) -> Reply + Send + 'static) -> &Self {
        self.shared.script.lock().unwrap().push_back(Box::new(step));
        self
    }

    /// What the server does when the script is at its end.
    pub(super) fn later(&self, step: impl Fn(&Request) -> Reply + Send + 'static) -> &Self {
        *self.shared.later.lock().unwrap() = Some(Box::new(step));
        self
    }

    /// What the server waits for before each answer.
    pub(super) fn delay<F>(&self, pause: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let boxed = move || -> Pause { Box::pin(pause()) };
        *self.shared.delay.lock().unwrap() = Some(Box::new(boxed));
    }

    /// Leaves out the next step.
    pub(super) fn skip(&self) {
        self.shared.script.lock().unwrap().pop_front();
    }

    /// Adds a page, such as `GET /login`, which is no bulk request and not part of the script.
    pub(super) fn page(&self, line: &str, reply: Reply) -> &Self {
        let page = (format!("{line} "), reply);
        self.shared.pages.lock().unwrap().push(page);
        self
    }

    /// Puts a page in the place of one that was added.
    pub(super) fn page_anew(&self, line: &str, reply: Reply) -> &Self {
        let line_start = format!("{line} ");
        let mut pages = self.shared.pages.lock().unwrap();
        pages.retain(|(line, _)| *line != line_start);
        pages.push((line_start, reply));
        drop(pages);
        self
    }

    /// The lines of the requests for pages.
    pub(super) fn visits(&self) -> Vec<String> {
        let visits = self.visitors();
        visits.into_iter().map(|visit| visit.line).collect()
    }

    /// The last body that came for a page.
    pub(super) fn body_for(&self, line: &str) -> Value {
        let visits = self.visitors();
        let visit = visits
            .iter()
            .rev()
            .find(|visit| visit.line.starts_with(line));
        serde_json::from_slice(&visit.expect("somebody came").body).unwrap()
    }

    /// The requests for pages.
    pub(super) fn visitors(&self) -> Vec<Request> {
        self.shared.visits.lock().unwrap().clone()
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Looks at the requests without a copy of them.
    pub(super) fn look<T>(&self, eye: impl FnOnce(&[Request]) -> T) -> T {
        eye(&self.shared.requests.lock().unwrap())
    }

    /// Connections on which a request came.
    pub(super) fn connections(&self) -> u32 {
        *self.shared.connections.lock().unwrap()
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        let faults = self.shared.faults.lock().unwrap().join("\n");
        assert!(
            faults.is_empty() || std::thread::panicking(),
            "the server got a wrong request: {faults}"
        );
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(greet(stream, tls.clone(), Arc::clone(&shared)));
    }
}

async fn greet(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    match tls {
        None => serve(stream, shared).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, shared).await;
            }
        }
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let mut is_first = true;
    while let Some((request, wire)) = read(&mut stream).await {
        *shared.connections.lock().unwrap() += u32::from(std::mem::take(&mut is_first));
        let reply = shared.reply(request, wire);
        if reply.is_silent && reply.closes {
            return;
        }
        if reply.is_silent {
            std::future::pending::<()>().await;
        }
        let pause = shared.delay.lock().unwrap().as_ref().map(|delay| delay());
        if let Some(pause) = pause {
            pause.await;
        }
        let sent = stream.write_all(&reply.bytes()).await;
        if sent.is_err() || reply.cut.is_some() || reply.closes {
            return;
        }
    }
}

impl Shared {
    fn reply(&self, mut request: Request, wire: Vec<u8>) -> Reply {
        let pages = self.pages.lock().unwrap();
        let page = pages
            .iter()
            .find(|(line, _)| request.line.starts_with(line));
        if let Some((_, reply)) = page {
            request.body = wire;
            self.visits.lock().unwrap().push(request);
            return reply.clone();
        }
        drop(pages);
        let request = match strict::check(request, wire) {
            Ok(request) => request,
            Err(fault) => return self.fault(fault),
        };
        let next = self.script.lock().unwrap().pop_front();
        let later = self.later.lock().unwrap();
        let reply = match next.as_ref().or(later.as_ref()) {
            Some(step) => std::panic::catch_unwind(AssertUnwindSafe(|| step(&request))),
            None => Ok(items(&vec![(201, ""); request.actions.len()])),
        };
        drop(later);
        self.requests.lock().unwrap().push(request);
        reply.unwrap_or_else(|panic| {
            let text = panic
                .downcast::<String>()
                .map_or_else(|_| "a step panicked".into(), |text| *text);
            self.fault(text)
        })
    }

    fn fault(&self, fault: String) -> Reply {
        self.faults.lock().unwrap().push(fault.clone());
        plain(400, fault)
    }
}

/// A request whose body was not looked at, and that body.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<(Request, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let mut request = Request {
        line,
        headers,
        body: Vec::new(),
        actions: Vec::new(),
        digest: String::new(),
    };
    let len = request.header("content-length").unwrap_or("0");
    let mut wire = vec![0; len.parse().unwrap()];
    stream.read_exact(&mut wire).await.ok()?;
    request.digest = hex(&Sha256::digest(&wire));
    Some((request, wire))
}

#[tokio::test]
async fn a_wrong_request_fails_the_test() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port))
        .await
        .unwrap();
    let body = "{\"create\":{\"_index\":\"a\",\"_type\":\"_doc\"}}\n{}\n";
    let request = format!(
        "POST /_bulk HTTP/1.1\r\nhost: a\r\nuser-agent: a\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 400");
    let panic = std::panic::catch_unwind(AssertUnwindSafe(|| drop(server))).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(
        message.contains("contains an unknown parameter [_type]"),
        "{message}"
    );
}
