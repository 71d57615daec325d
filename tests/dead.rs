//! `weir dead`: records that a destination refused are listed, printed and sent again; one is out of the way only when
//! it is stored where it was sent.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::{
    delivery::{listening, numbers, receiver},
    harness::{
        Sender, Weir, bulk, eventually, forward, free_port, holds,
        scripted::{Manner, Scripted},
        weir::{Home, Said, command},
    },
};

const DIR: &str = "data/dead/es";

/// A router before a server that refuses documents with a certain word, and files for the tag `again.**`.
fn refusing(port: u16) -> Home {
    let service = listening(format!("127.0.0.1:{port}"));
    let server = bulk::start();
    Home::new(&format!(
        r#"{service}
[[match]]
id = "es"
tag = "**"
type = "elasticsearch"
hosts = ["http://{server}"]
[match.buffer]
flush_interval = "0s"
"#
    ))
}

/// Sends records of which these are refused, and waits until they are dead letters.
fn refuse(home: &Home, weir: &Weir, numbers: std::ops::Range<u64>) {
    let entry = |n: u64| {
        let word = if n.is_multiple_of(2) {
            bulk::MISFIT
        } else {
            "fits"
        };
        forward::entry(1_764_000_000, &json!({ "n": n, "message": word }))
    };
    let before = dead(home).len();
    let expected = before + numbers.clone().filter(|n| n.is_multiple_of(2)).count();
    let entries: Vec<u8> = numbers.flat_map(entry).collect();
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&forward::packed("app.web", &entries, Some("some")));
    sender.expect_ack("some");
    holds("what is refused is a dead letter", 30, &expected, || {
        dead(home).len()
    });
}

fn weir(home: &Home, args: &[&str]) -> Said {
    command(home.path(), args, &[])
}

/// What `weir dead cat` prints.
fn dead(home: &Home) -> Vec<Value> {
    // Without a dead letter there is no directory yet.
    let said = weir(home, &["dead", "cat", "-c", "weir.toml"]);
    said.lines()
}

/// The names of the files in a folder below the dead letter.
fn files(home: &Home, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(home.path().join(DIR).join(folder))
        .into_iter()
        .flatten();
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|ending| ending == "ndjson")
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn even(range: std::ops::Range<u64>) -> Vec<u64> {
    range.filter(|n| n.is_multiple_of(2)).collect()
}

