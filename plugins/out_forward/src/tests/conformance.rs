//! The conformance cases of the forward protocol for the side that sends, C58 to C60: a server that says exactly these
//! bytes, over a real socket.

use bytes::{Buf as _, BytesMut};
use sdk::{
    msgpack::{RawValue, Reader, Token, write as put},
    output::{FailureKind, Outcome},
    testing::frame,
};
use serde_json::{Value, json};
use sha2::Digest as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Duration, timeout},
};

use super::{again, down, eventually, kernel, numbered, output, write};

/// Everything here happens within this time, or fails.
const PATIENCE: Duration = Duration::from_secs(20);
const KEY: &str = "a shared key";

/// A server of which a test says what it says.
struct Peer(TcpListener);

/// A connection that it accepted, and what was read of it.
struct Link {
    stream: TcpStream,
    read: BytesMut,
}

impl Peer {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn table(&self) -> Value {
        json!({ "host": "127.0.0.1", "port": self.0.local_addr().unwrap().port() })
    }

    async fn accept(&self) -> Link {
        let accepted = timeout(PATIENCE, self.0.accept()).await;
        let (stream, _) = accepted.expect("a connection").unwrap();
        stream.set_nodelay(true).unwrap();
        Link {
            stream,
            read: BytesMut::new(),
        }
    }

    /// Whether a connection waits to be accepted.
    async fn is_asked(&self) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(self.0.poll_accept(cx).is_ready())).await
    }
}

impl Link {
    async fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Says this in two segments: the second when the output has read the first.
    async fn say_in_two(&mut self, front: &[u8], back: &[u8]) {
        self.say(front).await;
        eventually("the output reads the first part", || {
            kernel::has_read_all(&self.stream)
        })
        .await;
        self.say(back).await;
    }

    /// The next MessagePack value that the output sends.
    async fn hear(&mut self) -> Vec<u8> {
        loop {
            let mut reader = Reader::new(&self.read);
            if reader.value().is_ok() {
                let len = reader.position();
                let value = self.read[..len].to_vec();
                self.read.advance(len);
                return value;
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
            let read = read.expect("the output sends").unwrap();
            assert_ne!(read, 0, "the output closes");
        }
    }

    /// The id of the next message.
    async fn chunk(&mut self) -> Vec<u8> {
        let message = self.hear().await;
        let message = RawValue::parse(&message).unwrap();
        let option = message.items().unwrap().nth(2).unwrap();
        let chunk = option.get(b"chunk").expect("a chunk id");
        chunk.as_bytes().unwrap().to_vec()
    }

    /// The output closes, and sends nothing more before.
    async fn hears_the_end(mut self) {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
        let read = read.expect("the output closes").unwrap_or(0);
        assert_eq!((read, &self.read[..]), (0, &b""[..]));
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16)?.try_into().ok())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] * 16 + pair[1])
        .collect()
}

