//! What the output uses of a server, tried on each real one; `docs/SERVERS.md` is the table.
//!
//! The campaign `servers` runs this against other versions.

mod guarded;
mod open;

use serde_json::{Value, json};

use crate::{
    delivery::SERVICE,
    harness::{
        Sender, Weir, forward, holds,
        servers::{Server, output},
        weir::Home,
    },
};

/// Longer than what is sent without compression.
const PAD: usize = 2_000;

/// A router with these matches, and a connection to it.
fn run(matches: &str) -> (Home, Weir, Sender) {
    let home = Home::new(&format!("{SERVICE}{matches}"));
    let weir = home.start();
    let sender = Sender::connect(weir.listens("in"));
    (home, weir, sender)
}

/// Sends the records in one message, and waits until it is stored.
fn send(sender: &mut Sender, tag: &str, records: &[Value]) {
    let entries: Vec<u8> = records
        .iter()
        .flat_map(|record| forward::entry(1_764_000_000, record))
        .collect();
    sender.send(&forward::packed(tag, &entries, Some(tag)));
    sender.expect_ack(tag);
}

/// `id` and `v` of each document, sorted.
fn values(server: &Server, index: &str) -> Vec<(String, Value)> {
    let pair = |hit: &Value| {
        let id = hit["_id"].as_str().expect("an id").to_owned();
        (id, hit["_source"]["v"].clone())
    };
    let mut all: Vec<_> = server.documents(index).iter().map(pair).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

/// Each operation of the bulk API, compressed.
fn every_operation(server: &Server) {
    let index = server.fresh_index("operations");
    let to = |operation: &str| {
        let parameters = format!(
            "{}\nindex = \"{index}\"\nop_type = \"{operation}\"\nid_key = \"id\"\ncompression = \"gzip\"",
            server.access()
        );
        output(operation, operation, &parameters)
    };
    let all = ["create", "index", "update", "upsert", "delete"].map(to);
    let (_home, weir, mut sender) = run(&all.concat());
    let record = |id: &str, v: u32| json!({ "id": id, "v": v, "pad": "x".repeat(PAD) });
    let steps = [
        (
            "create",
            vec![record("a", 1), record("b", 1), record("c", 1)],
        ),
        // It is there, and stays as it is.
        ("create", vec![record("a", 9)]),
        ("index", vec![record("b", 2), record("d", 2)]),
        ("update", vec![record("a", 3)]),
        ("upsert", vec![record("c", 4), record("e", 4)]),
        ("delete", vec![json!({ "id": "d" })]),
    ];
    for (tag, records) in steps {
        send(&mut sender, tag, &records);
        weir.settles(30);
    }
    let expected = [("a", 3), ("b", 2), ("c", 4), ("e", 4)];
    let expected: Vec<_> = expected
        .iter()
        .map(|(id, v)| ((*id).to_owned(), json!(v)))
        .collect();
    assert_eq!(values(server, &index), expected, "{}", server.name);
    let metrics = weir.metrics();
    assert_eq!(metrics.sum("weir_dead_letter_records_total", &[]), 0.0);
    let bytes = |stage| metrics.sum("weir_elasticsearch_bulk_bytes_total", &[stage]);
    let (body, wire) = (bytes("stage=\"body\""), bytes("stage=\"wire\""));
    assert!(wire < body / 2.0, "{wire} of {body} bytes");
}

/// Documents written to an alias are in its index.
fn an_alias(server: &Server) {
    let (index, alias) = (server.fresh_index("real"), server.fresh_index("alias"));
    let aliases = json!({ "aliases": { alias.as_str(): { "is_write_index": true } } });
    server.create(&index, &aliases);
    let parameters = format!("{}\nindex = \"{alias}\"", server.access());
    let (_home, weir, mut sender) = run(&output("es", "**", &parameters));
    send(&mut sender, "a", &[json!({ "n": 1 }), json!({ "n": 2 })]);
    weir.settles(30);
    let hits = server.documents(&alias);
    let names: Vec<&str> = hits
        .iter()
        .filter_map(|hit| hit["_index"].as_str())
        .collect();
    assert_eq!(names, [index.as_str(), index.as_str()]);
}

/// While the pipeline is missing, everything is kept; once it is there, documents pass through it.
fn a_pipeline(server: &Server) {
    let (index, pipeline) = (server.fresh_index("piped"), server.fresh_index("pipeline"));
    let parameters = format!(
        "{}\nindex = \"{index}\"\npipeline = \"{pipeline}\"",
        server.access()
    );
    let (_home, weir, mut sender) = run(&output("es", "**", &parameters));
    send(&mut sender, "a", &[json!({ "n": 1 }), json!({ "n": 2 })]);
    holds("it is tried again", 30, &true, || {
        weir.metrics().sum("weir_output_retries_total", &[]) > 1.0
    });
    assert_eq!(server.count(&index), 0);
    // Only OpenSearch 3 comes with processors.
    let has_processors = server.is_opensearch() && server.major() >= 3;
    let processors = if has_processors {
        json!([{ "set": { "field": "through", "value": "the pipeline" } }])
    } else {
        json!([])
    };
    let body = json!({ "processors": processors });
    server.send("PUT", &format!("/_ingest/pipeline/{pipeline}"), &body);
    weir.settles(30);
    let hits = server.documents(&index);
    assert_eq!(hits.len(), 2, "{}", server.name);
    let through = |hit: &Value| hit["_source"]["through"] == "the pipeline";
    assert!(hits.iter().all(|hit| through(hit) == has_processors));
    let dead = weir.metrics().sum("weir_dead_letter_records_total", &[]);
    assert_eq!(dead, 0.0);
}
