//! Keys of a `buffer` table about chunk keys and their time that say nothing together, or contradict each other.

use sdk::config::Interval;

use crate::config::{
    buffer::BufferKind,
    diagnostic::{Code, Diagnostic},
    draft::{Head, OutputDraft},
    tree::Node,
};

/// Keys that only say something about slots of time.
const OF_TIME: [&str; 4] = ["timekey", "timekey_wait", "timekey_use_utc", "timekey_zone"];

/// Looks at the `buffer` table of an output.
pub(super) fn look(head: &Head, output: &OutputDraft, findings: &mut Vec<Diagnostic>) {
    let Some(keys) = head.node.get("buffer").map(|entry| &entry.node) else {
        return;
    };
    let mut report = |key: &str, message: String, help: &str| {
        findings.push(Diagnostic::new(Code::BadValue, keys.place(key), message).help(help));
    };
    // As it is written: a mistake in one key must not make others look wrong.
    let has = |key: &str| keys.get(key).is_some();
    let text = |key: &str| keys.get(key).and_then(|entry| entry.node.text());
    let chunk_keys = chunk_keys(keys);
    let by_time = chunk_keys.iter().any(|key| key == "time");
    let mode = text("flush_mode").unwrap_or(if by_time { "lazy" } else { "interval" });
    if let Some(key) = twice(&chunk_keys) {
        let message = format!("`{key}` is twice in `chunk_keys`");
        report("chunk_keys", message, "remove one of the two");
    }
    if !by_time {
        for key in OF_TIME.into_iter().filter(|key| has(key)) {
            let message = format!("`{key}` has no use without \"time\" in `chunk_keys`");
            let help = "remove it, or write chunk_keys = [\"time\"]: outputs fill %Y, %m and %d in per record either way";
            report(key, message, help);
        }
    } else if !has("timekey") {
        let message = "\"time\" in `chunk_keys` needs a `timekey`".to_owned();
        let help = "write timekey = \"1d\", or remove \"time\": outputs fill %Y, %m and %d in per record either way";
        report("chunk_keys", message, help);
    }
    let timekey = output.buffer.timekey.unwrap_or(Interval::secs(1));
    if timekey.0.as_secs() == 0 {
        let message = format!("a `timekey` of {timekey} is too short");
        report("timekey", message, "write one second or more");
    }
    if has("timekey_use_utc") && has("timekey_zone") {
        let message = "`timekey_use_utc` and `timekey_zone` both say the zone".to_owned();
        report("timekey_use_utc", message, "remove one of the two");
    }
    if mode == "lazy" && !by_time {
        let message = "`lazy` waits for the end of a timekey, and there is none".to_owned();
        let help =
            "write chunk_keys = [\"time\"] and timekey = \"1h\", or flush_mode = \"interval\"";
        report("flush_mode", message, help);
    }
    if mode != "interval" && has("flush_interval") {
        let reason = match mode {
            "lazy" => "a timekey, whose end a chunk waits for".to_owned(),
            other => format!("`{other}`"),
        };
        let message = format!("`flush_interval` has no use with {reason}");
        let help = "remove it, or write flush_mode = \"interval\"";
        report("flush_interval", message, help);
    }
    if mode == "lazy" && output.buffer.kind == BufferKind::None {
        let message = "senders would wait for the end of a timekey".to_owned();
        let help = "with type = \"none\" write flush_mode = \"interval\"";
        report("type", message, help);
    }
    if text("ordering") == Some("per_chunk_key") && chunk_keys.is_empty() {
        let message = "`per_chunk_key` needs `chunk_keys`".to_owned();
        let help = "write chunk_keys = [\"tag\"], or ordering = \"strict\" for one order of all";
        report("ordering", message, help);
    }
}

/// The keys as they are written.
fn chunk_keys(keys: &Node) -> Vec<String> {
    let written = keys.get("chunk_keys").map(|entry| entry.node.to_json());
    let written = match written {
        Some(serde_json::Value::Array(keys)) => keys,
        other => other.into_iter().collect(),
    };
    let texts = written.iter().filter_map(|key| key.as_str());
    texts.map(str::to_owned).collect()
}

/// A key that is there twice.
fn twice(keys: &[String]) -> Option<&String> {
    let mut numbered = keys.iter().enumerate();
    let repeated = numbered.find(|(at, key)| keys.iter().take(*at).any(|other| other == *key));
    repeated.map(|(_, key)| key)
}
