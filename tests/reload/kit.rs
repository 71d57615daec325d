//! What the tests of reloading share: a service with a token, acknowledging senders that never reconnect, and asking.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use serde_json::Value;

use crate::harness::{Sender, Weir, eventually, forward, http, weir::Home};

/// What a request must show.
pub(super) const TOKEN: &str = "open sesame";

/// The service part of a configuration, and a source `in` at a free port.
pub(crate) const SERVICE: &str = r#"
[service]
data_dir = "data"
drain_delay = "0s"
[service.admin]
listen = "127.0.0.1:0"
token = "open sesame"
[[source]]
id = "in"
type = "forward"
listen = "127.0.0.1:0"
"#;

/// A match into files of the folder `out`.
pub(super) const TO_FILES: &str = r#"
[[match]]
id = "files"
tag = "**"
type = "file"
path = "out/all.log"
[match.buffer]
flush_interval = "0s"
"#;

/// Puts a configuration in the place of another, as an editor does that writes beside and renames.
pub(crate) fn put(home: &Home, config: &str) {
    let beside = home.path().join("weir.toml.new");
    fs::write(&beside, config).expect("a file");
    fs::rename(beside, home.config()).expect("the same folder");
}

/// Asks for a reload: the status and the answer.
pub(crate) fn reload(weir: &Weir) -> (u16, Value) {
    let url = format!("http://{}/api/config/reload", weir.admin());
    http::post(&url, Some(TOKEN))
}

/// Asks for a reload, which must be taken.
#[track_caller]
pub(super) fn taken(weir: &Weir) -> Value {
    let (status, answer) = reload(weir);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["ok"], true);
    answer
}

/// Senders that each keep one connection to the source `in`. An error of a connection fails the test.
pub(super) struct Load {
    ends: Arc<AtomicBool>,
    acked: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Vec<u64>>>,
}

/// Records of one message.
const BATCH: u64 = 5;
/// Numbers that one sender may use.
const SPAN: u64 = 10_000_000;

impl Load {
    /// Begins. The first sender numbers from 10,000,000 on, the next from 20,000,000, and so on.
    pub(super) fn start(weir: &Weir, senders: u64) -> Self {
        let (ends, acked) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let address = weir.listens("in");
        let send = |number: u64| {
            let (ends, acked) = (Arc::clone(&ends), Arc::clone(&acked));
            thread::spawn(move || {
                let mut sender = Sender::connect(address);
                let mut done = Vec::new();
                let mut next = (number + 1) * SPAN;
                while !ends.load(Ordering::Relaxed) {
                    let chunk = format!("chunk-{next}");
                    let entries = forward::numbered(next, BATCH);
                    sender.send(&forward::packed("load.app", &entries, Some(&chunk)));
                    sender.expect_ack(&chunk);
                    done.extend(next..next + BATCH);
                    next += BATCH;
                    acked.fetch_add(1, Ordering::Relaxed);
                }
                done
            })
        };
        Self {
            threads: (0..senders).map(send).collect(),
            ends,
            acked,
        }
    }

    /// Waits until so many more messages are acknowledged.
    #[track_caller]
    pub(super) fn go_on(&self, messages: u64) {
        let goal = self.acked.load(Ordering::Relaxed) + messages;
        eventually("records flow", 60, || {
            (self.acked.load(Ordering::Relaxed) >= goal).then_some(())
        });
    }

    /// Ends, and returns the numbers that were acknowledged.
    pub(super) fn finish(self) -> Vec<u64> {
        self.ends.store(true, Ordering::Relaxed);
        let threads = self.threads.into_iter();
        let done = threads.map(|thread| thread.join().expect("no connection ended"));
        done.flatten().collect()
    }
}
