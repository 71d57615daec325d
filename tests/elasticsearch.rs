//! A real Elasticsearch and a real OpenSearch hold exactly what a real logger sent, field for field.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use crate::{
    delivery::SERVICE,
    harness::{
        Sender, clients, forward, holds,
        servers::Server,
        weir::{Home, Weir},
    },
};

/// Records that the logger sends.
const RECORDS: u64 = 10_000;
/// Of so many records one is taken out by `grep`.
const NOISE_EVERY: u64 = 10;

fn to(server: &Server, index: &str, more: &str) -> String {
    format!(
        r#"
[[match]]
id = "{name}"
tag = "**"
type = "elasticsearch"
hosts = ["{url}"]
index = "{index}"
{more}
[match.buffer]
flush_interval = "200ms"
"#,
        name = server.name,
        url = server.url
    )
}

/// What the document of record `n` must be, from the golden file.
fn golden(n: u64) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mixed.json");
    let text = fs::read_to_string(path).expect("the golden file");
    let shapes: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let shape = &shapes[usize::try_from(n).expect("an index") % shapes.len()];
    serde_json::from_str(
        &shape
            .to_string()
            .replace("\"<n>\"", &n.to_string())
            .replace("<n>", &n.to_string()),
    )
    .expect("JSON")
}

/// 10,000 records of mixed types through two filters into one server.
fn mixed_records_arrive_exactly(server: &Server) {
    let index = server.fresh_index("mixed");
    // Every field as it was sent: no field is indexed, so that no mapping has a say.
    server.create(&index, &json!({ "mappings": { "dynamic": false } }));
    let filters = r#"
[[filter]]
type = "grep"
tag = "**"
exclude = [{ key = "noise", pattern = "^yes$" }]
[[filter]]
type = "record_transformer"
tag = "**"
remove_keys = ["secret"]
[filter.record]
tag = "${tag}"
double = "${record.n}"
"#;
    let home = Home::new(&format!("{SERVICE}{filters}{}", to(server, &index, "")));
    let weir = home.start();
    clients::python(weir.listens("in").port(), "mixed", "mixed", RECORDS).finish(90);
    let kept = RECORDS - RECORDS / NOISE_EVERY;
    holds("all that was not noise is there", 90, &kept, || {
        server.count(&index)
    });
    weir.settles(20);
    let mut seen = BTreeSet::new();
    for hit in server.documents(&index) {
        let mut document = hit["_source"].clone();
        let stamp = document
            .as_object_mut()
            .expect("an object")
            .remove("@timestamp");
        assert_stamp(&stamp.expect("a timestamp"));
        let n = document["n"].as_u64().expect("a number");
        assert_eq!(document, golden(n), "record {n} in {}", server.name);
        assert!(seen.insert(n), "record {n} is there twice");
    }
    assert_eq!(seen.len() as u64, kept);
    assert!(weir.stop().success());
}

/// RFC 3339 with nine digits.
fn assert_stamp(stamp: &Value) {
    let text = stamp.as_str().expect("text");
    assert!(
        text.len() == 30 && text.ends_with('Z') && text.as_bytes()[19] == b'.',
        "{text}"
    );
}

#[test]
fn mixed_records_arrive_exactly_in_elasticsearch() {
    mixed_records_arrive_exactly(&Server::elasticsearch());
}

#[test]
fn mixed_records_arrive_exactly_in_opensearch() {
    mixed_records_arrive_exactly(&Server::opensearch());
}

fn run(server: &Server, index: &str, more: &str) -> (Home, Weir, Sender) {
    let home = Home::new(&format!("{SERVICE}{}", to(server, index, more)));
    let weir = home.start();
    let sender = Sender::connect(weir.listens("in"));
    (home, weir, sender)
}

/// A document that does not fit the mapping goes to the dead letter with the reason; the others arrive.
#[test]
fn what_does_not_fit_the_mapping_goes_to_the_dead_letter() {
    for server in [Server::elasticsearch(), Server::opensearch()] {
        let index = server.fresh_index("mapping");
        server.create(
            &index,
            &json!({ "mappings": { "properties": { "n": { "type": "long" } } } }),
        );
        let (home, weir, mut sender) = run(&server, &index, "");
        let entries: Vec<u8> = [json!(1), json!("not a number"), json!(3)]
            .iter()
            .flat_map(|n| forward::entry(1_764_000_000, &json!({ "n": n })))
            .collect();
        sender.send(&forward::packed("a", &entries, Some("c")));
        sender.expect_ack("c");
        holds("the two that fit", 30, &2, || server.count(&index));
        weir.settles(20);
        assert_eq!(
            weir.metrics().sum("weir_dead_letter_records_total", &[]),
            1.0
        );
        let dead = home.records("data/dead");
        assert_eq!(dead.len(), 1, "{dead:?}");
        let text = dead[0].to_string();
        assert!(
            text.contains("mapping") && text.contains("parsing_exception"),
            "{text}"
        );
        assert!(
            weir.log()
                .iter()
                .all(|line| !line.to_string().contains("not a number")),
            "the log shows a record"
        );
    }
}

