//! Parser `apache2`: its access log in the forms `common` and `combined`.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors},
    parser::Parser,
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::{
    regexp::Groups,
    rules::{Common, Defaults},
};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "apache2",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Reads the access log of Apache",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// Those of every parser. `time_key` is `time`, `time_format` that of Apache, `code` and `size` are integers, and `-` is null.
    #[serde(flatten)]
    pub common: Common,
}

/// A line as Fluentd reads it.
const LINE: &str = r#"^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>(?:[^"]|\\.)*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>(?:[^"]|\\.)*)" "(?<agent>(?:[^"]|\\.)*)")?$"#;

const DEFAULTS: Defaults = Defaults {
    time_key: Some("time"),
    time_format: Some("%d/%b/%Y:%H:%M:%S %z"),
    types: &[("code", "integer"), ("size", "integer")],
    null_value_pattern: Some("^-$"),
    ..Defaults::NONE
};

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    Groups::fixed(LINE, &config.common, &DEFAULTS, cx)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{check, refused};

    #[test]
    fn real_lines_are_read() {
        let apache = || json!({ "type": "apache2" });
        check(
            apache(),
            r#"192.168.0.1 - - [28/Feb/2013:12:00:00 +0900] "GET / HTTP/1.1" 200 777 "-" "Opera/12.0""#,
            "2013-02-28T03:00:00Z",
            json!({ "host": "192.168.0.1", "user": null, "method": "GET", "path": "/", "code": 200, "size": 777, "referer": null, "agent": "Opera/12.0" }),
        );
        check(
            apache(),
            r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326"#,
            "2000-10-10T20:55:36Z",
            json!({ "host": "127.0.0.1", "user": "frank", "method": "GET", "path": "/apache_pb.gif", "code": 200, "size": 2326 }),
        );
        check(
            apache(),
            r#"10.0.0.7 - - [10/Jan/2026:11:59:59 +0000] "GET /cached HTTP/1.1" 304 - "https://a.example/?q=1" "Mozilla/5.0 (compatible; \"bot\")""#,
            "2026-01-10T11:59:59Z",
            json!({ "host": "10.0.0.7", "user": null, "method": "GET", "path": "/cached", "code": 304, "size": null, "referer": "https://a.example/?q=1", "agent": r#"Mozilla/5.0 (compatible; \"bot\")"# }),
        );
        check(
            apache(),
            r#"10.0.0.7 - - [10/Jan/2026:11:59:59 +0000] "-" 408 - "-" "-""#,
            "2026-01-10T11:59:59Z",
            json!({ "host": "10.0.0.7", "user": null, "method": null, "code": 408, "size": null, "referer": null, "agent": null }),
        );
        check(
            json!({ "type": "apache2", "types": "code:string", "keep_time_key": true }),
            r#"h - - [10/Jan/2026:11:59:59 +0000] "OPTIONS * HTTP/1.0" 200 1"#,
            "2026-01-10T11:59:59Z",
            json!({ "host": "h", "user": null, "time": "10/Jan/2026:11:59:59 +0000", "method": "OPTIONS", "path": "*", "code": "200", "size": 1 }),
        );
        assert!(refused(apache(), "no access log").contains("does not match"));
    }
}
