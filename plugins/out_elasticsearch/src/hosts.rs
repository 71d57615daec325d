//! The hosts: whose turn it is, which ones are left out for a while, and how a request finds one that answers.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use elasticsearch::http::transport::Transport;
use sdk::{
    metrics::{Gauge, Metrics},
    output::{Failure, FailureKind},
};
use tokio::{net::TcpStream, sync::OnceCell, time::Instant};

use crate::{
    address::Address,
    connection::{Connector, Encoding, Question, Reply},
    item_error::refusal,
    judge::{RequestFate, judge_request},
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
}

#[derive(Debug)]
struct Host {
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
            has_proxy: PROXIES.iter().any(|name| {
                let is_set =
                    |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
                is_set(name) || is_set(&name.to_ascii_uppercase())
            }),
        }
    }

    /// Sends a body to the host whose turn it is, or to the next one that answers.
    ///
    /// # Errors
    /// [`NoHost`] when none did.
    pub(crate) async fn post(&self, body: &Bytes, encoding: Encoding) -> Result<Reply, NoHost> {
        let mut failures: Vec<(String, Failure)> = Vec::new();
        let mut refused = None;
        for host in self.in_order() {
            match self.try_host(host, body.clone(), encoding).await {
                Ok(reply) => {
                    let error = refusal(&reply.body);
                    let RequestFate::NextHost(kind) = judge_request(reply.status, &error) else {
                        host.answered();
                        return Ok(reply);
                    };
                    host.failed();
                    let message = format!(
                        "{} answered {} {}",
                        host.address.url,
                        reply.status,
                        error.summary()
                    );
                    let failure = Failure::new(kind, message.trim_end());
                    refused = Some(NoHost {
                        failure,
                        after: reply.retry_after,
                        is_down: false,
                    });
                }
                Err(failure) => {
                    host.failed();
                    // It may have taken the records and be busy with them; another host would do it again.
                    if failure.kind == FailureKind::Timeout {
                        let message = format!("{}: {}", host.address.url, failure.message);
                        let failure = Failure::new(failure.kind, message);
                        return Err(NoHost {
                            failure,
                            after: None,
                            is_down: false,
                        });
                    }
                    failures.push((host.address.url.to_string(), failure));
                }
            }
        }
        Err(refused.unwrap_or_else(|| unreachable(&failures)))
    }

    async fn try_host(
        &self,
        host: &Host,
        body: Bytes,
        encoding: Encoding,
    ) -> Result<Reply, Failure> {
        let transport = host
            .transport
            .get_or_try_init(|| self.connector.open(&host.address))
            .await?;
        if !host.health().is_proven && !self.has_proxy {
            probe(&host.address).await?;
        }
        self.connector
            .post(transport, &host.address, body, encoding)
            .await
    }

    /// Asks every host. Returns its address, and the answer.
    pub(crate) async fn ask_each(
        &self,
        question: &Question<'_>,
    ) -> Vec<(String, Result<Reply, Failure>)> {
        let mut answers = Vec::new();
        for host in &self.all {
            let answer = self.ask(host, question).await;
            answers.push((host.address.url.to_string(), answer));
        }
        answers
    }

    async fn ask(&self, host: &Host, question: &Question<'_>) -> Result<Reply, Failure> {
        if !self.has_proxy {
            probe(&host.address).await?;
        }
        let transport = self.connector.open(&host.address).await?;
        self.connector
            .ask(&transport, &host.address, question)
            .await
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

fn unreachable(failures: &[(String, Failure)]) -> NoHost {
    let kind = failures
        .first()
        .map_or(FailureKind::Connect, |(_, failure)| failure.kind);
    let each: Vec<String> = failures
        .iter()
        .map(|(host, failure)| format!("{host}: {}", failure.message))
        .collect();
    NoHost {
        failure: Failure::new(kind, each.join("; ")),
        after: None,
        is_down: true,
    }
}

impl Host {
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
