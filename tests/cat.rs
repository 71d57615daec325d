//! `weir cat`: what goes in at standard input is in the files of a router, or its end says why not.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    thread,
};

use serde_json::{Value, json};

use crate::{
    delivery::receiver,
    harness::{
        eventually, forward, free_port, holds,
        weir::{BINARY, Home},
    },
};

const KEY: &str =
    "[source.security]\nself_hostname = \"receiver\"\nshared_key = \"a key of some length 0123\"\n";

fn start(args: &[&str]) -> Child {
    let mut command = Command::new(BINARY);
    command
        .arg("cat")
        .args(args)
        .env_remove("WEIR_SHARED_KEY")
        .env_remove("WEIR_PASSWORD")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().expect("weir cat starts")
}

/// Runs it with this input to its end.
fn cat(args: &[&str], input: &[u8]) -> Output {
    let mut child = start(args);
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // It may end before it has read everything.
    let writing = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("it ends");
    writing.join().expect("the writer ends");
    output
}

/// The exit code and what was said.
fn said(output: &Output) -> (i32, String) {
    assert!(output.stdout.is_empty(), "nothing belongs on stdout");
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    (output.status.code().expect("an exit code"), text)
}

#[track_caller]
fn fails(output: &Output, words: &[&str]) {
    let (code, text) = said(output);
    assert_eq!(code, 1, "{text}");
    assert!(text.starts_with("error: "), "{text}");
    for word in ["\n  help: "].iter().chain(words) {
        assert!(text.contains(word), "{word:?} is missing in\n{text}");
    }
}

/// The records in the files, in order of arrival, without their times.
fn arrived(home: &Home) -> Vec<Value> {
    let mut records = home.records("out");
    for record in &mut records {
        record.as_object_mut().expect("an object").remove("time");
    }
    records
}

fn numbered(range: std::ops::Range<u32>) -> String {
    let lines: Vec<String> = range.map(|n| format!("{{\"n\":{n}}}\n")).collect();
    lines.concat()
}

fn write(stdin: &mut ChildStdin, text: &str) {
    stdin.write_all(text.as_bytes()).expect("it reads");
    stdin.flush().expect("it reads");
}

#[test]
fn a_thousand_lines_arrive_exactly() {
    let home = receiver(0, "");
    let weir = home.start();
    let sent: Vec<Value> = (0..1_000_u64)
        .map(|n| {
            json!({
                "n": n,
                "large": u64::MAX - n,
                "small": i64::MIN,
                "text": "\u{e9}\u{1f30a}\n\"",
                "nested": { "list": [1, -2.5, null, true] },
            })
        })
        .collect();
    let lines: Vec<String> = sent.iter().map(|record| format!("{record}\n")).collect();
    let port = weir.listens("in").port().to_string();
    let output = cat(&["cat.app", "-p", &port], lines.concat().as_bytes());
    let all = "1000 records sent, 1000 acknowledged\n".to_owned();
    assert_eq!(said(&output), (0, all));
    let expected: Vec<Value> = sent
        .into_iter()
        .map(|mut record| {
            record["tag"] = "cat.app".into();
            record
        })
        .collect();
    holds("all arrive", 20, &expected.len(), || arrived(&home).len());
    assert_eq!(arrived(&home), expected);
    assert!(weir.stop().success());
}

#[test]
fn formats_and_times_are_those_of_fluent_cat() {
    let home = receiver(0, "");
    let weir = home.start();
    let port = weir.listens("in").port().to_string();
    let send = |args: &[&str], input: &[u8]| {
        let args = [&["-h", "127.0.0.1", "-p", &port, "cat"], args].concat();
        let output = cat(&args, input);
        assert_eq!(said(&output).0, 0, "{output:?}");
    };
    let noon = "2026-01-31T12:00:00.5+01:00";
    let at_noon = ["--event-time", noon];
    send(&[&at_noon[..], &["--json"]].concat(), b"{\"n\":0}");
    send(&[&at_noon[..], &["--none"]].concat(), b"{\"n\":1}\r\n");
    let key = ["--time", noon, "-f", "none", "--message-key", "log"];
    send(&key, b"line");
    send(
        &[&at_noon[..], &["--time-as-integer", "--compress", "gzip"]].concat(),
        b"{\"n\":3}",
    );
    // An entry with its time, as secondary_file has it, and a map.
    send(&["--msgpack"], &forward::numbered(4, 1));
    send(
        &[&at_noon[..], &["-f", "msgpack"]].concat(),
        b"\x81\xa1n\x05",
    );
    let line = |time: &str, key: &str, value: Value| {
        let mut line = json!({ "time": time, "tag": "cat" });
        line[key] = value;
        line
    };
    let at = "2026-01-31T11:00:00.500000000Z";
    let whole = "2026-01-31T11:00:00.000000000Z";
    let expected = vec![
        line(at, "n", json!(0)),
        line(at, "message", json!("{\"n\":1}")),
        line(at, "log", json!("line")),
        line(whole, "n", json!(3)),
        line("2025-11-24T16:00:00.000000007Z", "n", json!(4)),
        line(at, "n", json!(5)),
    ];
    holds("all arrive", 20, &expected, || home.records("out"));
    assert!(weir.stop().success());
}

