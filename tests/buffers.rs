//! `weir buffer`: what it tells of the buffer of a running router and of a killed one is what senders have sent.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    delivery::{SERVICE, numbers, receiver},
    harness::{
        Sender, Weir, forward, free_port, holds,
        weir::{Home, Said, command},
    },
};

/// A router whose only destination is not there, and whose buffer is `data/buffer/away`.
fn stuck() -> Home {
    let port = free_port();
    Home::new(&format!(
        r#"{SERVICE}
[[match]]
id = "away"
tag = "**"
type = "forward"
[[match.server]]
host = "127.0.0.1"
port = {port}
[match.buffer]
retry_wait = "1h"
"#
    ))
}

/// Sends records 0 to 9 as `app.web`, and 10 to 14 as `sys`; the second message asks for an acknowledgement, so both are stored.
fn fill(weir: &Weir) {
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&forward::packed(
        "app.web",
        &forward::numbered(0, 10),
        Some("one"),
    ));
    sender.expect_ack("one");
    sender.send(&forward::packed(
        "sys",
        &forward::numbered(10, 5),
        Some("two"),
    ));
    sender.expect_ack("two");
}

const DIR: &str = "data/buffer/away";

fn weir(home: &Home, args: &[&str]) -> Said {
    command(home.path(), args, &[])
}

/// What `verify` says of the buffer, and its exit code.
fn verify(home: &Home, env: &[(&str, &str)]) -> (Value, i32) {
    let said = command(home.path(), &["buffer", "verify", DIR, "--json"], env);
    (said.json()[0].clone(), said.code)
}

fn records(lines: &[Value]) -> Vec<Value> {
    lines.iter().map(|line| line["record"].clone()).collect()
}

fn numbered(range: std::ops::Range<u64>) -> Vec<Value> {
    range.map(|n| json!({ "n": n })).collect()
}

/// Every file below a folder with what is in it.
fn everything(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(everything(&path));
        } else {
            all.push((path.clone(), fs::read(&path).expect("a file")));
        }
    }
    all.sort();
    all
}

/// Looks with every command; what it finds is what [`fill`] has sent.
#[track_caller]
fn look(home: &Home, what: &str) {
    let (found, code) = verify(home, &[]);
    assert_eq!(code, 0, "{what}: {found:#}");
    let held = &found["held"];
    assert_eq!(
        (&held["records"], &held["frames"]),
        (&json!(15), &json!(2)),
        "{what}: {found:#}"
    );
    assert_eq!(found["whole"], true);
    let text = weir(home, &["buffer", "verify", DIR]);
    assert!(
        text.text().contains("15 records in 2 frames"),
        "{what}: {text:?}"
    );
    let listed = weir(home, &["buffer", "ls", "-c", "weir.toml"]);
    let row = listed.text().lines().nth(1).expect("a row");
    let row: Vec<&str> = row.split_whitespace().take(2).collect();
    assert_eq!(row, ["away", "15"], "{what}: {listed:?}");
    let listed = weir(home, &["buffer", "ls", "--json", "-c", "weir.toml", "away"]).json();
    assert_eq!(listed[0]["held"]["records"], 15, "{what}");
    assert!(
        listed[0]["oldest"]
            .as_str()
            .is_some_and(|oldest| oldest.ends_with('Z'))
    );

    let lines = weir(home, &["buffer", "cat", DIR]).lines();
    assert_eq!(records(&lines), numbered(0..15), "{what}");
    let line = &lines[11];
    assert_eq!((&line["tag"], &line["index"]), (&json!("sys"), &json!(1)));
    assert_eq!(line["time"], "2025-11-24T16:00:00.000000007Z");
    let sequence = line["sequence"].as_u64().expect("a number");
    let id = found["id"].as_str().expect("an id");
    assert_eq!(line["id"], format!("{id}-{sequence}-1"));
    let some = weir(
        home,
        &["buffer", "cat", DIR, "--tag", "app.**", "--limit", "3"],
    );
    assert_eq!(records(&some.lines()), numbered(0..3), "{what}");
    let raw = weir(home, &["buffer", "cat", DIR, "--raw"]);
    assert_eq!(raw.out, forward::numbered(0, 15), "{what}");
}

#[test]
fn commands_tell_what_a_running_and_a_killed_router_hold() {
    let home = stuck();
    let running = home.start();
    fill(&running);
    let before = everything(&home.path().join("data"));
    look(&home, "running");
    assert_eq!(
        everything(&home.path().join("data")),
        before,
        "nothing was touched"
    );
    running.kill();
    look(&home, "killed");
    assert_eq!(
        everything(&home.path().join("data")),
        before,
        "nothing was touched"
    );
}

/// A byte inside the second frame.
fn damage(home: &Home) {
    let folder = home.path().join(DIR);
    let segment = fs::read_dir(&folder)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "seg"))
        .expect("a segment");
    let mut bytes = fs::read(&segment).expect("a file");
    let at = bytes.len() - 20;
    bytes[at] ^= 0x40;
    fs::write(&segment, bytes).expect("a file");
}

