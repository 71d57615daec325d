//! The configuration that runs when none is given, and what it tells a newcomer.

use std::io::{IsTerminal as _, Write as _};

/// Day files under `./data`.
const TO_FILES: &str = include_str!("../../config/quickstart.toml");
/// The same into Elasticsearch, when `ELASTICSEARCH_URL` is set.
const TO_ELASTICSEARCH: &str = include_str!("../../config/quickstart-elasticsearch.toml");

/// An embedded configuration: its name for messages, and its text.
pub(super) fn choose() -> (&'static str, &'static str) {
    if std::env::var_os("ELASTICSEARCH_URL").is_some_and(|url| !url.is_empty()) {
        ("quickstart-elasticsearch.toml (built in)", TO_ELASTICSEARCH)
    } else {
        ("quickstart.toml (built in)", TO_FILES)
    }
}

/// Says where to send records and where they go.
pub(super) fn greet(name: &str) {
    let to = if name.contains("elasticsearch") {
        "Elasticsearch ($ELASTICSEARCH_URL)"
    } else {
        "day files in ./data/logs/"
    };
    let lines = format!(
        "Weir {version}: no configuration given, so this is the quick start.\n\
         \x20 send to   127.0.0.1:24224 (Fluentd forward protocol)\n\
         \x20 goes to   {to}\n\
         \x20 metrics   http://127.0.0.1:24231/metrics\n\
         \x20 try it    echo '{{\"message\":\"it works\"}}' | weir cat app.hello\n\
         \x20 stop      Ctrl-C\n",
        version = super::VERSION,
    );
    // Nobody to tell is no reason to stop.
    drop(std::io::stderr().write_all(lines.as_bytes()));
}

/// Whether to say each second what arrived.
pub(super) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}
