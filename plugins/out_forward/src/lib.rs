//! Output `forward`: messages of the Fluentd forward protocol for other Weirs, Fluentd or Fluent Bit.

mod acks;
mod compress;
mod config;
mod connection;
mod delivery;
mod detector;
mod dial;
mod discovery;
mod greeting;
mod health;
mod heartbeat;
mod message;
mod names;
mod node;
mod nodes;
mod rewrite;
mod settings;
#[cfg(test)]
mod tests;
mod trouble;

use std::{sync::Arc, time::Duration};

use sdk::{
    Fut, RunError,
    config::ConfigErrors,
    output::{ChunkView, Failure, Outcome, Output},
    plugin::{Build, BuildCx, DefaultBuffer, Descriptor, Stability},
    stop::Stop,
};

pub use config::{
    Compress, Config, DiscoveryKind, HeartbeatType, Security, Server, ServiceDiscovery, Transport,
};
use discovery::Discovery;
use message::Recipe;
use node::Node;
use nodes::Nodes;
pub use tls::ClientTls as Tls;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "forward",
    aliases: &[],
    stability: Stability::Beta,
    summary: "Sends records to other Weirs, Fluentd or Fluent Bit over the forward protocol",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Output(build, DefaultBuffer::File),
};

/// Sends chunks to servers that take turns.
#[derive(Debug)]
struct Forward {
    nodes: Nodes,
    discovery: Discovery,
    recipe: Recipe,
    heartbeat_type: HeartbeatType,
    heartbeat_interval: Duration,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Output>, ConfigErrors> {
    let config: Config = sdk::config::parse(params)?;
    Ok(Arc::new(Forward::new(&config, cx)?))
}

impl Forward {
    fn new(config: &Config, cx: &BuildCx) -> Result<Self, ConfigErrors> {
        let common = config.common(cx);
        let specs = config.servers(cx);
        let lookups = config.lookups();
        let (common, specs, lookups) = match (common, specs, lookups) {
            (Ok(common), Ok(specs), Ok(lookups)) => (Arc::new(common), specs, lookups),
            (common, specs, lookups) => {
                let errors = [common.err(), specs.err(), lookups.err()];
                return Err(errors.into_iter().flatten().flatten().collect());
            }
        };
        let node = |spec| Arc::new(Node::new(spec, Arc::clone(&common)));
        let fixed: Vec<_> = specs.into_iter().map(node).collect();
        let security = config.security.clone();
        Ok(Self {
            nodes: Nodes::new(fixed.clone()),
            discovery: Discovery::new(lookups, fixed, security, &cx.hostname, common),
            recipe: config.recipe(),
            heartbeat_type: config.heartbeat_type,
            heartbeat_interval: config.heartbeat_interval.0,
        })
    }
}

impl Output for Forward {
    fn write<'a>(&'a self, chunk: ChunkView<'a>) -> Fut<'a, Outcome> {
        Box::pin(delivery::deliver(&self.nodes, self.recipe, chunk))
    }

    fn reach(&self) -> Fut<'_, Result<Vec<String>, Failure>> {
        Box::pin(async move {
            let mut said = Vec::new();
            for node in self.nodes.all() {
                said.push(node.reach().await?);
            }
            Ok(said)
        })
    }

    fn run(&self, stop: Stop) -> Fut<'_, Result<(), RunError>> {
        Box::pin(async move {
            let every = self.heartbeat_interval;
            tokio::join!(
                heartbeat::run(&self.nodes, self.heartbeat_type, every, &stop),
                self.discovery.run(&self.nodes, &stop),
            );
            Ok(())
        })
    }
}
