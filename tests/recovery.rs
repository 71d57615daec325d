//! A real acknowledging client, Elasticsearch away for half a minute, the router killed five times: what was
//! acknowledged is in the index. The client's own list is compared with the index, never our counters.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use crate::{
    delivery::listening,
    harness::{
        Weir,
        clients::{Client, go},
        eventually, free_port, holds,
        proxy::Door,
        servers::Server,
        weir::Home,
    },
};

const KILLS: usize = 5;
/// How long the destination is away.
const AWAY: Duration = Duration::from_secs(30);
const RECORDS: u64 = 20_000;

fn config(identity: &str, forward: u16, bulk: u16, index: &str) -> String {
    let service = listening(format!("127.0.0.1:{forward}"));
    format!(
        r#"{service}identity = "{identity}"
[[match]]
id = "es"
tag = "**"
type = "elasticsearch"
hosts = ["http://127.0.0.1:{bulk}"]
index = "{index}"
[match.buffer]
flush_interval = "200ms"
retry_wait = "200ms"
retry_max_interval = "1s"
"#
    )
}

/// Runs the story; returns how often each id is in the index, and the ids that were acknowledged.
fn story(identity: &str) -> (HashMap<u64, u32>, HashSet<u64>) {
    let server = Server::elasticsearch();
    let index = server.fresh_index(&format!("recovery-{identity}"));
    let mut door = Door::new(server.address());
    door.open();
    let forward = free_port();
    let home = Home::new(&config(identity, forward, door.port(), &index));
    let mut weir = home.start();
    let client = go(forward, "recovery", RECORDS);
    progress(&client, 500);

    let away_since = Instant::now();
    door.shut();
    for _ in 0..KILLS {
        progress(&client, 200);
        weir.kill();
        weir = home.start();
    }
    holds("the destination was away long enough", 60, &true, || {
        away_since.elapsed() >= AWAY
    });
    door.open();
    let acked = client.finish(120);
    settle(&weir);
    let mut seen = HashMap::new();
    for hit in server.documents(&index) {
        *seen
            .entry(hit["_source"]["id"].as_u64().expect("an id"))
            .or_default() += 1;
    }
    assert!(weir.stop().success());
    (seen, acked)
}

/// Waits until the client has this many acknowledgements more.
fn progress(client: &Client, more: usize) {
    let goal = client.acked() + more;
    eventually("acknowledgements come", 60, || {
        (client.acked() >= goal).then_some(())
    });
}

fn settle(weir: &Weir) {
    weir.settles(120);
}

fn all_acknowledged_are_there(seen: &HashMap<u64, u32>, acked: &HashSet<u64>) {
    let lost: Vec<_> = acked.iter().filter(|id| !seen.contains_key(id)).collect();
    assert!(
        lost.is_empty(),
        "{} acknowledged records are missing: {lost:?}",
        lost.len()
    );
    assert_eq!(acked.len() as u64, RECORDS);
}

#[test]
fn nothing_acknowledged_is_lost() {
    let (seen, acked) = story("buffer");
    all_acknowledged_are_there(&seen, &acked);
    let twice = seen.values().filter(|count| **count > 1).count();
    println!(
        "{} acknowledged, all there; {twice} twice after {KILLS} kills",
        acked.len()
    );
    // The client has one message in flight, so each kill can repeat one.
    assert!(twice <= KILLS, "{twice} records are there twice");
}

#[test]
fn with_identity_from_the_origin_nothing_is_there_twice() {
    let (seen, acked) = story("origin");
    all_acknowledged_are_there(&seen, &acked);
    let twice: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