#[test]
fn damage_is_told_and_what_is_not_damaged_is_there() {
    let home = stuck();
    let running = home.start();
    fill(&running);
    running.kill();
    damage(&home);
    let (found, code) = verify(&home, &[]);
    assert_eq!(code, 1, "{found:#}");
    let damage = &found["damage"][0];
    assert_eq!(
        (&damage["records_lost"], &damage["copied"]),
        (&json!(5), &json!(false)),
        "{found:#}"
    );
    assert_eq!(found["whole"], false);
    let text = weir(&home, &["buffer", "verify", DIR]);
    assert_eq!(text.code, 1);
    let out = String::from_utf8_lossy(&text.out).into_owned();
    for words in [
        "5 records are lost",
        "DAMAGED in 1 place",
        "10 records in 1 frame",
    ] {
        assert!(out.contains(words), "{words:?} is missing in\n{out}");
    }
    let lines = weir(&home, &["buffer", "cat", DIR]).lines();
    assert_eq!(records(&lines), numbered(0..10));
    // A verification that looks away is noticed by what stands above.
    let (_, code) = verify(&home, &[("WEIR_DEFECT", "verify_ignores_damage")]);
    assert_eq!(
        code, 0,
        "the defect is in the build, and changes the exit code"
    );
}

#[test]
fn what_is_held_is_exported_to_another_router_and_to_a_file_that_can_be_replayed() {
    let home = stuck();
    let running = home.start();
    fill(&running);
    let other = receiver(0, "");
    let other_running = other.start();
    let to = other_running.listens("in").to_string();
    let sent = weir(&home, &["buffer", "export", DIR, "--to", &to]);
    assert_eq!(sent.code, 0, "{}", sent.err);
    assert_eq!(
        sent.err,
        format!("15 records acknowledged by {to}; they are still in the buffer\n")
    );
    let all: Vec<u64> = (0..15).collect();
    holds("all arrive", 20, &all, || numbers(&other.records("out")));
    assert_eq!(verify(&home, &[]).0["held"]["records"], 15);

    let written = weir(
        &home,
        &[
            "buffer",
            "export",
            DIR,
            "--out",
            "held.ndjson",
            "--tag",
            "sys",
        ],
    );
    assert_eq!(written.code, 0, "{}", written.err);
    let again = weir(&home, &["buffer", "export", DIR, "--out", "held.ndjson"]);
    assert!(
        again.code == 64 && again.err.contains("held.ndjson exists"),
        "{}",
        again.err
    );
    let replayed = weir(&home, &["dead", "replay", "held.ndjson", "--to", &to]);
    assert_eq!(replayed.code, 0, "{}", replayed.err);
    let mut expected: Vec<u64> = (0..15).chain(10..15).collect();
    expected.sort_unstable();
    holds("some arrive again", 20, &expected, || {
        numbers(&other.records("out"))
    });
    let tags: Vec<Value> = other
        .records("out")
        .iter()
        .map(|record| record["tag"].clone())
        .collect();
    assert_eq!(tags.iter().filter(|tag| *tag == "sys").count(), 10);
    assert!(home.path().join("replayed/held.ndjson").exists());
    running.kill();
    assert!(other_running.stop().success());
}

#[test]
fn wrong_arguments_are_explained() {
    let home = stuck();
    let fails = |args: &[&str], code: i32, words: &str| {
        let said = weir(&home, args);
        assert_eq!(said.code, code, "{args:?}: {}", said.err);
        assert!(
            said.err.contains(words) && said.err.contains("help: "),
            "{args:?}: {}",
            said.err
        );
    };
    fails(&["buffer", "ls"], 64, "which buffer?");
    fails(&["buffer", "cat", "nowhere"], 74, "nowhere");
    fails(&["buffer", "verify", "."], 74, "holds no buffer");
    fails(
        &["buffer", "cat", "-c", "weir.toml", "other"],
        64,
        "no output `other`",
    );
    fails(&["buffer", "cat", "-c", "missing.toml"], 78, "missing.toml");
    fs::write(
        home.path().join("bad.toml"),
        "[[source]]\ntype = \"forwrd\"\n",
    )
    .expect("a file");
    fails(
        &["buffer", "ls", "-c", "bad.toml"],
        78,
        "write type = \"forward\"",
    );
    assert_eq!(
        weir(&home, &["buffer", "cat", DIR, "--tag", "/[/"]).code,
        64
    );
    assert_eq!(weir(&home, &["buffer", "export", DIR]).code, 64);
    assert_eq!(
        weir(&home, &["buffer", "export", DIR, "--to", "here"]).code,
        64
    );
    // A router that has never run has nothing.
    assert_eq!(
        weir(&home, &["buffer", "ls", "-c", "weir.toml"])
            .text()
            .lines()
            .count(),
        1
    );
}
