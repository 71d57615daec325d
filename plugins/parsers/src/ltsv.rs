//! Parser `ltsv`: labels and values, with a tab between the pairs.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors, Pattern},
    event::Time,
    msgpack::write,
    parser::{ParseError, Parser},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::{
    fields::Fields,
    json,
    rules::{Common, Rules},
};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "ltsv",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Reads labelled values with tabs between them",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// What stands between two pairs.
    #[serde(default = "default_delimiter")]
    pub delimiter: String,
    /// A regular expression for what stands between two pairs, instead of `delimiter`.
    pub delimiter_pattern: Option<Pattern>,
    /// What stands between a label and its value.
    #[serde(default = "default_label_delimiter")]
    pub label_delimiter: String,
    /// Those of every parser. `time_key` is `time` by default; a field of this name that is no time stays as it is,
    /// unless `time_key` is written.
    #[serde(flatten)]
    pub common: Common,
}

fn default_delimiter() -> String {
    "\t".into()
}

fn default_label_delimiter() -> String {
    ":".into()
}

struct Ltsv {
    rules: Rules,
    delimiter: Vec<u8>,
    pattern: Option<Pattern>,
    label_delimiter: Vec<u8>,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let mut errors = Vec::new();
    for (key, text) in [
        ("/delimiter", &config.delimiter),
        ("/label_delimiter", &config.label_delimiter),
    ] {
        if text.is_empty() {
            errors.push(ConfigError::at(
                key,
                "it is empty; write at least one character",
            ));
        }
    }
    let rules = Rules::compile(&config.common, &json::DEFAULTS, cx);
    match rules {
        Ok(rules) if errors.is_empty() => Ok(Arc::new(Ltsv {
            rules,
            delimiter: config.delimiter.into(),
            pattern: config.delimiter_pattern,
            label_delimiter: config.label_delimiter.into(),
        })),
        rules => {
            errors.extend(rules.err().unwrap_or_default());
            Err(errors)
        }
    }
}

impl Parser for Ltsv {
    fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
        let mut fields = Fields::begin(&self.rules, record);
        let mut has_label = false;
        let mut rest = Some(text);
        while let Some(left) = rest {
            let (pair, after) = self.split(left);
            rest = after;
            has_label |= self.pair(&mut fields, pair)?;
        }
        if has_label {
            Ok(fields.end())
        } else {
            Err(ParseError::new("no field has a label"))
        }
    }
}

impl Ltsv {
    /// The first pair, and what is behind the delimiter.
    #[inline]
    fn split<'t>(&self, text: &'t [u8]) -> (&'t [u8], Option<&'t [u8]>) {
        let found = match (&self.pattern, self.delimiter.as_slice()) {
            (Some(pattern), _) => pattern
                .regex()
                .find(text)
                .filter(|found| found.end() > 0)
                .map(|found| found.range()),
            (None, [byte]) => memchr::memchr(*byte, text).map(|at| at..at + 1),
            (None, bytes) => memchr::memmem::find(text, bytes).map(|at| at..at + bytes.len()),
        };
        match found {
            Some(range) => (
                text.get(..range.start).unwrap_or_default(),
                text.get(range.end..),
            ),
            None => (text, None),
        }
    }

    /// Writes a pair; a label without a value gets null. Returns whether there was a value.
    fn pair(&self, fields: &mut Fields<'_, '_>, pair: &[u8]) -> Result<bool, ParseError> {
        match memchr::memmem::find(pair, &self.label_delimiter) {
            Some(at) => {
                let value = pair
                    .get(at + self.label_delimiter.len()..)
                    .unwrap_or_default();
                fields.text(pair.get(..at).unwrap_or_default(), value)?;
                Ok(true)
            }
            None if pair.is_empty() => Ok(false),
            None => fields.value(pair, write::nil).map(|()| false),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use crate::testing::{check, parse, parser, refused, try_parser};

    fn ltsv() -> Value {
        json!({ "type": "ltsv" })
    }

    #[test]
    fn real_lines_are_read() {
        check(
            ltsv(),
            "time:2013-02-28T12:00:00+09:00\thost:192.168.0.1\treq_id:111",
            "2013-02-28T03:00:00Z",
            json!({ "host": "192.168.0.1", "req_id": "111" }),
        );
        check(
            json!({ "type": "ltsv", "types": "status:integer,reqtime:float", "time_format": "%d/%b/%Y:%H:%M:%S %z", "time_key": "t" }),
            "t:28/Feb/2013:12:00:00 +0900\tstatus:200\treqtime:0.05\tua:Mozilla/5.0: x",
            "2013-02-28T03:00:00Z",
            json!({ "status": 200, "reqtime": 0.05, "ua": "Mozilla/5.0: x" }),
        );
        check(ltsv(), "a:\tb:-", "", json!({ "a": "", "b": "-" }));
        check(
            ltsv(),
            "a:1\tno label\t\tb:2",
            "",
            json!({ "a": "1", "no label": null, "b": "2" }),
        );
        check(
            json!({ "type": "ltsv", "delimiter": "; ", "label_delimiter": "=" }),
            "a=1; b=x;y",
            "",
            json!({ "a": "1", "b": "x;y" }),
        );
        check(
            json!({ "type": "ltsv", "delimiter_pattern": "/\\s+/", "label_delimiter": "=" }),
            "a=1   b=2\t c=3",
            "",
            json!({ "a": "1", "b": "2", "c": "3" }),
        );
        check(
            ltsv(),
            "time:noon\ta:1",
            "",
            json!({ "time": "noon", "a": "1" }),
        );
        assert!(refused(ltsv(), "plain text").contains("label"));
        let empty = try_parser(json!({ "type": "ltsv", "delimiter": "" }))
            .err()
            .unwrap();
        assert_eq!(empty[0].path, "/delimiter");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(pairs in prop::collection::vec(("[a-z]{1,5}", "[^\t]{0,9}"), 1..20)) {
            let line: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}:{value}")).collect();
            let expected: Map<String, Value> =
                pairs.into_iter().map(|(key, value)| (key, value.into())).collect();
            let table = json!({ "type": "ltsv", "time_key": "-" });
            prop_assert_eq!(parse(&*parser(table), line.join("\t").as_bytes()), Ok((None, expected.into())));
        }

        #[test]
        fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..80)) {
            let _any = parse(&*parser(ltsv()), &text);
            let _any = parse(&*parser(json!({ "type": "ltsv", "delimiter_pattern": "a*" })), &text);
        }
    }
}
