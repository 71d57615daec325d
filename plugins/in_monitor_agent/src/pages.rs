//! The pages: `/api/plugins` and `/api/config` as LTSV, the same with `.json` as JSON.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use sdk::monitor::Monitor;
use serde_json::{Value, json};

use crate::figures::{Wanted, describe};

type Pairs = Query<HashMap<String, String>>;

#[derive(Clone)]
struct Pages {
    monitor: Arc<dyn Monitor>,
    wanted: Wanted,
}

/// The pages over what `monitor` says.
pub(crate) fn router(monitor: Arc<dyn Monitor>, wanted: Wanted) -> Router {
    Router::new()
        .route("/api/plugins", get(plugins_ltsv))
        .route("/api/plugins.json", get(plugins_json))
        .route("/api/config", get(config_ltsv))
        .route("/api/config.json", get(config_json))
        .fallback(|| async { (StatusCode::NOT_FOUND, "404 Not Found") })
        .with_state(Pages { monitor, wanted })
}

async fn plugins_json(State(pages): State<Pages>, Query(query): Pairs) -> Response {
    json_page(&query, &json!({ "plugins": pages.plugins(&query) }))
}

async fn plugins_ltsv(State(pages): State<Pages>, Query(query): Pairs) -> Response {
    ltsv_page(&pages.plugins(&query))
}

async fn config_json(State(pages): State<Pages>, Query(query): Pairs) -> Response {
    json_page(&query, &pages.process())
}

async fn config_ltsv(State(pages): State<Pages>) -> Response {
    ltsv_page(&[pages.process()])
}

impl Pages {
    /// The plugins that the query asks for: all, or those with an id or of a type.
    fn plugins(&self, query: &HashMap<String, String>) -> Vec<Value> {
        let ask = |names: [&str; 2]| names.iter().find_map(|name| query.get(*name));
        let (id, kind) = (ask(["@id", "id"]), ask(["@type", "type"]));
        let switch = |name: &str, default: bool| {
            query.get(name).map_or(default, |word| {
                matches!(word.as_str(), "yes" | "true" | "1" | "")
            })
        };
        // What the configuration hides, no query shows.
        let wanted = Wanted {
            config: self.wanted.config && switch("with_config", true),
            retry: self.wanted.retry && switch("with_retry", true),
        };
        self.monitor
            .components()
            .iter()
            .filter(|component| id.is_none_or(|id| **id == *component.id))
            .filter(|component| kind.is_none_or(|kind| kind == component.plugin))
            .map(|component| describe(component, wanted))
            .collect()
    }

    fn process(&self) -> Value {
        let process = self.monitor.process();
        json!({
            "pid": std::process::id(),
            "ppid": parent(),
            "config_path": process.config_path,
            "pid_file": null,
            "plugin_dirs": [],
            "log_path": null,
            "hostname": process.hostname,
            "version": process.version,
        })
    }
}

/// The process that started this one; null where there is no `/proc`.
fn parent() -> Option<u32> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// JSON; indented when the query has `debug`.
fn json_page(query: &HashMap<String, String>, value: &Value) -> Response {
    let text = if query.contains_key("debug") {
        format!("{value:#}")
    } else {
        value.to_string()
    };
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// One line per object, `name:value` between tabs.
fn ltsv_page(objects: &[Value]) -> Response {
    let mut out = String::new();
    for object in objects {
        let pairs = object.as_object().into_iter().flatten();
        for (place, (name, value)) in pairs.enumerate() {
            let text = match value {
                Value::String(text) => text.replace(['\t', '\n'], " "),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            let tab = if place == 0 { "" } else { "\t" };
            out.extend([tab, name, ":", &text]);
        }
        out.push('\n');
    }
    ([(header::CONTENT_TYPE, "text/plain")], out).into_response()
}
