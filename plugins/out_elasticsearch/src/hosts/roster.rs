//! Who takes part: the hosts that are written, and the nodes that the cluster names; and whose turn it is.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};

use sdk::metrics::Metrics;
use tokio::time::Instant;

use crate::hosts::{
    address::Address,
    host::{self, Host, Limits},
    sniff::{Reload, Selector},
};

/// How hosts are chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choosing {
    pub(crate) selector: Selector,
    pub(crate) reload: Reload,
    pub(crate) limits: Limits,
}

/// Who takes part.
#[derive(Debug)]
pub(crate) struct Roster {
    /// Those that are written. They stay.
    pub(crate) seeds: Vec<Arc<Host>>,
    /// Those that the cluster named last.
    nodes: RwLock<Vec<Arc<Host>>>,
    pub(crate) reload: Reload,
    selector: Selector,
    limits: Limits,
    turn: AtomicUsize,
    requests: AtomicU32,
    metrics: Metrics,
}

impl Roster {
    pub(crate) fn new(addresses: Vec<Address>, choosing: Choosing, metrics: &Metrics) -> Self {
        let Choosing {
            selector,
            reload,
            limits,
        } = choosing;
        let seeds = addresses.into_iter();
        let seeds = seeds.map(|address| Arc::new(Host::new(address, limits, metrics)));
        Self {
            seeds: seeds.collect(),
            nodes: RwLock::default(),
            reload,
            selector,
            limits,
            turn: AtomicUsize::new(0),
            requests: AtomicU32::new(0),
            metrics: metrics.clone(),
        }
    }

    /// Counts a request; whether it is time to ask for the nodes before it.
    pub(crate) fn is_due(&self) -> bool {
        let Some(after) = self.reload.after else {
            return false;
        };
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        before.is_multiple_of(after)
    }

    /// Those who take part from now on. One that did before keeps what is known of it.
    pub(crate) fn replace_nodes(&self, addresses: Vec<Address>) {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        let known = |address: &Address| {
            let mut known = self.seeds.iter().chain(nodes.iter());
            known.find(|host| host.address.url == address.url).cloned()
        };
        let new = addresses.into_iter().map(|address| {
            let make = |address| Arc::new(Host::new(address, self.limits, &self.metrics));
            known(&address).unwrap_or_else(|| make(address))
        });
        let new: Vec<Arc<Host>> = new.collect();
        for gone in nodes
            .iter()
            .filter(|node| !is_in(&new, node) && !is_in(&self.seeds, node))
        {
            host::forget(gone.name(), &self.metrics);
        }
        *nodes = new;
    }

    /// The order in which to try them: those that are left out come last, and behind all nodes those that are written.
    pub(crate) fn in_order(&self) -> Vec<Arc<Host>> {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        if nodes.is_empty() {
            return self.turned(&self.seeds);
        }
        let mut order = self.turned(&nodes);
        order.extend(
            self.seeds
                .iter()
                .filter(|seed| !is_in(&nodes, seed))
                .cloned(),
        );
        order
    }

    fn turned(&self, hosts: &[Arc<Host>]) -> Vec<Arc<Host>> {
        let turn = match self.selector {
            Selector::RoundRobin => self.turn.fetch_add(1, Ordering::Relaxed),
            Selector::Priority => 0,
        };
        let now = Instant::now();
        let len = hosts.len();
        let mut order: Vec<_> = (0..len)
            .filter_map(|step| hosts.get(turn.wrapping_add(step) % len))
            .map(|host| {
                let until = host.health().left_out_until;
                (until.filter(|until| *until > now), host)
            })
            .collect();
        // Of those that are fit, the one with the least to do.
        let load = |host: &Arc<Host>| match self.selector {
            Selector::RoundRobin => host.gate.load(),
            Selector::Priority => 0,
        };
        order.sort_by_key(|(until, host)| (*until, load(host)));
        order
            .into_iter()
            .map(|(_, host)| Arc::clone(host))
            .collect()
    }
}

fn is_in(hosts: &[Arc<Host>], host: &Arc<Host>) -> bool {
    hosts.iter().any(|other| Arc::ptr_eq(other, host))
}
