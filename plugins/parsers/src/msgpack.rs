//! Parser `msgpack`: one MessagePack map.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors},
    event::Time,
    msgpack::RawValue,
    parser::{ParseError, Parser},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::{
    fields::Fields,
    rules::{Common, Defaults, Rules},
};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "msgpack",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Takes one MessagePack map",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// Those of every parser.
    #[serde(flatten)]
    pub common: Common,
}

struct Msgpack {
    rules: Rules,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let rules = Rules::compile(&config.common, &Defaults::NONE, cx)?;
    Ok(Arc::new(Msgpack { rules }))
}

impl Parser for Msgpack {
    fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
        let value = RawValue::parse(text)
            .map_err(|error| ParseError::new(format!("not one MessagePack value: {error}")))?;
        let pairs = value
            .pairs()
            .ok_or_else(|| ParseError::new("the value is not a map"))?;
        if self.rules.is_blind() {
            record.extend_from_slice(text);
            return Ok(None);
        }
        let mut fields = Fields::begin(&self.rules, record);
        for (key, value) in pairs {
            match key.as_bytes() {
                Some(name) => {
                    fields.value(name, |out| out.extend_from_slice(value.bytes()))?;
                }
                None => fields.raw(key.bytes(), value.bytes()),
            }
        }
        Ok(fields.end())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sdk::msgpack::write;
    use serde_json::{Value, json};

    use crate::testing::{parse, parser};

    fn bytes(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        write::json(&mut out, value);
        out
    }

    #[track_caller]
    fn check(params: Value, value: &Value, expected: Result<(Option<&str>, Value), &str>) {
        let parsed = parse(&*parser(params), &bytes(value));
        match expected {
            Ok((time, record)) => assert_eq!(parsed, Ok((time.map(ToOwned::to_owned), record))),
            Err(part) => assert!(parsed.unwrap_err().contains(part)),
        }
    }

    #[test]
    fn maps_are_taken_as_they_are() {
        let plain = || json!({ "type": "msgpack" });
        for record in [
            json!({}),
            json!({ "a": 1, "b": [true, null], "c": { "d": 1.5 } }),
            json!({ "message": "hello" }),
        ] {
            check(plain(), &record, Ok((None, record.clone())));
        }
        let timed = json!({ "type": "msgpack", "time_key": "t", "types": "n:integer" });
        check(
            timed,
            &json!({ "t": 1.5, "n": "12", "x": [1] }),
            Ok((
                Some("1970-01-01T00:00:01.500000000Z"),
                json!({ "n": 12, "x": [1] }),
            )),
        );
        check(plain(), &json!([1]), Err("not a map"));
        check(plain(), &json!("text"), Err("not a map"));
        let cut = &bytes(&json!({ "a": "b" }))[..2];
        assert!(
            parse(&*parser(plain()), cut)
                .unwrap_err()
                .contains("cut off")
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..80)) {
            let _any = parse(&*parser(json!({ "type": "msgpack" })), &text);
            let _any = parse(&*parser(json!({ "type": "msgpack", "time_key": "a" })), &text);
        }
    }
}
