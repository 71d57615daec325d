//! The hosts: how a request finds one that answers.

pub(crate) mod address;
pub(crate) mod cloud;
mod failed;
pub(crate) mod host;
pub(crate) mod roster;
pub(crate) mod server;
pub(crate) mod sniff;
pub(crate) mod throttle;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::Method;
use sdk::{
    metrics::{Counter, Metrics},
    output::{Failure, FailureKind},
};
use tokio::sync::{Mutex, OnceCell};

use crate::{
    bulk::counters,
    http::{
        Connector, Encoding, Question,
        transport::{Broken, Reply},
    },
};
use address::Address;
use roster::{Choosing, Roster};
use server::Server;
use throttle::UnderWay;

use failed::Failed;
pub(crate) use failed::NoHost;
pub(crate) use host::Host;

/// How long a host may take to name the nodes.
const NODES_TIMEOUT: Duration = Duration::from_secs(5);
/// What is answered where the time was not enough: by a server for a request, by a proxy for an answer.
const TOO_LATE: [u16; 2] = [408, 504];

/// All hosts.
#[derive(Debug)]
pub(crate) struct Hosts {
    roster: Roster,
    connector: Connector,
    /// Held while the cluster is asked for its nodes.
    asking: Mutex<()>,
    server: OnceCell<Option<Server>>,
    /// Requests that are sent again although the first may have been carried out.
    ambiguous: Counter,
}

/// A body as it is sent.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) wire: Bytes,
    /// Its size before compression, in bytes.
    pub(crate) len: usize,
}

/// A request that a host answered; what the host thinks of it is still to be told to its gate.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    pub(crate) under_way: UnderWay,
}

impl Hosts {
    pub(crate) fn new(
        addresses: Vec<Address>,
        choosing: Choosing,
        connector: Connector,
        metrics: &Metrics,
    ) -> Self {
        Self {
            roster: Roster::new(addresses, choosing, metrics),
            connector,
            server: OnceCell::new(),
            ambiguous: counters::ambiguous(metrics),
            asking: Mutex::default(),
        }
    }

    /// Sends a body to the host whose turn it is, or to the next one that answers. Where sending it twice `is_safe`, a
    /// connection that broke is no reason to wait.
    ///
    /// # Errors
    /// [`NoHost`] when none did.
    pub(crate) async fn post(
        &self,
        body: &Body,
        encoding: Encoding<'_>,
        is_safe: bool,
    ) -> Result<Answered, NoHost> {
        if self.roster.is_due() {
            self.look_for_nodes().await;
        }
        let mut failed = Failed::default();
        let posted = self
            .post_in_order(body, encoding, is_safe, &mut failed)
            .await;
        if failed.is_any() && self.roster.reload.on_failure {
            self.look_for_nodes().await;
        }
        posted.ok_or_else(|| failed.into())
    }

    /// Sends a body to one host after the other, until one answers.
    async fn post_in_order(
        &self,
        body: &Body,
        encoding: Encoding<'_>,
        is_safe: bool,
        failed: &mut Failed,
    ) -> Option<Answered> {
        let mut order = VecDeque::from(self.roster.in_order());
        while let Some(host) = order.pop_front() {
            let under_way = host.gate.enter(body.len).await;
            let was_proven = host.health().is_proven;
            let wire = body.wire.clone();
            let broken = match self.connector.post(&host.address, wire, encoding).await {
                Ok(reply) => match host.refusal(&reply) {
                    None => {
                        host.answered();
                        return Some(Answered { reply, under_way });
                    }
                    Some(failure) => {
                        if failure.kind == FailureKind::Http5xx {
                            under_way.refused();
                        }
                        host.failed();
                        failed.is_late |= TOO_LATE.contains(&reply.status);
                        failed.refused = Some((failure, reply.retry_after));
                        continue;
                    }
                },
                Err(broken) => broken,
            };
            host.failed();
            let is_timeout = broken.failure.kind == FailureKind::Timeout;
            if is_timeout {
                under_way.refused();
            }
            let is_sent = broken.is_sent;
            failed.is_late |= is_timeout && is_sent;
            let name = host.name().clone();
            failed.unanswered.retain(|(url, _)| *url != name);
            failed.unanswered.push((name, broken));
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
        None
    }

    /// All of them, as they were given.
    pub(crate) fn all(&self) -> &[Arc<Host>] {
        &self.roster.seeds
    }

    /// Asks one host after the other for the nodes of the cluster, until one names some. Does nothing while somebody
    /// else does it.
    async fn look_for_nodes(&self) {
        let Ok(_asking) = self.asking.try_lock() else {
            return;
        };
        let question = Question {
            method: Method::GET,
            path: sniff::NODES,
            body: None,
        };
        for host in self.roster.in_order() {
            let asked = self.ask(&host, &question);
            let Ok(Ok(reply)) = tokio::time::timeout(NODES_TIMEOUT, asked).await else {
                continue;
            };
            let nodes = sniff::nodes(&reply.body, &host.address);
            if reply.status == 200 && !nodes.is_empty() {
                self.roster.replace_nodes(nodes);
                return;
            }
        }
        tracing::warn!("no host names the nodes of the cluster; those that are known stay");
    }

    /// Asks one of them something.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn ask(&self, host: &Host, question: &Question<'_>) -> Result<Reply, Failure> {
        self.connector.ask(&host.address, question).await
    }

    /// Asks the host whose turn it is, or the next one that answers.
    ///
    /// # Errors
    /// [`NoHost`] when none did.
    pub(crate) async fn ask_any(&self, question: &Question<'_>) -> Result<Reply, NoHost> {
        let mut failed = Failed::default();
        for host in self.roster.in_order() {
            match self.ask(&host, question).await {
                Ok(reply) => match host.refusal(&reply) {
                    None => return Ok(reply),
                    Some(failure) => failed.refused = Some((failure, reply.retry_after)),
                },
                Err(failure) => failed
                    .unanswered
                    .push((host.name().clone(), Broken::from(failure))),
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
}
