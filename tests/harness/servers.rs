//! The real Elasticsearch and OpenSearch that `cargo xtask servers` started. A missing server fails the test.
//!
//! The campaign `servers` lets others stand in for them: `WEIR_ELASTICSEARCH`, `WEIR_OPENSEARCH` and `WEIR_GUARDED` name them.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::{Value, json};

use super::http::{self, Login};

/// Documents of one page of a scroll.
const PAGE: usize = 5_000;
const HINT: &str = "start the servers with `cargo xtask servers`";

/// A running server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) version: String,
    /// What one needs to come in; `None` where everybody may.
    pub(crate) login: Option<Login>,
}

impl Server {
    pub(crate) fn elasticsearch() -> Self {
        Self::chosen("WEIR_ELASTICSEARCH", "elasticsearch")
    }

    pub(crate) fn opensearch() -> Self {
        Self::chosen("WEIR_OPENSEARCH", "opensearch")
    }

    /// The one with TLS and credentials, which takes no request above 2 MB.
    pub(crate) fn guarded() -> Self {
        Self::chosen("WEIR_GUARDED", "elasticsearch-guarded")
    }

    /// The two that everybody may use, and the guarded one.
    pub(crate) fn all() -> [Self; 3] {
        [Self::elasticsearch(), Self::opensearch(), Self::guarded()]
    }

    fn chosen(variable: &str, name: &str) -> Self {
        let server = Self::named(&std::env::var(variable).unwrap_or_else(|_| name.to_owned()));
        let (health, _) = server.get("/_cluster/health");
        assert_eq!(health, 200, "{} does not answer; {HINT}", server.name);
        server
    }

    fn named(name: &str) -> Self {
        let entry = entry(name);
        let text = |key: &str| entry[key].as_str().map(str::to_owned);
        let login = |ca_file: String| Login {
            ca_file: ca_file.into(),
            user: text("user").expect(HINT),
            password: text("password").expect(HINT),
        };
        Self {
            name: name.to_owned(),
            url: text("url").expect(HINT),
            version: text("version").expect(HINT),
            login: text("ca_file").map(login),
        }
    }

    pub(crate) fn is_opensearch(&self) -> bool {
        self.name.starts_with("opensearch")
    }

    /// The first number of its version.
    pub(crate) fn major(&self) -> u32 {
        let first = self.version.split('.').next().expect("a version");
        first.parse().expect("a number")
    }

    /// Its address, for a door in front of it.
    pub(crate) fn address(&self) -> SocketAddr {
        let (_, address) = self.url.split_once("://").expect("a scheme");
        address.parse().expect("an address")
    }

    /// Status and body of a path.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, &[], Vec::new())
    }

    /// Sends JSON, which must be taken; the answer.
    #[track_caller]
    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let headers = [("content-type", "application/json")];
        let (status, text) = self.ask(method, path, &headers, body.to_string());
        assert!((200..300).contains(&status), "{}: {text}", self.name);
        serde_json::from_str(&text).expect("JSON")
    }

    /// Sends anything; status and body.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> (u16, String) {
        let url = format!("{}{path}", self.url);
        http::ask((method, &url), self.login.as_ref(), headers, body)
    }

    /// Parameters of an output to it: where it is, and what one needs to come in.
    pub(crate) fn access(&self) -> String {
        let hosts = format!("hosts = [\"{}\"]", self.url);
        let Some(Login {
            ca_file,
            user,
            password,
        }) = &self.login
        else {
            return hosts;
        };
        let ca_file = ca_file.display();
        format!("{hosts}\nca_file = \"{ca_file}\"\nuser = \"{user}\"\npassword = \"{password}\"")
    }

    /// The name of an index that no other test uses, with that of the server in it.
    pub(crate) fn fresh_index(&self, name: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("{name}-{}-{}-{number}", self.name, std::process::id())
    }

    /// Creates an index with this body.
    #[track_caller]
    pub(crate) fn create(&self, index: &str, body: &Value) {
        self.send("PUT", &format!("/{index}"), body);
    }

    /// How many documents are in the indexes of a pattern; 0 when there is none.
    pub(crate) fn count(&self, index: &str) -> u64 {
        // Until the first document arrives there is no index to refresh.
        self.get(&format!("/{index}/_refresh"));
        let (_, text) = self.get(&format!("/{index}/_count"));
        serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|answer| answer["count"].as_u64())
            .unwrap_or(0)
    }

    /// Every document of the indexes of a pattern, as hits with `_index`, `_id` and `_source`.
    pub(crate) fn documents(&self, index: &str) -> Vec<Value> {
        let mut hits = Vec::new();
        self.count(index);
        let first = json!({ "size": PAGE, "sort": ["_doc"] });
        let mut page = self.send("POST", &format!("/{index}/_search?scroll=1m"), &first);
        loop {
            let Some(found) = page["hits"]["hits"]
                .as_array()
                .filter(|found| !found.is_empty())
            else {
                return hits;
            };
            hits.extend(found.iter().cloned());
            let next = json!({ "scroll": "1m", "scroll_id": page["_scroll_id"] });
            page = self.send("POST", "/_search/scroll", &next);
        }
    }
}

/// A match of this id and tag that sends in short steps; `parameters` are those of the output.
pub(crate) fn output(id: &str, tag: &str, parameters: &str) -> String {
    format!(
        r#"
[[match]]
id = "{id}"
tag = "{tag}"
type = "elasticsearch"
{parameters}
[match.buffer]
flush_interval = "200ms"
retry_wait = "100ms"
retry_max_interval = "500ms"
"#
    )
}

/// What the state file says of a server.
pub(super) fn entry(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers/state.json");
    let text = fs::read_to_string(path).expect(HINT);
    let state: Value = serde_json::from_str(&text).expect(HINT);
    state.get(name).expect(HINT).clone()
}
