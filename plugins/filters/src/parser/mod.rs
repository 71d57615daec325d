//! Filter `parser`: parses a field of an event and puts what it finds into the record.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, sync::Arc};

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors, ParserTable},
    event::{Edit, FieldPath, Time},
    filter::Filter,
    metrics::Counter,
    msgpack::{DEPTH_MAX, RawValue, Token, write_text},
    parser::Parser as Parse,
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "parser",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Parses a field and puts what it finds into the record",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Filter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch with a name of Fluentd's"
)]
pub struct Config {
    /// The field to parse: a key, or a path such as `$.kubernetes.log`.
    pub key_name: FieldPath,
    /// The parser, with its `type` and parameters.
    pub parse: ParserTable,
    /// Keep the time of the event. By default the time that the parser finds takes its place.
    #[serde(default)]
    pub reserve_time: bool,
    /// Keep the fields that the record has; those that the parser finds win. By default the record is made anew.
    #[serde(default)]
    pub reserve_data: bool,
    /// With `reserve_data`: remove the field that was parsed. It stays when it could not be parsed.
    #[serde(default)]
    pub remove_key_name_field: bool,
    /// What stands before the name of every field that the parser finds.
    pub inject_key_prefix: Option<String>,
    /// Put what the parser finds as one table under this key.
    pub hash_value_field: Option<String>,
    /// Put a `?` in place of bytes that are not UTF-8, before parsing.
    #[serde(default)]
    pub replace_invalid_sequence: bool,
    /// Without `reserve_data` and `on_error`: an event that cannot be parsed goes to the label `ERROR`; if false, it is
    /// dropped.
    #[serde(default = "yes")]
    pub emit_invalid_record_to_error: bool,
    /// What becomes of an event that cannot be parsed. By default it is kept with `reserve_data`, and else what
    /// `emit_invalid_record_to_error` says.
    pub on_error: Option<OnError>,
}

/// What becomes of an event that cannot be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It goes on as it is.
    Keep,
    /// It is dropped, and counted.
    Drop,
    /// It goes to the label `ERROR` as it is.
    DeadLetter,
}

fn yes() -> bool {
    true
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch with a name of Fluentd's"
)]
struct Parser {
    key_name: FieldPath,
    inner: Arc<dyn Parse>,
    reserve_time: bool,
    reserve_data: bool,
    remove_key_name_field: bool,
    inject_key_prefix: Option<String>,
    hash_value_field: Option<String>,
    replace_invalid_sequence: bool,
    on_error: OnError,
    unparsed: Counter,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Filter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let mut errors = Vec::new();
    if config.remove_key_name_field && config.reserve_data && config.key_name.has_index() {
        let message = "a path with an index cannot be removed; write a path of keys";
        errors.push(ConfigError::at("/key_name", message));
    }
    let inner = cx
        .parser("/parse", &config.parse)
        .map_err(|found| errors.extend(found));
    let Some(inner) = inner.ok().filter(|_| errors.is_empty()) else {
        return Err(errors);
    };
    let by_default = match (config.reserve_data, config.emit_invalid_record_to_error) {
        (true, _) => OnError::Keep,
        (false, true) => OnError::DeadLetter,
        (false, false) => OnError::Drop,
    };
    Ok(Arc::new(Parser {
        key_name: config.key_name,
        inner,
        reserve_time: config.reserve_time,
        reserve_data: config.reserve_data,
        remove_key_name_field: config.remove_key_name_field,
        inject_key_prefix: config.inject_key_prefix,
        hash_value_field: config.hash_value_field,
        replace_invalid_sequence: config.replace_invalid_sequence,
        on_error: config.on_error.unwrap_or(by_default),
        unparsed: cx.metrics.counter(
            "unparsed_records",
            "Records whose field could not be parsed",
            &[],
        ),
    }))
}