fn certs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/out_forward/src/tests/tls")
}

#[test]
fn records_arrive_over_tls_with_a_certificate_a_key_and_a_user() {
    let certs = certs();
    let file = |name: &str| certs.join(name).display().to_string();
    let home = receiver(
        0,
        &format!(
            r#"
[source.tls]
cert_path = "{}"
private_key_path = "{}"
client_cert_auth = true
ca_path = "{}"
{KEY}user_auth = true
[[source.security.user]]
username = "cat"
password = "a password"
"#,
            file("server.pem"),
            file("server.key"),
            file("authority.pem")
        ),
    );
    let weir = home.start();
    let port = weir.listens("in").port().to_string();
    let secret = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let key = secret("key", "a key of some length 0123\n");
    let password = secret("password", "a password\n");
    let (authority, cert, cert_key) = (
        file("authority.pem"),
        file("client.pem"),
        file("client.key"),
    );
    let mut args = vec!["app", "--host", "localhost", "--port", &port];
    args.extend(["--tls-ca", &authority, "--compress", "zstd"]);
    args.extend(["--tls-cert", &cert, "--tls-key", &cert_key]);
    args.extend(["--shared-key-file", &key]);
    args.extend(["--username", "cat", "--password-file", &password]);
    let output = cat(&args, numbered(0..10).as_bytes());
    let all = "10 records sent, 10 acknowledged\n".to_owned();
    assert_eq!(said(&output), (0, all));
    let expected: Vec<Value> = (0..10).map(|n| json!({ "tag": "app", "n": n })).collect();
    holds("all arrive", 20, &expected, || arrived(&home));
    // The same without trusting the authority.
    let args = ["app", "--host", "localhost", "--port", &port, "--tls"];
    fails(
        &cat(&args, b"{}"),
        &[
            "the TLS handshake failed",
            "--tls-ca",
            "1 record sent, 0 acknowledged",
        ],
    );
    assert!(weir.stop().success());
}

#[test]
fn who_is_not_let_in_learns_why() {
    let home = receiver(0, KEY);
    let weir = home.start();
    let address = weir.listens("in");
    let port = address.port().to_string();
    let wrong = ["app", "-p", &port, "--shared-key", "another key"];
    let who = address.to_string();
    fails(
        &cat(&wrong, b"{}"),
        &[
            &who,
            "refused the handshake",
            "--shared-key-file",
            "0 acknowledged",
        ],
    );
    let none = ["app", "-p", &port];
    fails(
        &cat(&none, b"{}"),
        &[&who, "--shared-key-file", "0 acknowledged"],
    );
    let right = [
        "app",
        "-p",
        &port,
        "--shared-key",
        "a key of some length 0123",
    ];
    assert_eq!(said(&cat(&right, b"{\"n\":1}")).0, 0);
    let expected = vec![json!({ "tag": "app", "n": 1 })];
    holds("one arrives", 20, &expected, || arrived(&home));
    assert!(weir.stop().success());
}

#[test]
fn where_nobody_listens_the_address_is_named() {
    let port = free_port().to_string();
    let output = cat(&["app", "--port", &port], b"{\"n\":1}\n{\"n\":2}\n");
    fails(
        &output,
        &[
            &format!("127.0.0.1:{port}: "),
            "refused",
            "is a router listening there?",
            "2 records sent, 0 acknowledged",
        ],
    );
}

