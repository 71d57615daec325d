//! A router with several receivers behind it, and what to ask of them.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{
    delivery::{SERVICE, TO_FILES, listening},
    harness::{Sender, Weir, eventually, forward, free_port, weir::Home},
    relay::{BATCH, numbers},
};

/// Calls of the output at the same time, so chunks under way.
pub(super) const WORKERS: u64 = 4;
/// `hard_timeout` of the router in front.
pub(super) const HARD_TIMEOUT: Duration = Duration::from_secs(2);

/// A receiver that is a router, at a port of its own.
pub(super) struct Back {
    pub(super) name: &'static str,
    pub(super) port: u16,
    pub(super) home: Home,
}

impl Back {
    pub(super) fn new(name: &'static str) -> Self {
        let port = free_port();
        Self {
            name,
            port,
            home: receiver(port),
        }
    }

    /// The server table of it in front.
    pub(super) fn table(&self, more: &str) -> String {
        server(self.name, self.port, more)
    }

    /// Lines in its file.
    pub(super) fn count(&self) -> u64 {
        let text = fs::read_to_string(self.home.path().join("out/all.log"));
        text.map_or(0, |text| text.lines().count() as u64)
    }
}

/// A router that writes files, in chunks of one message, so that a kill doubles no more than one.
fn receiver(port: u16) -> Home {
    let service = listening(format!("127.0.0.1:{port}"));
    Home::new(&format!(
        "{service}{TO_FILES}chunk_limit_records = {BATCH}
"
    ))
}

/// A server table.
pub(super) fn server(name: &str, port: u16, more: &str) -> String {
    format!("[[match.server]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\nport = {port}\n{more}\n")
}

/// The router in front of these servers. Each message of `BATCH` records is a chunk there.
pub(super) fn front(more: &str, servers: &[String]) -> Home {
    let mut config = SERVICE.to_owned();
    write!(
        config,
        r#"
[[match]]
id = "next"
tag = "**"
type = "forward"
heartbeat_interval = "200ms"
recover_wait = "1s"
hard_timeout = "{}s"
{more}
{}
[match.buffer]
flush_interval = "0s"
flush_thread_count = {WORKERS}
chunk_limit_records = {BATCH}
retry_wait = "50ms"
retry_max_interval = "200ms"
"#,
        HARD_TIMEOUT.as_secs(),
        servers.concat()
    )
    .expect("writing to a string");
    Home::new(&config)
}

/// Sends so many messages of `BATCH` records each, numbered from `first` on, and waits until all are acknowledged.
pub(super) fn send(address: SocketAddr, first: u64, messages: u64) {
    let mut sender = Sender::connect(address);
    let firsts = || (first..).step_by(usize::try_from(BATCH).expect("small"));
    let count = usize::try_from(messages).expect("small");
    for first in firsts().take(count) {
        let entries = forward::numbered(first, BATCH);
        let chunk = format!("balance-{first}");
        sender.send(&forward::packed("balance.app", &entries, Some(&chunk)));
    }
    for first in firsts().take(count) {
        sender.expect_ack(&format!("balance-{first}"));
    }
}

/// Whether a server takes part.
pub(super) fn is_up(front: &Weir, name: &str) -> bool {
    let label = format!("node=\"{name}\"");
    front.metrics().sum("weir_forward_node_up", &[&label]) == 1.0
}

pub(super) fn ack_timeouts(front: &Weir, name: &str) -> u64 {
    let label = format!("node=\"{name}\"");
    let samples = front.metrics();
    let count = samples.sum("weir_forward_ack_timeouts_total", &[&label]);
    count.to_string().parse().expect("a whole number")
}

/// Waits until a server takes part; how long it took.
#[track_caller]
pub(super) fn comes_back(front: &Weir, name: &str) -> Duration {
    let since = Instant::now();
    eventually("it takes part again", 30, || {
        is_up(front, name).then_some(())
    });
    since.elapsed()
}

/// Sends so many messages and compares what each receiver got of them with its share: 5 % more or less.
#[track_caller]
pub(super) fn shares(
    front: &Weir,
    backs: &[(&Back, &Weir)],
    weights: &[u32],
    first: u64,
    messages: u64,
) {
    let counts = || -> Vec<u64> { backs.iter().map(|(back, _)| back.count()).collect() };
    settle(front, backs);
    let before = counts();
    send(front.listens("in"), first, messages);
    settle(front, backs);
    let total: u32 = weights.iter().sum();
    for (((back, _), (before, after)), weight) in backs
        .iter()
        .zip(before.into_iter().zip(counts()))
        .zip(weights)
    {
        let got = u32::try_from(after - before).expect("few");
        let all = u32::try_from(messages * BATCH).expect("few");
        let expected = f64::from(all) * f64::from(*weight) / f64::from(total);
        println!("{}: {got} records, due {expected}", back.name);
        assert!(
            (f64::from(got) - expected).abs() <= expected * 0.05,
            "{} got {got} records of {all}, due {expected}",
            back.name
        );
    }
}

/// Waits until all that was sent is in files.
#[track_caller]
fn settle(front: &Weir, backs: &[(&Back, &Weir)]) {
    front.settles(60);
    for (_, weir) in backs {
        weir.settles(60);
    }
}

/// How often each number is in the files of all.
pub(super) fn together(backs: &[&Back]) -> HashMap<u64, u32> {
    let mut all = HashMap::new();
    for back in backs {
        for (number, count) in numbers(&back.home) {
            *all.entry(number).or_default() += count;
        }
    }
    all
}

/// Compares the files of all with what was acknowledged: nothing lost, nothing made up, and so many twice at most.
#[track_caller]
pub(super) fn complete(backs: &[&Back], acked: impl IntoIterator<Item = u64>, twice_max: u64) {
    let mut seen = together(backs);
    let mut lost = Vec::new();
    let mut twice = 0;
    for number in acked {
        match seen.remove(&number) {
            None => lost.push(number),
            Some(count) => twice += u64::from(count - 1),
        }
    }
    assert!(
        lost.is_empty(),
        "{} are missing, such as {:?}",
        lost.len(),
        lost.first()
    );
    assert!(seen.is_empty(), "{} were never sent", seen.len());
    println!("{twice} records twice, {twice_max} at most");
    assert!(twice <= twice_max, "{twice} records twice");
}
