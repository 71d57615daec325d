//! What is in Elasticsearch.

use super::BETWEEN_LOOKS;
use crate::http;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::{
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// A server, by its address.
pub(super) struct Elastic {
    url: String,
}

impl Elastic {
    pub(super) fn new(url: String) -> Self {
        Self { url }
    }

    /// How many documents of an index a query finds; none while there is no index. One that is being made is waited for.
    pub(super) fn count(&self, index: &str, query: &str) -> Result<u64> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let count = self.ask(index, query);
            if count.is_ok() || Instant::now() > deadline {
                return count;
            }
            thread::sleep(BETWEEN_LOOKS);
        }
    }

    fn ask(&self, index: &str, query: &str) -> Result<u64> {
        let query = encoded(query);
        let url = format!(
            "{}/{index}/_count?ignore_unavailable=true&q={query}",
            self.url
        );
        let answer = http::get(&url, PATIENCE)?;
        count_in(&answer.body).with_context(|| format!("{url} answers {}", answer.body))
    }
}

fn count_in(body: &str) -> Option<u64> {
    let answer: Value = serde_json::from_str(body.trim()).ok()?;
    answer.get("count")?.as_u64()
}

/// What stands for a text in an address.
fn encoded(text: &str) -> String {
    let part = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read() {
        assert_eq!(count_in("{\"count\":3,\"_shards\":{}}\n"), Some(3));
        assert_eq!(count_in("{\"error\":{}}"), None);
        assert_eq!(encoded("a:\"b\""), "a%3A%22b%22");
    }
}
