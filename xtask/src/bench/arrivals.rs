//! What arrived at the end of the way: counted by a server, waited for by a run.

use std::{
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};

/// A listening server. Its threads end with the process.
pub(super) struct Arrivals {
    port: u16,
    records: Arc<AtomicU64>,
}

impl Arrivals {
    /// Serves each connection on a thread by `serve`, which adds the records that it takes.
    pub(super) fn start(
        serve: fn(&TcpStream, &AtomicU64) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let records = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&records);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let records = Arc::clone(&shared);
                // A connection that ends is the end of its thread and of nothing else.
                thread::spawn(move || drop(serve(&stream, &records)));
            }
        });
        Ok(Self { port, records })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Waits until exactly `count` records arrived.
    pub(super) fn wait_for(&self, count: u64, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let seen = self.records.load(Ordering::Relaxed);
            ensure!(seen <= count, "{seen} records arrived of {count} sent");
            if seen == count {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{seen} of {count} records arrived in {patience:?}");
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}
