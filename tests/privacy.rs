//! Planted secrets come in by the forward port, and are nowhere afterwards: not in Elasticsearch, not on disk, not in the
//! dead letters, the own log, the metrics or the admin port. Without the filter the same search finds them.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    delivery::SERVICE,
    harness::{
        Sender, eventually, forward, holds,
        proxy::Door,
        servers::Server,
        weir::{Home, Weir},
    },
};

/// Records for each secret.
const EACH: usize = 15;

/// One text for each detector: what stands before the secret, the secret, what stands behind. All are made up.
const PLANTED: [(&str, &str, &str, &str); 25] = [
    ("email", "mail to ", "made.up.person@example.org", " queued"),
    ("credit_card", "paid with ", "4929 4212 3460 0821", " ok"),
    ("iban", "payout to ", "DE89370400440532013000", " done"),
    ("kr_rrn", "born ", "900101-1234568", " seen"),
    ("kr_business", "vat ", "120-81-47521", " seen"),
    ("kr_driver_licence", "licence ", "11-12-345678-90", " seen"),
    ("kr_passport", "passport ", "M70689098", " scanned"),
    ("us_ssn", "ssn ", "219-09-9998", " on file"),
    ("phone", "call ", "010-4567-8912", " now"),
    ("ipv4", "client ", "203.0.113.77", " left"),
    ("ipv6", "client ", "2001:db8::beef:1", " left"),
    (
        "jwt",
        "session ",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtYWRlLXVwIn0.RkFLRS1zaWduYXR1cmU",
        " ended",
    ),
    (
        "bearer_token",
        "sent Bearer ",
        "FAKEbearer0123456789",
        " upstream",
    ),
    (
        "basic_auth",
        "sent Basic ",
        "bWFkZTp1cC1zZWNyZXQ=",
        " upstream",
    ),
    (
        "authorization",
        "Authorization: Token ",
        "FAKEtoken99zz",
        " sent",
    ),
    (
        "private_key",
        "key ",
        "-----BEGIN PRIVATE KEY-----\nRkFLRSBLRVkgTUFURVJJQUwgRkFLRQ==\n-----END PRIVATE KEY-----",
        " read",
    ),
    ("aws_access_key", "key ", "AKIAFAKE234567ABCDEF", " used"),
    (
        "aws_secret_key",
        "aws_secret_access_key=",
        "FAKE/bPxRfiCYEXAMPLEKEYwJalrXUtnFEMI7K0m",
        " used",
    ),
    (
        "github_token",
        "push with ",
        "ghp_FAKEQ79ve6mL7fLltLwDwXSBU37e1Fu5lr5a",
        " ok",
    ),
    (
        "slack_token",
        "bot ",
        "xoxb-000000000000-000000000000-FAKEabcdefghijklmnop",
        " up",
    ),
    (
        "google_key",
        "maps ",
        "AIzaFAKE0123456789abcdefghijklmnopqrstu",
        " used",
    ),
    (
        "stripe_key",
        "charge with ",
        "sk_live_FAKEabcdefgh0123456789",
        " ok",
    ),
    (
        "assignment",
        "login password=",
        "hunter2-made-up",
        " failed",
    ),
    (
        "url_credentials",
        "clone https://",
        "robot:FAKE-pass-77",
        "@git.example.com/a.git",
    ),
    ("field", "", "a field with no shape at all", ""),
];

/// What of a secret must not be found anywhere: a part of it that is long enough to be no accident.
fn trace_of(secret: &str) -> &str {
    secret.split('\n').nth(1).unwrap_or(secret)
}

/// A record with the secret at one of several places.
fn record(number: usize, (detector, before, secret, behind): (&str, &str, &str, &str)) -> Value {
    let text = format!("{before}{secret}{behind}");
    if detector == "field" {
        return match number % 3 {
            0 => json!({ "n": number, "password": secret }),
            1 => json!({ "n": number, "user": { "apiKey": secret } }),
            _ => json!({ "n": number, "list": [{ "Set-Cookie": [secret] }] }),
        };
    }
    match number % 5 {
        0 => json!({ "n": number, "log": text }),
        1 => json!({ "n": number, "deep": { "er": { "text": text } } }),
        2 => json!({ "n": number, "items": ["first", text, "last"] }),
        3 => json!({ "n": number, "log": format!("{text} and again {text} end") }),
        // Elasticsearch refuses it: `n` must be a number there.
        _ => json!({ "n": format!("no number {number}"), "log": text }),
    }
}

fn config(door: u16, index: &str, filter: &str) -> String {
    format!(
        r#"{SERVICE}
[service.log]
level = "debug"
{filter}
[[match]]
id = "es"
tag = "**"
type = "elasticsearch"
hosts = ["http://127.0.0.1:{door}"]
index = "{index}"
[match.buffer]
type = "file"
flush_interval = "200ms"
retry_wait = "100ms"
retry_max_interval = "500ms"
"#
    )
}

/// Every file below a folder, as bytes.
fn files(folder: PathBuf) -> Vec<u8> {
    let (mut paths, mut all) = (vec![folder], Vec::new());
    while let Some(path) = paths.pop() {
        if let Ok(entries) = fs::read_dir(&path) {
            paths.extend(entries.flatten().map(|entry| entry.path()));
        } else if let Ok(bytes) = fs::read(&path) {
            all.extend(bytes);
        }
    }
    all
}

