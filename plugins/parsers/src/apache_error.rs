//! Parser `apache_error`: its error log.

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
    name: "apache_error",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Reads the error log of Apache",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// Those of every parser. `time_key` is `time`, and `time_format` that of Apache, with a fraction of a second or without.
    #[serde(flatten)]
    pub common: Common,
}

/// A line as Fluentd reads it.
const LINE: &str = r"^\[[^ ]* (?<time>[^\]]*)\] \[(?<level>[^\]]*)\](?: \[pid (?<pid>[^\]]*)\])?( \[client (?<client>[^\]]*)\])? (?<message>.*)$";

const DEFAULTS: Defaults = Defaults {
    time_key: Some("time"),
    time_format: Some("%b %d %H:%M:%S.%N %Y"),
    time_format_fallbacks: &["%b %d %H:%M:%S %Y"],
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
        let error = || json!({ "type": "apache_error", "utc": true });
        check(
            error(),
            "[Wed Oct 11 14:32:52 2000] [error] [client 127.0.0.1] client denied by server configuration",
            "2000-10-11T14:32:52Z",
            json!({ "level": "error", "client": "127.0.0.1", "message": "client denied by server configuration" }),
        );
        check(
            error(),
            "[Sat Jan 10 11:59:59.123456 2026] [core:notice] [pid 7:tid 140] AH00094: Command line: 'httpd'",
            "2026-01-10T11:59:59.123456Z",
            json!({ "level": "core:notice", "pid": "7:tid 140", "message": "AH00094: Command line: 'httpd'" }),
        );
        check(
            error(),
            "[Sat Jan 10 11:59:59.5 2026] [php:warn] [pid 7] [client 10.0.0.1:4711] PHP Warning: x",
            "2026-01-10T11:59:59.5Z",
            json!({ "level": "php:warn", "pid": "7", "client": "10.0.0.1:4711", "message": "PHP Warning: x" }),
        );
        check(
            error(),
            "[Sun Feb  1 00:00:00 2026] [notice] caught SIGTERM, shutting down",
            "2026-02-01T00:00:00Z",
            json!({ "level": "notice", "message": "caught SIGTERM, shutting down" }),
        );
        check(
            json!({ "type": "apache_error", "timezone": "+09:00", "keep_time_key": true }),
            "[Sat Jan 10 11:59:59 2026] [info] up",
            "2026-01-10T02:59:59Z",
            json!({ "time": "Jan 10 11:59:59 2026", "level": "info", "message": "up" }),
        );
        assert!(refused(error(), "[x y] [error] z").contains("time_format"));
    }
}
