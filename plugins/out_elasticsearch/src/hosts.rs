//! The hosts: whose turn it is, which ones are left out for a while, and how a request finds one that answers.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use elasticsearch::http::transport::Transport;
use sdk::{
    metrics::{Counter, Gauge, Metrics},
    output::{Failure, FailureKind, Outcome},
};
use tokio::{net::TcpStream, sync::OnceCell, time::Instant};
use url::Url;

use crate::{
    address::Address,
    connection::{Broken, Connector, Encoding, Question, Reply},
    counters,
    item_error::refusal,
    judge::{RequestFate, judge_request},
    server::{self, Server},
};

/// How long a host that failed once is left out; each failure more doubles it.
const LEFT_OUT_MIN: Duration = Duration::from_secs(1);
/// The longest time to leave a host out.
const LEFT_OUT_MAX: Duration = Duration::from_mins(1);
/// How long a host may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Environment variables that send connections elsewhere.
const PROXIES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];

/// All hosts.
#[derive(Debug)]
pub(crate) struct Hosts {
    all: Vec<Host>,
    turn: AtomicUsize,
    connector: Connector,
    has_proxy: bool,
    server: OnceCell<Option<Server>>,
    /// Requests that are sent again although the first may have been carried out.
    ambiguous: Counter,
}

/// One of the hosts.
#[derive(Debug)]
pub(crate) struct Host {
    address: Address,
    transport: OnceCell<Transport>,
    health: Mutex<Health>,
    up: Gauge,
}

#[derive(Debug, Clone, Copy, Default)]
struct Health {
    /// Whether its last request was answered.
    is_proven: bool,
    failures: u32,
    left_out_until: Option<Instant>,
}

/// Why no host took a request.
#[derive(Debug)]
pub(crate) struct NoHost {
    pub(crate) failure: Failure,
    /// When a host asked to be tried again.
    pub(crate) after: Option<Duration>,
    /// Whether no host was reached at all.
    pub(crate) is_down: bool,
}

impl NoHost {
    /// What is wrong is here, not there.
    pub(crate) fn here(failure: Failure) -> Self {
        Self {
            failure,
            after: None,
            is_down: false,
        }
    }

    /// What it means for a chunk of which nothing was sent.
    pub(crate) fn outcome(self) -> Outcome {
        if self.is_down {
            Outcome::DestinationDown(self.failure)
        } else {
            Outcome::RetryChunk(self.after, self.failure)
        }
    }
}

impl Hosts {
    pub(crate) fn new(addresses: Vec<Address>, connector: Connector, metrics: &Metrics) -> Self {
        let mut gauges = HashMap::new();
        let hosts = addresses.into_iter().map(|address| {
            let name = address.url.to_string();
            let up = gauges.entry(name.clone()).or_insert_with(|| {
                let help = "1 while a host answers, 0 while it is left out";
                let gauge = metrics.gauge("elasticsearch_host_up", help, &[("host", &name)]);
                gauge.set(1);
                gauge
            });
            Host {
                up: up.clone(),
                address,
                transport: OnceCell::new(),
                health: Mutex::default(),
            }
        });
        Self {
            all: hosts.collect(),
            turn: AtomicUsize::new(0),
            connector,
            server: OnceCell::new(),
            ambiguous: counters::ambiguous(metrics),
            has_proxy: PROXIES.iter().any(|name| {
                let is_set =
                    |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
                is_set(name) || is_set(&name.to_ascii_uppercase())
            }),
        }
    }

    /// Sends a body to the host whose turn it is, or to the next one that answers. Where sending it twice `is_safe`, a
    /// connection that broke is no reason to wait.
    ///
    /// # Errors
    /// [`NoHost`] when none did.
    pub(crate) async fn post(
        &self,
        body: &Bytes,
        encoding: Encoding,
        is_safe: bool,
    ) -> Result<Reply, NoHost> {
        let mut failed = Failed::default();
        let mut order = VecDeque::from(self.in_order());
        while let Some(host) = order.pop_front() {
            let was_proven = host.health().is_proven;
            let broken = match self.try_host(host, body.clone(), encoding).await {
                Ok(reply) => match host.refusal(&reply) {
                    None => {
                        host.answered();
                        return Ok(reply);
                    }
                    Some(failure) => {
                        host.failed();
                        failed.refused = Some((failure, reply.retry_after));
                        continue;
                    }
                },
                Err(broken) => broken,
            };
            host.failed();
            let is_timeout = broken.failure.kind == FailureKind::Timeout;
            let is_sent = broken.is_sent;
            failed
                .unanswered
                .retain(|(url, _)| **url != host.address.url);
            failed.unanswered.push((&host.address.url, broken));
            if is_sent {
                self.ambiguous.inc();
                // It may have taken the records and be busy with them; another host would do it again.
                if is_timeout || !is_safe {
                    break;
                }
                if was_proven {
                    // Probably it closed the connection while that was idle.
                    order.push_back(host);
                }
            }
        }
        Err(failed.into())
    }

    async fn try_host(
        &self,
        host: &Host,
        body: Bytes,
        encoding: Encoding,
    ) -> Result<Reply, Broken> {
        let transport = self.transport(host).await?;
        self.connector
            .post(transport, &host.address, body, encoding)
            .await
    }