/// The names of the planted secrets that stand in `place`, as they are or with JSON's escapes.
fn found_in(place: &[u8]) -> BTreeSet<&'static str> {
    let holds = |secret: &str| {
        place
            .windows(secret.len())
            .any(|part| part == secret.as_bytes())
    };
    let found = PLANTED
        .iter()
        .filter(|(_, _, secret, _)| holds(trace_of(secret)));
    found.map(|(name, ..)| *name).collect()
}

/// What the admin port shows without a token.
fn admin(weir: &Weir) -> String {
    let paths = [
        "/",
        "/livez",
        "/readyz",
        "/startupz",
        "/metrics",
        "/api",
        "/api/status",
        "/api/components",
        "/api/tap",
        "/ui",
    ];
    paths.map(|path| weir.probe(path).1).join("\n")
}

/// What each place shows of the secrets: while the destination is away, and at the end.
struct Seen {
    buffer: BTreeSet<&'static str>,
    search: BTreeSet<&'static str>,
    dead: BTreeSet<&'static str>,
    /// Log, metrics and admin port, whatever the filter does.
    own: BTreeSet<&'static str>,
    redactions: f64,
}

/// Sends the records, and waits until each message is acknowledged.
fn send(sender: &mut Sender, records: &[Value]) {
    for (number, part) in records.chunks(50).enumerate() {
        let entries: Vec<u8> = part
            .iter()
            .flat_map(|record| forward::entry(1_764_000_000, record))
            .collect();
        let chunk = format!("chunk {number}");
        sender.send(&forward::packed("app", &entries, Some(&chunk)));
        sender.expect_ack(&chunk);
    }
}

fn run(filter: &str) -> Seen {
    let server = Server::elasticsearch();
    let index = server.fresh_index("privacy");
    server.create(
        &index,
        &json!({ "mappings": { "properties": { "n": { "type": "long" } } } }),
    );
    let mut door = Door::new(server.address());
    let home = Home::new(&config(door.port(), &index, filter));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    let records: Vec<Value> = PLANTED
        .iter()
        .flat_map(|planted| (0..EACH).map(|number| record(number, *planted)))
        .collect();
    let refused = records
        .iter()
        .filter(|record| record["n"].is_string())
        .count();
    send(&mut sender, &records);
    // Acknowledged, so it is on disk, and the destination is away, so it stays there.
    eventually("the destination is missed", 20, || {
        (weir.metrics().sum("weir_output_errors_total", &[]) > 0.0).then_some(())
    });
    let buffer = files(home.path().join("data"));
    assert!(
        buffer.len() > records.len() * 20,
        "the buffer holds {} bytes",
        buffer.len()
    );
    let mut own = found_in(weir.log_text().as_bytes());
    own.extend(found_in(admin(&weir).as_bytes()));
    door.open();
    let arrived = (records.len() - refused) as u64;
    holds("what fits is there", 60, &arrived, || server.count(&index));
    weir.settles(30);
    let samples = weir.metrics();
    assert_eq!(home.records("data/dead").len(), refused);
    let counted = samples.sum("weir_dead_letter_records_total", &[]);
    assert_eq!(counted, f64::from(u32::try_from(refused).expect("few")));
    let documents: Vec<String> = server
        .documents(&index)
        .iter()
        .map(Value::to_string)
        .collect();
    own.extend(found_in(weir.log_text().as_bytes()));
    own.extend(found_in(admin(&weir).as_bytes()));
    let seen = Seen {
        buffer: found_in(&buffer)
            .into_iter()
            .chain(found_in(&files(home.path().join("data/buffer"))))
            .collect(),
        search: found_in(documents.join("\n").as_bytes()),
        dead: found_in(&files(home.path().join("data/dead"))),
        own,
        redactions: samples.sum("weir_redactions_total", &[]),
    };
    assert!(weir.stop().success());
    seen
}

#[test]
fn no_planted_secret_is_found_anywhere() {
    let filter = "[[filter]]\ntype = \"redact\"\ntag = \"**\"\ndetect = \"all\"\n";
    let seen = run(filter);
    let none = BTreeSet::new();
    assert_eq!(seen.buffer, none, "in the buffer");
    assert_eq!(seen.search, none, "in Elasticsearch");
    assert_eq!(seen.dead, none, "in the dead letters");
    assert_eq!(seen.own, none, "in the log, the metrics or the admin port");
    let planted = u32::try_from(PLANTED.len() * EACH).expect("few");
    assert!(seen.redactions >= planted.into(), "{}", seen.redactions);
}

/// The search itself is tested: without the filter it finds every secret in every place that holds records. The own log
/// and the admin port never show a record.
#[test]
fn without_the_filter_the_same_search_finds_them() {
    let seen = run("");
    let all: BTreeSet<_> = PLANTED.iter().map(|(name, ..)| *name).collect();
    let mut in_text = all.clone();
    in_text.remove("field");
    assert_eq!(seen.buffer, all, "in the buffer");
    assert_eq!(seen.search, all, "in Elasticsearch");
    assert_eq!(seen.dead, in_text, "in the dead letters");
    assert_eq!(
        seen.own,
        BTreeSet::new(),
        "in the log, the metrics or the admin port"
    );
    assert_eq!(seen.redactions, 0.0);
}
