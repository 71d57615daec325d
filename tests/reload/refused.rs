//! What is refused changes nothing: not at a reload, and not at the start.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use super::kit::{SERVICE, TO_FILES, put, reload, taken};
use crate::{
    delivery::numbers,
    harness::{
        Sender, forward, holds,
        scripted::{Manner, Scripted},
        weir::Home,
    },
};

/// Every file below a folder with its content.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut open, mut files) = (vec![folder.to_owned()], BTreeMap::new());
    while let Some(path) = open.pop() {
        match fs::read_dir(&path) {
            Ok(entries) => open.extend(entries.map(|entry| entry.expect("an entry").path())),
            Err(_) => drop(files.insert(path.clone(), fs::read(&path).expect("a file"))),
        }
    }
    files
}

/// At least 50 configurations with a mistake: those of the tests of the checker, and `good` cut off in many places.
fn broken(good: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/broken");
    let entries = fs::read_dir(folder).expect("the folder").flatten();
    let paths = entries.map(|entry| entry.path());
    let texts = paths.filter(|path| path.extension().is_some_and(|suffix| suffix == "toml"));
    let mut all: Vec<String> = texts
        .map(|path| fs::read_to_string(path).expect("a file"))
        .collect();
    // Cut off before the quote at the end of a line.
    let ends = good.match_indices("\"\n").map(|(at, _)| at);
    all.extend(ends.filter_map(|at| good.get(..at).map(str::to_owned)));
    assert!(all.len() >= 50, "{}", all.len());
    all
}

fn samples(weir: &crate::harness::Weir) -> (f64, f64) {
    let samples = weir.metrics();
    (
        samples.sum("weir_config_last_reload_successful", &[]),
        samples.sum("weir_config_reloads_total", &["result=\"failure\""]),
    )
}

fn relay(port: u16) -> String {
    format!(
        r#"{SERVICE}
[[match]]
id = "relay"
type = "forward"
tag = "**"
require_ack_response = true
[[match.server]]
host = "127.0.0.1"
port = {port}
[match.buffer]
flush_interval = "0s"
retry_wait = "200ms"
retry_max_interval = "200ms"
"#
    )
}

#[test]
fn a_wrong_configuration_at_the_start_leaves_the_buffer_as_it_is() {
    let there = Scripted::start(Manner::Closes);
    let good = relay(there.port());
    let home = Home::new(&good);
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&forward::packed("a", &forward::numbered(0, 500), Some("c")));
    sender.expect_ack("c");
    weir.kill();
    let before = snapshot(&home.path().join("data"));
    assert!(
        before
            .keys()
            .any(|path| path.starts_with(home.path().join("data/buffer/relay")))
    );
    for text in broken(&good) {
        put(&home, &text);
        let ended = home.spawn(&[]).wait_end(20);
        assert_eq!(ended.code(), Some(78), "{text}");
        assert!(
            snapshot(&home.path().join("data")) == before,
            "it touched files: {text}"
        );
    }
    put(&home, &good);
    let weir = home.start();
    there.behave(Manner::Acks(Duration::ZERO));
    weir.settles(20);
    let numbers: Vec<u64> = there
        .messages()
        .into_iter()
        .flat_map(|message| message.numbers)
        .collect();
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
    assert!(weir.stop().success());
}

#[test]
fn a_wrong_configuration_at_a_reload_changes_nothing() {
    let good = format!("{SERVICE}{TO_FILES}");
    let home = Home::new(&good);
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    for (number, text) in (1_u32..).zip(broken(&good)) {
        put(&home, &text);
        let (status, answer) = reload(&weir);
        assert_eq!(status, 422, "{answer} {text}");
        assert!(
            answer["errors"].as_u64().is_some_and(|errors| errors > 0),
            "{answer}"
        );
        assert!(answer["diagnostics"][0]["help"].is_string(), "{answer}");
        assert_eq!(samples(&weir), (0.0, f64::from(number)));
        let chunk = format!("c{number}");
        sender.send(&forward::packed(
            "a",
            &forward::numbered(number.into(), 1),
            Some(&chunk),
        ));
        sender.expect_ack(&chunk);
    }
    let log = weir.log_text();
    assert!(
        log.contains("the configuration is not taken") && log.contains("help: "),
        "{log}"
    );
    fs::remove_file(home.config()).expect("it is there");
    let (status, answer) = reload(&weir);
    assert_eq!(status, 400, "{answer}");
    put(&home, &good);
    taken(&weir);
    assert_eq!(samples(&weir).0, 1.0);
    assert!(weir.stop().success());
}

