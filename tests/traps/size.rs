//! Requests that are too large for a server: for its memory, and for what it reads at all.

use serde_json::json;

use super::{NDJSON, open, run, run_with};
use crate::harness::{forward, servers::Server};

/// The heap of the servers, in bytes.
const HEAP: usize = 512 << 20;
/// One document for the memory, in bytes.
const LARGE: usize = 1 << 20;
/// Documents of which one is sure to be more than a tenth of the heap with the others.
const MANY: usize = 60;

/// More than a tenth of the heap at once never fits: 429, for ever. It is divided, and arrives. Elasticsearch 9 divides it
/// itself.
#[test]
fn a_request_above_a_tenth_of_the_heap() {
    for server in open() {
        let index = server.fresh_index("memory");
        // What is in them is not the point.
        server.create(&index, &json!({ "mappings": { "dynamic": false } }));
        let document = format!("{{\"pad\":\"{}\"}}\n", "x".repeat(LARGE));
        let scratch = server.fresh_index("memory-raw");
        let action = format!("{{\"index\":{{\"_index\":\"{scratch}\"}}}}\n");
        let raw = format!("{action}{document}").repeat(MANY);
        assert!(raw.len() > HEAP / 10 && raw.len() < 100 << 20);
        let takes_it = !server.is_opensearch() && server.major() >= 9;
        let (status, text) = server.ask("POST", "/_bulk", &[NDJSON], raw);
        if takes_it {
            assert_eq!(status, 200, "{text}");
        } else {
            assert_eq!(status, 429, "{text}");
            assert!(text.contains("rejected_execution_exception"), "{text}");
        }

        let parameters = format!(
            "hosts = [\"{}\"]\nindex = \"{index}\"\nbulk_max_bytes = \"90MiB\"",
            server.url
        );
        let chunk = "chunk_limit_size = \"90MiB\"\n";
        let (_home, weir, mut sender) = run_with(&parameters, chunk);
        let pad = "x".repeat(LARGE);
        let record = |n| forward::entry(1_764_000_000, &json!({ "n": n, "pad": pad }));
        let entries: Vec<u8> = (0..MANY).flat_map(record).collect();
        sender.send(&forward::packed("a", &entries, Some("c")));
        sender.expect_ack("c");
        weir.settles(120);
        assert_eq!(server.count(&index), MANY as u64, "{}", server.name);
        let metrics = weir.metrics();
        assert_eq!(metrics.sum("weir_dead_letter_records_total", &[]), 0.0);
        let memory = ["reason=\"memory\""];
        let divided = metrics.sum("weir_elasticsearch_splits_total", &memory);
        assert_eq!(divided > 0.0, !takes_it, "{} on {}", divided, server.name);
    }
}

/// 413 is about the size before compression. The request is divided, everything arrives, and later ones are small enough at once.
#[test]
fn a_small_compressed_request_that_is_large_inside() {
    let server = Server::guarded();
    let index = server.fresh_index("unpacked");
    server.create(&index, &json!({ "mappings": { "dynamic": false } }));
    let parameters = format!(
        "{}\nindex = \"{index}\"\ncompression = \"gzip\"\nbulk_max_bytes = \"16MiB\"",
        server.access()
    );
    let (_home, weir, mut sender) = run(&parameters);
    let pad = "x".repeat(10_000);
    let record = |n| forward::entry(1_764_000_000, &json!({ "n": n, "pad": pad }));
    let message: Vec<u8> = (0..600).flat_map(record).collect();
    let mut splits = Vec::new();
    for chunk in ["one", "two", "three", "four", "five", "six"] {
        sender.send(&forward::packed("a", &message, Some(chunk)));
        sender.expect_ack(chunk);
        weir.settles(60);
        let size = ["reason=\"size\""];
        splits.push(weir.metrics().sum("weir_elasticsearch_splits_total", &size));
    }
    assert_eq!(server.count(&index), 3_600);
    let metrics = weir.metrics();
    assert_eq!(metrics.sum("weir_dead_letter_records_total", &[]), 0.0);
    assert!(splits[0] > 0.0, "{} takes 6 MB", server.name);
    assert_eq!(splits[4], splits[5], "it does not learn: {splits:?}");
    let wire = metrics.sum("weir_elasticsearch_bulk_bytes_total", &["stage=\"wire\""]);
    assert!(
        wire < 2e6,
        "{wire} bytes on the wire are too many by themselves"
    );
}
