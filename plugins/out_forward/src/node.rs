//! One server: its addresses, connections, health and counters.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use forward_protocol::handshake::Identity;
use sdk::{
    metrics::{Counter, Gauge, Metrics},
    output::Failure,
};
use tokio::time::Instant;

use crate::{
    connection::{Connection, Patience},
    dial::Dialer,
    health::{Change, Health, Rules},
    message::Message,
    names::{Addresses, NameRules},
    trouble::{Stage, Trouble},
};

/// A server that has closed so many connections early, one after the other, gets one message over each.
const EARLY_ENDS_MAX: u32 = 2;

/// What all servers have in common.
#[derive(Debug)]
pub(crate) struct Common {
    /// The id of the output, for the log.
    pub(crate) output: Arc<str>,
    pub(crate) dialer: Dialer,
    pub(crate) names: NameRules,
    pub(crate) rules: Rules,
    pub(crate) patience: Patience,
    pub(crate) asks_ack: bool,
    /// How long an idle connection is kept; `None` makes one per message.
    pub(crate) keepalive: Option<Duration>,
    pub(crate) metrics: Metrics,
}

/// What is said of one server.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What its certificate must say.
    pub(crate) tls_name: String,
    pub(crate) weight: u32,
    pub(crate) standby: bool,
    /// For the handshake; `None` when there is none.
    pub(crate) identity: Option<Identity>,
}

/// One server.
pub(crate) struct Node {
    pub(crate) spec: Spec,
    common: Arc<Common>,
    addresses: Addresses,
    health: Mutex<Health>,
    /// Idle connections, the one used last on top.
    idle: Mutex<Vec<Connection>>,
    /// How often in a row the server closed a connection before it had answered all messages.
    early_ends: AtomicU32,
    counters: Counters,
}

#[derive(Debug)]
struct Counters {
    up: Gauge,
    messages: Counter,
    acks: Counter,
    ack_timeouts: Counter,
}

impl Counters {
    fn new(metrics: &Metrics, name: &str) -> Self {
        let node = [("node", name)];
        let messages =
            "Messages that arrived at a server: acknowledged, or sent when no answer is wanted";
        let acks = "Acknowledgements of a server";
        let ack_timeouts = "Times that a server did not acknowledge in time";
        let up = "1 while a server takes part, 0 while it is left out";
        let counters = Self {
            up: metrics.gauge("forward_node_up", up, &node),
            messages: metrics.counter("forward_messages", messages, &node),
            acks: metrics.counter("forward_acks", acks, &node),
            ack_timeouts: metrics.counter("forward_ack_timeouts", ack_timeouts, &node),
        };
        counters.up.set(1);
        counters
    }
}

impl Node {
    pub(crate) fn new(spec: Spec, common: Arc<Common>) -> Self {
        Self {
            addresses: Addresses::new(&spec.host, spec.port),
            health: Mutex::new(Health::new(common.rules.clone(), Instant::now())),
            idle: Mutex::default(),
            early_ends: AtomicU32::new(0),
            counters: Counters::new(&common.metrics, &spec.name),
            spec,
            common,
        }
    }

    /// Whether it takes part.
    pub(crate) fn is_available(&self, now: Instant) -> bool {
        self.health().is_available(now)
    }

    /// When it failed last.
    pub(crate) fn failed_at(&self) -> Option<Instant> {
        self.health().failed_at()
    }

    /// The state of its health, to look at or to change.
    pub(crate) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the messages that have not arrived yet, and marks those that do. What comes of it decides about its health.
    ///
    /// # Errors
    /// [`Trouble`] when not all of them arrived.
    pub(crate) async fn send(
        &self,
        messages: &[Message],
        arrived: &mut [bool],
    ) -> Result<(), Trouble> {
        let begun = Instant::now();
        let sent = self.send_all(messages, arrived).await;
        let now = Instant::now();
        match sent {
            Ok(()) => {
                let change = self.health().delivered(now);
                self.report(change, "records arrived");
                Ok(())
            }
            Err(trouble) => {
                let is_silent = trouble.stage == Stage::NoAck;
                let change = if is_silent {
                    self.health().fell_silent(begun, now)
                } else {
                    self.health().failed(now)
                };
                if is_silent {
                    self.counters.ack_timeouts.inc();
                }
                self.gone();
                self.report(change, &trouble.failure.message);
                Err(trouble.of(&self.spec.name))
            }
        }
    }

