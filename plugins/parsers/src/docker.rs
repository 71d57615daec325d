//! Parser `docker`: the lines of Docker's `json-file` driver.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors},
    event::Time,
    msgpack::{Reader, Token, write},
    parser::{ParseError, Parser},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::{
    fields::Map,
    json,
    rules::{Common, Rules},
};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "docker",
    aliases: &["docker_json"],
    stability: Stability::Stable,
    summary: "Reads the lines of Docker's json-file driver",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The field for the text that the container wrote, which Docker calls `log`.
    #[serde(default = "default_message_key")]
    pub message_key: String,
    /// Take the line feed off the end of the text. Without it a part of a line can only be told by `logtag_key`.
    #[serde(default)]
    pub remove_newline: bool,
    /// Add a field with this name that says whether the line is whole: `F` when the text ends with a line feed, else
    /// `P`, as containerd writes it.
    pub logtag_key: Option<String>,
    /// Those of every parser. `time_key` is `time` by default.
    #[serde(flatten)]
    pub common: Common,
}

/// What Docker calls the text.
const LOG: &[u8] = b"log";

fn default_message_key() -> String {
    "log".into()
}

struct Docker {
    rules: Rules,
    message_key: String,
    remove_newline: bool,
    logtag_key: Option<String>,
    is_plain: bool,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let rules = Rules::compile(&config.common, &json::DEFAULTS, cx)?;
    let is_renamed = config.message_key.as_bytes() != LOG;
    Ok(Arc::new(Docker {
        rules,
        is_plain: !is_renamed && !config.remove_newline && config.logtag_key.is_none(),
        message_key: config.message_key,
        remove_newline: config.remove_newline,
        logtag_key: config.logtag_key,
    }))
}

impl Parser for Docker {
    fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
        if self.is_plain {
            return json::object(&self.rules, text, record);
        }
        let mut read = Vec::with_capacity(text.len());
        let time = json::object(&self.rules, text, &mut read)?;
        self.rewrite(&read, record);
        Ok(time)
    }
}

impl Docker {
    /// Copies the record with the text under its name, and its line feed told in a field of its own.
    fn rewrite(&self, read: &[u8], record: &mut Vec<u8>) {
        let mut reader = Reader::new(read);
        let Ok(Token::Map(pairs)) = reader.token() else {
            return;
        };
        let mut map = Map::begin(record);
        let mut is_whole = false;
        for _ in 0..pairs {
            let (Ok(key), Ok(value)) = (reader.value(), reader.value()) else {
                break;
            };
            if let Some(log) = value.as_bytes().filter(|_| key.as_bytes() == Some(LOG)) {
                let stripped = log.strip_suffix(b"\n");
                is_whole = stripped.is_some();
                let stripped = stripped.filter(|_| self.remove_newline);
                write::str(record, &self.message_key);
                write::str_bytes(record, stripped.unwrap_or(log));
            } else {
                record.extend_from_slice(key.bytes());
                record.extend_from_slice(value.bytes());
            }
            map.count();
        }
        if let Some(key) = &self.logtag_key {
            write::str(record, key);
            write::str(record, if is_whole { "F" } else { "P" });
            map.count();
        }
        map.end(record);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{check, refused};

    #[test]
    fn real_lines_are_read() {
        let line = r#"{"log":"2024/01/02 started\n","stream":"stderr","time":"2024-01-02T03:04:05.678901234Z"}"#;
        check(
            json!({ "type": "docker" }),
            line,
            "2024-01-02T03:04:05.678901234Z",
            json!({ "log": "2024/01/02 started\n", "stream": "stderr" }),
        );
        check(
            json!({ "type": "docker", "remove_newline": true, "message_key": "message", "keep_time_key": true }),
            line,
            "2024-01-02T03:04:05.678901234Z",
            json!({ "message": "2024/01/02 started", "stream": "stderr", "time": "2024-01-02T03:04:05.678901234Z" }),
        );
        check(
            json!({ "type": "docker", "remove_newline": true, "logtag_key": "logtag" }),
            line,
            "2024-01-02T03:04:05.678901234Z",
            json!({ "log": "2024/01/02 started", "stream": "stderr", "logtag": "F" }),
        );
        check(
            json!({ "type": "docker", "logtag_key": "logtag" }),
            r#"{"log":"16 KiB and no end","stream":"stdout","time":"2024-01-02T03:04:05Z"}"#,
            "2024-01-02T03:04:05Z",
            json!({ "log": "16 KiB and no end", "stream": "stdout", "logtag": "P" }),
        );
        check(
            json!({ "type": "docker", "remove_newline": true }),
            r#"{"log":"\n","stream":"stdout","attrs":{"tag":"a"},"time":"2024-01-02T03:04:05+09:00"}"#,
            "2024-01-01T18:04:05Z",
            json!({ "log": "", "stream": "stdout", "attrs": { "tag": "a" } }),
        );
        check(
            json!({ "type": "docker" }),
            r#"{"log":"x"}"#,
            "",
            json!({ "log": "x" }),
        );
        assert!(refused(json!({ "type": "docker" }), "x").contains("JSON"));
    }
}
