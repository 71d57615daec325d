//! Bodies that are cut short, and encodings that a server does not take.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use super::{NDJSON, open, parse, run};
use crate::{
    delivery::SERVICE,
    harness::{
        eventually, forward,
        meddler::{Harm, Meddler},
        metrics::Samples,
        node::Node,
        servers::{Server, output},
        weir::{self, Home},
    },
};

/// Documents of a request.
const DOCUMENTS: u32 = 1_000;

/// A request that adds `DOCUMENTS` documents.
fn body(index: &str) -> Vec<u8> {
    let lines = (0..DOCUMENTS).map(|n| {
        let action = format!("{{\"create\":{{\"_index\":\"{index}\",\"_id\":\"{n}\"}}}}");
        format!("{action}\n{{\"n\":{n},\"m\":{}}}\n", n * 7_919)
    });
    lines.collect::<String>().into_bytes()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).expect("it fits");
    encoder.finish().expect("it fits")
}

/// Elasticsearch 9 takes what can be unpacked of a body that is cut short, and answers 200; the others answer 400. Whatever the
/// answer, nothing of it counts as delivered, and when bodies are whole again everything is there once.
#[test]
fn a_compressed_body_that_is_cut_short() {
    for server in open() {
        let takes_the_rest = !server.is_opensearch() && server.major() >= 9;
        let raw = server.fresh_index("cut-raw");
        let whole = gzip(&body(&raw));
        let headers = [NDJSON, ("content-encoding", "gzip")];
        let (status, text) = server.ask("POST", "/_bulk", &headers, &whole[..whole.len() / 2]);
        assert_eq!(status, if takes_the_rest { 200 } else { 400 }, "{text}");
        if takes_the_rest {
            let items = parse(&text)["items"].as_array().expect("items").len();
            assert!(items > 0 && items < DOCUMENTS as usize, "{items} items");
        }

        let index = server.fresh_index("cut");
        let meddler = Meddler::start(server.address(), Harm::CutsBodies);
        let parameters = format!(
            "hosts = [\"{}\"]\nindex = \"{index}\"\ncompression = \"gzip\"",
            meddler.url()
        );
        let (_home, weir, mut sender) = run(&parameters);
        let entries = forward::numbered(0, DOCUMENTS.into());
        sender.send(&forward::packed("a", &entries, Some("c")));
        sender.expect_ack("c");
        eventually("it is sent again", 30, || {
            (meddler.harmed() >= 3).then_some(())
        });
        let metrics = weir.metrics();
        let items = |of: &Samples| of.sum("weir_elasticsearch_items_total", &[]);
        assert_eq!(items(&metrics), 0.0, "nothing is known of any document");
        assert_eq!(metrics.sum("weir_held_records", &[]), f64::from(DOCUMENTS));
        meddler.behave(Harm::Nothing);
        weir.settles(30);
        assert_eq!(server.count(&index), u64::from(DOCUMENTS));
        let metrics = weir.metrics();
        assert_eq!(metrics.sum("weir_dead_letter_records_total", &[]), 0.0);
        let divided = metrics.sum("weir_elasticsearch_splits_total", &[]);
        assert_eq!(divided, 0.0, "a document is blamed on {}", server.name);
        // Those that were there already are known as such.
        assert_eq!(items(&metrics), f64::from(DOCUMENTS));
        let result = ["result=\"conflict\""];
        let known = metrics.sum("weir_elasticsearch_items_total", &result);
        assert_eq!(known > 0.0, takes_the_rest, "{known} were there already");
    }
}

/// One request with zstd ends OpenSearch 2, and Elasticsearch refuses it. The output never sends any: it knows no such choice, and
/// what it sends is plain or gzip.
#[test]
fn zstd_is_never_sent() {
    for server in open() {
        shows_what_zstd_does(&server);
        let index = server.fresh_index("zstd");
        let meddler = Meddler::start(server.address(), Harm::Nothing);
        for compression in ["none", "gzip"] {
            let parameters = format!(
                "hosts = [\"{}\"]\nindex = \"{index}-{compression}\"\ncompression = \"{compression}\"",
                meddler.url()
            );
            let (_home, weir, mut sender) = run(&parameters);
            let entries = forward::numbered(0, DOCUMENTS.into());
            sender.send(&forward::packed("a", &entries, Some("c")));
            sender.expect_ack("c");
            weir.settles(30);
        }
        let seen = meddler.seen();
        let with = |encoding: Option<&str>| {
            seen.iter()
                .filter(|seen| seen.encoding.as_deref() == encoding)
                .count()
        };
        let (plain, packed) = (with(None), with(Some("gzip")));
        assert!(
            plain > 0 && packed > 0 && plain + packed == seen.len(),
            "{seen:?}"
        );
        let refused = format!("hosts = [\"{}\"]\ncompression = \"zstd\"", server.url);
        let home = Home::new(&format!("{SERVICE}{}", output("es", "**", &refused)));
        let config = home.config();
        let args = ["check", "-c", config.to_str().expect("UTF-8")];
        let said = weir::command(home.path(), &args, &[]);
        assert_ne!(said.code, 0);
        let all = String::from_utf8_lossy(&said.out) + said.err.as_str();
        assert!(all.contains("zstd") && all.contains("gzip"), "{all}");
    }
}

fn shows_what_zstd_does(server: &Server) {
    let packed = |index: &str| zstd::encode_all(&body(index)[..], 3).expect("it fits");
    let headers = [NDJSON, ("content-encoding", "zstd")];
    let index = server.fresh_index("zstd-raw");
    let is_deadly = server.is_opensearch() && server.major() < 3;
    if !is_deadly {
        let (status, text) = server.ask("POST", "/_bulk", &headers, packed(&index));
        assert_eq!(
            status,
            if server.is_opensearch() { 200 } else { 400 },
            "{text}"
        );
        return;
    }
    let mut node = Node::like(server);
    let (status, text) = node
        .server()
        .ask("POST", "/_bulk", &headers, packed(&index));
    assert_eq!(status, 0, "{text}");
    eventually("the server has ended", 60, || {
        node.has_ended().then_some(())
    });
    assert!(node.said().contains("NoSuchMethodError"), "{}", node.said());
}
