//! Output `elasticsearch`: documents for Elasticsearch and OpenSearch through the bulk API.

mod action;
mod address;
mod answer;
#[doc(hidden)]
pub mod bench;
mod bulk;
mod choices;
mod config;
mod connection;
mod counters;
mod cuts;
mod date;
mod delivery;
mod document;
mod flat;
mod gzip;
mod hosts;
mod identity;
mod index;
mod item_error;
mod judge;
mod operation;
mod pen;
mod policy;
mod reach;
mod refusal;
mod report;
mod scribe;
mod server;
mod settings;
mod setup;
mod shape;
#[cfg(test)]
mod tests;
mod undot;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize},
};

use sdk::{
    Fut, RunError,
    config::ConfigErrors,
    output::{ChunkView, Failure, Outcome, Output},
    plugin::{Build, BuildCx, DefaultBuffer, Descriptor, Stability},
    stop::Stop,
};

use bulk::Bulk;
pub use config::{Compression, Config, DocumentId, Dots, Level, OpType, Scheme};
use connection::Connector;
use counters::Counters;
use delivery::Delivery;
use document::Recipe;
use hosts::Hosts;
pub use policy::{OnAuthError, OnConflict};
use report::Report;
use setup::Setup;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "elasticsearch",
    aliases: &[
        "opensearch",
        "elasticsearch_data_stream",
        "opensearch_data_stream",
    ],
    stability: Stability::Beta,
    summary: "Sends documents to Elasticsearch or OpenSearch through the bulk API",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Output(build, DefaultBuffer::File),
};

/// Sends chunks as bulk requests.
#[derive(Debug)]
struct Elasticsearch {
    recipe: Recipe,
    bulk: Bulk,
    setup: Option<Setup>,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Output>, ConfigErrors> {
    let config: Config = sdk::config::parse(params)?;
    Ok(Arc::new(Elasticsearch::new(&config, cx)?))
}

impl Elasticsearch {
    fn new(config: &Config, cx: &BuildCx) -> Result<Self, ConfigErrors> {
        let connector = Connector::new(config, cx.clock.clone());
        let (mut settings, connector) = match (config.settle(), connector) {
            (Ok(settings), Ok(connector)) => (settings, connector),
            (settings, connector) => {
                let errors = settings.err().into_iter().chain(connector.err());
                return Err(errors.flatten().collect());
            }
        };
        let addresses = std::mem::take(&mut settings.addresses);
        let plan = settings.plan.take();
        let setup = plan.map(|plan| Setup::new(plan, settings.index.literal(), config, cx));
        let operation = settings.operation;
        Ok(Self {
            bulk: Bulk {
                hosts: Hosts::new(addresses, connector, &cx.metrics),
                on_auth_error: config.on_auth_error,
                on_conflict: config.on_conflict,
                op_type: operation.op_type,
                has_ids: config.document_id == DocumentId::Identity || operation.needs_id,
                gzip_level: settings.gzip_level,
                body_max: AtomicUsize::new(settings.bulk_max_bytes),
                plain_json: AtomicBool::new(false),
                counters: Counters::new(&cx.metrics),
                report: Report::new(Arc::clone(&cx.id)),
            },
            setup,
            recipe: Recipe::new(config, settings, &cx.hostname),
        })
    }
}

impl Output for Elasticsearch {
    fn write<'a>(&'a self, chunk: ChunkView<'a>) -> Fut<'a, Outcome> {
        Box::pin(async move {
            let documents = document::write(&self.recipe, chunk).await;
            if let Some(setup) = &self.setup
                && let Err(reason) = setup.prepare(&self.bulk.hosts, &documents.targets).await
            {
                return reason.outcome();
            }
            Delivery::new(&self.bulk, &documents).run().await
        })
    }

    fn reach(&self) -> Fut<'_, Result<Vec<String>, Failure>> {
        Box::pin(reach::reach(
            &self.bulk.hosts,
            &self.recipe,
            self.setup.as_ref(),
        ))
    }

    fn run(&self, stop: Stop) -> Fut<'_, Result<(), RunError>> {
        Box::pin(async move {
            match &self.setup {
                Some(setup) => setup.run(&self.bulk.hosts, &stop).await,
                None => stop.stopped().await,
            }
            Ok(())
        })
    }
}
