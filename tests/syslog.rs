//! The real rsyslog forwards messages of both forms, over UDP and in both framings of TCP: every one arrives as it was.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    delivery::ROUTER,
    harness::{eventually, free_port, weir::Home},
};

/// Where `cargo xtask clients` unpacked it.
const RSYSLOG: &str = "target/clients/rsyslog/root";
/// What a socket holds with the kernel's default for its buffer.
const MESSAGES: usize = 100;
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "at", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warn", "notice", "info", "debug",
];

/// A running rsyslog. Killed when dropped.
struct Rsyslog {
    child: Child,
    _home: TempDir,
}

impl Rsyslog {
    /// Starts it with these rules and waits until it listens on `port`.
    fn start(rules: &str, port: u16) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(RSYSLOG);
        let program = root.join("usr/sbin/rsyslogd");
        assert!(
            program.is_file(),
            "unpack rsyslog with `cargo xtask clients`"
        );
        let home = TempDir::with_prefix("rsyslog-").expect("a folder");
        let folder = home.path().display();
        let config = home.path().join("rsyslog.conf");
        let text = format!(
            "global(workDirectory=\"{folder}\" net.enableDNS=\"off\")\nmodule(load=\"imtcp\")\n{rules}"
        );
        fs::write(&config, text).expect("a file");
        let libraries = libraries(&root);
        let child = Command::new(program)
            .args(["-n", "-f"])
            .arg(&config)
            .arg("-i")
            .arg(home.path().join("pid"))
            .arg("-M")
            .arg(libraries.join("rsyslog"))
            .env("LD_LIBRARY_PATH", &libraries)
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("rsyslog starts");
        eventually("rsyslog listens", 20, || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self { child, _home: home }
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The folder of libraries, whose name has that of the processor in it.
fn libraries(root: &Path) -> PathBuf {
    let folders = fs::read_dir(root.join("usr/lib")).expect("libraries");
    let has_modules = |path: &PathBuf| path.join("rsyslog").is_dir();
    let mut folders = folders.flatten().map(|entry| entry.path());
    folders.find(has_modules).expect("the modules of rsyslog")
}

fn send(port: u16, message: impl Fn(usize) -> String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("rsyslog listens");
    let text: String = (0..MESSAGES).map(|number| message(number) + "\n").collect();
    stream.write_all(text.as_bytes()).expect("rsyslog reads");
}

fn priority(number: usize) -> usize {
    number * 7 % 192
}

fn tag(source: &str, number: usize) -> String {
    let priority = priority(number);
    format!(
        "{source}.{}.{}",
        FACILITIES[priority / 8],
        SEVERITIES[priority % 8]
    )
}

/// The text of a message; the brackets and colons are where a careless reader would stop.
fn text(number: usize) -> String {
    format!(
        "message {number}: [not a pid] \"quoted\" caf\u{e9} {}",
        "x".repeat(number)
    )
}

fn rfc3164(number: usize) -> String {
    let second = number % 60;
    format!(
        "<{}>Jan  9 11:59:{second:02} web{} app-{}[{}]: {}",
        priority(number),
        number % 3,
        number % 5,
        1000 + number,
        text(number)
    )
}

fn expected_3164(source: &str, number: usize) -> Value {
    json!({
        "tag": tag(source, number),
        "host": format!("web{}", number % 3),
        "ident": format!("app-{}", number % 5),
        "pid": (1000 + number).to_string(),
        "message": text(number),
        "when": format!("Jan  9 11:59:{:02}", number % 60),
    })
}

fn rfc5424(number: usize) -> String {
    format!(
        "<{}>1 2026-01-10T11:59:59.{number:06}Z web{}.example app {} ID{number} [a@1 b=\"c\\]{number}\"] {}",
        priority(number),
        number % 3,
        1000 + number,
        text(number)
    )
}

fn expected_5424(source: &str, number: usize) -> Value {
    json!({
        "time": format!("2026-01-10T11:59:59.{number:06}000Z"),
        "tag": tag(source, number),
        "host": format!("web{}.example", number % 3),
        "ident": "app",
        "pid": (1000 + number).to_string(),
        "msgid": format!("ID{number}"),
        "extradata": format!("[a@1 b=\"c\\]{number}\"]"),
        "message": text(number),
    })
}

fn router() -> String {
    let source = |id: &str, more: &str| {
        format!(
            "[[source]]\nid = \"{id}\"\ntype = \"syslog\"\ntag = \"{id}\"\nlisten = \"127.0.0.1:0\"\n{more}\n"
        )
    };
    let old =
        "parse = { type = \"syslog\", utc = true, time_key = \"when\", keep_time_key = true }";
    let file = |id: &str, has_time: bool| {
        format!(
            "[[match]]\nid = \"to_{id}\"\ntype = \"file\"\ntag = \"{id}.**\"\npath = \"./{id}/lines\"\n\
             include_time_key = {has_time}\n[match.buffer]\ntype = \"memory\"\nflush_interval = \"100ms\"\n"
        )
    };
    [
        ROUTER.to_owned(),
        source("udp", old),
        source(
            "lines",
            &format!("protocol_type = \"tcp\"\nframe_type = \"traditional\"\n{old}"),
        ),
        source(
            "octets",
            "protocol_type = \"tcp\"\nframe_type = \"octet_count\"",
        ),
        source("auto", "protocol_type = \"tcp\""),
        file("udp", false),
        file("lines", false),
        file("octets", true),
        file("auto", true),
    ]
    .join("\n")
}

/// Waits for every message of a source, and compares each with what was sent.
#[track_caller]
fn arrives(home: &Home, source: &str, expected: impl Fn(&str, usize) -> Value) {
    let by_pid = |records: Vec<Value>| -> BTreeMap<String, Value> {
        let pid = |record: &Value| record["pid"].as_str().unwrap_or_default().to_owned();
        records
            .into_iter()
            .map(|record| (pid(&record), record))
            .collect()
    };
    let records = eventually(&format!("every message of {source}"), 30, || {
        let records = home.records(source);
        (records.len() >= MESSAGES).then_some(records)
    });
    assert_eq!(records.len(), MESSAGES, "{source}: some came twice");
    let expected = (0..MESSAGES)
        .map(|number| expected(source, number))
        .collect();
    assert_eq!(by_pid(records), by_pid(expected), "{source}");
}

#[test]
fn rsyslog_forwards_every_message_over_udp_and_both_framings_of_tcp() {
    let home = Home::new(&router());
    let weir = home.start();
    let port = |source: &str| weir.listens(source).port();
    let forward = |source: &str, more: &str| {
        format!(
            "action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{}\" {more})",
            port(source)
        )
    };
    let (old, new) = (free_port(), free_port());
    let rules = format!(
        "ruleset(name=\"old\") {{\n{}\n{}\n}}\nruleset(name=\"new\") {{\n{}\n{}\n}}\n\
         input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{old}\" ruleset=\"old\")\n\
         input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{new}\" ruleset=\"new\")\n",
        forward(
            "udp",
            "protocol=\"udp\" template=\"RSYSLOG_TraditionalForwardFormat\""
        ),
        forward(
            "lines",
            "protocol=\"tcp\" template=\"RSYSLOG_TraditionalForwardFormat\""
        ),
        forward(
            "octets",
            "protocol=\"tcp\" TCP_Framing=\"octet-counted\" template=\"RSYSLOG_SyslogProtocol23Format\""
        ),
        forward(
            "auto",
            "protocol=\"tcp\" template=\"RSYSLOG_SyslogProtocol23Format\""
        ),
    );
    let rsyslog = Rsyslog::start(&rules, new);
    send(old, rfc3164);
    send(new, rfc5424);
    arrives(&home, "udp", expected_3164);
    arrives(&home, "lines", expected_3164);
    arrives(&home, "octets", expected_5424);
    arrives(&home, "auto", expected_5424);
    weir.settles(20);
    drop(rsyslog);
    assert!(weir.stop().success());
}
