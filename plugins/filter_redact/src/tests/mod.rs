//! `redact`: what it finds, what it puts there, and what it leaves alone.

mod actions;
mod corpus;
mod limits;
mod manual;
mod properties;
mod speed;

use std::sync::Arc;

use sdk::{
    config::ConfigErrors,
    event::Applied,
    filter::Filter,
    metrics::Metrics,
    plugin::BuildCx,
    testing::{apply, records},
};
use serde_json::{Value, json};

use super::{build, compile, filter::Redact};

fn filter(params: Value) -> Arc<dyn Filter> {
    build(params, &BuildCx::detached("test")).unwrap()
}

fn redact(params: Value) -> Redact {
    compile::compile(serde_json::from_value(params).unwrap(), &Metrics::new()).unwrap()
}

fn refused(params: Value) -> ConfigErrors {
    build(params, &BuildCx::detached("test")).err().unwrap()
}

fn run(params: Value, record: &Value) -> Applied {
    apply(filter(params), "app", std::slice::from_ref(record))
}

/// The one record as it goes on.
fn redacted(params: Value, record: &Value) -> Value {
    let mut records = records(&run(params, record).batch.events);
    assert_eq!(records.len(), 1);
    records.remove(0)
}

/// A text as it goes on.
fn text(params: Value, text: &str) -> String {
    let record = redacted(params, &json!({ "log": text }));
    record["log"].as_str().unwrap().to_owned()
}
