//! What real servers do that no manual says, each shown on the server itself, and what the output makes of it.
//!
//! The campaign `servers` runs this against other versions, some of which fall into traps of their own.

mod body;
mod size;

use serde_json::{Value, json};

use crate::{
    delivery::SERVICE,
    harness::{
        Sender, Weir, forward,
        meddler::{Harm, Meddler},
        servers::{Server, output},
        weir::{self, Home},
    },
};

/// A router with an output to this place, and a connection to it.
fn run(parameters: &str) -> (Home, Weir, Sender) {
    run_with(parameters, "")
}

/// The same with more about its buffer.
fn run_with(parameters: &str, buffer: &str) -> (Home, Weir, Sender) {
    let matches = output("es", "**", parameters) + buffer;
    let home = Home::new(&format!("{SERVICE}{matches}"));
    let weir = home.start();
    let sender = Sender::connect(weir.listens("in"));
    (home, weir, sender)
}

/// The two servers that a proxy without TLS can stand in front of.
fn open() -> [Server; 2] {
    [Server::elasticsearch(), Server::opensearch()]
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

/// With `filter_path=items.*.error`, the answer lists what failed and does not say which documents that were. What the output
/// asks for has an item for each document.
#[test]
fn an_answer_without_the_good_items_loses_its_places() {
    for server in open() {
        let index = server.fresh_index("places");
        let meddler = Meddler::start(server.address(), Harm::Nothing);
        let parameters = format!("hosts = [\"{}\"]\nindex = \"{index}\"", meddler.url());
        let (_home, weir, mut sender) = run(&parameters);
        sender.send(&forward::packed("a", &forward::numbered(0, 3), Some("c")));
        sender.expect_ack("c");
        weir.settles(30);
        let path = meddler.seen()[0].path.clone();
        let bad = server.fresh_index("misfits");
        let mapping = json!({ "mappings": { "properties": { "n": { "type": "long" } } } });
        server.create(&bad, &mapping);
        let action = format!("{{\"create\":{{\"_index\":\"{bad}\"}}}}\n");
        let documents = [r#"{"n":1}"#, r#"{"n":"x"}"#, r#"{"n":3}"#];
        let mut body = String::new();
        for document in documents {
            body.extend([action.as_str(), document, "\n"]);
        }
        let items = |path: &str| {
            let (status, text) = server.ask("POST", path, &[NDJSON], body.clone());
            assert_eq!(status, 200, "{text}");
            parse(&text)["items"].as_array().expect("items").clone()
        };
        assert_eq!(items("/_bulk?filter_path=items.*.error").len(), 1);
        let all = items(&path);
        let failed: Vec<bool> = all
            .iter()
            .map(|item| item["create"].get("error").is_some())
            .collect();
        assert_eq!(failed, [false, true, false], "{path}");
    }
}

/// The distributions of Elasticsearch for tests answer 405 at the root; `weir check --connect` finds out all the same.
#[test]
fn a_root_that_answers_405_does_not_hide_the_version() {
    for server in Server::all() {
        let is_hidden = !server.is_opensearch();
        assert_eq!(server.get("/").0 == 405, is_hidden, "{}", server.name);
        let index = server.fresh_index("root");
        let parameters = format!("{}\nindex = \"{index}\"", server.access());
        let home = Home::new(&format!("{SERVICE}{}", output("es", "**", &parameters)));
        let config = home.config();
        let args = ["check", "--connect", "-c", config.to_str().expect("UTF-8")];
        let said = weir::command(home.path(), &args, &[]);
        let name = if server.is_opensearch() {
            "OpenSearch"
        } else {
            "Elasticsearch"
        };
        let expected = format!("{name} {}", server.version);
        assert!(said.text().contains(&expected), "{}", said.text());
        assert_eq!(server.count(&index), 0);
    }
}
