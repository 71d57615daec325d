//! Filter `record_transformer`: adds, replaces and removes fields.

mod compile;
#[cfg(test)]
mod model;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors, OneOrMany},
    event::{Edit, FieldPath, Fields, Time},
    filter::Filter,
    msgpack::{RawValue, Token},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use value::{Assignment, Place, TooDeep};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "record_transformer",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Adds, replaces and removes fields",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Filter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The fields to set, as key and value. A value is text with placeholders, or a number, truth, list or table,
    /// which keep their type and may hold placeholders inside. A key such as `"$.kubernetes.cluster"` sets a
    /// field below the top level.
    #[serde(default)]
    pub record: Map<String, Value>,
    /// Fields to remove, after everything else: keys, or paths such as `$.kubernetes.labels`.
    #[serde(default)]
    pub remove_keys: OneOrMany<FieldPath>,
    /// Top-level keys that stay when the record is made anew. Needs `renew_record`.
    #[serde(default)]
    pub keep_keys: OneOrMany<String>,
    /// Make the record anew: only `keep_keys` and `record` are in it.
    #[serde(default)]
    pub renew_record: bool,
    /// The field of the new record that becomes the time of the event, in seconds since 1970.
    pub renew_time_key: Option<String>,
    /// Keep the type of a value that is exactly one placeholder of a field. If false, it becomes text.
    #[serde(default = "default_auto_typecast")]
    pub auto_typecast: bool,
    /// There is no Ruby here, so this can only be false.
    #[serde(default)]
    pub enable_ruby: bool,
}

fn default_auto_typecast() -> bool {
    true
}

/// The compiled parameters.
#[derive(Debug)]
struct RecordTransformer {
    assignments: Vec<Assignment>,
    /// Whether all values must be known before the first is set: one reads what another sets, or what is renewed.
    values_first: bool,
    /// The keys that stay, when the record is made anew.
    renew: Option<Vec<String>>,
    time_key: Option<FieldPath>,
    remove_keys: Vec<FieldPath>,
    hostname: Arc<str>,
}

fn build(params: Value, cx: &BuildCx) -> Result<Arc<dyn Filter>, ConfigErrors> {
    let filter = compile::compile(config::parse(params)?, &cx.hostname)?;
    Ok(Arc::new(filter))
}

impl RecordTransformer {
    /// Sets the fields one by one, each straight from the values of the others.
    fn set_directly(&self, edit: &mut Edit<'_>) -> Result<(), TooDeep> {
        self.assignments.iter().try_for_each(|assignment| {
            let mut written = Ok(());
            let value = |fields: &Fields<'_>, out: &mut Vec<u8>| {
                written = assignment.write(fields, &self.hostname, out);
            };
            match &assignment.place {
                Place::Key(key) => edit.set(key, value),
                Place::Path(path) => edit.set_path(path, value),
                // Such keys read fields too, so their values come first.
                Place::Rendered(_) => {}
            }
            written
        })
    }

    /// Works out all values from the record as it came, and then sets them.
    fn set_from_values(&self, edit: &mut Edit<'_>) -> Result<(), TooDeep> {
        let (mut values, mut ends, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for assignment in &self.assignments {
            assignment.write(edit.fields(), &self.hostname, &mut values)?;
            ends.push(values.len());
            keys.push(assignment.rendered_key(edit.fields(), &self.hostname));
        }
        if let Some(keep) = &self.renew {
            edit.renew(keep.iter().map(String::as_str));
        }
        let mut start = 0;
        for ((assignment, end), key) in self.assignments.iter().zip(ends).zip(keys) {
            let value = values.get(start..end).unwrap_or_default();
            start = end;
            let copy = |_: &Fields<'_>, out: &mut Vec<u8>| out.extend_from_slice(value);
            match (&assignment.place, key) {
                (Place::Path(path), _) => edit.set_path(path, copy),
                (Place::Key(key), _) => edit.set(key, copy),
                (Place::Rendered(_), key) => edit.set(&key.unwrap_or_default(), copy),
            }
        }
        Ok(())
    }
}

impl Filter for RecordTransformer {
    /// The order is that of Fluentd: values from the record as it came, renew, keep, set, time, remove.
    fn filter(&self, edit: &mut Edit<'_>) {
        let set = if self.values_first {
            self.set_from_values(edit)
        } else {
            self.set_directly(edit)
        };
        if let Err(error) = set {
            return edit.fail(error.to_string());
        }
        let time = self.time_key.as_ref().and_then(|key| edit.get(key));
        if let Some(time) = time.and_then(time_of) {
            edit.set_time(time);
        }
        for path in &self.remove_keys {
            edit.remove(path);
        }
    }
}

/// A number, or text that is one, as seconds. Anything else is no time, and the event keeps its own.
fn time_of(value: RawValue<'_>) -> Option<Time> {
    match value.token() {
        token @ (Token::Int(_) | Token::F32(_) | Token::F64(_) | Token::Ext(..)) => {
            Time::from_token(token).ok()
        }
        Token::Str(_) | Token::Bin(_) => value::time_of_text(value.as_str()?),
        _ => None,
    }
}
