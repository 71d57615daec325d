//! A bulk server that follows a script and is stricter than a real one: what it gets must be perfect.

use std::{
    collections::VecDeque,
    io::Read as _,
    sync::{Arc, Mutex},
};

use serde_json::{Map, Value, json};
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

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) line: String,
    pub(super) headers: Vec<(String, String)>,
    /// Decoded.
    pub(super) body: Vec<u8>,
    /// Action, its metadata, and the document.
    pub(super) actions: Vec<(String, Map<String, Value>, Value)>,
}

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
}

/// Answers with a status and a body.
pub(super) fn plain(status: u16, body: impl Into<String>) -> Reply {
    Reply {
        status,
        headers: String::new(),
        body: body.into(),
        cut: None,
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

/// The server. It ends when it is dropped.
pub(super) struct Server {
    pub(super) port: u16,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Default)]
struct Shared {
    script: Mutex<VecDeque<Step>>,
    requests: Mutex<Vec<Request>>,
    connections: Mutex<u32>,
}

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

    pub(super) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
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
    while let Some(request) = read(&mut stream).await {
        *shared.connections.lock().unwrap() += u32::from(std::mem::take(&mut is_first));
        let step = shared.script.lock().unwrap().pop_front();
        let reply = match step {
            Some(step) => step(&request),
            None => items(&vec![(201, ""); request.actions.len()]),
        };
        shared.requests.lock().unwrap().push(request);
        let head = format!(
            "HTTP/1.1 {} Scripted\r\ncontent-length: {}\r\n{}\r\n",
            reply.status,
            reply.body.len(),
            reply.headers
        );
        let sent = reply.cut.unwrap_or(reply.body.len());
        let answer = [head.as_bytes(), &reply.body.as_bytes()[..sent]].concat();
        if stream.write_all(&answer).await.is_err() || reply.cut.is_some() {
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
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
    };
    let len = request
        .header("content-length")
        .expect("a length")
        .parse()
        .unwrap();
    let mut wire = vec![0; len];
    stream.read_exact(&mut wire).await.ok()?;
    request.body = match request.header("content-encoding") {
        None => wire,
        Some("gzip") => {
            let mut body = Vec::new();
            // Not a decoder of several members: servers stop after the first.
            let mut decoder = flate2::read::GzDecoder::new(wire.as_slice());
            decoder.read_to_end(&mut body).unwrap();
            body
        }
        Some(other) => panic!("{other} is not understood everywhere"),
    };
    request.actions = actions(&request.body);
    Some(request)
}

/// Reads a body as strictly as the strictest server.
fn actions(body: &[u8]) -> Vec<(String, Map<String, Value>, Value)> {
    let text = std::str::from_utf8(body).expect("UTF-8");
    assert!(text.ends_with('\n'), "the last line is not ended");
    let lines: Vec<&str> = text.trim_end_matches('\n').split('\n').collect();
    assert_eq!(text.matches('\n').count(), lines.len(), "empty lines");
    lines
        .chunks(2)
        .map(|pair| {
            let [action, document] = pair else {
                panic!("an action without a document")
            };
            let action: Map<String, Value> = serde_json::from_str(action).expect("an action line");
            assert_eq!(action.len(), 1, "{action:?}");
            let (name, meta) = action.into_iter().next().unwrap();
            assert!(["create", "index"].contains(&name.as_str()), "{name}");
            let meta = meta.as_object().expect("metadata").clone();
            for (key, value) in &meta {
                assert!(
                    ["_index", "_id", "routing"].contains(&key.as_str()),
                    "{key} is not known everywhere"
                );
                assert!(value.is_string(), "{key}: {value}");
            }
            let document: Value = serde_json::from_str(document).expect("a document");
            assert!(document.is_object(), "{document}");
            (name, meta, document)
        })
        .collect()
}
