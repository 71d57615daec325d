//! Names to addresses, remembered for a while.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sdk::output::FailureKind;
use tokio::time::Instant;

use crate::trouble::Trouble;

/// The addresses of one server.
#[derive(Debug)]
pub(crate) struct Addresses {
    host: String,
    port: u16,
    known: Mutex<Option<Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    addresses: Vec<SocketAddr>,
    /// `None` when they are to be asked for again.
    since: Option<Instant>,
}

/// How names are looked up, the same for all servers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NameRules {
    pub(crate) expire: Duration,
    pub(crate) round_robin: bool,
}

impl Addresses {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            known: Mutex::new(None),
        }
    }

    /// The addresses, asked for again when they are too old. The last ones serve when nobody answers.
    ///
    /// # Errors
    /// When none were ever known.
    pub(crate) async fn get(&self, rules: NameRules) -> Result<Vec<SocketAddr>, Trouble> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let known = self.lock().clone();
        let fresh = known.as_ref().filter(|known| {
            known
                .since
                .is_some_and(|since| since.elapsed() < rules.expire)
        });
        let mut addresses = match fresh {
            Some(known) => known.addresses.clone(),
            None => self.look_up(known).await?,
        };
        if rules.round_robin && !addresses.is_empty() {
            let first = fastrand::usize(..addresses.len());
            addresses.rotate_left(first);
        }
        Ok(addresses)
    }

    /// The name is asked for again when it is needed next.
    pub(crate) fn expire(&self) {
        // The addresses stay, for when no name server answers.
        if let Some(known) = self.lock().as_mut() {
            known.since = None;
        }
    }

    async fn look_up(&self, known: Option<Known>) -> Result<Vec<SocketAddr>, Trouble> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let found = found.map(Iterator::collect::<Vec<_>>);
        let since = Some(Instant::now());
        let addresses = match (found, known) {
            (Ok(addresses), _) if !addresses.is_empty() => addresses,
            (_, Some(known)) => known.addresses,
            (Ok(_), None) => {
                return Err(Trouble::connect(
                    FailureKind::Connect,
                    "the name has no address",
                ));
            }
            (Err(error), None) => {
                let message = format!("the name cannot be looked up: {error}");
                return Err(Trouble::connect(FailureKind::Connect, message));
            }
        };
        *self.lock() = Some(Known {
            addresses: addresses.clone(),
            since,
        });
        Ok(addresses)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
