//! The host names of senders, asked of the system's resolver and remembered for a while.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant, timeout},
};

/// How long a connection waits for the name of its sender.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer is good.
const GOOD_FOR: Duration = Duration::from_mins(5);
/// Look-ups at a time; each occupies a thread, also after nobody waits for it any more.
const AT_A_TIME: usize = 8;
/// Names that are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// Names of senders.
#[derive(Debug)]
pub struct Names {
    known: Mutex<HashMap<IpAddr, (Instant, Arc<str>)>>,
    slots: Arc<Semaphore>,
}

impl Default for Names {
    /// Knows none yet.
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            slots: Arc::new(Semaphore::new(AT_A_TIME)),
        }
    }
}

impl Names {
    /// The name of a host; its address when the name cannot be found.
    pub async fn of(&self, ip: IpAddr) -> Arc<str> {
        let now = Instant::now();
        if let Some((until, name)) = self.known().get(&ip)
            && *until > now
        {
            return Arc::clone(name);
        }
        let found = timeout(TIMEOUT, look_up(Arc::clone(&self.slots), ip)).await;
        let name: Arc<str> = found
            .ok()
            .flatten()
            .unwrap_or_else(|| ip.to_string())
            .into();
        let mut known = self.known();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(ip, (now + GOOD_FOR, Arc::clone(&name)));
        name
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, (Instant, Arc<str>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look_up(slots: Arc<Semaphore>, ip: IpAddr) -> Option<String> {
    let slot = slots.acquire_owned().await.ok()?;
    let found = spawn_blocking(move || {
        let found = dns_lookup::lookup_addr(&ip);
        drop(slot);
        found
    });
    found.await.ok()?.ok()
}
