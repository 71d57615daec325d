//! Output `elasticsearch`: documents for Elasticsearch and OpenSearch through the bulk API.

mod action;
mod address;
mod answer;
mod aws;
mod bulk;
mod choices;
mod cloud;
mod config;
mod connection;
mod counters;
mod credentials;
mod cuts;
mod date;
mod delivery;
mod document;
mod flat;
mod fluentd;
mod gzip;
mod host;
mod hosts;
mod identity;
mod index;
mod item_error;
mod judge;
mod operation;
mod pen;
mod policy;
mod proof;
mod reach;
mod refusal;
mod report;
mod roster;
mod scribe;
mod settings;
mod shape;
mod sniff;
mod ssl;
mod targets;
#[cfg(test)]
mod tests;
mod timing;
mod transport;
mod undot;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize},
};

use sdk::{
    Fut,
    config::ConfigErrors,
    output::{ChunkView, Failure, Outcome, Output},
    plugin::{Build, BuildCx, DefaultBuffer, Descriptor, Stability},
};

use bulk::Bulk;
pub use config::{
    Compression, Config, ContentType, DocumentId, Dots, Endpoint, Fluentd, Level, OpType, Scheme,
    Selector, Service, Sniffing, Ssl, SslVersion, Timing,
};
use connection::Connector;
use counters::Counters;
use delivery::Delivery;
use document::Recipe;
use hosts::Hosts;
pub use policy::{OnAuthError, OnConflict};
use report::Report;
use settings::Settings;
use timing::RecordTime;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "elasticsearch",
    aliases: &["opensearch"],
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
        let (settings, connector, record_time) = prepare(config, cx)?;
        let Settings {
            addresses,
            index,
            target_index,
            operation,
            shape,
            patch,
            gzip_level,
            bulk_max_bytes,
            choosing,
        } = settings;
        let identity = config.document_id == DocumentId::Identity;
        let adds = |adds: bool, key: &String| {
            let left_out = shape.as_ref().is_some_and(|shape| shape.leaves_out(key));
            (adds && !left_out && !config.suppress_doc_wrap).then(|| key.clone())
        };
        Ok(Self {
            recipe: Recipe {
                operation,
                is_plain: !operation.op_type.needs_id() && shape.is_none(),
                reads_records: index.reads_records()
                    || target_index.is_some()
                    || record_time.is_some()
                    || config.id_key.is_some()
                    || config.routing_key.is_some(),
                index,
                target_index,
                identity,
                id_key: config.id_key.clone(),
                routing_key: config.routing_key.clone(),
                timestamp_key: adds(config.include_timestamp, &config.timing.timestamp_key),
                record_time,
                age_limit: config.timing.age_limit(&cx.clock),
                time_digits: config.time_precision,
                tag_key: adds(config.include_tag_key, &config.tag_key),
                shape,
                patch,
                hostname: cx.hostname.to_string(),
            },
            bulk: Bulk {
                hosts: Hosts::new(addresses, choosing, connector, &cx.metrics),
                on_auth_error: config.on_auth_error,
                on_conflict: config.on_conflict,
                unrecoverable: config.unrecoverable_error_types.0.clone(),
                op_type: operation.op_type,
                has_ids: identity || operation.needs_id,
                gzip_level,
                body_max: AtomicUsize::new(bulk_max_bytes),
                plain_json: AtomicBool::new(config.content_type == ContentType::Json),
                counters: Counters::new(&cx.metrics),
                report: Report::new(Arc::clone(&cx.id)),
            },
        })
    }
}

impl Output for Elasticsearch {
    fn write<'a>(&'a self, chunk: ChunkView<'a>) -> Fut<'a, Outcome> {
        Box::pin(async move {
            let documents = document::write(&self.recipe, chunk).await;
            Delivery::new(&self.bulk, &documents).run().await
        })
    }

    fn reach(&self) -> Fut<'_, Result<Vec<String>, Failure>> {
        Box::pin(reach::reach(&self.bulk.hosts, &self.recipe))
    }
}
