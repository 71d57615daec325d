//! What a router says at its start about each output, and what it refuses when it is to be strict.

use std::fs;

use serde_json::{Value, json};

use crate::{
    delivery::SERVICE,
    harness::{
        eventually, free_port,
        weir::{Home, command},
    },
};

/// What is said of the output `out` with these tables below its match.
#[track_caller]
fn said(tables: &str) -> Value {
    let port = free_port();
    let home = Home::new(&format!(
        "{SERVICE}\n[[match]]\nid = \"out\"\ntag = \"**\"\ntype = \"forward\"\n{tables}\n[[match.server]]\nhost = \"127.0.0.1\"\nport = {port}\n"
    ));
    let running = home.start();
    let line = eventually("the line of the output", 10, || {
        let lines = running.log().into_iter();
        lines
            .clone()
            .find(|line| line["output"] == "out" && !line["retry_end"].is_null())
    });
    let count = running
        .log()
        .iter()
        .filter(|line| !line["retry_end"].is_null())
        .count();
    assert_eq!(count, 1, "one line for one output");
    assert!(running.stop().success());
    let keys = [
        "message",
        "durability",
        "overflow_action",
        "retry_end",
        "dead_letter",
        "order",
    ];
    keys.iter()
        .map(|key| ((*key).to_owned(), line[*key].clone()))
        .collect()
}

#[test]
fn each_output_says_at_the_start_what_holds_for_it() {
    let default = json!({
        "message": "acknowledged records survive a power cut",
        "durability": "commit",
        "overflow_action": "block",
        "retry_end": "never",
        "dead_letter": "file up to 1GiB, then block",
        "order": "kept",
    });
    assert_eq!(said(""), default);
    let weak = "[match.buffer]\ndurability = \"os\"\noverflow_action = \"throw_exception\"\nretry_max_times = 5\n\
        retry_timeout = \"2h\"\nflush_thread_count = 4\n[match.dead_letter]\nmax_bytes = \"2MiB\"\non_full = \"drop\"\n";
    let expected = json!({
        "message": "acknowledged records survive the end of the process, not a power cut",
        "durability": "os",
        "overflow_action": "throw_exception",
        "retry_end": "after 5 retries or after 2h",
        "dead_letter": "file up to 2MiB, then drop",
        "order": "not kept",
    });
    assert_eq!(said(weak), expected);
    let mut memory = default.clone();
    memory["message"] = "acknowledged records are lost when the process dies".into();
    memory["durability"] = "memory".into();
    memory["dead_letter"] = "none: refused records are dropped".into();
    assert_eq!(said("[match.buffer]\ntype = \"memory\"\n"), memory);
    let mut none = memory;
    none["message"] = "records are acknowledged when the destination took them".into();
    none["durability"] = "none".into();
    assert_eq!(said("[match.buffer]\ntype = \"none\"\n"), none);
}

const STRONG: &str =
    "[[match]]\nid = \"files\"\ntag = \"**\"\ntype = \"file\"\npath = \"out/all.log\"\n";

/// What is weak, what is said of it, and where.
const WEAK: [(&str, &str, &str); 6] = [
    (
        "[match.buffer]\ntype = \"memory\"\n",
        "weakens G1",
        "type = \"memory\"",
    ),
    (
        "[match.buffer]\ndurability = \"os\"\n",
        "weakens G1",
        "durability = \"os\"",
    ),
    (
        "[match.dead_letter]\ntype = \"none\"\n",
        "weakens G5",
        "type = \"none\"",
    ),
    (
        "[match.dead_letter]\non_full = \"drop\"\n",
        "weakens G5",
        "on_full = \"drop\"",
    ),
    (
        "[match.buffer]\nretry_max_times = 3\n[match.dead_letter]\ntype = \"none\"\n",
        "gives up",
        "retry_max_times = 3",
    ),
    ("sync = false\n", "weakens G1 and G3", "sync = false"),
];

#[test]
fn strict_refuses_what_weakens_a_promise_and_starts_nothing() {
    for (weak, words, place) in WEAK {
        let home = Home::new(&format!("{SERVICE}{STRONG}{weak}"));
        assert_eq!(
            command(home.path(), &["check", "-c", "weir.toml"], &[]).code,
            0,
            "{weak}"
        );
        for args in [
            &["check", "--strict", "-c", "weir.toml"][..],
            &["run", "--strict", "-c", "weir.toml"],
        ] {
            let said = command(home.path(), args, &[]);
            let text = String::from_utf8_lossy(&said.out).into_owned() + &said.err;
            assert_eq!(said.code, 78, "{args:?} {weak}: {text}");
            for part in [words, place, "error[weak-promise]", "help: "] {
                assert!(
                    text.contains(part),
                    "{args:?} {weak}: {part:?} is missing in\n{text}"
                );
            }
            assert_eq!(
                fs::read_dir(home.path()).expect("a folder").count(),
                1,
                "{weak}"
            );
        }
        let inside = SERVICE.replace("[service]\n", "[service]\nstrict = true\n");
        let home = Home::new(&format!("{inside}{STRONG}{weak}"));
        assert_eq!(
            command(home.path(), &["check", "-c", "weir.toml"], &[]).code,
            78,
            "{weak}"
        );
    }
    let home = Home::new(&format!("{SERVICE}{STRONG}"));
    let said = command(home.path(), &["check", "--strict", "-c", "weir.toml"], &[]);
    assert_eq!(said.code, 0, "{}", said.err);
}
