//! Parser `multiline`: records of several lines, read by an expression in parts.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors},
    event::Time,
    parser::{ParseError, Parser},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::{
    regexp::{self, Expression, Groups},
    rules::{Common, Rules},
};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "multiline",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Reads records of several lines by a regular expression in parts",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// A regular expression for the first line of a record. Without it, `format1` must match the first line.
    pub format_firstline: Option<String>,
    /// Part 1 of the expression, as `/expression/`. The parts are put together, a dot matches line feeds too, and the
    /// named groups become fields.
    pub format1: Option<String>,
    /// Part 2 of the expression.
    pub format2: Option<String>,
    /// Part 3 of the expression.
    pub format3: Option<String>,
    /// Part 4 of the expression.
    pub format4: Option<String>,
    /// Part 5 of the expression.
    pub format5: Option<String>,
    /// Part 6 of the expression.
    pub format6: Option<String>,
    /// Part 7 of the expression.
    pub format7: Option<String>,
    /// Part 8 of the expression.
    pub format8: Option<String>,
    /// Part 9 of the expression.
    pub format9: Option<String>,
    /// Part 10 of the expression.
    pub format10: Option<String>,
    /// Part 11 of the expression.
    pub format11: Option<String>,
    /// Part 12 of the expression.
    pub format12: Option<String>,
    /// Part 13 of the expression.
    pub format13: Option<String>,
    /// Part 14 of the expression.
    pub format14: Option<String>,
    /// Part 15 of the expression.
    pub format15: Option<String>,
    /// Part 16 of the expression.
    pub format16: Option<String>,
    /// Part 17 of the expression.
    pub format17: Option<String>,
    /// Part 18 of the expression.
    pub format18: Option<String>,
    /// Part 19 of the expression.
    pub format19: Option<String>,
    /// Part 20 of the expression.
    pub format20: Option<String>,
    /// Those of every parser. `time_key` is `time` by default.
    #[serde(flatten)]
    pub common: Common,
}

impl Config {
    /// The parts in order, without gaps.
    fn parts(&self) -> [Option<&str>; 20] {
        [
            self.format1.as_deref(),
            self.format2.as_deref(),
            self.format3.as_deref(),
            self.format4.as_deref(),
            self.format5.as_deref(),
            self.format6.as_deref(),
            self.format7.as_deref(),
            self.format8.as_deref(),
            self.format9.as_deref(),
            self.format10.as_deref(),
            self.format11.as_deref(),
            self.format12.as_deref(),
            self.format13.as_deref(),
            self.format14.as_deref(),
            self.format15.as_deref(),
            self.format16.as_deref(),
            self.format17.as_deref(),
            self.format18.as_deref(),
            self.format19.as_deref(),
            self.format20.as_deref(),
        ]
    }
}

struct Multiline {
    first_line: Expression,
    groups: Groups,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let mut errors = Vec::new();
    let rules =
        Rules::compile(&config.common, &regexp::DEFAULTS, cx).map_err(|found| errors.extend(found));
    let groups = groups(&config).map_err(|error| errors.push(error));
    let first = config
        .format_firstline
        .as_deref()
        .map(|text| ("/format_firstline", text));
    let (place, text) = first
        .or_else(|| Some(("/format1", config.format1.as_deref()?)))
        .unwrap_or(("/format1", ""));
    let first_line = Expression::compile(text).map_err(|error| {
        let error = ConfigError::at(place, error);
        errors.push(
            error.help("write format_firstline, an expression for the first line of a record"),
        );
    });
    let (Ok(rules), Ok(expression), Ok(first_line)) = (rules, groups, first_line) else {
        return Err(errors);
    };
    Ok(Arc::new(Multiline {
        first_line,
        groups: Groups::new(expression, rules),
    }))
}

/// The parts as one expression.
fn groups(config: &Config) -> Result<Expression, ConfigError> {
    let parts = config.parts();
    let count = parts.iter().take_while(|part| part.is_some()).count();
    if let Some(gap) = parts.iter().skip(count).position(Option::is_some) {
        let message = format!(
            "`format{}` is missing, so this part has no place",
            count + 1
        );
        return Err(ConfigError::at(
            format!("/format{}", count + gap + 1),
            message,
        ));
    }
    let whole: String = parts.into_iter().flatten().map(body).collect();
    if whole.is_empty() {
        let message =
            "there is no expression; write format1 = \"/^(?<time>[^ ]+) (?<message>.*)/\"";
        return Err(ConfigError::at("/format1", message));
    }
    let expression = Expression::compile_with(&whole, true)
        .map_err(|error| ConfigError::at("/format1", format!("all parts together: {error}")))?;
    regexp::named("/format1", expression)
}

/// A part without its slashes.
fn body(part: &str) -> &str {
    let inner = part
        .strip_prefix('/')
        .and_then(|rest| rest.strip_suffix('/'));
    inner.unwrap_or(part)
}

