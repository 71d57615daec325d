//! C31: messages in two segments, cut at every offset. The second segment leaves when the input has read the first
//! and waits for more, which a stream between it and its socket tells.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use sdk::{input::Ready, stop::Stopper, testing::Collector};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

use super::{
    vectors::{NOW, Vector, vectors},
    *,
};
use crate::{peer::Peer, tests::memory::Pipes, welcome::serve_plain};

/// What the input has done with one socket.
#[derive(Debug, Default)]
struct Seen {
    /// Bytes that it has read, and after which it found nothing more.
    bytes: AtomicU64,
    more: Notify,
}

/// A socket that tells what is read from it.
struct Watched {
    stream: TcpStream,
    seen: Arc<Seen>,
    read: u64,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.read += (buf.filled().len() - before) as u64;
        if read.is_pending() {
            self.seen.bytes.store(self.read, Ordering::Relaxed);
            self.seen.more.notify_one();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// One connection to an input, and what the input has read of it.
struct Cutting {
    client: Client,
    collector: Collector,
    seen: Arc<Seen>,
    sent: u64,
    served: JoinHandle<()>,
    /// The input stops when it is dropped.
    _stopper: Stopper,
}

impl Cutting {
    async fn start() -> Self {
        let collector = Collector::default();
        let mut cx = collector.cx(Ready::new(|_| {}));
        cx.clock = sdk::clock::Clock::fixed(NOW).0;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (client, (stream, address)) = (client.unwrap(), accepted.unwrap());
        client.set_nodelay(true).unwrap();
        stream.set_nodelay(true).unwrap();
        let seen = Arc::new(Seen::default());
        let watched = Watched {
            stream,
            seen: Arc::clone(&seen),
            read: 0,
        };
        let Pipes {
            source,
            stopper,
            stop,
        } = Pipes::of(cx);
        let served = tokio::spawn(async move {
            serve_plain(watched, Peer::at(address), &source, stop).await;
        });
        Self {
            client: Client(client),
            collector,
            seen,
            sent: 0,
            served,
            _stopper: stopper,
        }
    }

    /// Sends one segment, and waits until the input has read it and waits for more.
    async fn send(&mut self, bytes: &[u8]) {
        self.client.send(bytes).await;
        self.sent += bytes.len() as u64;
        within("the input reads the segment", async {
            while self.seen.bytes.load(Ordering::Relaxed) < self.sent {
                self.seen.more.notified().await;
            }
        })
        .await;
    }

    /// Reads as many bytes as this, which must be these.
    async fn expect(&mut self, answer: &[u8], what: &str) {
        let mut found = vec![0; answer.len()];
        within(what, self.client.0.read_exact(&mut found))
            .await
            .unwrap();
        assert_eq!(found, answer, "{what}");
    }

    /// Ends the connection, and gives the events that came.
    async fn end(self) -> Vec<String> {
        assert_eq!(self.client.finish().await, b"");
        within("the connection ends", self.served).await.unwrap();
        events(&self.collector)
    }
}

/// The modes and forms that the vectors must have among them.
const MODES: [&str; 10] = [
    "C01 message",
    "C05 forward",
    "C07 packed",
    "C08 packed in str32, with the newline of Fluentd's ids",
    "C09 gzip, two members",
    "C10 zstd, two frames",
    "C11 gzip in str32",
    "C12 metadata",
    "C13 group markers",
    "C15 bin32",
];

#[tokio::test]
async fn c31_every_vector_cut_at_every_offset_on_one_connection() {
    let mut cutting = Cutting::start().await;
    let (mut expected, mut cuts) = (Vec::new(), 0);
    let vectors = vectors();
    for mode in MODES {
        assert!(vectors.iter().any(|vector| vector.name == mode), "{mode}");
    }
    for Vector {
        name,
        bytes,
        events,
        answer,
        ..
    } in &vectors
    {
        let answer = [&answer[..], &unhex(STILL_THERE_ACK)].concat();
        for at in 1..bytes.len() {
            let (front, back) = bytes.split_at(at);
            cutting.send(front).await;
            cutting.send(&[back, &unhex(STILL_THERE)].concat()).await;
            cutting
                .expect(&answer, &format!("{name}, cut at {at}"))
                .await;
            expected.extend(events.iter().cloned());
            cuts += 1;
        }
    }
    assert!(cuts > 1_500 && expected.len() > 1_000, "{cuts} cuts");
    assert!(cutting.end().await == expected, "every event in its place");
}

#[tokio::test]
async fn c31_json_cut_at_every_offset_on_one_connection() {
    let (mut cutting, mut expected) = (Cutting::start().await, Vec::new());
    let float = "t 1700000001.250000000 {\"m\":\"\u{20ac}\u{1f600}\"}".to_owned();
    for (text, events, answer) in [
        (
            r#"["t",1700000001,{"m":1},{"chunk":"j"}]"#.to_owned(),
            vec![one("t")],
            r#"{"ack":"j"}"#,
        ),
        (
            r#"["t",[[1700000001,{"m":1}],[1700000001,{"m":1}]],{"chunk":"f"}]"#.to_owned(),
            vec![one("t"), one("t")],
            r#"{"ack":"f"}"#,
        ),
        (
            "[\"t\", 1700000001.25, /* why */ {\"m\": 1, \"m\": \"\u{20ac}\u{1f600}\"}, {\"chunk\": 7}] // the end\n"
                .to_owned(),
            vec![float],
            r#"{"ack":7}"#,
        ),
    ] {
        let bytes = text.as_bytes();
        for at in 1..bytes.len() {
            let (front, back) = bytes.split_at(at);
            cutting.send(front).await;
            cutting.send(back).await;
            cutting
                .expect(answer.as_bytes(), &format!("{text}, cut at {at}"))
                .await;
            expected.extend(events.iter().cloned());
        }
    }
    assert!(expected.len() > 200);
    assert!(cutting.end().await == expected, "every event in its place");
}

/// As Fluentd's client writes: the marker of the array comes alone, and others are served meanwhile.
#[tokio::test]
async fn c31_the_first_byte_alone() {
    let message = unhex("93a174ce6553f10181a16d01");
    let mut cutting = Cutting::start().await;
    cutting.send(&message[..1]).await;
    let (other, collector) = Running::collecting(none()).await;
    keeps(&other, message.clone(), vec![]).await;
    assert_eq!(events(&collector), [one("t")]);
    other.end().await;
    assert_eq!(cutting.collector.batches().len(), 0);
    cutting
        .send(&[&message[1..], &unhex(STILL_THERE)].concat())
        .await;
    cutting.expect(&unhex(STILL_THERE_ACK), "the rest").await;
    assert_eq!(cutting.end().await, [one("t")]);
}
