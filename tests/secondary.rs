//! What is tried in vain goes to the secondary output before it is given up.

use std::collections::BTreeMap;

use crate::{
    delivery::SERVICE,
    harness::{
        Sender, bulk, forward, free_port, holds,
        metrics::Samples,
        proxy::Door,
        servers::Server,
        weir::{Home, Weir},
    },
};

/// Sends so many messages of 50 numbered records, each of which is acknowledged.
fn send(weir: &Weir, tag: &str, messages: std::ops::Range<u64>) {
    let mut sender = Sender::connect(weir.listens("in"));
    for message in messages {
        let chunk = format!("c{message}");
        let events = forward::numbered(message * 50, 50);
        sender.send(&forward::packed(tag, &events, Some(&chunk)));
        sender.expect_ack(&chunk);
    }
}

/// How often each number is in the files of the secondary.
fn in_files(home: &Home) -> BTreeMap<u64, usize> {
    let mut seen = BTreeMap::new();
    for record in home.records("second") {
        let number = record["n"].as_u64().expect("a number");
        *seen.entry(number).or_default() += 1;
    }
    seen
}

fn once(numbers: std::ops::Range<u64>) -> BTreeMap<u64, usize> {
    numbers.map(|number| (number, 1)).collect()
}

/// A match to Elasticsearch, and to files of the folder `second` when that is in vain.
fn search(port: u16, index: &str, buffer: &str) -> String {
    format!(
        r#"{SERVICE}
[[match]]
id = "es"
tag = "**"
type = "elasticsearch"
hosts = ["http://127.0.0.1:{port}"]
index = "{index}"
[match.buffer]
flush_interval = "100ms"
chunk_limit_records = 50
retry_randomize = false
{buffer}
[match.secondary]
type = "file"
path = "second/%Y-%m-%d.log"
"#
    )
}

/// Gives up after eight seconds, and tries the secondary after half of them.
const SOON: &str = r#"
retry_wait = "200ms"
retry_max_interval = "500ms"
retry_timeout = "8s"
retry_secondary_threshold = 0.5
"#;

fn of(samples: &Samples, series: &str, kind: &str) -> f64 {
    samples.sum(series, &[&format!("component_kind=\"{kind}\"")])
}

/// Elasticsearch is away, and the router is killed while it still tries. Then Elasticsearch is back.
#[test]
fn takes_what_was_tried_in_vain_once_and_over_a_kill() {
    let server = Server::elasticsearch();
    let (index, mut door) = (server.fresh_index("secondary"), Door::new(server.address()));
    let home = Home::new(&search(door.port(), &index, SOON));
    let weir = home.start();
    send(&weir, "a", 0..20);
    holds("it was tried", 20, &true, || {
        weir.metrics().sum("weir_output_errors_total", &[]) >= 3.0
    });
    assert_eq!(in_files(&home), once(0..0), "its turn has not come");
    weir.kill();
    let weir = home.start();
    weir.settles(60);
    assert_eq!(in_files(&home), once(0..1000));
    let samples = weir.metrics();
    let taken = of(&samples, "weir_output_secondary_records_total", "match");
    let dead = samples.sum("weir_dead_letter_records_total", &[]);
    assert_eq!((taken, dead), (1000.0, 0.0));
    let is_open = |samples: &Samples| of(samples, "weir_output_breaker_open", "match");
    assert_eq!(is_open(&samples), 1.0, "Elasticsearch is still away");
    assert!(of(&samples, "weir_output_consecutive_failures", "match") >= 3.0);
    assert_eq!(of(&samples, "weir_output_breaker_open", "secondary"), 0.0);
    door.open();
    send(&weir, "a", 20..22);
    weir.settles(30);
    assert_eq!(server.count(&index), 100);
    assert_eq!(in_files(&home).len(), 1000, "nothing more went there");
    assert_eq!(is_open(&weir.metrics()), 0.0);
    assert!(weir.stop().success());
}

/// The secondary is away too: then the dead letter has what nobody took.
#[test]
fn what_the_secondary_does_not_take_is_in_the_dead_letter() {
    let text = search(free_port(), "none", SOON);
    let away = format!(
        "[match.secondary]\ntype = \"http\"\nendpoint = \"http://127.0.0.1:{}/\"\n",
        free_port()
    );
    let (before, _) = text.split_once("[match.secondary]").expect("a secondary");
    let home = Home::new(&format!("{before}{away}"));
    let weir = home.start();
    send(&weir, "a", 0..3);
    weir.settles(60);
    let samples = weir.metrics();
    let dead = of(&samples, "weir_dead_letter_records_total", "match");
    assert_eq!(dead, 150.0);
    assert!(of(&samples, "weir_output_consecutive_failures", "secondary") >= 1.0);
    assert!(weir.stop().success());
}

/// A chunk that an overloaded server never takes, with four retries, and the router is killed after the second try.
/// Returns the tries of both processes, and what the secondary has.
fn tries_over_a_kill(defect: &str) -> (u64, usize) {
    let limits = r#"
retry_wait = "1s"
retry_exponential_backoff_base = 1.0
retry_max_times = 6
retry_secondary_threshold = 0.5
"#;
    let home = Home::new(&search(bulk::start().port(), bulk::UNWELCOME, limits));
    let env = [("WEIR_DEFECT", defect)];
    let weir = home.spawn(&env);
    weir.wait_ready();
    let mut sender = Sender::connect(weir.listens("in"));
    let record = serde_json::json!({ "n": 0, "log": bulk::UNWELCOME });
    let event = forward::entry(1_764_000_000, &record);
    sender.send(&forward::packed("a", &event, Some("c")));
    sender.expect_ack("c");
    let writes = |weir: &Weir| weir.metrics().sum("weir_output_writes_total", &[]);
    holds("it was tried twice", 20, &true, || writes(&weir) >= 2.0);
    let before = writes(&weir);
    weir.kill();
    let weir = home.spawn(&env);
    weir.wait_ready();
    weir.settles(30);
    // The last one is that of the secondary.
    let tries = before + writes(&weir) - 1.0;
    assert!(weir.stop().success());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small count"
    )]
    (tries as u64, in_files(&home).len())
}

#[test]
fn attempts_are_counted_over_a_kill() {
    // One more when the kill came before the second failure was noted.
    let (tries, stored) = tries_over_a_kill("");
    assert!(matches!(tries, 4 | 5) && stored == 1, "{tries} {stored}");
}

#[test]
fn attempts_that_are_forgotten_are_noticed() {
    let (tries, stored) = tries_over_a_kill("forget_attempts");
    assert!(tries >= 6 && stored == 1, "{tries} {stored}");
}

/// What the secondary and the dead letter have of a destination that is away.
fn fate_of_an_outage(defect: &str) -> (usize, f64) {
    let home = Home::new(&search(free_port(), "none", SOON));
    let weir = home.spawn(&[("WEIR_DEFECT", defect)]);
    weir.wait_ready();
    send(&weir, "a", 0..2);
    weir.settles(60);
    let dead = weir.metrics().sum("weir_dead_letter_records_total", &[]);
    assert!(weir.stop().success());
    (in_files(&home).len(), dead)
}

#[test]
fn a_secondary_that_is_passed_over_is_noticed() {
    assert_eq!(fate_of_an_outage(""), (100, 0.0));
    assert_eq!(fate_of_an_outage("skip_secondary"), (0, 100.0));
}
