//! Filter `kubernetes_metadata`: says of each record which pod, container and namespace it comes from.
//!
//! `watch.rs` follows the pods of one node through the API server and keeps `store.rs` current. `filter.rs` asks the
//! store once per pod of a batch. `waiting.rs` holds the first records of a pod that the store does not know yet.

mod config;
mod dedot;
mod exclude;
mod filter;
mod identity;
mod layout;
mod merge;
mod meters;
mod pod;
mod settings;
mod store;
#[cfg(test)]
mod tests;
mod usage;
mod waiting;
mod watch;

use sdk::plugin::{Build, Descriptor, Stability};

pub use config::Config;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "kubernetes_metadata",
    aliases: &[],
    stability: Stability::Beta,
    summary: "Adds pod, container, labels and namespace from the Kubernetes API server",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Stateful(filter::build),
};