/// Configurations that pass `weir check` and cannot run here and now, with the component and what is said of it. Each
/// also moves the output, which must not happen.
fn impossible(good: &str, occupied: SocketAddr) -> [(String, &'static str, &'static str); 4] {
    let moved = good.replace("out/all.log", "moved/all.log");
    let source =
        |more: &str| format!("{moved}\n[[source]]\nid = \"more\"\ntype = \"forward\"\n{more}\n");
    let listen = format!("listen = \"{occupied}\"");
    let tls =
        "listen = \"127.0.0.1:0\"\ntls = { cert_path = \"file\", private_key_path = \"file\" }";
    let output = r#"
[[match]]
id = "more"
tag = "x"
type = "file"
path = "out/x.log"
[match.buffer]
path = "file/below"
"#;
    let elsewhere = moved.replace(
        "type = \"forward\"\nlisten = \"127.0.0.1:0\"",
        &format!("type = \"forward\"\n{listen}"),
    );
    [
        (source(&listen), "more", "listen on"),
        (source(tls), "more", "file"),
        (elsewhere, "in", "listen on"),
        (
            moved.replace("tag = \"**\"", "tag = \"y\"") + output,
            "more",
            "file/below",
        ),
    ]
}

#[test]
fn what_cannot_run_is_refused_as_a_whole() {
    let taken_port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let occupied = taken_port.local_addr().expect("bound");
    let good = format!("{SERVICE}{TO_FILES}");
    let home = Home::new(&good);
    let weir = home.start();
    fs::write(home.path().join("file"), "no folder").expect("a file");
    let mut sender = Sender::connect(weir.listens("in"));
    let cases = impossible(&good, occupied);
    for (number, (text, component, message)) in (0_u64..).zip(&cases) {
        put(&home, text);
        let (status, answer) = reload(&weir);
        let case = format!("{answer} {text}");
        assert_eq!(
            (status, &answer["component"]),
            (422, &json!(component)),
            "{case}"
        );
        let said = answer["message"].as_str().unwrap_or_default();
        assert!(said.contains(message), "{case}");
        let chunk = format!("c{number}");
        sender.send(&forward::packed(
            "a",
            &forward::numbered(number, 1),
            Some(&chunk),
        ));
        sender.expect_ack(&chunk);
    }
    weir.settles(20);
    assert_eq!(numbers(&home.records("out")), [0, 1, 2, 3]);
    let moved = home.records("moved").len();
    assert_eq!(moved, 0, "half of a configuration was taken");
    drop(taken_port);
    put(&home, &cases[0].0);
    assert_eq!(taken(&weir)["added"], json!(["more"]));
    assert!(weir.stop().success());
}

#[test]
fn what_only_a_restart_can_change_is_named() {
    let good = format!("{SERVICE}{TO_FILES}");
    let home = Home::new(&good);
    let weir = home.start();
    put(
        &home,
        &good.replace("data_dir = \"data\"", "data_dir = \"other\"\nworkers = 3"),
    );
    let (status, answer) = reload(&weir);
    assert_eq!(
        (status, &answer["keys"]),
        (422, &json!(["data_dir", "workers"])),
        "{answer}"
    );
    assert!(
        answer["message"]
            .as_str()
            .is_some_and(|text| text.contains("restart")),
        "{answer}"
    );
    assert!(!home.path().join("other").exists());
    put(
        &home,
        &good.replace(
            "drain_delay = \"0s\"",
            "drain_delay = \"0s\"\nshutdown_timeout = \"7s\"\nrole = \"x\"",
        ),
    );
    taken(&weir);
    holds("the role is told", 10, &1, || {
        weir.metrics()
            .matching("weir_config_info", &["role=\"x\""])
            .count()
    });
    assert_eq!(weir.metrics().matching("weir_config_info", &[]).count(), 1);
    assert!(weir.stop().success());
}