impl Filter for Parser {
    fn filter(&self, edit: &mut Edit<'_>) {
        match self.parse(edit) {
            Ok((time, parsed)) => self.put(edit, time, &parsed),
            Err(reason) => {
                self.unparsed.inc();
                match self.on_error {
                    OnError::Keep => {}
                    OnError::Drop => edit.drop_event(),
                    OnError::DeadLetter => edit.fail(reason),
                }
            }
        }
    }
}

impl Parser {
    /// Parses the field. The record it makes is nested no deeper than it may be at its place.
    fn parse(&self, edit: &Edit<'_>) -> Result<(Option<Time>, Vec<u8>), String> {
        let value = edit
            .get(&self.key_name)
            .filter(|value| value.token() != Token::Nil)
            .ok_or_else(|| format!("the field {} does not exist", self.key_name))?;
        let text = match value.token() {
            Token::Str(text) | Token::Bin(text) => Cow::Borrowed(text),
            Token::Array(_) | Token::Map(_) => {
                return Err(format!("the field {} is not text", self.key_name));
            }
            _ => {
                let mut text = String::new();
                let _complete = write_text(value, &mut text);
                Cow::Owned(text.into_bytes())
            }
        };
        let text = if self.replace_invalid_sequence && std::str::from_utf8(&text).is_err() {
            Cow::Owned(scrub(&text))
        } else {
            text
        };
        let mut parsed = Vec::with_capacity(text.len() + 64);
        let time = self
            .inner
            .parse(&text, &mut parsed)
            .map_err(|error| format!("the field {} cannot be parsed: {error}", self.key_name))?;
        if self.hash_value_field.is_some() && !fits_below_a_key(&parsed) {
            return Err(format!(
                "the record would be nested deeper than {DEPTH_MAX} levels"
            ));
        }
        Ok((time, parsed))
    }

    /// Puts what was found into the record.
    fn put(&self, edit: &mut Edit<'_>, time: Option<Time>, parsed: &[u8]) {
        if let Some(time) = time.filter(|_| !self.reserve_time) {
            edit.set_time(time);
        }
        if !self.reserve_data {
            edit.renew([]);
        } else if self.remove_key_name_field {
            edit.remove(&self.key_name);
        }
        let pairs = RawValue::parse(parsed).ok().and_then(RawValue::pairs);
        let pairs = pairs.into_iter().flatten();
        let prefix = self.inject_key_prefix.as_deref().unwrap_or_default();
        match &self.hash_value_field {
            Some(field) if prefix.is_empty() => {
                edit.set(field, |_, out| out.extend_from_slice(parsed));
            }
            Some(field) => edit.set(field, |_, out| {
                let count = u32::try_from(pairs.clone().count()).unwrap_or(u32::MAX);
                sdk::msgpack::write::map(out, count);
                for (key, value) in pairs {
                    sdk::msgpack::write::str(out, &name(prefix, key));
                    out.extend_from_slice(value.bytes());
                }
            }),
            None => {
                for (key, value) in pairs {
                    edit.set(&name(prefix, key), |_, out| {
                        out.extend_from_slice(value.bytes());
                    });
                }
            }
        }
    }
}

/// The name of a field that was found, with the prefix in front.
fn name<'k>(prefix: &str, key: RawValue<'k>) -> Cow<'k, str> {
    let plain = key.as_bytes().map_or_else(
        || {
            let mut text = String::new();
            let _complete = write_text(key, &mut text);
            Cow::Owned(text)
        },
        String::from_utf8_lossy,
    );
    if prefix.is_empty() {
        plain
    } else {
        Cow::Owned(format!("{prefix}{plain}"))
    }
}

/// Whether a record may stand one level deeper.
fn fits_below_a_key(record: &[u8]) -> bool {
    let mut below = Vec::with_capacity(record.len() + 1);
    sdk::msgpack::write::array(&mut below, 1);
    below.extend_from_slice(record);
    RawValue::parse(&below).is_ok()
}

/// The text with a `?` for each sequence that is not UTF-8, as Fluentd replaces them.
fn scrub(text: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        clean.extend_from_slice(chunk.valid().as_bytes());
        clean.extend(chunk.invalid().first().map(|_| b'?'));
    }
    clean
}
