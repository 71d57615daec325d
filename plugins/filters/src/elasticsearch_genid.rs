//! Filter `elasticsearch_genid`: gives records an id that stays the same however often they are sent.

use std::{fmt::Write as _, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::Md5;
use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors, OneOrMany},
    event::Edit,
    filter::Filter,
    msgpack::{RawValue, write, write_text},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "elasticsearch_genid",
    aliases: &["opensearch_genid"],
    stability: Stability::Stable,
    summary: "Gives records an id from what is in them, or a random one",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Filter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a parameter that Fluentd has"
)]
pub struct Config {
    /// The field for the id, which `id_key` of the output names.
    #[serde(default = "default_hash_id_key")]
    pub hash_id_key: String,
    /// Make the id from what is in the record. If false, it is random.
    #[serde(default)]
    pub use_record_as_seed: bool,
    /// With `use_record_as_seed`: the fields that count, in this order.
    #[serde(default)]
    pub record_keys: OneOrMany<String>,
    /// With `use_record_as_seed`: every field counts.
    #[serde(default)]
    pub use_entire_record: bool,
    /// With `use_record_as_seed`: the tag counts too.
    #[serde(default)]
    pub include_tag_in_seed: bool,
    /// With `use_record_as_seed`: the second of the event counts too.
    #[serde(default)]
    pub include_time_in_seed: bool,
    /// What stands between the parts.
    #[serde(default = "default_separator")]
    pub separator: String,
    /// The hash of the parts, which is written in base64.
    #[serde(default)]
    pub hash_type: HashType,
}

/// Hashes, by Fluentd's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HashType {
    /// MD5.
    Md5,
    /// SHA-1.
    #[default]
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

fn default_hash_id_key() -> String {
    "_hash".into()
}

fn default_separator() -> String {
    "_".into()
}

#[derive(Debug)]
struct Genid(Config);

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Filter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let has_keys = !config.record_keys.0.is_empty();
    let error = match (
        config.use_record_as_seed,
        has_keys,
        config.use_entire_record,
    ) {
        (true, false, false) => {
            ConfigError::at("/use_record_as_seed", "nothing of the record counts")
                .help("name fields with `record_keys`, or add use_entire_record = true")
        }
        (true, true, true) => ConfigError::at(
            "/record_keys",
            "with `use_entire_record` every field counts",
        )
        .help("remove one of the two"),
        (false, true, _) => ConfigError::at("/record_keys", "the id is random, so no field counts")
            .help("add use_record_as_seed = true, or remove this"),
        _ => return Ok(Arc::new(Genid(config))),
    };
    Err(vec![error])
}

impl Filter for Genid {
    fn filter(&self, edit: &mut Edit<'_>) {
        let id = if self.0.use_record_as_seed {
            STANDARD.encode(self.0.hash_type.of(self.seed(edit).as_bytes()))
        } else {
            STANDARD.encode(random())
        };
        edit.set(&self.0.hash_id_key, |_, out| write::str(out, &id));
    }
}

impl Genid {
    /// What the id is made from, put together as Fluentd does.
    fn seed(&self, edit: &mut Edit<'_>) -> String {
        let config = &self.0;
        let mut seed = String::new();
        if config.include_tag_in_seed {
            seed.push_str(edit.tag().as_str());
            seed.push_str(&config.separator);
        }
        if config.include_time_in_seed {
            write!(seed, "{}{}", edit.time().secs, config.separator).ok();
        }
        let record = edit.record();
        let pairs = || record.pairs().into_iter().flatten();
        if config.use_entire_record {
            for (name, value) in pairs() {
                for part in [name, value] {
                    seed.push('|');
                    push(&mut seed, part);
                }
            }
            return seed;
        }
        for (at, key) in config.record_keys.0.iter().enumerate() {
            if at > 0 {
                seed.push_str(&config.separator);
            }
            let found = pairs().filter(|(name, _)| name.as_bytes() == Some(key.as_bytes()));
            if let Some((_, value)) = found.last() {
                push(&mut seed, value);
            }
        }
        seed
    }
}

/// Text as it is, anything else as JSON; nothing for nil.
fn push(seed: &mut String, value: RawValue<'_>) {
    if value.token() != sdk::msgpack::Token::Nil {
        // What cannot be written as text has no part in the id.
        write_text(value, seed).ok();
    }
}