#[test]
fn a_bad_line_is_named_and_what_stands_before_it_is_sent() {
    let home = receiver(0, "");
    let weir = home.start();
    let port = weir.listens("in").port().to_string();
    let input = format!("{}{{\"n\":2,}}\n{}", numbered(0..2), numbered(3..5));
    let output = cat(&["app", "-p", &port], input.as_bytes());
    fails(
        &output,
        &[
            "line 3: ",
            "{\"n\":2,}",
            "write one JSON object on each line",
            "2 records sent, 2 acknowledged",
        ],
    );
    let expected: Vec<Value> = (0..2).map(|n| json!({ "tag": "app", "n": n })).collect();
    holds("two arrive", 20, &expected, || arrived(&home));
    assert!(weir.stop().success());
}

#[test]
fn what_is_not_acknowledged_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port().to_string();
    // Takes everything and never answers.
    let silent = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a sender");
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes));
        bytes
    });
    let output = cat(&["app", "-p", &port, "--timeout", "1s"], b"{}\n{}\n");
    fails(
        &output,
        &[
            "no acknowledgement within 1 s",
            "--timeout",
            "2 records sent, 0 acknowledged; 2 records may be stored or not",
        ],
    );
    assert!(!silent.join().expect("it ends").is_empty());
}

#[test]
fn without_acknowledgements_nothing_is_promised() {
    let home = receiver(0, "");
    let weir = home.start();
    let port = weir.listens("in").port().to_string();
    let output = cat(&["app", "-p", &port, "--no-ack"], b"{\"n\":1}");
    let text = "1 record sent, no acknowledgement was asked for\n".to_owned();
    assert_eq!(said(&output), (0, text));
    let expected = vec![json!({ "tag": "app", "n": 1 })];
    holds("it arrives all the same", 20, &expected, || arrived(&home));
    assert!(weir.stop().success());
}

#[test]
fn what_comes_through_an_open_pipe_arrives_also_after_a_restart() {
    let port = free_port();
    let home = receiver(port, "");
    let weir = home.start();
    let mut child = start(&["app", "-p", &port.to_string()]);
    let mut stdin = child.stdin.take().expect("a pipe");
    write(&mut stdin, &numbered(0..1));
    holds("the first arrives", 20, &1, || arrived(&home).len());
    weir.settles(20);
    weir.kill();
    write(&mut stdin, &numbered(1..2));
    let mut errors = child.stderr.take().expect("a pipe");
    let mut warning = [0; 8];
    errors.read_exact(&mut warning).expect("a warning");
    assert_eq!(&warning, b"warning:");
    let weir = home.start();
    let expected: Vec<Value> = (0..2).map(|n| json!({ "tag": "app", "n": n })).collect();
    holds("the second arrives", 30, &expected, || arrived(&home));
    drop(stdin);
    let ended = eventually("it ends", 20, || child.try_wait().expect("a child"));
    assert_eq!(ended.code(), Some(0));
    let mut text = String::new();
    errors.read_to_string(&mut text).expect("text");
    assert!(text.contains("trying again in 1 s"), "{text}");
    assert!(text.ends_with("2 records sent, 2 acknowledged\n"), "{text}");
    assert!(weir.stop().success());
}

#[test]
fn an_interrupt_ends_the_input() {
    let home = receiver(0, "");
    let weir = home.start();
    let port = weir.listens("in").port().to_string();
    let mut child = start(&["app", "-p", &port]);
    let mut stdin = child.stdin.take().expect("a pipe");
    write(&mut stdin, &numbered(0..3));
    holds("all arrive", 20, &3, || arrived(&home).len());
    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status();
    assert!(killed.expect("kill").success());
    let output = child.wait_with_output().expect("it ends");
    let all = "3 records sent, 3 acknowledged\n".to_owned();
    assert_eq!(said(&output), (0, all));
    assert!(weir.stop().success());
}

#[test]
fn arguments_are_those_of_fluent_cat() {
    let output = cat(&["--help"], b"");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("text");
    for word in [
        "-h, --host",
        "-p, --port",
        "-f, --format",
        "--json",
        "--msgpack",
        "--none",
        "--message-key",
        "--time-as-integer",
        "--event-time",
        "--retry-limit",
        "WEIR_SHARED_KEY",
    ] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }
    for args in [
        &[][..],
        &["app", "--json", "--none"],
        &["app", "--port", "x"],
    ] {
        assert_eq!(cat(args, b"").status.code(), Some(64), "{args:?}");
    }
    let user = cat(&["app", "--username", "cat"], b"");
    assert_eq!(user.status.code(), Some(64));
    let missing = cat(&["app", "--shared-key-file", "no/such/file"], b"");
    assert_eq!(missing.status.code(), Some(74));
}
