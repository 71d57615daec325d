//! From router to router: `out_forward` against `in_forward`. What was sent is compared with the files of the last router.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use crate::{
    delivery::{SERVICE, receiver},
    harness::{Sender, Weir, forward, free_port, holds, weir::Home},
};

/// Records of one message.
pub(crate) const BATCH: u64 = 25;

/// What stands in the tables of both sides beyond the plain.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) source: String,
    pub(crate) matches: String,
    pub(crate) server: String,
}

impl Extra {
    /// TLS and a shared key, with the certificates of `certs`.
    pub(crate) fn secured(certs: &Path) -> Self {
        let certs = certs.display();
        Self {
            source: format!(
                r#"
[source.tls]
cert_path = "{certs}/server.pem"
private_key_path = "{certs}/server.key"
[source.security]
self_hostname = "receiver"
shared_key = "a key of some length 0123"
user_auth = true
[[source.security.user]]
username = "relay"
password = "a password"
"#
            ),
            matches: format!(
                r#"
compress = "zstd"
[match.tls]
ca_cert_path = "{certs}/authority.pem"
[match.security]
self_hostname = "relay"
shared_key = "a key of some length 0123"
"#
            ),
            server: r#"
username = "relay"
password = "a password"
"#
            .to_owned(),
        }
    }
}

/// A router that hands on to the one at `port`.
pub(crate) fn relay(port: u16, extra: &Extra) -> Home {
    let Extra {
        matches, server, ..
    } = extra;
    Home::new(&format!(
        r#"{SERVICE}[[match]]
id = "next"
tag = "**"
type = "forward"
ack_response_timeout = "5s"
{matches}
[[match.server]]
host = "localhost"
port = {port}
{server}
[match.buffer]
flush_interval = "20ms"
retry_wait = "50ms"
retry_max_interval = "200ms"
"#
    ))
}

/// A sender that goes on until it is told to end, and knows what was acknowledged.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    acked: Arc<Mutex<HashSet<u64>>>,
    task: thread::JoinHandle<()>,
}

impl Load {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let (stop, acked) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (ends, set): (_, Arc<Mutex<HashSet<u64>>>) = (Arc::clone(&stop), Arc::clone(&acked));
        let task = thread::spawn(move || {
            let mut sender = Sender::connect(address);
            let mut first = 0;
            while !ends.load(Ordering::Relaxed) {
                let chunk = format!("load-{first}");
                let entries = forward::numbered(first, BATCH);
                sender.send(&forward::packed("load.app", &entries, Some(&chunk)));
                sender.expect_ack(&chunk);
                set.lock().expect("the set").extend(first..first + BATCH);
                first += BATCH;
            }
        });
        Self { stop, acked, task }
    }

    /// How many records are acknowledged so far.
    pub(crate) fn acked(&self) -> u64 {
        self.acked.lock().expect("the set").len() as u64
    }

    pub(crate) fn finish(self) -> HashSet<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.join().expect("the sender ends well");
        let acked = self.acked.lock().expect("the set");
        acked.clone()
    }
}

/// How often each number is in the files of `home`.
pub(crate) fn numbers(home: &Home) -> HashMap<u64, u32> {
    let mut seen = HashMap::new();
    for record in home.records("out") {
        *seen
            .entry(record["n"].as_u64().expect("a number"))
            .or_default() += 1;
    }
    seen
}

pub(crate) fn certs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/out_forward/src/tests/tls")
}

/// Sends a thousand records to `address`; returns what a file should have of each, in order.
pub(crate) fn send_thousand(address: SocketAddr) -> Vec<Value> {
    let sent: Vec<Value> = (0..1_000)
        .map(|n| json!({ "n": n, "text": "\u{e9}\u{1f30a}\n\"", "nested": { "list": [1, -2.5, null, true] } }))
        .collect();
    let mut sender = Sender::connect(address);
    for (index, records) in sent.chunks(10).enumerate() {
        let entries: Vec<u8> = records
            .iter()
            .flat_map(|record| forward::entry(1_764_000_000, record))
            .collect();
        // With an id and without: both kinds of messages.
        let chunk = format!("exact-{index}");
        let chunk = (index % 2 == 0).then_some(chunk.as_str());
        sender.send(&forward::packed("exact.app", &entries, chunk));
        if let Some(chunk) = chunk {
            sender.expect_ack(chunk);
        }
    }
    sent.into_iter()
        .map(|record| {
            let mut line = json!({ "time": "2025-11-24T16:00:00.000000007Z", "tag": "exact.app" });
            let fields = line.as_object_mut().expect("an object");
            fields.extend(record.as_object().expect("an object").clone());
            line
        })
        .collect()
}

/// Waits until `home` has as many records in `out` as expected, and compares them.
pub(crate) fn arrive_exactly(home: &Home, expected: &[Value]) {
    holds("all arrive", 30, &expected.len(), || {
        home.records("out").len()
    });
    let mut arrived = home.records("out");
    arrived.sort_by_key(|record| record["n"].as_u64());
    for (arrived, expected) in arrived.iter().zip(expected) {
        assert_eq!(arrived, expected);
    }
}

/// Sends some records through two routers and compares what comes out with what went in.
fn exact(extra: &Extra) {
    let port = free_port();
    let (back, front) = (receiver(port, &extra.source), relay(port, extra));
    let (receiver, relay) = (back.start(), front.start());
    let expected = send_thousand(relay.listens("in"));
    arrive_exactly(&back, &expected);
    quiet(relay);
    quiet(receiver);
}

pub(crate) fn quiet(weir: Weir) {
    weir.settles(30);
    assert!(weir.stop().success());
}

#[test]
fn records_pass_exactly() {
    exact(&Extra::default());
}

#[test]
fn records_pass_exactly_over_tls_with_a_key() {
    exact(&Extra::secured(&certs()));
}