#[test]
fn are_listed_by_reason_and_printed() {
    let home = refusing(0);
    let running = home.start();
    refuse(&home, &running, 0..10);
    let listed = weir(&home, &["dead", "ls", "-c", "weir.toml", "--json"]).json();
    let [one] = &listed.as_array().expect("a list")[..] else {
        panic!("one reason: {listed:#}");
    };
    assert_eq!(
        (&one["dead_letter"], &one["records"]),
        (&json!("es"), &json!(5))
    );
    assert!(
        one["message"].as_str().expect("text").contains("told to"),
        "{one:#}"
    );
    let kind = one["kind"].as_str().expect("text");
    let table = weir(&home, &["dead", "ls", DIR]);
    let row = table.text().lines().nth(1).expect("a row").to_owned();
    assert!(
        row.starts_with(DIR) && row.contains(kind) && row.contains("told to"),
        "{row}"
    );

    let print = |args: &[&str]| {
        numbers(
            &weir(&home, &[&["dead", "cat", DIR], args].concat())
                .lines()
                .iter()
                .map(|line| line["record"].clone())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(print(&[]), even(0..10));
    assert_eq!(
        print(&["--kind", kind, "--tag", "app.*", "--since", "1h"]),
        even(0..10)
    );
    assert_eq!(print(&["--limit", "2"]), [0, 2]);
    assert!(print(&["--kind", "other"]).is_empty());
    assert!(print(&["--tag", "sys.**"]).is_empty());
    assert!(print(&["--since", "2999-01-01T00:00:00Z"]).is_empty());
    assert!(running.stop().success());
}

#[test]
fn are_sent_to_another_router_with_their_tags_and_taken_away() {
    let home = refusing(0);
    let running = home.start();
    refuse(&home, &running, 0..10);
    let other = receiver(0, "");
    let other_running = other.start();
    let to = other_running.listens("in").to_string();
    let said = weir(&home, &["dead", "replay", DIR, "--to", &to]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err
            .contains(&format!("5 records acknowledged by {to}")),
        "{}",
        said.err
    );
    holds("all arrive", 20, &even(0..10), || {
        numbers(&other.records("out"))
    });
    assert!(
        other
            .records("out")
            .iter()
            .all(|record| record["tag"] == "app.web" && record["message"] == bulk::MISFIT)
    );
    assert_eq!(files(&home, "replayed"), ["00000001.ndjson"]);
    assert!(files(&home, "").is_empty() && files(&home, "replaying").is_empty());
    // The router goes on in another file, and once more there is something to replay.
    refuse(&home, &running, 10..14);
    let said = weir(
        &home,
        &[
            "dead",
            "replay",
            "-c",
            "weir.toml",
            "es",
            "--to",
            &to,
            "--remove",
        ],
    );
    assert_eq!(said.code, 0, "{}", said.err);
    holds("all arrive", 20, &even(0..14), || {
        numbers(&other.records("out"))
    });
    assert_eq!(files(&home, "replayed"), ["00000001.ndjson"]);
    assert!(dead(&home).is_empty());
    let said = weir(&home, &["dead", "replay", DIR, "--to", &to]);
    assert_eq!((said.code, &*said.err), (0, "there are no dead letters\n"));
    running.settles(20);
    assert!(running.stop().success() && other_running.stop().success());
}

/// The router that refused them gets them again, refuses them again, and nothing is lost or goes round for ever.
#[test]
fn go_to_the_running_router_of_a_configuration() {
    let home = refusing(free_port());
    let running = home.start();
    refuse(&home, &running, 0..10);
    let said = weir(&home, &["dead", "replay", "-c", "weir.toml"]);
    assert_eq!(said.code, 0, "{}", said.err);
    holds("they are refused again", 30, &even(0..10), || {
        let records: Vec<Value> = dead(&home)
            .iter()
            .map(|line| line["record"].clone())
            .collect();
        numbers(&records)
    });
    assert_eq!(files(&home, "replayed"), ["00000001.ndjson"]);
    running.settles(20);
    assert!(running.stop().success());
}

/// A replay to a receiver that never answers, to its end. Where the file is then, and what a second replay brings.
fn without_an_acknowledgement(env: &[(&str, &str)]) -> (Vec<String>, Vec<u64>) {
    let home = refusing(0);
    let running = home.start();
    refuse(&home, &running, 0..10);
    assert!(running.stop().success());
    let silent = Scripted::start(Manner::Silent);
    let to = format!("127.0.0.1:{}", silent.port());
    let args = ["dead", "replay", DIR, "--to", &to, "--timeout", "1s"];
    let said = command(home.path(), &args, env);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err.contains("no acknowledgement within 1 s"),
        "{}",
        said.err
    );
    let replayed = files(&home, "replayed");
    let other = receiver(0, "");
    let other_running = other.start();
    let to = other_running.listens("in").to_string();
    assert_eq!(weir(&home, &["dead", "replay", DIR, "--to", &to]).code, 0);
    other_running.settles(20);
    assert!(other_running.stop().success());
    (replayed, numbers(&other.records("out")))
}

#[test]
fn that_nobody_acknowledged_are_still_there() {
    let (replayed, arrived) = without_an_acknowledgement(&[]);
    assert!(replayed.is_empty(), "{replayed:?}");
    assert_eq!(arrived, even(0..10));
}

/// The test above notices a replay that takes a file away before it was acknowledged.
#[test]
fn a_replay_that_moves_too_early_is_noticed() {
    let (replayed, arrived) =
        without_an_acknowledgement(&[("WEIR_DEFECT", "replay_moves_before_ack")]);
    assert_eq!(replayed, ["00000001.ndjson"]);
    assert!(arrived.is_empty(), "{arrived:?}");
}

#[test]
fn of_a_replay_that_was_killed_come_again() {
    let home = refusing(0);
    let running = home.start();
    refuse(&home, &running, 0..10);
    let slow = Scripted::start(Manner::Acks(Duration::from_mins(1)));
    let to = format!("127.0.0.1:{}", slow.port());
    let mut child = std::process::Command::new(crate::harness::weir::BINARY)
        .args(["dead", "replay", DIR, "--to", &to])
        .current_dir(home.path())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("weir starts");
    eventually("the records are on their way", 20, || {
        (!slow.messages().is_empty()).then_some(())
    });
    assert_eq!(files(&home, "replaying"), ["00000001.ndjson"]);
    // Another replay keeps its hands off what this one has.
    let said = weir(&home, &["dead", "replay", DIR, "--to", &to]);
    assert!(
        said.code == 1 && said.err.contains("taken by another replay"),
        "{said:?}"
    );
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let other = receiver(0, "");
    let other_running = other.start();
    let to = other_running.listens("in").to_string();
    let said = weir(&home, &["dead", "replay", DIR, "--to", &to]);
    assert_eq!(said.code, 0, "{}", said.err);
    holds("all arrive", 20, &even(0..10), || {
        numbers(&other.records("out"))
    });
    assert_eq!(files(&home, "replayed"), ["00000001.ndjson"]);
    assert!(running.stop().success() && other_running.stop().success());
}

#[test]
fn with_a_line_that_is_wrong_stay_where_they_are() {
    let home = refusing(0);
    let running = home.start();
    refuse(&home, &running, 0..4);
    let path = home.path().join(DIR).join("00000001.ndjson");
    let text = fs::read_to_string(&path).expect("a file");
    fs::write(&path, format!("{text}no line\n")).expect("a file");
    let other = receiver(0, "");
    let other_running = other.start();
    let to = other_running.listens("in").to_string();
    let said = weir(&home, &["dead", "replay", DIR, "--to", &to]);
    assert_eq!(said.code, 1);
    assert!(
        said.err
            .contains("00000001.ndjson, line 3: is not a line of a dead letter"),
        "{}",
        said.err
    );
    assert_eq!(files(&home, ""), ["00000001.ndjson"]);
    other_running.settles(20);
    assert!(other_running.stop().success());
    assert!(other.records("out").is_empty());
    fs::write(&path, text).expect("a file");
    assert!(running.stop().success());

    let said = weir(&home, &["dead", "replay", DIR]);
    assert!(
        said.code == 64 && said.err.contains("where to?"),
        "{}",
        said.err
    );
    let said = weir(&home, &["dead", "replay", "-c", "weir.toml"]);
    assert!(
        said.code == 64 && said.err.contains("listens on any free port"),
        "{}",
        said.err
    );
    let said = weir(&home, &["dead", "ls", "nowhere"]);
    assert!(
        said.code == 74 && said.err.contains("nowhere is neither"),
        "{}",
        said.err
    );
}