#[test]
fn what_does_not_fit_the_mapping_is_mended_where_that_is_asked_for() {
    for server in [Server::elasticsearch(), Server::opensearch()] {
        let mapping = json!({ "mappings": { "properties": {
            "text": { "type": "keyword" }, "n": { "type": "long" }, "table": { "properties": { "a": { "type": "long" } } }
        } } });
        let misfits = [
            json!({ "text": { "a": 1 } }),
            json!({ "n": "many" }),
            json!({ "table": "flat" }),
        ];
        let cases = [
            ("stringify", 1, 2.0, json!({ "text": "{\"a\":1}" })),
            ("rename", 3, 0.0, json!({ "table_conflict": "flat" })),
        ];
        for (how, fitting, misfitting, example) in cases {
            let index = server.fresh_index(how);
            server.create(&index, &mapping);
            let more = format!("include_timestamp = false\non_mapping_conflict = \"{how}\"");
            let (_home, weir, mut sender) = run(&server, &index, &more);
            let entries = misfits
                .iter()
                .flat_map(|record| forward::entry(1_764_000_000, record));
            let entries: Vec<u8> = entries.collect();
            sender.send(&forward::packed("a", &entries, Some("c")));
            sender.expect_ack("c");
            weir.settles(30);
            assert_eq!(server.count(&index), fitting, "{} {how}", server.name);
            let dead = weir.metrics().sum("weir_dead_letter_records_total", &[]);
            assert_eq!(dead, misfitting, "{} {how}", server.name);
            let hits = server.documents(&index);
            let sources: Vec<&Value> = hits.iter().map(|hit| &hit["_source"]).collect();
            assert!(sources.contains(&&example), "{sources:?}");
        }
    }
}

#[test]
fn the_index_is_named_after_tag_and_day() {
    let server = Server::elasticsearch();
    let prefix = server.fresh_index("named");
    let (_home, weir, mut sender) = run(&server, &format!("{prefix}-${{tag}}-%Y.%m.%d"), "");
    for (chunk, tag, secs) in [
        ("a", "app.Web", 1_764_000_000),
        ("b", "../etc", 1_764_086_400),
    ] {
        let entries = forward::entry(secs, &json!({ "n": 1 }));
        sender.send(&forward::packed(tag, &entries, Some(chunk)));
        sender.expect_ack(chunk);
    }
    weir.settles(30);
    let names = |hits: Vec<Value>| -> Vec<String> {
        let mut names: Vec<_> = hits
            .iter()
            .map(|hit| hit["_index"].as_str().expect("a name").to_owned())
            .collect();
        names.sort();
        names
    };
    let found = names(server.documents(&format!("{prefix}-*")));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found.contains(&format!("{prefix}-app.web-2025.11.24")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .all(|name| name.starts_with(&prefix) && !name.contains('/')),
        "{found:?}"
    );
}

#[test]
fn logstash_format_and_compression_work_on_both() {
    for server in [Server::elasticsearch(), Server::opensearch()] {
        let prefix = server.fresh_index("logstash");
        let more = format!(
            "logstash_format = true\nlogstash_prefix = \"{prefix}\"\ncompression = \"gzip\"\nop_type = \"create\""
        );
        let config = to(&server, "unused", &more).replace("index = \"unused\"\n", "");
        let home = Home::new(&format!("{SERVICE}{config}"));
        let weir = home.start();
        let mut sender = Sender::connect(weir.listens("in"));
        sender.send(&forward::packed(
            "a",
            &forward::numbered(0, 1000),
            Some("c"),
        ));
        sender.expect_ack("c");
        holds("all of them", 30, &1000, || {
            server.count(&format!("{prefix}-2025.11.24"))
        });
        weir.settles(20);
    }
}

/// Above 8 MiB a message passes through in pieces; its records have the ids of its chunk all the same.
#[test]
fn a_message_in_pieces_that_is_sent_twice_is_there_once() {
    let server = Server::elasticsearch();
    let index = server.fresh_index("pieces");
    let source = SERVICE.replacen(
        "type = \"forward\"",
        "type = \"forward\"\nidentity = \"origin\"",
        1,
    );
    assert_ne!(source, SERVICE);
    let home = Home::new(&format!("{source}{}", to(&server, &index, "")));
    let weir = home.start();
    let pad = "x".repeat(10_000);
    let records =
        (0..2_000_u32).map(|n| forward::entry(1_764_000_000, &json!({ "n": n, "pad": pad })));
    let entries: Vec<u8> = records.flatten().collect();
    assert!(entries.len() > 2 * (8 << 20), "several pieces");
    for _ in 0..2 {
        let mut sender = Sender::connect(weir.listens("in"));
        sender.send(&forward::packed("t", &entries, Some("the chunk")));
        sender.expect_ack("the chunk");
    }
    weir.settles(60);
    assert_eq!(server.count(&index), 2_000);
    assert!(weir.stop().success());
}
