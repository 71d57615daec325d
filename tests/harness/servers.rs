//! The real Elasticsearch and OpenSearch that `cargo xtask servers` started. A missing server fails the test.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};

use super::http;

/// Documents of one page of a scroll.
const PAGE: usize = 5_000;

/// A running server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn elasticsearch() -> Self {
        Self::named("elasticsearch")
    }

    pub(crate) fn opensearch() -> Self {
        Self::named("opensearch")
    }

    fn named(name: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers/state.json");
        let hint = "start the servers with `cargo xtask servers`";
        let text = fs::read_to_string(path).expect(hint);
        let state: Value = serde_json::from_str(&text).expect(hint);
        let url = state[name]["url"].as_str().expect(hint).to_owned();
        let server = Self { name, url };
        let health = http::get(&format!("{}/_cluster/health", server.url)).0;
        assert_eq!(health, 200, "{name} does not answer; {hint}");
        server
    }

    /// Its address, for a door in front of it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.url
            .trim_start_matches("http://")
            .parse()
            .expect("an address")
    }

    /// The name of an index that no other test uses, with that of the server in it.
    pub(crate) fn fresh_index(&self, name: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("{name}-{}-{}-{number}", self.name, std::process::id())
    }

    /// Creates an index with this body.
    pub(crate) fn create(&self, index: &str, body: &Value) {
        let (status, text) = http::send("PUT", &format!("{}/{index}", self.url), body);
        assert_eq!(status, 200, "{text}");
    }

    /// How many documents are in the indexes of a pattern; 0 when there is none.
    pub(crate) fn count(&self, index: &str) -> u64 {
        // Until the first document arrives there is no index to refresh.
        http::get(&format!("{}/{index}/_refresh", self.url));
        let (_, text) = http::get(&format!("{}/{index}/_count", self.url));
        serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|answer| answer["count"].as_u64())
            .unwrap_or(0)
    }

    /// Every document of the indexes of a pattern, as hits with `_index`, `_id` and `_source`.
    pub(crate) fn documents(&self, index: &str) -> Vec<Value> {
        let mut hits = Vec::new();
        self.count(index);
        let first = format!("{}/{index}/_search?scroll=1m", self.url);
        let mut page = self.page(&first, &json!({ "size": PAGE, "sort": ["_doc"] }));
        loop {
            let Some(found) = page["hits"]["hits"]
                .as_array()
                .filter(|found| !found.is_empty())
            else {
                return hits;
            };
            hits.extend(found.iter().cloned());
            let next = json!({ "scroll": "1m", "scroll_id": page["_scroll_id"] });
            page = self.page(&format!("{}/_search/scroll", self.url), &next);
        }
    }

    fn page(&self, url: &str, body: &Value) -> Value {
        let (status, text) = http::send("POST", url, body);
        assert_eq!(status, 200, "{}: {text}", self.name);
        serde_json::from_str(&text).expect("JSON")
    }
}