fn digest(parts: &[&[u8]]) -> String {
    let bytes = sha2::Sha512::digest(parts.concat());
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// The acknowledgement of `id`, as a str.
fn ack(id: &[u8]) -> Vec<u8> {
    let mut out = unhex("81a361636b");
    put::str_bytes(&mut out, id);
    out
}

/// An acknowledgement as a bin, which the output must take as well.
fn ack_in_bin(id: &[u8]) -> Vec<u8> {
    let mut out = unhex("81a361636b");
    put::bin(&mut out, id);
    out
}

/// The six items of a PING.
#[derive(Debug)]
struct Ping {
    hostname: Vec<u8>,
    salt: Vec<u8>,
    proof: String,
    username: String,
    password: String,
}

impl Ping {
    fn read(bytes: &[u8]) -> Self {
        let items: Vec<_> = RawValue::parse(bytes).unwrap().items().unwrap().collect();
        assert_eq!(items.len(), 6, "a PING has six items");
        for item in &items {
            assert!(
                matches!(item.token(), Token::Str(_)),
                "Fluent Bit takes str only: {item:?}"
            );
        }
        let bytes = |at: usize| items[at].as_bytes().unwrap().to_vec();
        let text = |at: usize| String::from_utf8(bytes(at)).unwrap();
        assert_eq!(text(0), "PING");
        Self {
            hostname: bytes(1),
            salt: bytes(2),
            proof: text(3),
            username: text(4),
            password: text(5),
        }
    }

    /// PONG from a server of this name that knows `key`.
    fn pong(&self, server: &str, nonce: &[u8], key: &str) -> Vec<u8> {
        let proof = digest(&[&self.salt, server.as_bytes(), nonce, key.as_bytes()]);
        let mut out = unhex("95a4504f4e47c3a0");
        put::str(&mut out, server);
        put::str(&mut out, &proof);
        out
    }
}

/// As user `alice`, to one server, with heartbeats off.
fn secured(more: &Value) -> Value {
    let mut params = json!({
        "security": { "self_hostname": "client.example", "shared_key": KEY },
        "heartbeat_type": "none",
    });
    let all = params.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    params
}

fn alice(peer: &Peer) -> Value {
    let mut table = peer.table();
    table["username"] = "alice".into();
    table["password"] = "wonder".into();
    table
}

const NONCE: &str = "000102030405060708090a0b0c0d0e0f";
const AUTH: &str = "ff1112131415161718191a1b1c1d1eff";

/// A HELO, the nonce and the salt of passwords in it, and whether the server takes several messages.
type Helo = (String, Vec<u8>, Vec<u8>, bool);

fn helos() -> [Helo; 8] {
    let (nonce, auth, empty) = (unhex(NONCE), unhex(AUTH), Vec::new());
    let helo = |rest: String| format!("92a448454c4f{rest}");
    let of_fluentd = |keepalive: &str| {
        helo(format!(
            "83a56e6f6e6365c410{NONCE}a461757468c410{AUTH}a96b656570616c697665{keepalive}"
        ))
    };
    let without_keepalive = helo(format!("82a56e6f6e6365c410{NONCE}a461757468c410{AUTH}"));
    // As Fluent Bit writes it: str in place of bin, and no UTF-8.
    let in_str = helo(format!("82a56e6f6e6365b0{NONCE}a461757468b0{AUTH}"));
    // No user is asked for.
    let empty_auth = helo(format!(
        "83a56e6f6e6365c410{NONCE}a461757468c400a96b656570616c697665c3"
    ));
    let no_auth = helo(format!("81a56e6f6e6365c410{NONCE}"));
    let empty_nonce = helo(format!(
        "83a56e6f6e6365c400a461757468c410{AUTH}a96b656570616c697665c3"
    ));
    let all_empty = helo("82a56e6f6e6365a0a461757468a0".to_owned());
    [
        (of_fluentd("c3"), nonce.clone(), auth.clone(), true),
        (of_fluentd("c2"), nonce.clone(), auth.clone(), false),
        (without_keepalive, nonce.clone(), auth.clone(), true),
        (in_str, nonce.clone(), auth.clone(), true),
        (empty_auth, nonce.clone(), empty.clone(), true),
        (no_auth, nonce, empty.clone(), true),
        (empty_nonce, empty.clone(), auth, true),
        (all_empty, empty.clone(), empty, true),
    ]
}

#[tokio::test]
async fn c58_a_client_copes_with_every_helo() {
    for (helo, nonce, auth, keeps) in helos() {
        let peer = Peer::start().await;
        let output = output(&[alice(&peer)], &secured(&json!({})));
        let serving = async {
            let mut link = greet(&peer, &helo, &nonce, &auth).await;
            let id = link.chunk().await;
            link.say(&ack(&id)).await;
            if !keeps {
                link.hears_the_end().await;
                link = greet(&peer, &helo, &nonce, &auth).await;
            }
            let id = link.chunk().await;
            link.say(&ack(&id)).await;
            assert!(!peer.is_asked().await, "{helo}: one connection too many");
            link
        };
        let writing = async {
            for n in 0..2 {
                let outcome = write(&output, &[numbered(n)]).await;
                assert_eq!(outcome, Outcome::Delivered, "{helo}");
            }
        };
        tokio::join!(serving, writing);
    }
}

/// Accepts, says `helo`, checks the PING against it, and lets the output in.
async fn greet(peer: &Peer, helo: &str, nonce: &[u8], auth: &[u8]) -> Link {
    let mut link = peer.accept().await;
    link.say(&unhex(helo)).await;
    let ping = Ping::read(&link.hear().await);
    assert_eq!(ping.hostname, b"client.example", "{helo}");
    let proof = digest(&[&ping.salt, b"client.example", nonce, KEY.as_bytes()]);
    assert_eq!(ping.proof, proof, "{helo}");
    let (username, password) = if auth.is_empty() {
        ("", String::new())
    } else {
        ("alice", digest(&[auth, b"alice", b"wonder"]))
    };
    assert_eq!((&*ping.username, &ping.password), (username, &password));
    link.say(&ping.pong("server.example", nonce, KEY)).await;
    link
}

fn helo() -> Vec<u8> {
    unhex(&format!(
        "92a448454c4f83a56e6f6e6365c410{NONCE}a461757468c410{AUTH}a96b656570616c697665c3"
    ))
}

/// Answers a PING with what `pong` makes of it; the output must close then, and have sent nothing.
async fn c59_rejected(pong: impl Fn(&Ping) -> Vec<u8>, message: &str) {
    let peer = Peer::start().await;
    let output = output(&[alice(&peer)], &secured(&json!({})));
    let serving = async {
        let mut link = peer.accept().await;
        link.say(&helo()).await;
        let answer = pong(&Ping::read(&link.hear().await));
        link.say(&answer).await;
        link.hears_the_end().await;
    };
    let frames = [numbered(1)];
    let ((), outcome) = tokio::join!(serving, write(&output, &frames));
    let failure = down(outcome);
    assert_eq!(failure.kind, FailureKind::Auth);
    assert!(failure.message.contains(message), "{failure}");
}

#[tokio::test]
async fn c59_a_pong_with_a_bad_digest_is_rejected() {
    let nonce = unhex(NONCE);
    let impostor = "does not prove that it knows the shared_key";
    c59_rejected(
        |ping| ping.pong("server.example", &nonce, "guess"),
        impostor,
    )
    .await;
    c59_rejected(
        |ping| ping.pong("server.example", b"another nonce", KEY),
        impostor,
    )
    .await;
    c59_rejected(
        |_| unhex("95a4504f4e47c3a0ae7365727665722e6578616d706c65a0"),
        impostor,
    )
    .await;
    // The proof of the client itself, sent back under another name.
    let reflected = |ping: &Ping| {
        let mut out = unhex("95a4504f4e47c3a0ae7365727665722e6578616d706c65");
        put::str(&mut out, &ping.proof);
        out
    };
    c59_rejected(reflected, impostor).await;
    c59_rejected(
        |_| unhex("95a4504f4e47c2b37368617265645f6b6579206d69736d61746368a0a0"),
        "shared_key mismatch",
    )
    .await;
    c59_rejected(
        |_| unhex("93a174ce6553f10181a16d01"),
        "did not answer with PONG",
    )
    .await;
}

#[tokio::test]
async fn c59_a_pong_with_our_own_name_is_rejected() {
    let nonce = unhex(NONCE);
    c59_rejected(
        |ping| ping.pong("client.example", &nonce, KEY),
        "calls itself \"client.example\" as we do",
    )
    .await;
}

#[tokio::test]
async fn c59_a_pong_in_two_segments_is_accepted() {
    let nonce = unhex(NONCE);
    for at in [1, 7, 8, 23, 25, 100] {
        let peer = Peer::start().await;
        let output = output(&[alice(&peer)], &secured(&json!({})));
        let serving = async {
            let mut link = peer.accept().await;
            // HELO may come in pieces as well.
            let helo = helo();
            let (front, back) = helo.split_at(at.min(60));
            link.say_in_two(front, back).await;
            let ping = Ping::read(&link.hear().await);
            let answer = ping.pong("server.example", &nonce, KEY);
            let (front, back) = answer.split_at(at);
            link.say_in_two(front, back).await;
            let id = link.chunk().await;
            link.say(&ack(&id)).await;
        };
        let frames = [numbered(1)];
        let ((), outcome) = tokio::join!(serving, write(&output, &frames));
        assert_eq!(outcome, Outcome::Delivered, "cut at {at}");
    }
}

#[tokio::test]
async fn c59_helo_never_comes() {
    let peer = Peer::start().await;
    let output = output(
        &[alice(&peer)],
        &secured(&json!({ "hard_timeout": "100ms" })),
    );
    let serving = async {
        let link = peer.accept().await;
        link.hears_the_end().await;
    };
    let frames = [numbered(1)];
    let ((), outcome) = tokio::join!(serving, write(&output, &frames));
    let failure = down(outcome);
    assert_eq!(failure.kind, FailureKind::Auth);
    let expected = "the handshake with the shared key did not end within 0.1 s";
    assert!(failure.message.ends_with(expected), "{failure}");
}

/// Two messages, so that there is one to be acknowledged besides.
fn two() -> [sdk::output::Frame; 2] {
    [
        frame(1, "a", &[json!({ "n": 1 })]),
        frame(2, "b", &[json!({ "n": 2 })]),
    ]
}

fn quick() -> Value {
    json!({ "heartbeat_type": "none", "ack_response_timeout": "1s" })
}

#[tokio::test]
async fn c60_an_ack_with_a_wrong_id_is_none_and_the_chunk_is_sent_again() {
    let peer = Peer::start().await;
    let output = output(&[peer.table()], &quick());
    let serving = async {
        let mut link = peer.accept().await;
        let id = link.chunk().await;
        link.say(&ack(b"abc")).await;
        link.hears_the_end().await;
        let mut link = peer.accept().await;
        let second = link.chunk().await;
        link.say(&ack(&second)).await;
        (id, second)
    };
    let frames = [numbered(1)];
    let writing = async {
        let failure = again(write(&output, &frames).await);
        assert_eq!(failure.kind, FailureKind::Protocol);
        assert!(
            failure
                .message
                .ends_with("acknowledged something that was not sent"),
            "{failure}"
        );
        assert_eq!(write(&output, &frames).await, Outcome::Delivered);
    };
    let ((first, second), ()) = tokio::join!(serving, writing);
    assert_eq!(first, second, "a chunk keeps its id");
}

#[tokio::test]
async fn c60_a_second_ack_of_the_same_message_is_ignored() {
    let peer = Peer::start().await;
    let output = output(&[peer.table()], &quick());
    let serving = async {
        let mut link = peer.accept().await;
        let (first, second) = (link.chunk().await, link.chunk().await);
        link.say(&[ack(&first), ack(&first), ack(&second)].concat())
            .await;
        // One that comes when nothing is due any more.
        link.say(&ack(&second)).await;
        let third = link.chunk().await;
        link.say(&ack(&third)).await;
        assert!(!peer.is_asked().await, "one connection is enough");
    };
    let writing = async {
        assert_eq!(write(&output, &two()).await, Outcome::Delivered);
        assert_eq!(write(&output, &[numbered(3)]).await, Outcome::Delivered);
    };
    tokio::join!(serving, writing);
}

#[tokio::test]
async fn c60_an_ack_of_a_message_that_timed_out_is_ignored() {
    let peer = Peer::start().await;
    let mut more = quick();
    more["recover_wait"] = "10ms".into();
    let output = output(&[peer.table()], &more);
    let serving = async {
        let mut late = peer.accept().await;
        let id = late.chunk().await;
        // The output has given the connection up when it opens another.
        let mut link = peer.accept().await;
        let same = link.chunk().await;
        drop(late.stream.write_all(&ack(&id)).await);
        link.say(&ack(&same)).await;
        let next = link.chunk().await;
        link.say(&ack(&next)).await;
        (id, same, next)
    };
    let frames = [numbered(1)];
    let writing = async {
        let failure = again(write(&output, &frames).await);
        assert_eq!(failure.kind, FailureKind::Timeout);
        assert!(
            failure.message.ends_with("no acknowledgement within 1 s"),
            "{failure}"
        );
        assert_eq!(write(&output, &frames).await, Outcome::Delivered);
        assert_eq!(write(&output, &[numbered(2)]).await, Outcome::Delivered);
    };
    let ((id, same, next), ()) = tokio::join!(serving, writing);
    assert_eq!(id, same, "the server can know it again");
    assert_ne!(same, next);
}

#[tokio::test]
async fn c60_two_acks_in_one_segment_and_acks_in_bin_are_accepted() {
    for (how, answer) in [
        ("str", ack as fn(&[u8]) -> Vec<u8>),
        ("bin", ack_in_bin as fn(&[u8]) -> Vec<u8>),
    ] {
        let peer = Peer::start().await;
        let output = output(&[peer.table()], &quick());
        let serving = async {
            let mut link = peer.accept().await;
            let (first, second) = (link.chunk().await, link.chunk().await);
            link.say(&[answer(&first), answer(&second)].concat()).await;
            // And one in two segments.
            let third = answer(&link.chunk().await);
            let (front, back) = third.split_at(3);
            link.say_in_two(front, back).await;
        };
        let writing = async {
            assert_eq!(write(&output, &two()).await, Outcome::Delivered, "{how}");
            assert_eq!(
                write(&output, &[numbered(3)]).await,
                Outcome::Delivered,
                "{how}"
            );
        };
        tokio::join!(serving, writing);
    }
}
