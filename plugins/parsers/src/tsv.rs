//! Parser `tsv`: values with tabs between them.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors, OneOrMany},
    event::Time,
    parser::{ParseError, Parser},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::{
    csv,
    fields::Fields,
    rules::{Column, Common, Rules},
};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "tsv",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Reads values with tabs between them",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The names of the values, in order. The last one gets all that is left, a name without a value null.
    pub keys: OneOrMany<String>,
    /// What stands between two values.
    #[serde(default = "default_delimiter")]
    pub delimiter: String,
    /// Those of every parser.
    #[serde(flatten)]
    pub common: Common,
}

fn default_delimiter() -> String {
    "\t".into()
}

struct Tsv {
    rules: Rules,
    columns: Vec<Column>,
    delimiter: Vec<u8>,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let (rules, columns) = csv::columns(&config.keys.0, &config.delimiter, &config.common, cx)?;
    Ok(Arc::new(Tsv {
        rules,
        columns,
        delimiter: config.delimiter.into(),
    }))
}

impl Parser for Tsv {
    fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
        let mut fields = Fields::begin(&self.rules, record);
        let mut rest = Some(text);
        for (index, column) in (1..).zip(&self.columns) {
            let Some(left) = rest else {
                fields.nil(column);
                continue;
            };
            let is_last = index == self.columns.len();
            let end = memchr::memmem::find(left, &self.delimiter).filter(|_| !is_last);
            fields.column(
                column,
                left.get(..end.unwrap_or(left.len())).unwrap_or_default(),
            )?;
            rest = end.and_then(|end| left.get(end + self.delimiter.len()..));
        }
        Ok(fields.end())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::{check, refused};

    fn tsv(keys: &[&str]) -> Value {
        json!({ "type": "tsv", "keys": keys })
    }

    #[test]
    fn real_lines_are_read() {
        check(
            json!({ "type": "tsv", "keys": ["time", "host", "req_id"], "time_key": "time" }),
            "2013/02/28 12:00:00 +0900\t192.168.0.1\t111",
            "2013-02-28T03:00:00Z",
            json!({ "host": "192.168.0.1", "req_id": "111" }),
        );
        check(
            tsv(&["a", "b"]),
            "1\t2\t3",
            "",
            json!({ "a": "1", "b": "2\t3" }),
        );
        check(
            tsv(&["a", "b", "c"]),
            "1\t2",
            "",
            json!({ "a": "1", "b": "2", "c": null }),
        );
        check(
            tsv(&["a", "b", "c"]),
            "1\t\t",
            "",
            json!({ "a": "1", "b": "", "c": "" }),
        );
        check(
            json!({ "type": "tsv", "keys": ["a", "b"], "delimiter": " | ", "types": "a:integer" }),
            "1 | x|y",
            "",
            json!({ "a": 1, "b": "x|y" }),
        );
        check(tsv(&["a"]), "", "", json!({ "a": "" }));
        let timed = json!({ "type": "tsv", "keys": ["t"], "time_key": "t" });
        assert!(refused(timed, "x").contains("time_format"));
    }
}
