//! Who is let in: the rules of `[source.security]`, and the handshake of one connection.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::BytesMut;
use forward_protocol::handshake::{NONCE_LEN, Refusal, Server, ServerStep, Terms, User};
use ipnet::IpNet;
use sdk::config::Secret;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::rustls::crypto::SecureRandom;

use crate::{peer::Peer, report::Report, welcome::NotIn};

/// Between two look-ups of the names of clients.
const LOOK_UP_EVERY: Duration = Duration::from_mins(1);
/// How long the look-up of a name may take.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(10);

/// Checked `[source.security]`.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) self_hostname: Arc<str>,
    pub(crate) shared_key: Secret,
    /// `None` when no user is asked for.
    pub(crate) users: Option<Arc<[User]>>,
    pub(crate) allow_anonymous_source: bool,
    pub(crate) clients: Vec<Rule>,
    /// Where nonces come from.
    pub(crate) random: &'static dyn SecureRandom,
}

/// Checked `[[source.security.client]]`.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) whence: Whence,
    pub(crate) shared_key: Option<Secret>,
    pub(crate) users: Option<Arc<[User]>>,
}

/// Where a client comes from.
#[derive(Debug, Clone)]
pub(crate) enum Whence {
    /// A network, or one address.
    Network(IpNet),
    /// A name, to be looked up.
    Name(String),
}

/// The rules at work.
#[derive(Debug)]
pub(crate) struct Gate {
    rules: Arc<Rules>,
    /// What the names of clients stand for.
    addresses: RwLock<HashMap<String, Vec<IpAddr>>>,
}

impl Gate {
    /// With these rules; no name is looked up yet.
    pub(crate) fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules,
            addresses: RwLock::default(),
        }
    }

    /// Looks up the names of clients once. A name that cannot be looked up keeps the addresses that it had.
    pub(crate) async fn look_up(&self, report: &Report) {
        for rule in &self.rules.clients {
            let Whence::Name(name) = &rule.whence else {
                continue;
            };
            let found =
                tokio::time::timeout(LOOK_UP_TIMEOUT, tokio::net::lookup_host((name.as_str(), 0)));
            match found.await.unwrap_or_else(|late| Err(late.into())) {
                Ok(found) => {
                    let found = found.map(|address| address.ip().to_canonical()).collect();
                    let mut addresses = self
                        .addresses
                        .write()
                        .unwrap_or_else(PoisonError::into_inner);
                    addresses.insert(name.clone(), found);
                }
                Err(error) => report.warn(
                    "client_host",
                    name,
                    &format!("the host of a client is not found: {error}"),
                ),
            }
        }
    }

    /// Looks names up again and again.
    pub(crate) async fn keep_up(self: Arc<Self>, report: Arc<Report>) {
        if !self
            .rules
            .clients
            .iter()
            .any(|rule| matches!(rule.whence, Whence::Name(_)))
        {
            return;
        }
        loop {
            tokio::time::sleep(LOOK_UP_EVERY).await;
            self.look_up(&report).await;
        }
    }

    /// What is asked of this sender: by the first rule that fits.
    fn terms(&self, peer: &Peer) -> Terms {
        let rules = &self.rules;
        let rule = peer
            .ip
            .and_then(|ip| rules.clients.iter().find(|rule| self.fits(rule, ip)));
        let shared_key = match rule {
            Some(rule) => Ok(rule
                .shared_key
                .as_ref()
                .unwrap_or(&rules.shared_key)
                .clone()),
            None if rules.allow_anonymous_source => Ok(rules.shared_key.clone()),
            None => Err(peer.host()),
        };
        Terms {
            self_hostname: Arc::clone(&rules.self_hostname),
            shared_key,
            users: rule.map_or(&rules.users, |rule| &rule.users).clone(),
        }
    }

    fn fits(&self, rule: &Rule, ip: IpAddr) -> bool {
        match &rule.whence {
            Whence::Network(network) => network.contains(&ip),
            Whence::Name(name) => self
                .addresses
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .get(name)
                .is_some_and(|addresses| addresses.contains(&ip)),
        }
    }

    /// Says HELO and judges the answer. What came behind the PING is left in the buffer that is returned.
    pub(crate) async fn shake<R, W>(
        &self,
        reader: &mut R,
        writer: &mut W,
        peer: &Peer,
        keepalive: bool,
    ) -> Result<BytesMut, NotIn>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let (mut nonce, mut auth) = ([0; NONCE_LEN], [0; NONCE_LEN]);
        for bytes in [&mut nonce, &mut auth] {
            self.rules.random.fill(bytes).map_err(|_| NotIn::Random)?;
        }
        let mut server = Server::new(self.terms(peer), nonce, auth);
        writer.write_all(&server.helo(keepalive)).await?;
        writer.flush().await?;
        let mut buf = BytesMut::new();
        loop {
            let (answer, refusal): (_, Option<Refusal>) = match server.take(&mut buf) {
                ServerStep::Read if reader.read_buf(&mut buf).await? == 0 => {
                    return Err(if buf.is_empty() {
                        NotIn::Gone
                    } else {
                        NotIn::CutOff
                    });
                }
                ServerStep::Read => continue,
                ServerStep::Accepted { answer, .. } => (answer, None),
                ServerStep::Refused { answer, refusal } => (answer, Some(refusal)),
            };
            writer.write_all(&answer).await?;
            writer.flush().await?;
            return refusal.map_or(Ok(buf), |refusal| Err(refusal.into()));
        }
    }
}