impl Parser for Multiline {
    fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
        self.groups.parse(text, record)
    }

    fn begins(&self, line: &[u8]) -> Option<bool> {
        Some(self.first_line.is_match(line))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::{check, parser, refused, try_parser};

    fn java() -> Value {
        json!({
            "type": "multiline",
            "format_firstline": "/\\d{4}-\\d{1,2}-\\d{1,2}/",
            "format1": "/^(?<time>\\d{4}-\\d{1,2}-\\d{1,2} \\d{1,2}:\\d{1,2}:\\d{1,2}) \\[(?<thread>.*)\\] (?<level>[^\\s]+)(?<message>.*)/",
            "utc": true,
        })
    }

    #[test]
    fn real_lines_are_read() {
        check(
            java(),
            "2013-3-03 14:27:33 [main] ERROR Main - Exception\njavax.management.RuntimeErrorException: null\n\tat Main.main(Main.java:16)",
            "2013-03-03T14:27:33Z",
            json!({ "thread": "main", "level": "ERROR", "message": " Main - Exception\njavax.management.RuntimeErrorException: null\n\tat Main.main(Main.java:16)" }),
        );
        check(
            java(),
            "2013-3-03 14:27:33 [main] INFO  Main - Start",
            "2013-03-03T14:27:33Z",
            json!({ "thread": "main", "level": "INFO", "message": "  Main - Start" }),
        );
        let rails = json!({
            "type": "multiline",
            "format_firstline": "/^Started/",
            "format1": r#"/Started (?<method>[^ ]+) "(?<path>[^"]+)" for (?<host>[^ ]+) at (?<time>[^ ]+ [^ ]+ [^ ]+)\n/"#,
            "format2": r"/Processing by (?<controller>[^\u0023]+)\u0023(?<controller_method>[^ ]+) as (?<format>[^ ]+?)\n/",
            "format3": r"/(  Parameters: (?<parameters>[^ ]+)\n)?/",
            "format4": r"/  Rendered (?<template>[^ ]+) within (?<layout>.+) \([\d\.]+ms\)\n/",
            "format5": r"/Completed (?<code>[^ ]+) [^ ]+ in (?<runtime>[\d\.]+)ms \(Views: (?<view_runtime>[\d\.]+)ms \| ActiveRecord: (?<ar_runtime>[\d\.]+)ms\)/",
            "types": "code:integer,runtime:float",
        });
        check(
            rails,
            "Started GET \"/users/123/\" for 127.0.0.1 at 2013-06-14 12:00:11 +0900\nProcessing by UsersController#show as HTML\n  Parameters: {\"user_id\"=>\"123\"}\n  Rendered users/show.html.erb within layouts/application (0.3ms)\nCompleted 200 OK in 4ms (Views: 3.2ms | ActiveRecord: 0.0ms)",
            "2013-06-14T03:00:11Z",
            json!({ "method": "GET", "path": "/users/123/", "host": "127.0.0.1", "controller": "UsersController", "controller_method": "show", "format": "HTML", "parameters": "{\"user_id\"=>\"123\"}", "template": "users/show.html.erb", "layout": "layouts/application", "code": 200, "runtime": 4.0, "view_runtime": "3.2", "ar_runtime": "0.0" }),
        );
        assert!(refused(java(), "\tat Main.main(Main.java:16)").contains("does not match"));
    }

    #[test]
    fn the_first_line_tells_where_a_record_begins() {
        let java = parser(java());
        assert_eq!(java.begins(b"2013-3-03 14:27:33 [main] INFO x"), Some(true));
        assert_eq!(java.begins(b"\tat Main.main(Main.java:16)"), Some(false));
        let without = parser(
            json!({ "type": "multiline", "format1": "/^(?<n>[0-9]+)/", "format2": "/\\n(?<m>.*)/" }),
        );
        assert_eq!(without.begins(b"12"), Some(true));
        assert_eq!(without.begins(b"x"), Some(false));
    }

    #[test]
    fn parts_that_make_no_expression_are_named() {
        let paths = |table: Value| -> Vec<String> {
            try_parser(table)
                .err()
                .unwrap()
                .into_iter()
                .map(|error| error.path)
                .collect()
        };
        assert_eq!(paths(json!({ "type": "multiline" })), ["/format1"]);
        let gap = json!({ "type": "multiline", "format1": "/(?<a>x)/", "format3": "/y/" });
        assert_eq!(paths(gap), ["/format3"]);
        let open = json!({ "type": "multiline", "format1": "/(?<a>x/", "format2": "/y)/" });
        assert_eq!(paths(open), ["/format1"]);
        let open = json!({ "type": "multiline", "format_firstline": "/x/", "format1": "/(?<a>x/", "format2": "/y)/" });
        assert!(try_parser(open).is_ok());
    }
}
