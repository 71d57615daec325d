//! Servers that are not in the configuration: found in a file or in the DNS, and looked for again and again.

mod file;
mod srv;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sdk::stop::Stop;
use tokio::time::{Instant, sleep_until};

use crate::{
    config::{DiscoveryKind, Security, Server, ServiceDiscovery},
    node::{Common, Node},
    nodes::Nodes,
};
use file::File;
use srv::Srv;

/// One place to look.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// A file.
    File(File),
    /// SRV records.
    Srv(Box<Srv>),
}

/// The servers of one lookup, as they were found and as they are used.
type Found = Vec<(Server, Arc<Node>)>;

/// A mistake in a table: the key with a slash before it, what is wrong, and the remedy.
pub(crate) type Mistake = (&'static str, String, &'static str);

impl Lookup {
    /// Reads the table. Looks nowhere yet.
    ///
    /// # Errors
    /// What is missing or makes no sense.
    pub(crate) fn new(table: &ServiceDiscovery) -> Result<Self, Mistake> {
        match table.kind {
            DiscoveryKind::File => File::new(table).map(Self::File),
            DiscoveryKind::Srv => Srv::new(table).map(|srv| Self::Srv(Box::new(srv))),
        }
    }

    /// The servers as they are now; `None` when nothing has changed for certain.
    async fn look(&self) -> Result<Option<Vec<Server>>, String> {
        match self {
            Self::File(file) => file.look().await,
            Self::Srv(srv) => srv.look().await.map(Some),
        }
    }

    fn every(&self) -> Duration {
        match self {
            Self::File(_) => file::EVERY,
            Self::Srv(srv) => srv.every(),
        }
    }
}

/// Looks for servers and keeps the list of all up to date.
#[derive(Debug)]
pub(crate) struct Discovery {
    lookups: Vec<Lookup>,
    /// Those of the configuration.
    fixed: Vec<Arc<Node>>,
    /// What each lookup found last.
    found: Mutex<Vec<Found>>,
    security: Option<Security>,
    hostname: String,
    common: Arc<Common>,
}

impl Discovery {
    pub(crate) fn new(
        lookups: Vec<Lookup>,
        fixed: Vec<Arc<Node>>,
        security: Option<Security>,
        hostname: &str,
        common: Arc<Common>,
    ) -> Self {
        Self {
            found: Mutex::new(lookups.iter().map(|_| Found::new()).collect()),
            lookups,
            fixed,
            security,
            hostname: hostname.to_owned(),
            common,
        }
    }

    /// Looks until `stop` is given.
    pub(crate) async fn run(&self, nodes: &Nodes, stop: &Stop) {
        tokio::select! {
            () = stop.stopped() => {}
            () = self.look_for_ever(nodes) => {}
        }
    }

    async fn look_for_ever(&self, nodes: &Nodes) {
        let now = Instant::now();
        let mut states: Vec<(Instant, Option<String>)> =
            self.lookups.iter().map(|_| (now, None)).collect();
        while let Some(next) = states.iter().map(|(next, _)| *next).min() {
            sleep_until(next).await;
            for (index, (lookup, (next, complaint))) in
                self.lookups.iter().zip(&mut states).enumerate()
            {
                if *next > Instant::now() {
                    continue;
                }
                match lookup.look().await {
                    Ok(servers) => {
                        *complaint = None;
                        if let Some(servers) = servers {
                            self.update(index, servers, nodes);
                        }
                    }
                    // The servers of before stay. The same is said once.
                    Err(error) => {
                        if complaint.as_ref() != Some(&error) {
                            tracing::warn!(output = %self.common.output, "the servers stay as they are: {error}");
                        }
                        *complaint = Some(error);
                    }
                }
                *next = Instant::now() + lookup.every();
            }
        }
        // Nothing to look for.
        std::future::pending::<()>().await;
    }

    /// Takes what the lookup `index` found. A server that was there before goes on as it is.
    fn update(&self, index: usize, servers: Vec<Server>, nodes: &Nodes) {
        let output = &self.common.output;
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = found.get_mut(index) else {
            return;
        };
        let (mut kept, gone): (Vec<_>, Vec<_>) = std::mem::take(place)
            .into_iter()
            .partition(|(server, _)| servers.contains(server));
        // Before new ones are made: one of the same name shares its counters.
        for (_, node) in &gone {
            tracing::info!(%output, node = %node.spec.name, "is no longer one of the servers");
            node.retire();
        }
        for server in servers {
            if kept.iter().any(|(known, _)| *known == server) {
                continue;
            }
            let spec = server.spec(self.security.as_ref(), &self.hostname);
            let mut others = found
                .iter()
                .flatten()
                .chain(&kept)
                .map(|(_, node)| node)
                .chain(&self.fixed);
            if others.any(|node| node.spec.name == spec.name) {
                tracing::warn!(%output, node = %spec.name, "there is a server of that name already; this one is passed over");
                continue;
            }
            tracing::info!(%output, node = %spec.name, "is one of the servers now");
            kept.push((server, Arc::new(Node::new(spec, Arc::clone(&self.common)))));
        }
        if let Some(place) = found.get_mut(index) {
            *place = kept;
        }
        let all = self
            .fixed
            .iter()
            .chain(found.iter().flatten().map(|(_, node)| node));
        nodes.replace(all.map(Arc::clone).collect());
    }
}
