//! Parser `logfmt`: `key=value` pairs with blanks between them, as Go programs and Heroku write them.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors},
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
    name: "logfmt",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Reads key=value pairs with blanks between them",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// Those of every parser. `time_key` is `time` by default; a field of this name that is no time stays as it is,
    /// unless `time_key` is written.
    #[serde(flatten)]
    pub common: Common,
}

struct Logfmt {
    rules: Rules,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let rules = Rules::compile(&config.common, &json::DEFAULTS, cx)?;
    Ok(Arc::new(Logfmt { rules }))
}

impl Parser for Logfmt {
    fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
        let mut fields = Fields::begin(&self.rules, record);
        let mut has_value = false;
        let mut rest = text.trim_ascii_start();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte <= b' ' || *byte == b'=');
            let (key, after) = rest
                .split_at_checked(end.unwrap_or(rest.len()))
                .unwrap_or_default();
            if key.is_empty() {
                return Err(ParseError::new("a pair has no key"));
            }
            let behind = if let Some(value) = after.strip_prefix(b"=") {
                has_value = true;
                pair(&mut fields, key, value)?
            } else {
                fields.value(key, |out| write::bool(out, true))?;
                after
            };
            rest = behind.trim_ascii_start();
        }
        if has_value {
            Ok(fields.end())
        } else {
            Err(ParseError::new("no key has a value"))
        }
    }
}

/// Writes a pair whose value begins `text`, and returns what is behind it.
fn pair<'t>(
    fields: &mut Fields<'_, '_>,
    key: &[u8],
    text: &'t [u8],
) -> Result<&'t [u8], ParseError> {
    if let Some(quoted) = text.strip_prefix(b"\"") {
        let mut len = Err("");
        fields.value(key, |out| {
            len = json::write_string(quoted, out);
            if len.is_err() {
                write::nil(out);
            }
        })?;
        let len = len.map_err(|reason| ParseError::new(format!("in a quoted value, {reason}")))?;
        let rest = quoted.get(len..).unwrap_or_default();
        return match rest.first() {
            None | Some(0..=b' ') => Ok(rest),
            Some(_) => Err(ParseError::new("more text follows a quoted value")),
        };
    }
    let end = text
        .iter()
        .position(|byte| *byte <= b' ')
        .unwrap_or(text.len());
    fields.text(key, text.get(..end).unwrap_or_default())?;
    Ok(text.get(end..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use crate::testing::{check, parse, parser, refused};

    fn logfmt() -> Value {
        json!({ "type": "logfmt" })
    }

    #[test]
    fn real_lines_are_read() {
        check(
            logfmt(),
            r#"time="2024-01-02T03:04:05Z" level=info msg="Starting \"server\"\n" port=8080"#,
            "2024-01-02T03:04:05Z",
            json!({ "level": "info", "msg": "Starting \"server\"\n", "port": "8080" }),
        );
        check(
            json!({ "type": "logfmt", "time_key": "ts", "types": "duration:float,ok:bool" }),
            "ts=2024-01-02T03:04:05.678Z caller=main.go:42 duration=1.5s ok=true",
            "2024-01-02T03:04:05.678Z",
            json!({ "caller": "main.go:42", "duration": 1.5, "ok": true }),
        );
        check(
            logfmt(),
            r#"at=info method=GET path=/ host=a.example.com fwd="1.2.3.4" dyno=web.1 status=200"#,
            "",
            json!({ "at": "info", "method": "GET", "path": "/", "host": "a.example.com", "fwd": "1.2.3.4", "dyno": "web.1", "status": "200" }),
        );
        check(
            logfmt(),
            "debug a= b=\"\"  c=x=y",
            "",
            json!({ "debug": true, "a": "", "b": "", "c": "x=y" }),
        );
        check(logfmt(), "  a=1\tb=2  ", "", json!({ "a": "1", "b": "2" }));
        check(
            logfmt(),
            "a=caf\u{e9} b=\"\\u00e9\"",
            "",
            json!({ "a": "caf\u{e9}", "b": "\u{e9}" }),
        );
        assert!(refused(logfmt(), "plain text without pairs").contains("value"));
        assert!(refused(logfmt(), "").contains("value"));
        assert!(refused(logfmt(), "=x").contains("no key"));
        assert!(refused(logfmt(), "a=\"x").contains("does not end"));
        assert!(refused(logfmt(), "a=\"x\"y").contains("more text"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..80)) {
            let _any = parse(&*parser(logfmt()), &text);
        }
    }
}
