//! Output `elasticsearch`: documents for Elasticsearch and OpenSearch through the bulk API.

mod affinity;
#[doc(hidden)]
pub mod bench;
mod bulk;
mod config;
mod document;
mod hosts;
mod http;
mod reach;
mod setup;
#[cfg(test)]
mod tests;

use std::sync::{Arc, atomic::AtomicBool};

use sdk::{
    Fut, RunError,
    config::ConfigErrors,
    output::{ChunkView, Failure, Outcome, Output},
    plugin::{Build, BuildCx, DefaultBuffer, Descriptor, Stability},
    stop::Stop,
};

use affinity::Affinity;
use bulk::{Bulk, counters::Counters, delivery::Delivery, report::Report, size::Sizes};
pub use config::{
    Compression, Config, ContentType, DocumentId, Dots, Endpoint, Fluentd, Level, OpType, Scheme,
    Selector, Service, Sniffing, Ssl, SslVersion, Timing,
    policy::{OnAuthError, OnConflict, OnMappingConflict},
};
use config::{policy::Policy, settings::Settings};
use document::{Documents, Recipe, timing::RecordTime};
use hosts::{Hosts, NoHost};
use http::Connector;
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
    affinity: Option<Affinity>,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Output>, ConfigErrors> {
    let config: Config = sdk::config::parse(params)?;
    Ok(Arc::new(Elasticsearch::new(&config, cx)?))
}

/// Reads the parameters, and tells of all mistakes at once.
fn prepare(
    config: &Config,
    cx: &BuildCx,
) -> Result<(Settings, Connector, Option<RecordTime>), ConfigErrors> {
    let connector = Connector::new(config, cx.clock.clone());
    let mut errors = Vec::new();
    config.check_stream_type(cx.type_name.as_deref(), &mut errors);
    let timing = &config.timing;
    let record_time = timing.record_time(&cx.clock, &cx.metrics, &mut errors);
    match (config.settle(), connector) {
        (Ok(settings), Ok(connector)) if errors.is_empty() => {
            Ok((settings, connector, record_time))
        }
        (settings, connector) => {
            let others = settings.err().into_iter().chain(connector.err());
            Err(others.flatten().chain(errors).collect())
        }
    }
}

impl Elasticsearch {
    fn new(config: &Config, cx: &BuildCx) -> Result<Self, ConfigErrors> {
        let (mut settings, connector, record_time) = prepare(config, cx)?;
        let addresses = std::mem::take(&mut settings.addresses);
        let choosing = settings.choosing;
        let plan = settings.plan.take();
        let setup = plan.map(|plan| Setup::new(plan, settings.index.literal(), config, cx));
        let operation = settings.operation;
        let affinity = settings.affinity.take();
        let output = Self {
            bulk: Bulk {
                hosts: Hosts::new(addresses, choosing, connector, &cx.metrics),
                unrecoverable: config.unrecoverable_error_types.0.clone(),
                policy: Policy {
                    op_type: operation.op_type,
                    has_ids: config.document_id == DocumentId::Identity || operation.needs_id,
                    on_auth_error: config.on_auth_error,
                    on_conflict: config.on_conflict,
                    on_mapping_conflict: config.on_mapping_conflict,
                },
                gzip_level: settings.gzip_level,
                sizes: Sizes::new(settings.bulk_max_bytes),
                plain_json: AtomicBool::new(config.content_type == ContentType::Json),
                counters: Counters::new(&cx.metrics),
                report: Report::new(Arc::clone(&cx.id)),
            },
            setup,
            affinity,
            recipe: Recipe::new(config, settings, record_time, cx),
        };
        output.bulk.show_limit();
        Ok(output)
    }

    /// What has to be there, and be known, before documents are sent.
    async fn make_ready(&self, documents: &mut Documents) -> Result<(), NoHost> {
        let hosts = &self.bulk.hosts;
        if let Some(setup) = &self.setup {
            setup.prepare(hosts, &documents.destinations).await?;
        }
        if let Some(affinity) = &self.affinity {
            affinity.follow(hosts, documents).await?;
        }
        Ok(())
    }
}

impl Output for Elasticsearch {
    fn write<'a>(&'a self, chunk: ChunkView<'a>) -> Fut<'a, Outcome> {
        Box::pin(async move {
            let mut documents = document::write(&self.recipe, chunk).await;
            if let Err(reason) = self.make_ready(&mut documents).await {
                return reason.outcome();
            }
            Delivery::new(&self.bulk, &documents).run().await
        })
    }

    fn reach(&self) -> Fut<'_, Result<Vec<String>, Failure>> {
        Box::pin(reach::reach(
            &self.bulk.hosts,
            &self.recipe,
            self.affinity.as_ref(),
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
