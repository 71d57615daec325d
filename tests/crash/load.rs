//! Senders that never repeat anything, so that what comes twice was delivered twice.
#![expect(
    clippy::cast_precision_loss,
    reason = "counts of a test in floats, for a rate"
)]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rmpv::Value;
use serde_json::json;

use crate::harness::forward;

/// Connections at a time.
const SENDERS: u64 = 4;
/// Records of a message, at most.
const RECORDS_MAX: u64 = 50;
/// Between the end of a connection and the next.
const BETWEEN_TRIES: Duration = Duration::from_millis(20);
/// Bytes of a record beside its number, at most.
const PAD_MAX: usize = 400;

/// A message that was acknowledged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acked {
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) at: Instant,
}

impl Acked {
    pub(crate) fn holds(&self, number: u64) -> bool {
        (self.first..self.first + self.count).contains(&number)
    }
}

/// How senders go about it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    /// Records of all senders in a second; without it, as fast as they are acknowledged.
    pub(crate) rate: Option<u64>,
    /// Connect again when a connection ends.
    pub(crate) reconnects: bool,
}

/// Several senders, until their connections end or they are told to.
pub(crate) struct Load {
    ends: Arc<AtomicBool>,
    acked: Arc<Mutex<Vec<Acked>>>,
    senders: Vec<thread::JoinHandle<()>>,
}

impl Load {
    /// Numbers are taken from `next`.
    pub(crate) fn start(address: SocketAddr, next: &Arc<AtomicU64>, seed: u64, pace: Pace) -> Self {
        let (ends, acked) = (Arc::<AtomicBool>::default(), Arc::default());
        let sender = |number| {
            let (ends, next, acked) = (Arc::clone(&ends), Arc::clone(next), Arc::clone(&acked));
            let mut random = fastrand::Rng::with_seed(seed ^ number);
            thread::spawn(move || {
                loop {
                    // Why it ended does not matter: what was not acknowledged is not counted.
                    drop(send(address, &mut random, pace, &ends, &next, &acked));
                    if !pace.reconnects || ends.load(Ordering::Relaxed) {
                        return;
                    }
                    thread::sleep(BETWEEN_TRIES);
                }
            })
        };
        let senders = (0..SENDERS).map(sender).collect();
        Self {
            ends,
            acked,
            senders,
        }
    }

    /// Messages that were acknowledged so far.
    pub(crate) fn count(&self) -> usize {
        self.acked.lock().expect("the list").len()
    }

    /// Whether no sender is left.
    pub(crate) fn is_over(&self) -> bool {
        self.senders.iter().all(thread::JoinHandle::is_finished)
    }

    /// Whether no sender has ended.
    pub(crate) fn senders_are_well(&self) -> bool {
        !self.senders.iter().any(thread::JoinHandle::is_finished)
    }

    /// Messages that were acknowledged since this was last asked.
    pub(crate) fn take(&self) -> Vec<Acked> {
        std::mem::take(&mut self.acked.lock().expect("the list"))
    }

    /// What was acknowledged in all.
    pub(crate) fn finish(self) -> Vec<Acked> {
        self.ends.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.join().expect("the sender ends well");
        }
        std::mem::take(&mut self.acked.lock().expect("the list"))
    }
}

fn send(
    address: SocketAddr,
    random: &mut fastrand::Rng,
    pace: Pace,
    ends: &AtomicBool,
    next: &AtomicU64,
    acked: &Mutex<Vec<Acked>>,
) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (began, mut sent) = (Instant::now(), 0);
    while !ends.load(Ordering::Relaxed) {
        let count = random.u64(1..=RECORDS_MAX);
        let first = next.fetch_add(count, Ordering::Relaxed);
        let pad = "x".repeat(random.usize(..PAD_MAX));
        let entries: Vec<u8> = (first..first + count)
            .flat_map(|n| forward::entry(1_764_000_000, &json!({ "n": n, "pad": pad })))
            .collect();
        let chunk = format!("c{first}");
        stream.write_all(&forward::packed("app", &entries, Some(&chunk)))?;
        let expected = forward::encode(&Value::Map(vec![("ack".into(), chunk.into())]));
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer)?;
        assert_eq!(answer, expected, "the acknowledgement of another message");
        let at = Instant::now();
        acked
            .lock()
            .expect("the list")
            .push(Acked { first, count, at });
        sent += count;
        if let Some(rate) = pace.rate {
            let due = Duration::from_secs(1).mul_f64(sent as f64 * SENDERS as f64 / rate as f64);
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
    }
    Ok(())
}