    async fn send_all(&self, messages: &[Message], arrived: &mut [bool]) -> Result<(), Trouble> {
        loop {
            let mut open: Vec<usize> = (0..messages.len())
                .filter(|at| arrived.get(*at).is_some_and(|arrived| !arrived))
                .collect();
            if open.is_empty() {
                return Ok(());
            }
            let (mut connection, is_fresh) = match self.kept().await {
                Some(connection) => (connection, false),
                None => (self.dial().await?, true),
            };
            let keeps = self.common.keepalive.is_some()
                && connection.keepalive
                && self.early_ends.load(Ordering::Relaxed) < EARLY_ENDS_MAX;
            if !keeps {
                open.truncate(1);
            }
            let mut progress = 0;
            let exchange = connection.exchange(messages, &open, self.common.patience, |at| {
                progress += 1;
                if let Some(arrived) = arrived.get_mut(at) {
                    *arrived = true;
                }
            });
            let exchanged = exchange.await;
            self.counters.messages.inc_by(progress);
            if self.common.asks_ack {
                self.counters.acks.inc_by(progress);
            }
            match exchanged {
                Ok(()) if keeps => {
                    if open.len() > 1 {
                        self.early_ends.store(0, Ordering::Relaxed);
                    }
                    self.idle().push(connection);
                }
                Ok(()) => connection.close().await,
                Err(trouble) if trouble.stage != Stage::Closed => return Err(trouble),
                // A kept connection may have been closed long ago; then the others were, too.
                Err(_) if progress == 0 && !is_fresh => self.idle().clear(),
                // Perhaps it was ended, perhaps it has `deny_keepalive`: another connection will tell.
                Err(_) if progress > 0 => {
                    self.early_ends.fetch_add(1, Ordering::Relaxed);
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Those of names, sockets and handshakes.
    pub(crate) async fn dial(&self) -> Result<Connection, Trouble> {
        let addresses = self.addresses.get(self.common.names).await?;
        let Spec {
            tls_name, identity, ..
        } = &self.spec;
        let dialing = self
            .common
            .dialer
            .dial(&addresses, tls_name, identity.as_ref());
        dialing.await.inspect_err(|_| self.addresses.expire())
    }

    /// Opens a connection, greets, and closes it. Returns what there is to say.
    ///
    /// # Errors
    /// Those of names, sockets and handshakes.
    pub(crate) async fn reach(&self) -> Result<String, Failure> {
        let name = &self.spec.name;
        let dialed = self.dial().await;
        let connection = dialed.map_err(|trouble| trouble.of(name).failure)?;
        Ok(format!("{name}: a server answers at {}", connection.peer))
    }

    /// An address for heartbeats over UDP.
    ///
    /// # Errors
    /// Those of names.
    pub(crate) async fn addresses(&self) -> Result<Vec<std::net::SocketAddr>, Trouble> {
        self.addresses.get(self.common.names).await
    }

    /// An idle connection that is still open, to an address that the server still has.
    async fn kept(&self) -> Option<Connection> {
        let limit = self.common.keepalive?;
        loop {
            let mut connection = self.idle().pop()?;
            let addresses = self.addresses.get(self.common.names).await.ok()?;
            if connection.idle(Instant::now()) < limit
                && addresses.contains(&connection.peer)
                && connection.is_open().await
            {
                return Some(connection);
            }
        }
    }

    /// Closes connections that have been idle for too long.
    pub(crate) fn purge(&self) {
        if let Some(limit) = self.common.keepalive {
            let now = Instant::now();
            self.idle()
                .retain(|connection| connection.idle(now) < limit);
        }
    }

    /// Forgets what may be wrong: connections, addresses, and how it closes.
    fn gone(&self) {
        self.idle().clear();
        self.addresses.expire();
        self.early_ends.store(0, Ordering::Relaxed);
    }

    /// It answered a heartbeat, or why not.
    pub(crate) fn beaten(&self, answer: Result<(), Trouble>) {
        match answer {
            Ok(()) => {
                let change = self.health().beat(Instant::now());
                self.report(change, "heartbeats are answered");
            }
            Err(trouble) => {
                tracing::debug!(output = %self.common.output, node = %self.spec.name, "no heartbeat: {}", trouble.failure.message);
            }
        }
    }

    /// Leaves it out when nothing was heard for too long.
    pub(crate) fn watch(&self) {
        let change = self.health().watch(Instant::now());
        if change.is_some() {
            self.gone();
        }
        self.report(change, "heartbeats are not answered");
    }

    /// It is no longer one of the servers.
    pub(crate) fn retire(&self) {
        self.gone();
        self.counters.up.set(0);
    }

    fn report(&self, change: Option<Change>, reason: &str) {
        let (output, node) = (&self.common.output, &self.spec.name);
        match change {
            Some(Change::Up) => {
                self.counters.up.set(1);
                tracing::info!(%output, %node, "takes part again: {reason}");
            }
            Some(Change::Down) => {
                self.counters.up.set(0);
                tracing::warn!(%output, %node, "left out: {reason}");
            }
            None => {}
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.spec.name)
    }
}
