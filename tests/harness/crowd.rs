//! Many senders at a time without a thread for each, and what their acknowledgements took.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use rmpv::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    runtime::{Builder, Runtime},
    task::JoinSet,
    time::{MissedTickBehavior, interval_at, timeout},
};

use super::forward;

/// How long a sender waits for anything.
const PATIENCE: Duration = Duration::from_mins(2);
/// Connections that are being opened at a time.
const OPENING: usize = 64;
/// Loopback addresses that connections come from: each has ports of its own, and one has too few for many connections.
const ADDRESSES: usize = 100;

/// One connection.
pub(crate) struct Client(TcpStream);

/// What a busy connection does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) messages: usize,
    /// Records of each message.
    pub(crate) records: u64,
    /// From message to message, unless the acknowledgement takes longer.
    pub(crate) every: Duration,
}

/// How long acknowledgements took.
#[derive(Debug)]
pub(crate) struct Latencies(Vec<Duration>);

/// The threads that all senders of one test share.
pub(crate) fn runtime() -> Runtime {
    let threads = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    threads.expect("a runtime")
}

impl Client {
    /// Connects from one of the loopback addresses, chosen by `number`.
    pub(crate) async fn connect(address: SocketAddr, number: usize) -> Self {
        let host = u8::try_from(number % ADDRESSES + 1).expect("a small number");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind((Ipv4Addr::new(127, 0, 0, host), 0).into())
            .expect("a free port");
        let connected = timeout(PATIENCE, socket.connect(address)).await;
        let stream = connected.expect("in time").expect("the router accepts");
        stream.set_nodelay(true).expect("no delay");
        Self(stream)
    }

    /// Opens a connection for each number, some at a time.
    pub(crate) async fn connect_all(
        address: SocketAddr,
        numbers: impl IntoIterator<Item = usize>,
    ) -> Vec<Self> {
        let work = |number| async move { Self::connect(address, number).await };
        some_at_a_time(numbers.into_iter().map(work)).await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let sent = timeout(PATIENCE, self.0.write_all(bytes)).await;
        sent.expect("in time").expect("the router reads");
    }

    /// Sends `count` numbered records from `first` on in a message, and waits for its acknowledgement.
    pub(crate) async fn deliver(&mut self, tag: &str, first: u64, count: u64) -> Duration {
        let chunk = format!("{tag}-{first}");
        let entries = forward::numbered(first, count);
        let message = forward::packed(tag, &entries, Some(&chunk));
        let expected = forward::encode(&Value::Map(vec![("ack".into(), chunk.as_str().into())]));
        let mut answer = vec![0; expected.len()];
        let begun = Instant::now();
        self.send(&message).await;
        let read = timeout(PATIENCE, self.0.read_exact(&mut answer)).await;
        read.expect("in time").expect("an acknowledgement");
        assert_eq!(answer, expected);
        begun.elapsed()
    }

    /// Does the `job`; its records are numbered from `first` on.
    async fn work(mut self, number: usize, first: u64, job: Job) -> (Self, Vec<Duration>) {
        // Spread over the time between two messages, as senders that know nothing of each other are.
        let part = u32::try_from(number % 101).expect("a small number");
        let begins = Instant::now() + job.every * part / 101;
        let mut ticks = interval_at(begins.into(), job.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut took = Vec::with_capacity(job.messages);
        for message in 0..job.messages as u64 {
            ticks.tick().await;
            let first = first + message * job.records;
            took.push(self.deliver("busy.app", first, job.records).await);
        }
        (self, took)
    }

    /// Whether the router has closed, or closes soon.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        let read = timeout(Duration::from_secs(1), self.0.read_to_end(&mut rest));
        read.await.is_ok()
    }
}

impl Job {
    /// Records of one connection.
    pub(crate) fn total(self) -> u64 {
        self.messages as u64 * self.records
    }

    /// Lets every client do it at the same time. The records of the first begin with `first`, and so on.
    pub(crate) async fn share(self, clients: Vec<Client>, first: u64) -> (Vec<Client>, Latencies) {
        let mut tasks = JoinSet::new();
        for (number, client) in clients.into_iter().enumerate() {
            let first = first + number as u64 * self.total();
            tasks.spawn(client.work(number, first, self));
        }
        let (mut clients, mut all) = (Vec::new(), Vec::new());
        while let Some(done) = tasks.join_next().await {
            let (client, took) = done.expect("every message is acknowledged");
            clients.push(client);
            all.extend(took);
        }
        (clients, Latencies::of(all))
    }
}

impl Latencies {
    /// Of these.
    pub(crate) fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        Self(all)
    }

    /// What `percent` of the messages did not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.0.len() - 1;
        self.0[last * percent / 100]
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Does all of it, some at a time.
pub(crate) async fn some_at_a_time<T, W>(works: impl Iterator<Item = W>) -> Vec<T>
where
    W: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let (mut tasks, mut results) = (JoinSet::new(), Vec::new());
    for work in works {
        if tasks.len() >= OPENING {
            let done = tasks.join_next().await.expect("there are some");
            results.push(done.expect("it goes well"));
        }
        tasks.spawn(work);
    }
    while let Some(done) = tasks.join_next().await {
        results.push(done.expect("it goes well"));
    }
    results
}
