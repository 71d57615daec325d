//! Parser `csv`: values with commas between them, quoted where they need it (RFC 4180).

use std::{borrow::Cow, sync::Arc};

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors, OneOrMany},
    event::Time,
    parser::{ParseError, Parser},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::{
    fields::Fields,
    rules::{Column, Common, Defaults, Rules},
};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "csv",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Reads values with commas between them",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The names of the values, in order. A value without a name is left out, a name without a value becomes null.
    pub keys: OneOrMany<String>,
    /// What stands between two values.
    #[serde(default = "default_delimiter")]
    pub delimiter: String,
    /// Has no use here: there is one reader.
    pub parser_engine: Option<Engine>,
    /// Those of every parser.
    #[serde(flatten)]
    pub common: Common,
}

/// Fluentd's two readers.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// That of Ruby.
    Normal,
    /// A simpler one.
    Fast,
}

fn default_delimiter() -> String {
    ",".into()
}

struct Csv {
    rules: Rules,
    columns: Vec<Column>,
    delimiter: Vec<u8>,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let (rules, columns) = columns(&config.keys.0, &config.delimiter, &config.common, cx)?;
    Ok(Arc::new(Csv {
        rules,
        columns,
        delimiter: config.delimiter.into(),
    }))
}

/// The rules and the columns, for this parser and for `tsv`.
pub(crate) fn columns(
    keys: &[String],
    delimiter: &str,
    common: &Common,
    cx: &BuildCx,
) -> Result<(Rules, Vec<Column>), ConfigErrors> {
    let mut errors = Vec::new();
    if keys.is_empty() {
        let message = "no value has a name; write keys = [\"time\", \"host\", ...]";
        errors.push(ConfigError::at("/keys", message));
    }
    if delimiter.is_empty() || delimiter.contains('"') {
        let message = "it must be at least one character, and no quote; write \",\" or \"\\t\"";
        errors.push(ConfigError::at("/delimiter", message));
    }
    match Rules::compile(common, &Defaults::NONE, cx) {
        Ok(rules) if errors.is_empty() => {
            let columns = keys.iter().map(|key| rules.column(key)).collect();
            Ok((rules, columns))
        }
        rules => {
            errors.extend(rules.err().unwrap_or_default());
            Err(errors)
        }
    }
}

impl Parser for Csv {
    fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
        let mut fields = Fields::begin(&self.rules, record);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let mut rest = Some(text);
        for column in &self.columns {
            let Some(left) = rest else {
                fields.nil(column);
                continue;
            };
            let (value, after) = self.value(left)?;
            match value {
                Some(value) => fields.column(column, &value)?,
                None => fields.nil(column),
            }
            rest = after;
        }
        Ok(fields.end())
    }
}

/// A value, `None` when nothing is written, and what follows its delimiter.
type Split<'t> = (Option<Cow<'t, [u8]>>, Option<&'t [u8]>);

impl Csv {
    #[inline]
    fn value<'t>(&self, text: &'t [u8]) -> Result<Split<'t>, ParseError> {
        if let Some(quoted) = text.strip_prefix(b"\"") {
            return self.quoted(quoted);
        }
        let end = memchr::memmem::find(text, &self.delimiter);
        let value = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
        let rest = end.and_then(|end| text.get(end + self.delimiter.len()..));
        Ok(((!value.is_empty()).then_some(Cow::Borrowed(value)), rest))
    }

    fn quoted<'t>(&self, text: &'t [u8]) -> Result<Split<'t>, ParseError> {
        let mut value = Cow::Borrowed(&[][..]);
        let mut rest = text;
        loop {
            let end = memchr::memchr(b'"', rest)
                .ok_or_else(|| ParseError::new("a quoted value does not end"))?;
            let part = rest.get(..end).unwrap_or_default();
            rest = rest.get(end + 1..).unwrap_or_default();
            let is_doubled = rest.first() == Some(&b'"');
            if value.is_empty() && !is_doubled {
                value = Cow::Borrowed(part);
            } else {
                value.to_mut().extend_from_slice(part);
            }
            if !is_doubled {
                break;
            }
            value.to_mut().push(b'"');
            rest = rest.get(1..).unwrap_or_default();
        }
        if rest.is_empty() {
            return Ok((Some(value), None));
        }
        match rest.strip_prefix(self.delimiter.as_slice()) {
            Some(rest) => Ok((Some(value), Some(rest))),
            None => Err(ParseError::new("more text follows a quoted value")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use crate::testing::{check, parse, parser, refused, try_parser};

    fn csv(keys: &[&str]) -> Value {
        json!({ "type": "csv", "keys": keys })
    }

    #[test]
    fn real_lines_are_read() {
        check(
            json!({ "type": "csv", "keys": ["time", "host", "req_id", "user"], "time_key": "time" }),
            "2013/02/28 12:00:00 +0900,192.168.0.1,111,-",
            "2013-02-28T03:00:00Z",
            json!({ "host": "192.168.0.1", "req_id": "111", "user": "-" }),
        );
        check(
            csv(&["a", "b", "c"]),
            r#""x, y","say ""hi""","""#,
            "",
            json!({ "a": "x, y", "b": "say \"hi\"", "c": "" }),
        );
        check(
            csv(&["a", "b", "c"]),
            "1,,3",
            "",
            json!({ "a": "1", "b": null, "c": "3" }),
        );
        check(
            csv(&["a", "b", "c"]),
            "1,2",
            "",
            json!({ "a": "1", "b": "2", "c": null }),
        );
        check(csv(&["a", "b"]), "1,2,3", "", json!({ "a": "1", "b": "2" }));
        check(
            csv(&["a", "b"]),
            "in\"side,\"two\nlines\"\r",
            "",
            json!({ "a": "in\"side", "b": "two\nlines" }),
        );
        check(
            json!({ "type": "csv", "keys": ["a", "b"], "delimiter": ";;", "types": "b:float", "parser_engine": "fast" }),
            "\"1\";;2.5",
            "",
            json!({ "a": "1", "b": 2.5 }),
        );
        assert!(refused(csv(&["a"]), "\"open").contains("does not end"));
        assert!(refused(csv(&["a"]), "\"a\"b,c").contains("more text"));
        let paths: Vec<_> = try_parser(json!({ "type": "csv", "keys": [], "delimiter": "" }))
            .err()
            .unwrap()
            .into_iter()
            .map(|error| error.path)
            .collect();
        assert_eq!(paths, ["/keys", "/delimiter"]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(values in prop::collection::vec("[a,\" \n]{0,6}", 1..20)) {
            let keys: Vec<_> = (0..values.len()).map(|index| format!("k{index}")).collect();
            let line: Vec<_> =
                values.iter().map(|value| format!("\"{}\"", value.replace('"', "\"\""))).collect();
            let expected: Map<String, Value> =
                keys.iter().cloned().zip(values.into_iter().map(Value::from)).collect();
            let table = json!({ "type": "csv", "keys": keys });
            prop_assert_eq!(parse(&*parser(table), line.join(",").as_bytes()), Ok((None, expected.into())));
        }

        #[test]
        fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..80)) {
            let _any = parse(&*parser(csv(&["a", "b"])), &text);
        }
    }
}