    /// The transport to a host, which accepts connections unless it did so a moment ago.
    async fn transport<'h>(&self, host: &'h Host) -> Result<&'h Transport, Failure> {
        let opening = host
            .transport
            .get_or_try_init(|| self.connector.open(&host.address));
        let transport = opening.await?;
        if !host.health().is_proven && !self.has_proxy {
            probe(&host.address).await?;
        }
        Ok(transport)
    }

    /// All of them, as they were given.
    pub(crate) fn all(&self) -> &[Host] {
        &self.all
    }

    /// Asks one of them something.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn ask(&self, host: &Host, question: &Question<'_>) -> Result<Reply, Failure> {
        let transport = self.transport(host).await?;
        self.connector.ask(transport, &host.address, question).await
    }

    /// Asks the host whose turn it is, or the next one that answers.
    ///
    /// # Errors
    /// [`NoHost`] when none did.
    pub(crate) async fn ask_any(&self, question: &Question<'_>) -> Result<Reply, NoHost> {
        let mut failed = Failed::default();
        for host in self.in_order() {
            match self.ask(host, question).await {
                Ok(reply) => match host.refusal(&reply) {
                    None => return Ok(reply),
                    Some(failure) => failed.refused = Some((failure, reply.retry_after)),
                },
                Err(failure) => failed
                    .unanswered
                    .push((&host.address.url, Broken::from(failure))),
            }
        }
        Err(failed.into())
    }

    /// Who answers, as far as somebody says so; asked once.
    ///
    /// # Errors
    /// [`NoHost`] when nobody answers.
    pub(crate) async fn server(&self) -> Result<Option<&Server>, NoHost> {
        let server = self.server.get_or_try_init(|| server::of_any(self));
        Ok(server.await?.as_ref())
    }

    /// The hosts in the order in which to try them: those that are left out come last.
    fn in_order(&self) -> Vec<&Host> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let len = self.all.len();
        let mut hosts: Vec<_> = (0..len)
            .filter_map(|step| self.all.get(turn.wrapping_add(step) % len))
            .map(|host| {
                (
                    host.health().left_out_until.filter(|until| *until > now),
                    host,
                )
            })
            .collect();
        hosts.sort_by_key(|(until, _)| *until);
        hosts.into_iter().map(|(_, host)| host).collect()
    }
}

/// Looks whether anybody accepts connections there, because the transport waits for it as long as for an answer.
async fn probe(address: &Address) -> Result<(), Failure> {
    let Some((host, port)) = address.target() else {
        return Ok(());
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect((host.as_str(), port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Failure::new(FailureKind::Connect, error.to_string())),
        Err(_) => {
            let message = format!("no connection within {} s", CONNECT_TIMEOUT.as_secs());
            Err(Failure::new(FailureKind::Connect, message))
        }
    }
}

/// What went wrong on the way through the hosts.
#[derive(Default)]
struct Failed<'a> {
    /// Of the last host that answered.
    refused: Option<(Failure, Option<Duration>)>,
    /// How the last try of each of the others ended.
    unanswered: Vec<(&'a Url, Broken)>,
}

impl From<Failed<'_>> for NoHost {
    fn from(failed: Failed<'_>) -> Self {
        let each = failed.unanswered.iter();
        let is_down = failed.refused.is_none() && each.clone().all(|(_, broken)| !broken.is_sent);
        let (failure, after) = failed.refused.unwrap_or_else(|| {
            // What counts is what happened to a request, if one got so far.
            let told = each.clone().find(|(_, broken)| broken.is_sent);
            let told = told.or(failed.unanswered.first());
            let kind = told.map_or(FailureKind::Connect, |(_, broken)| broken.failure.kind);
            let each: Vec<String> = each
                .map(|(url, broken)| format!("{url}: {}", broken.failure.message))
                .collect();
            (Failure::new(kind, each.join("; ")), None)
        });
        Self {
            failure,
            after,
            is_down,
        }
    }
}

impl Host {
    /// Its address, as it may be shown.
    pub(crate) fn name(&self) -> &Url {
        &self.address.url
    }

    /// Whether it answered only after it had led us elsewhere.
    fn leads_elsewhere(&self, reply: &Reply) -> Option<Failure> {
        let (url, elsewhere) = (&self.address.url, reply.elsewhere.as_ref()?);
        let message = format!(
            "{url} leads to {elsewhere}, and what is there is no answer; write the address of the server in `hosts`"
        );
        Some(Failure::new(FailureKind::Http4xx, message))
    }

    /// Why another host should be asked, if this answer is a reason.
    fn refusal(&self, reply: &Reply) -> Option<Failure> {
        if let Some(failure) = self.leads_elsewhere(reply) {
            return Some(failure);
        }
        let url = &self.address.url;
        let error = refusal(&reply.body);
        let RequestFate::NextHost(kind) = judge_request(reply.status, &error) else {
            return None;
        };
        let message = format!("{url} answered {} {}", reply.status, error.summary());
        Some(Failure::new(kind, message.trim_end()))
    }

    fn health(&self) -> Health {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self) {
        self.set(Health {
            is_proven: true,
            ..Health::default()
        });
        self.up.set(1);
    }

    fn failed(&self) {
        let failures = self.health().failures.saturating_add(1);
        let wait = LEFT_OUT_MIN
            .saturating_mul(1 << (failures - 1).min(16))
            .min(LEFT_OUT_MAX);
        self.set(Health {
            is_proven: false,
            failures,
            left_out_until: Some(Instant::now() + wait),
        });
        self.up.set(0);
    }

    fn set(&self, health: Health) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }
}
