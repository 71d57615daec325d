//! `weir check --connect` at real servers: who is there, who is not, and nothing is left behind.

use std::process::Command;

use serde_json::Value;

use crate::{
    delivery::receiver,
    harness::{
        collector::Collector,
        free_port,
        servers::Server,
        weir::{BINARY, Home},
    },
};

/// Exit code and what was said.
fn check(home: &Home, args: &[&str]) -> (Option<i32>, String) {
    let config = home.config();
    let path = config.to_str().expect("UTF-8");
    let all = [&["check", "--connect", "-c", path], args].concat();
    let output = Command::new(BINARY).args(all).output().expect("weir runs");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code(), said)
}

fn store(id: &str, kind: &str, parameters: &str) -> String {
    format!("\n[[match.store]]\nid = \"{id}\"\ntype = \"{kind}\"\n{parameters}\n")
}

fn copy(stores: &str) -> Home {
    Home::new(&format!(
        "[[source]]\ntype = \"sample\"\ntag = \"a\"\n[[match]]\ntag = \"**\"\ntype = \"copy\"\n{stores}"
    ))
}

#[test]
fn every_destination_says_who_it_is() {
    let (elastic, open) = (Server::elasticsearch(), Server::opensearch());
    let (index, other) = (elastic.fresh_index("reach"), open.fresh_index("reach"));
    let port = free_port();
    let receiver = receiver(port, "");
    let (receiving, collector) = (receiver.start(), Collector::start());
    let search = |server: &Server, index: &str| {
        format!("hosts = [\"{}\"]\nindex = \"{index}-%Y\"", server.url)
    };
    let stores = [
        store("es", "elasticsearch", &search(&elastic, &index)),
        store("os", "opensearch", &search(&open, &other)),
        store(
            "next",
            "forward",
            &format!("[[match.store.server]]\nhost = \"127.0.0.1\"\nport = {port}"),
        ),
        store(
            "collect",
            "http",
            &format!("endpoint = \"http://{}/in/${{tag}}\"", collector.address()),
        ),
        store("here", "file", "path = \"out/%Y.log\""),
    ];
    let home = copy(&stores.concat());
    let (code, said) = check(&home, &[]);
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "es: http://127.0.0.1:",
        &format!("Elasticsearch {}", elastic.version),
        "es: licence basic, active",
        &format!("OpenSearch {}", open.version),
        "next: 127.0.0.1:",
        "a server answers at 127.0.0.1:",
        "collect: http://127.0.0.1:",
        "here: nothing to connect to",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert!(collector.taken().is_empty(), "nothing is delivered");
    assert!(!home.path().join("data").exists() && !home.path().join("out").exists());
    assert_eq!(receiver.records("out").len(), 0);
    assert!(receiving.stop().success());
}

#[test]
fn one_that_is_not_there_fails_the_check_and_is_named() {
    let away = format!("hosts = [\"http://127.0.0.1:{}\"]", free_port());
    let home = copy(&(store("es", "elasticsearch", &away) + &store("null", "null", "")));
    let (code, said) = check(&home, &["--json"]);
    assert_eq!(code, Some(1), "{said}");
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["ok"], true, "the file itself is fine");
    let first = &said["connections"][0];
    assert_eq!(
        (&first["output"], &first["ok"], &first["kind"]),
        (&"es".into(), &false.into(), &"connect".into())
    );
    assert_eq!(said["connections"][1]["ok"], true);
}
