//! Templates, aliases that roll over and data streams at real servers: Weir puts there what is missing, documents land in
//! what was meant, and nothing of it is done twice.

use std::fs;

use serde_json::{Value, json};

use crate::{
    delivery::{SERVICE, numbers},
    harness::{
        forward, holds,
        servers::{Server, output},
        weir::{Home, Weir, command},
    },
};

/// Records of one message.
const RECORDS: u64 = 500;

/// Tries it on each server.
fn each(check: impl Fn(&Server)) {
    Server::all().iter().for_each(check);
}

/// A router that ships to a server with these parameters.
fn router(server: &Server, more: &str) -> Home {
    let parameters = format!("{}\n{more}", server.access());
    Home::new(&format!("{SERVICE}{}", output("es", "**", &parameters)))
}

fn send(weir: &Weir, tag: &str, first: u64) {
    let mut sender = forward::Sender::connect(weir.listens("in"));
    sender.send(&forward::packed(
        tag,
        &forward::numbered(first, RECORDS),
        Some("c"),
    ));
    sender.expect_ack("c");
}

/// What a server answers, which must be with 200.
fn page(server: &Server, path: &str) -> Value {
    let (status, text) = server.get(path);
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).expect("JSON")
}

#[track_caller]
fn arrive(server: &Server, target: &str, expected: u64) {
    holds("all that was sent is there", 60, &expected, || {
        server.count(target)
    });
    let documents = server.documents(target);
    let sources: Vec<Value> = documents.iter().map(|hit| hit["_source"].clone()).collect();
    let mut found = numbers(&sources);
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len() as u64, expected, "each once");
}

fn steps(weir: &Weir, result: &str) -> f64 {
    let label = format!("result=\"{result}\"");
    weir.metrics()
        .sum("weir_elasticsearch_setup_steps_total", &[&label])
}

#[test]
fn templates_of_each_form_shape_the_index() {
    each(|server| {
        let index = server.fresh_index("shaped");
        let home = router(
            server,
            &format!(
                "index = \"{index}-%Y\"\ntemplate_name = \"{index}\"\ntemplate_file = \"own.json\"\n\
                 customize_template = {{ \"<<index>>\" = \"{index}\" }}\n\
                 templates = {{ \"{index}-old\" = \"old.json\" }}\n\
                 component_templates = {{ \"{index}-part\" = \"part.json\" }}"
            ),
        );
        let part =
            json!({ "template": { "mappings": { "properties": { "n": { "type": "long" } } } } });
        let own = json!({
            "index_patterns": ["<<index>>-*"], "priority": 300, "composed_of": [format!("{index}-part")],
            "template": { "settings": { "number_of_replicas": 0 }, "aliases": { format!("{index}-all"): {} } }
        });
        let old = json!({ "index_patterns": [format!("{index}-none-*")], "order": 3, "settings": { "number_of_shards": 2 } });
        for (name, template) in [("part", part), ("own", own), ("old", old)] {
            let path = home.path().join(format!("{name}.json"));
            fs::write(path, template.to_string()).expect("a file");
        }
        let config = home.config();
        let config = config.to_str().expect("UTF-8");
        let checked = command(home.path(), &["check", "--connect", "-c", config], &[]);
        for line in [
            "would be put there: {",
            "the component template",
            "the legacy template",
            "the index template",
        ] {
            assert!(checked.text().contains(line), "{line}\n{}", checked.text());
        }
        let (status, _) = server.get(&format!("/_index_template/{index}"));
        assert_eq!(status, 404, "a check changes nothing");
        for round in 0..2 {
            let weir = home.start();
            send(&weir, "app", round * RECORDS);
            arrive(server, &format!("{index}-all"), (round + 1) * RECORDS);
            let made = if round == 0 { 3.0 } else { 0.0 };
            assert_eq!(
                (steps(&weir, "made"), steps(&weir, "there")),
                (made, 3.0 - made)
            );
            weir.settles(20);
            assert!(weir.stop().success());
        }
        let settings = page(server, &format!("/{index}-all/_settings"));
        let own = settings
            .as_object()
            .expect("an object")
            .values()
            .next()
            .expect("an index");
        assert_eq!(own["settings"]["index"]["number_of_replicas"], "0");
        assert!(
            page(server, &format!("/_template/{index}-old"))[format!("{index}-old")].is_object()
        );
    });
}

#[test]
fn an_alias_rolls_over_while_documents_go_on() {
    each(|server| {
        let index = server.fresh_index("rolling");
        let home = router(
            server,
            &format!("index = \"{index}\"\nrollover_index = true"),
        );
        let weir = home.start();
        let alias = format!("{index}-default");
        for round in 0..3 {
            send(&weir, "app", round * RECORDS);
            arrive(server, &alias, (round + 1) * RECORDS);
            server.send("POST", &format!("/{alias}/_rollover"), &json!({}));
        }
        let indexes = page(server, &format!("/_alias/{alias}"));
        assert_eq!(
            indexes.as_object().expect("an object").len(),
            4,
            "{indexes}"
        );
        assert_eq!((steps(&weir, "made"), steps(&weir, "refused")), (1.0, 0.0));
        weir.settles(20);
        assert!(weir.stop().success());
    });
}

#[test]
fn data_streams_by_tag_are_made_and_roll_over() {
    each(|server| {
        let stream = server.fresh_index("stream");
        let home = router(server, &format!("data_stream_name = \"{stream}-${{tag}}\""));
        let weir = home.start();
        for (round, tag) in ["one", "two", "one"].into_iter().enumerate() {
            send(&weir, tag, round as u64 * RECORDS);
        }
        let one = format!("{stream}-one");
        arrive(server, &one, 2 * RECORDS);
        arrive(server, &format!("{stream}-two"), RECORDS);
        server.send("POST", &format!("/{one}/_rollover"), &json!({}));
        send(&weir, "one", 3 * RECORDS);
        arrive(server, &one, 3 * RECORDS);
        let hits = server.documents(&one);
        let mut behind: Vec<&str> = hits
            .iter()
            .filter_map(|hit| hit["_index"].as_str())
            .collect();
        behind.sort_unstable();
        behind.dedup();
        assert!(
            behind.len() == 2 && behind.iter().all(|name| name.starts_with(".ds-")),
            "{behind:?}"
        );
        assert_eq!(steps(&weir, "refused"), 0.0);
        weir.settles(20);
        assert!(weir.stop().success());
    });
}

#[test]
fn documents_are_changed_in_the_index_that_they_are_in() {
    each(|server| {
        let index = server.fresh_index("affinity");
        let old = format!("{index}-1999.12.31");
        let home = router(
            server,
            &format!(
                "index = \"{index}-%Y.%m.%d\"\nid_key = \"n\"\nop_type = \"upsert\"\n\
                 target_index_affinity = true"
            ),
        );
        for id in [0, RECORDS - 1] {
            let path = format!("/{old}/_doc/{id}?refresh=true");
            server.send("PUT", &path, &json!({ "n": id, "state": "open" }));
        }
        let weir = home.start();
        send(&weir, "app", 0);
        arrive(server, &format!("{index}-*"), RECORDS);
        let kept = server.documents(&old);
        assert_eq!(kept.len(), 2, "{kept:?}");
        for hit in kept {
            let document = &hit["_source"];
            assert_eq!(document["state"], "open", "{document}");
            assert!(document["@timestamp"].is_string(), "{document}");
        }
        weir.settles(20);
        assert!(weir.stop().success());
    });
}
