//! The collection hop: forward in, over HTTP to another router, into a real database. Nothing is lost and nothing comes
//! twice, whatever is killed.

use std::{collections::HashSet, fmt::Write as _, net::SocketAddr};

use serde_json::json;

use crate::{
    delivery::{ROUTER, SERVICE},
    harness::{
        Sender, eventually, forward, free_port, holds,
        postgres::{PASSWORD, Postgres},
        weir::Home,
    },
    relay::{BATCH, Load},
};

/// A router that sends what it gets to the collection service at `port`.
fn aggregator(port: u16) -> Home {
    Home::new(&format!(
        r#"{SERVICE}[[match]]
id = "collect"
tag = "**"
type = "http"
endpoint = "http://127.0.0.1:{port}/${{tag}}"
time_key = "time"
compress = "zstd"
read_timeout = "5s"
[match.buffer]
flush_interval = "20ms"
retry_wait = "50ms"
retry_max_interval = "200ms"
flush_thread_count = 2
"#
    ))
}

/// The collection service: over HTTP into the database.
fn collector(port: u16, database: u16, more: &str) -> Home {
    Home::new(&format!(
        r#"{ROUTER}[[source]]
id = "in"
type = "http"
listen = "127.0.0.1:{port}"
identity = "origin"
duplicate_window = "10m"

[[match]]
id = "db"
tag = "**"
type = "postgres"
host = "127.0.0.1"
port = {database}
database = "postgres"
username = "weir"
password = "{PASSWORD}"
schema = "collected"
{more}
[match.buffer]
flush_interval = "20ms"
retry_wait = "50ms"
retry_max_interval = "200ms"
"#
    ))
}

fn send(address: SocketAddr, tag: &str, records: &[serde_json::Value]) {
    let entries: Vec<u8> = (0_u32..)
        .zip(records)
        .flat_map(|(secs, record)| forward::entry(1_764_000_000 + secs, record))
        .collect();
    let mut sender = Sender::connect(address);
    sender.send(&forward::packed(tag, &entries, Some("chunk")));
    sender.expect_ack("chunk");
}

#[test]
fn what_is_killed_neither_loses_nor_doubles_a_row() {
    let mut database = Postgres::start();
    let port = free_port();
    let (first, second) = (aggregator(port), collector(port, database.port, ""));
    let mut collecting = second.start();
    let relaying = first.start();
    let load = Load::start(relaying.listens("in"));
    let count = "SELECT count(*) FROM collected.logs";
    let rows = |database: &Postgres| -> u64 {
        let found = database.try_query(count).unwrap_or_default();
        found
            .first()
            .map_or(0, |row| row.parse().expect("a number"))
    };
    for round in 1..=3_u64 {
        let before = rows(&database);
        eventually("rows arrive", 60, || {
            (rows(&database) > before + 200).then_some(())
        });
        database.kill();
        let acked = load.acked();
        eventually("messages are acknowledged without a database", 60, || {
            (load.acked() > acked + BATCH * 4).then_some(())
        });
        database.resume();
        let before = rows(&database);
        eventually("rows arrive again", 60, || {
            (rows(&database) > before + 200).then_some(())
        });
        collecting.kill();
        let acked = load.acked();
        eventually("messages are acknowledged without the service", 60, || {
            (load.acked() > acked + BATCH * 4).then_some(())
        });
        collecting = second.start();
        println!(
            "round {round}: {} acknowledged, {} rows",
            load.acked(),
            rows(&database)
        );
    }
    let acked: HashSet<u64> = load.finish();
    let total = acked.len() as u64;
    holds("a row for every record", 120, &total, || rows(&database));
    relaying.settles(30);
    collecting.settles(60);
    // The checksum over all numbers in order says that each is there once.
    let mut numbers: Vec<u64> = acked.into_iter().collect();
    numbers.sort_unstable();
    let mut listed = String::new();
    for number in &numbers {
        write!(listed, "{number},").expect("writing to memory");
    }
    let sums = "SELECT count(DISTINCT record->>'n'), md5(string_agg(record->>'n' || ',', '' ORDER BY (record->>'n')::bigint)) FROM collected.logs";
    let check = format!("SELECT md5('{listed}')");
    let expected = format!("{total}\t{}", database.query(&check)[0]);
    assert_eq!(database.query(sums), [expected]);
    assert_eq!(rows(&database), total, "and nothing comes afterwards");
    println!("{total} rows, none twice");
}

#[test]
fn every_kind_of_value_arrives_and_what_the_table_refuses_is_set_aside() {
    let database = Postgres::start();
    let port = free_port();
    let columns = r#"
[[match.columns]]
path = "$.user.id"
name = "user_id"
type = "bigint"
[[match.columns]]
path = "level"
name = "level"
"#;
    let (first, second) = (aggregator(port), collector(port, database.port, columns));
    let collecting = second.start();
    let relaying = first.start();
    let mut records: Vec<_> = (0..100)
        .map(|n| json!({ "n": n, "user": { "id": n }, "level": "info" }))
        .collect();
    records[17]["user"]["id"] = json!("no number");
    records[60]["user"]["id"] = json!("nor this");
    records[3]["text"] = json!("a\tb\\n\n\u{0}\"\u{1f600}");
    records[4] = json!({ "n": 4 });
    send(relaying.listens("in"), "app.access", &records);
    let count = "SELECT count(*) FROM collected.logs";
    holds("98 rows", 60, &vec!["98".to_owned()], || {
        database.try_query(count).unwrap_or_default()
    });
    let held = |n: u32| {
        let columns = "time AT TIME ZONE 'UTC', tag, user_id, level, record->'n'";
        database.query(&format!(
            "SELECT {columns} FROM collected.logs WHERE record->'n' = '{n}'"
        ))
    };
    assert_eq!(held(2), ["2025-11-24 16:00:02\tapp.access\t2\tinfo\t2"]);
    assert_eq!(held(4), ["2025-11-24 16:00:04\tapp.access\t\t\t4"]);
    assert!(held(17).is_empty() && held(60).is_empty());
    let text = database.query("SELECT record->>'text' = E'a\\tb\\\\n\\n\\uFFFD\"\\U0001F600' FROM collected.logs WHERE record ? 'text'");
    assert_eq!(text, ["t"]);
    collecting.settles(30);
    let dead = collecting
        .metrics()
        .sum("weir_dead_letter_records_total", &[]);
    assert_eq!(dead, 2.0, "{:?}", collecting.log_text());
}