impl HashType {
    fn of(self, seed: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => Md5::digest(seed).to_vec(),
            Self::Sha1 => Sha1::digest(seed).to_vec(),
            Self::Sha256 => Sha256::digest(seed).to_vec(),
            Self::Sha512 => Sha512::digest(seed).to_vec(),
        }
    }
}

/// A random UUID (RFC 9562, version 4) as text.
fn random() -> String {
    let bits = fastrand::u128(..);
    let bits = bits & !(0xf << 76) | 0x4 << 76;
    let bits = bits & !(0x3 << 62) | 0x2 << 62;
    let digits = format!("{bits:032x}");
    let mut text = String::with_capacity(36);
    for (at, digit) in digits.chars().enumerate() {
        if [8, 12, 16, 20].contains(&at) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use sdk::testing::{apply, records};
    use serde_json::{Value, json};

    use super::*;

    fn ids(params: Value, inputs: &[Value]) -> Vec<String> {
        let filter = build(params, &BuildCx::detached("test")).unwrap();
        let applied = apply(filter, "app", inputs);
        let records = records(&applied.batch.events);
        let id = |record: &Value| record["_hash"].as_str().unwrap().to_owned();
        records.iter().map(id).collect()
    }

    fn seed(more: &Value) -> Value {
        let mut params = json!({ "use_record_as_seed": true });
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        params
    }

    #[test]
    fn the_id_is_the_hash_of_the_fields_as_in_fluentd() {
        // Expected: Base64.strict_encode64(Digest::SHA1.digest("app_x_1")) and so on.
        let record = [json!({ "a": "x", "b": 1, "c": null })];
        let keys = json!(["a", "b"]);
        let tagged = seed(&json!({ "record_keys": keys, "include_tag_in_seed": true }));
        assert_eq!(ids(tagged, &record), ["baCFIXUEOmZUG+1C4mdXH43//SQ="]);
        for (hash_type, expected) in [
            ("md5", "qmh9oAhsHqBgqIOOJGETGQ=="),
            ("sha256", "2bFWelK7bEKIu39mddu3wGxWQf25MQcn5VOYmfm5lPU="),
            (
                "sha512",
                "raSeDidMGLPclfp5oY6x0q7qXxCNrtQWpVZ822DUMz4oYeE4y78c+EF1oejQ3TaQzSlCjKmhTWKRumJfhsLFDA==",
            ),
        ] {
            let params = seed(&json!({ "record_keys": keys, "hash_type": hash_type }));
            assert_eq!(ids(params, &record), [expected], "{hash_type}");
        }
        let params = seed(&json!({ "record_keys": ["a", "c", "none"], "separator": "-" }));
        assert_eq!(ids(params, &record), ["EEKjhbWF4QVBg0HLGLEw9cxuWJs="]);
        let whole = seed(&json!({ "use_entire_record": true }));
        assert_eq!(ids(whole, &record), ["8BvYqDba+M0SDR7BINn6DYFq0Rg="]);
    }

    #[test]
    fn the_time_counts_where_that_is_asked_for() {
        let same = [json!({ "a": 1 }), json!({ "a": 1 })];
        let plain = ids(seed(&json!({ "record_keys": "a" })), &same);
        assert_eq!(plain[0], plain[1]);
        let timed = ids(
            seed(&json!({ "record_keys": "a", "include_time_in_seed": true })),
            &same,
        );
        assert_ne!(timed[0], timed[1], "the records are a second apart");
    }

    #[test]
    fn without_a_seed_every_id_is_another() {
        let ids = ids(json!({}), &vec![json!({}); 100]);
        let different: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(different.len(), 100);
        let text = STANDARD.decode(&ids[0]).unwrap();
        let text = String::from_utf8(text).unwrap();
        let parts: Vec<&str> = text.split('-').collect();
        let lens: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        assert_eq!(lens, [8, 4, 4, 4, 12], "{text}");
        assert!(
            parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']),
            "{text}"
        );
    }

    #[test]
    fn what_counts_must_be_said_once() {
        let refused = |params: Value| {
            let errors = build(params, &BuildCx::detached("test")).err().unwrap();
            errors[0].path.clone()
        };
        assert_eq!(refused(seed(&json!({}))), "/use_record_as_seed");
        let both = seed(&json!({ "record_keys": "a", "use_entire_record": true }));
        assert_eq!(refused(both), "/record_keys");
        assert_eq!(refused(json!({ "record_keys": "a" })), "/record_keys");
    }
}
