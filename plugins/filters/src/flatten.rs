//! Filter `flatten`: turns tables inside a record into fields of the record.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors},
    event::Edit,
    filter::Filter,
    msgpack::{RawValue, Token, write},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::names::Names;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "flatten",
    aliases: &["flatten_hash"],
    stability: Stability::Stable,
    summary: "Turns tables inside a record into fields of the record",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Filter(build),
};

/// A record may grow to this many times its size, and to [`GROWTH_FREE_BYTES`] in any case: names are repeated for
/// each field below them.
const GROWTH_MAX: usize = 16;
const GROWTH_FREE_BYTES: usize = 64 << 10;

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Stands between the names: `a.b` for the field `b` of the table `a`.
    #[serde(default = "default_separator")]
    pub separator: String,
    /// How many levels are taken away; what is deeper stays a table. Without it, all.
    pub max_depth: Option<usize>,
    /// Lists too: the items of `a` become `a.0`, `a.1` and so on.
    #[serde(default = "default_flatten_array")]
    pub flatten_array: bool,
}

fn default_separator() -> String {
    ".".into()
}

fn default_flatten_array() -> bool {
    true
}

#[derive(Debug)]
struct Flatten {
    separator: String,
    max_depth: usize,
    opens_lists: bool,
}

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Filter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    if config.max_depth == Some(0) {
        let error = ConfigError::at("/max_depth", "with 0 levels nothing becomes flat");
        return Err(vec![
            error.help("write 1 or more, or leave it out for all levels"),
        ]);
    }
    Ok(Arc::new(Flatten {
        separator: config.separator,
        max_depth: config.max_depth.unwrap_or(usize::MAX),
        opens_lists: config.flatten_array,
    }))
}

impl Filter for Flatten {
    fn filter(&self, edit: &mut Edit<'_>) {
        let mut too_large = false;
        edit.set_record(|record, out| {
            let values = || record.pairs().into_iter().flatten();
            if !values().any(|(_, value)| self.opens(value, 1)) {
                return false;
            }
            let mut flat = Flat {
                filter: self,
                pairs: Vec::new(),
                count: 0,
                names: Names::default(),
                limit: GROWTH_FREE_BYTES.max(record.bytes().len().saturating_mul(GROWTH_MAX)),
            };
            // Fields that stand at the top already keep their names.
            for (name, value) in values() {
                if !self.opens(value, 1) {
                    flat.names.take(name_of(name));
                }
            }
            too_large = !flat.map(record, &mut Vec::new(), 0);
            write::map(out, flat.count);
            out.append(&mut flat.pairs);
            !too_large
        });
        if too_large {
            edit.fail("the record would become too large when it is made flat");
        }
    }
}

impl Flatten {
    /// Whether a value at this depth is replaced by what is in it. What is empty stays: it would be gone.
    fn opens(&self, value: RawValue<'_>, depth: usize) -> bool {
        depth <= self.max_depth
            && match value.token() {
                Token::Map(count) => count > 0,
                Token::Array(count) => count > 0 && self.opens_lists,
                _ => false,
            }
    }
}

/// The fields so far.
struct Flat<'f> {
    filter: &'f Flatten,
    pairs: Vec<u8>,
    count: u32,
    names: Names,
    limit: usize,
}

impl Flat<'_> {
    /// Adds the fields of a map that stands `depth` levels deep. `false` when they become too many bytes.
    fn map(&mut self, map: RawValue<'_>, path: &mut Vec<u8>, depth: usize) -> bool {
        let mut pairs = map.pairs().into_iter().flatten();
        pairs.all(|(name, value)| self.field(name_of(name), value, path, depth))
    }

    fn field(
        &mut self,
        name: &[u8],
        value: RawValue<'_>,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> bool {
        let before = path.len();
        if depth > 0 {
            path.extend_from_slice(self.filter.separator.as_bytes());
        }
        path.extend_from_slice(name);
        let fits = if !self.filter.opens(value, depth + 1) {
            self.leaf(path, value, depth)
        } else if value.pairs().is_some() {
            self.map(value, path, depth + 1)
        } else {
            let mut items = (0_u32..).zip(value.items().into_iter().flatten());
            items.all(|(at, item)| self.field(at.to_string().as_bytes(), item, path, depth + 1))
        };
        path.truncate(before);
        fits
    }

    fn leaf(&mut self, path: &[u8], value: RawValue<'_>, depth: usize) -> bool {
        if self.pairs.len() + path.len() + value.bytes().len() > self.limit {
            return false;
        }
        if depth == 0 {
            write::str_bytes(&mut self.pairs, path);
        } else {
            let name = self.names.free(path.to_vec(), &self.filter.separator);
            write::str_bytes(&mut self.pairs, &name);
        }
        self.pairs.extend_from_slice(value.bytes());
        self.count += 1;
        true
    }
}

/// A name that is no text is its MessagePack: it cannot be part of another name in any better way.
fn name_of(name: RawValue<'_>) -> &[u8] {
    name.as_bytes().unwrap_or(name.bytes())
}

#[cfg(test)]
mod tests {
    use sdk::testing::{apply, records};
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(params: Value, input: &Value, expected: &Value) {
        let filter = build(params, &BuildCx::detached("test")).unwrap();
        let applied = apply(filter, "app", std::slice::from_ref(input));
        let got = records(&applied.batch.events).remove(0);
        assert_eq!(got.to_string(), expected.to_string());
    }

    #[test]
    fn tables_and_lists_become_fields() {
        let input = json!({ "a": { "b": { "c": 1 }, "d": [2, { "e": 3 }] }, "f": 4 });
        let flat = json!({ "a.b.c": 1, "a.d.0": 2, "a.d.1.e": 3, "f": 4 });
        check(json!({}), &input, &flat);
        let params = json!({ "separator": "_", "flatten_array": false });
        let tables = json!({ "a_b_c": 1, "a_d": [2, { "e": 3 }], "f": 4 });
        check(params, &input, &tables);
        let one = json!({ "a.b": { "c": 1 }, "a.d": [2, { "e": 3 }], "f": 4 });
        check(json!({ "max_depth": 1 }), &input, &one);
    }

    #[test]
    fn what_is_empty_stays() {
        let input = json!({ "a": {}, "b": [], "c": { "d": {} } });
        check(json!({}), &input, &json!({ "a": {}, "b": [], "c.d": {} }));
    }

    #[test]
    fn no_field_takes_the_name_of_another() {
        let input =
            json!({ "a": { "b": 1, "b.c": 2 }, "a.b": 3, "x": { "y.z": 4, "y": { "z": 5 } } });
        let flat = json!({ "a.b.2": 1, "a.b.c": 2, "a.b": 3, "x.y.z": 4, "x.y.z.2": 5 });
        check(json!({}), &input, &flat);
    }

    #[test]
    fn a_record_cannot_grow_without_end() {
        let items: Vec<u8> = vec![1; 60_000];
        let input = json!({ "n".repeat(1000): items });
        let filter = build(json!({}), &BuildCx::detached("test")).unwrap();
        let applied = apply(filter, "app", std::slice::from_ref(&input));
        assert_eq!(applied.batch.count, 0);
        assert_eq!(records(&applied.failed.unwrap().events), [input]);
    }
}
