//! A server that follows a script, and reads with the decoder of the forward input.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use bytes::{Bytes, BytesMut};
use forward_protocol::{
    Decoder, Limits, Message, Step,
    handshake::{Server as Handshake, ServerStep, Terms},
};
use sdk::{clock::Clock, testing::records};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// What the server does.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) answers: Answers,
    pub(super) terms: Option<Terms>,
    pub(super) tls: Option<TlsAcceptor>,
}

/// How it acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// As it should.
    Right,
    /// Never.
    Never,
    /// With the id of something else.
    Wrong,
    /// The first message of each connection, which it closes then.
    FirstOnly,
    /// Every one twice.
    Twice,
    /// As it should, but for messages that hold `{"n": 13}`, on which it closes the connection.
    NotThirteen,
}

/// A running server. It ends when dropped.
pub(super) struct Server {
    pub(super) port: u16,
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Default)]
struct Shared {
    got: Mutex<Vec<Message>>,
    wire: Mutex<Vec<u8>>,
    connections: AtomicUsize,
    open: AtomicUsize,
}

impl Script {
    pub(super) fn new(answers: Answers) -> Self {
        Self {
            answers,
            terms: None,
            tls: None,
        }
    }
}

impl Server {
    pub(super) fn start(answers: Answers) -> Self {
        Self::follow(Script::new(answers), 0)
    }

    /// At a certain port, which may have been in use a moment ago.
    pub(super) fn follow(script: Script, port: u16) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], port).into()).unwrap();
        let listener = socket.listen(64).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(accept(listener, script, Arc::clone(&shared))).abort_handle();
        Self { port, shared, task }
    }

    /// Its table in the configuration.
    pub(super) fn table(&self) -> Value {
        serde_json::json!({ "host": "127.0.0.1", "port": self.port })
    }

    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Connections that have not ended.
    pub(super) fn open(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Every byte that came, past handshakes.
    pub(super) fn wire(&self) -> Vec<u8> {
        self.shared.wire.lock().unwrap().clone()
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        self.shared.got.lock().unwrap().clone()
    }

    /// The field `n` of every record, in the order in which they came.
    pub(super) fn numbers(&self) -> Vec<u64> {
        let of = |message: &Message| records(&message.entries.bytes);
        let records = self.messages().iter().flat_map(of).collect::<Vec<_>>();
        records
            .iter()
            .map(|record| record["n"].as_u64().unwrap())
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, script: Script, shared: Arc<Shared>) {
    // Dropped with this task, so that connections end with the server.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::Relaxed);
        shared.open.fetch_add(1, Ordering::Relaxed);
        let (script, shared) = (script.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            greet(stream, script, Arc::clone(&shared)).await;
            shared.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn greet(stream: TcpStream, script: Script, shared: Arc<Shared>) {
    match &script.tls {
        None => serve(stream, &script, &shared).await,
        Some(tls) => {
            // A client that does not trust us ends here.
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, &script, &shared).await;
            }
        }
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: &Script, shared: &Shared) {
    let mut rest = BytesMut::new();
    if let Some(terms) = &script.terms
        && !shake(&mut stream, terms, &mut rest).await
    {
        return;
    }
    let mut decoder = Decoder::new(Limits::default(), Clock::system());
    loop {
        shared.wire.lock().unwrap().extend_from_slice(&rest);
        decoder.push(&rest);
        rest.clear();
        while let Some(message) = next(&mut decoder) {
            let numbers: Vec<Value> = records(&message.entries.bytes);
            if script.answers == Answers::NotThirteen
                && numbers.iter().any(|record| record["n"] == 13)
            {
                return;
            }
            let answer = answer(script.answers, &message);
            shared.got.lock().unwrap().push(message);
            if stream.write_all(&answer).await.is_err() {
                return;
            }
            if script.answers == Answers::FirstOnly {
                drop(stream.shutdown().await);
                return;
            }
        }
        if !matches!(stream.read_buf(&mut rest).await, Ok(1..)) {
            return;
        }
    }
}

fn next(decoder: &mut Decoder) -> Option<Message> {
    loop {
        match decoder.poll().unwrap() {
            Step::Read => return None,
            Step::Pause => {}
            Step::Message(message) => return Some(message),
            other => panic!("{other:?} is not what an output sends"),
        }
    }
}

fn answer(answers: Answers, message: &Message) -> Bytes {
    let right = message.chunk.as_ref().map(forward_protocol::Chunk::ack);
    let right = right.unwrap_or_default();
    match answers {
        Answers::Right | Answers::FirstOnly | Answers::NotThirteen => right,
        Answers::Never => Bytes::new(),
        Answers::Wrong => Bytes::from_static(b"\x81\xa3ack\xa3abc"),
        Answers::Twice => [&right[..], &right].concat().into(),
    }
}

/// The handshake; `false` when the client was refused.
async fn shake(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    terms: &Terms,
    rest: &mut BytesMut,
) -> bool {
    let mut handshake = Handshake::new(terms.clone(), [7; 16], [8; 16]);
    let helo = handshake.helo(true);
    if stream.write_all(&helo).await.is_err() {
        return false;
    }
    loop {
        match handshake.take(rest) {
            ServerStep::Read => {
                if !matches!(stream.read_buf(rest).await, Ok(1..)) {
                    return false;
                }
            }
            ServerStep::Accepted { answer, .. } => return stream.write_all(&answer).await.is_ok(),
            ServerStep::Refused { answer, .. } => {
                // It may be gone already.
                drop(stream.write_all(&answer).await);
                return false;
            }
        }
    }
}
