//! Parser `nginx`: its access log in the form `combined`.

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
    name: "nginx",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Reads the access log of nginx",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// Those of every parser. `time_key` is `time`, and `time_format` that of nginx.
    #[serde(flatten)]
    pub common: Common,
}

/// A line as Fluentd reads it.
const LINE: &str = r#"^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^"]*)" "(?<agent>[^"]*)"(?:\s+"?(?<http_x_forwarded_for>[^"]*)"?)?)?$"#;

const DEFAULTS: Defaults = Defaults {
    time_key: Some("time"),
    time_format: Some("%d/%b/%Y:%H:%M:%S %z"),
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
        let nginx = || json!({ "type": "nginx" });
        check(
            nginx(),
            r#"127.0.0.1 192.168.0.1 - [28/Feb/2013:12:00:00 +0900] "GET / HTTP/1.1" 200 777 "-" "Opera/12.0""#,
            "2013-02-28T03:00:00Z",
            json!({ "remote": "127.0.0.1", "host": "192.168.0.1", "user": "-", "method": "GET", "path": "/", "code": "200", "size": "777", "referer": "-", "agent": "Opera/12.0" }),
        );
        check(
            nginx(),
            r#"10.244.1.7 - alice [10/Jan/2026:11:59:59 +0000] "POST /api/v1/pay?id=1 HTTP/2.0" 502 150 "https://shop.example/cart" "Mozilla/5.0 (X11; Linux x86_64)" "203.0.113.9, 10.0.0.1""#,
            "2026-01-10T11:59:59Z",
            json!({ "remote": "10.244.1.7", "host": "-", "user": "alice", "method": "POST", "path": "/api/v1/pay?id=1", "code": "502", "size": "150", "referer": "https://shop.example/cart", "agent": "Mozilla/5.0 (X11; Linux x86_64)", "http_x_forwarded_for": "203.0.113.9, 10.0.0.1" }),
        );
        check(
            nginx(),
            r#"127.0.0.1 - - [10/Jan/2026:11:59:59 +0000] "GET" 400 0"#,
            "2026-01-10T11:59:59Z",
            json!({ "remote": "127.0.0.1", "host": "-", "user": "-", "method": "GET", "code": "400", "size": "0" }),
        );
        check(
            nginx(),
            r#"::1 - - [10/Jan/2026:11:59:59 +0100] "GET /a b HTTP/1.1" 404 9 "-" "-""#,
            "2026-01-10T10:59:59Z",
            json!({ "remote": "::1", "host": "-", "user": "-", "method": "GET", "path": "/a b", "code": "404", "size": "9", "referer": "-", "agent": "-" }),
        );
        check(
            json!({ "type": "nginx", "types": "code:integer,size:integer", "keep_time_key": true, "null_value_pattern": "^-$" }),
            r#"1.2.3.4 - - [10/Jan/2026:11:59:59 +0000] "HEAD /healthz HTTP/1.0" 204 0 "-" "kube-probe/1.30""#,
            "2026-01-10T11:59:59Z",
            json!({ "remote": "1.2.3.4", "host": null, "user": null, "time": "10/Jan/2026:11:59:59 +0000", "method": "HEAD", "path": "/healthz", "code": 204, "size": 0, "referer": null, "agent": "kube-probe/1.30" }),
        );
        let error = "2026/01/10 11:59:59 [error] 7#7: *1 open() failed";
        assert!(refused(nginx(), error).contains("does not match"));
    }
}
