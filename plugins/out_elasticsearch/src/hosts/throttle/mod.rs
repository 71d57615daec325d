//! The gate in front of a host: requests wait here until the host keeps up.

mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sdk::metrics::{Gauge, Metrics};
use tokio::{sync::Notify, time::Instant};

use window::{Sample, Window};

/// The gauges of a host.
pub(crate) const GAUGES: [&str; 3] = [REQUESTS, BYTES, LIMIT];
const REQUESTS: &str = "elasticsearch_in_flight_requests";
const BYTES: &str = "elasticsearch_in_flight_bytes";
const LIMIT: &str = "elasticsearch_in_flight_limit_bytes";

/// The gate of one host.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    freed: Notify,
    requests: Gauge,
    bytes: Gauge,
    limit: Gauge,
}

#[derive(Debug)]
struct State {
    window: Window,
    requests: usize,
    bytes: usize,
    /// What was sent before then tells nothing new.
    shrunk: Option<Instant>,
}

/// A request that is under way; it is over when this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay {
    gate: Arc<Gate>,
    len: usize,
    began: Instant,
}

impl Gate {
    /// For requests of up to `unit` bytes to a host, of which `requests_max` may be under way.
    pub(crate) fn new(unit: usize, requests_max: usize, host: &str, metrics: &Metrics) -> Self {
        let gauge = |name, help| metrics.gauge(name, help, &[("host", host)]);
        let window = Window::new(unit, requests_max);
        let limit = gauge(
            LIMIT,
            "Bytes of bulk requests that may be under way to a host at a time, as far as it keeps up",
        );
        limit.set(number(window.limit()));
        Self {
            state: Mutex::new(State {
                window,
                requests: 0,
                bytes: 0,
                shrunk: None,
            }),
            freed: Notify::new(),
            requests: gauge(REQUESTS, "Bulk requests that are under way to a host"),
            bytes: gauge(
                BYTES,
                "Bytes of bulk requests that are under way to a host, before compression",
            ),
            limit,
        }
    }

    /// Requests under way.
    pub(crate) fn load(&self) -> usize {
        self.state().requests
    }

    /// Waits until a request of so many bytes may be sent.
    pub(crate) async fn enter(self: &Arc<Self>, len: usize) -> UnderWay {
        loop {
            let freed = self.freed.notified();
            if let Some(under_way) = self.try_enter(len) {
                return under_way;
            }
            freed.await;
        }
    }

    fn try_enter(self: &Arc<Self>, len: usize) -> Option<UnderWay> {
        let mut state = self.state();
        let under_way = state.bytes;
        if !state.window.admits(under_way, len) {
            return None;
        }
        state.requests += 1;
        state.bytes += len;
        self.show(&state);
        Some(UnderWay {
            gate: Arc::clone(self),
            len,
            began: Instant::now(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, state: &State) {
        self.requests.set(number(state.requests));
        self.bytes.set(number(state.bytes));
        self.limit.set(number(state.window.limit()));
    }
}

impl UnderWay {
    /// The host answered for each record, and had no room for so many of them.
    pub(crate) fn answered(&self, records: usize, rejected: usize) {
        let sample = Sample {
            len: self.len,
            took: self.began.elapsed(),
            records,
            rejected,
        };
        let mut state = self.gate.state();
        let before = state.window.limit();
        if rejected == 0 || self.is_news(&state) {
            state.window.answered(sample);
        }
        if state.window.limit() < before {
            state.shrunk = Some(Instant::now());
        }
        self.gate.show(&state);
    }

    /// The host has too much to do, or did not answer in time.
    pub(crate) fn refused(&self) {
        let mut state = self.gate.state();
        if self.is_news(&state) {
            state.window.refused();
            state.shrunk = Some(Instant::now());
        }
        self.gate.show(&state);
    }

    fn is_news(&self, state: &State) -> bool {
        state.shrunk.is_none_or(|shrunk| self.began >= shrunk)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.requests -= 1;
        state.bytes -= self.len;
        self.gate.show(&state);
        drop(state);
        self.gate.freed.notify_waiters();
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sdk::plugin::BuildCx;

    use super::*;

    fn gate(requests_max: usize) -> Arc<Gate> {
        let metrics = BuildCx::detached("es").metrics;
        Arc::new(Gate::new(100, requests_max, "a", &metrics))
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_until_there_is_room() {
        let gate = gate(2);
        let (first, _second) = (gate.enter(100).await, gate.enter(100).await);
        let third = gate.enter(100);
        tokio::pin!(third);
        let early = tokio::time::timeout(Duration::from_secs(9), &mut third).await;
        assert!(early.is_err() && gate.load() == 2);
        drop(first);
        drop(third.await);
        assert_eq!(gate.load(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_together_counts_once() {
        let gate = gate(2);
        let (first, second) = (gate.enter(100).await, gate.enter(100).await);
        tokio::time::advance(Duration::from_secs(1)).await;
        first.refused();
        second.refused();
        second.answered(10, 10);
        assert_eq!(gate.state().window.limit(), 100);
        drop((first, second));
        let large = gate.enter(1_000).await;
        assert_eq!(gate.load(), 1, "one always may");
        drop(large);
        assert_eq!((gate.load(), gate.state().bytes), (0, 0));
    }
}
