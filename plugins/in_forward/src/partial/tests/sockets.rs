//! Behind a socket: acknowledgements, restarts on the same directory, stopping.

use std::path::Path;

use sdk::{
    event::Batch,
    testing::{Collector, Keeper, records},
};
use serde_json::{Value, json};

use super::kit::{entry, line, record};
use crate::{
    partial::PartialSettings,
    tests::kit::{Client, Running, ack, eventually, packed, within},
};

fn settings(dir: &Path, timeout_ms: u64) -> PartialSettings {
    PartialSettings {
        timeout: std::time::Duration::from_millis(timeout_ms),
        size_limit: 1 << 20,
        dir: dir.join("state/in/partial"),
    }
}

/// A source that joins, with its state below `dir`.
async fn collecting(dir: &Path, timeout_ms: u64) -> (Running, Collector) {
    let collector = Collector::default();
    let settings = settings(dir, timeout_ms);
    let running = Running::start_with(
        json!({}),
        |all| all.partial = Some(settings),
        |ready| collector.cx(ready),
    )
    .await;
    (running, collector)
}

async fn keeping(dir: &Path) -> (Running, Keeper) {
    let keeper = Keeper::default();
    let settings = settings(dir, 60_000);
    let running = Running::start_with(
        json!({}),
        |all| all.partial = Some(settings),
        |ready| keeper.cx(ready),
    )
    .await;
    (running, keeper)
}

/// A message of one record under the tag of the parts.
fn message(record: &Value, chunk: Option<&str>) -> Vec<u8> {
    packed("docker", &entry(record), chunk)
}

fn emitted(batches: &[Batch]) -> Vec<Value> {
    batches
        .iter()
        .flat_map(|batch| records(&batch.events))
        .collect()
}

async fn held(running: &Running, parts: i64) {
    eventually("the gauge of parts", || {
        (running.metric("weir_forward_partial_held{direction=\"in\"}") == parts).then_some(())
    })
    .await;
}

fn counted(running: &Running, name: &str) -> i64 {
    running.metric(&format!(
        "weir_forward_partial_{name}_total{{direction=\"in\"}}"
    ))
}

fn let_go(running: &Running, reason: &str) -> i64 {
    running.metric(&format!(
        "weir_forward_partial_let_go_total{{direction=\"in\",reason=\"{reason}\"}}"
    ))
}

#[tokio::test]
async fn docker_gets_the_answer_to_a_part_before_it_sends_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (running, keeper) = keeping(dir.path()).await;
    let mut client = Client::connect(&running).await;
    for ordinal in 1..=2 {
        let part = record("id", ordinal, false, &format!("{ordinal} "));
        let chunk = format!("chunk-{ordinal}");
        client.send(&message(&part, Some(&chunk))).await;
        client.expect(ack(&chunk)).await;
    }
    assert_eq!(keeper.waiting(), 0, "nothing is whole yet");
    held(&running, 2).await;
    client
        .send(&message(&record("id", 3, true, "3"), Some("last")))
        .await;
    let batch = eventually("the line", || keeper.take()).await;
    assert_eq!(records(&batch.events), [line("1 2 3")]);
    assert_eq!(batch.origin.as_ref().unwrap().chunk, "last");
    let early = tokio::time::timeout(
        std::time::Duration::from_millis(50),
        client.expect(ack("last")),
    );
    assert!(early.await.is_err(), "answered before the line is stored");
    held(&running, 3).await;
    batch.due.meet();
    client.expect(ack("last")).await;
    held(&running, 0).await;
    assert_eq!(counted(&running, "joined"), 1);
    // The answer was lost: the same part comes again, and adds nothing.
    client
        .send(&message(&record("id", 3, true, "3"), Some("last")))
        .await;
    client.expect(ack("last")).await;
    assert_eq!(counted(&running, "again"), 1);
    drop(client);
    running.end().await;
    assert_eq!(keeper.waiting(), 0);
}

#[tokio::test]
async fn parts_that_were_acknowledged_are_there_after_the_end_of_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let (first, keeper) = keeping(dir.path()).await;
    let mut client = Client::connect(&first).await;
    for (ordinal, chunk) in [(1, "a"), (2, "b")] {
        let part = record("id", ordinal, false, &format!("{ordinal} "));
        client.send(&message(&part, Some(chunk))).await;
        client.expect(ack(chunk)).await;
    }
    let mut lonely = Client::connect(&first).await;
    lonely
        .send(&message(&record("lonely", 1, false, "x"), None))
        .await;
    held(&first, 3).await;
    // What a kill leaves of it is the directory; the same process cannot let go of its lock.
    let copy = tempfile::tempdir().unwrap();
    let (from, to) = (settings(dir.path(), 1).dir, settings(copy.path(), 1).dir);
    std::fs::create_dir_all(&to).unwrap();
    std::fs::copy(from.join("parts"), to.join("parts")).unwrap();

    let (second, collector) = collecting(copy.path(), 60_000).await;
    held(&second, 2).await;
    let mut again = Client::connect(&second).await;
    // The one before the restart was acknowledged, but Docker did not see it.
    for (ordinal, chunk) in [(2, "b"), (3, "c")] {
        let part = record("id", ordinal, ordinal == 3, &format!("{ordinal} "));
        again.send(&message(&part, Some(chunk))).await;
        again.expect(ack(chunk)).await;
    }
    assert_eq!(emitted(&collector.batches()), [line("1 2 3 ")]);
    held(&second, 0).await;
    drop(again);
    second.end().await;
    assert!(!to.join("parts").exists(), "nothing is left to be kept");

    drop((client, lonely));
    first.stop();
    let batches = [
        eventually("a line at the stop", || keeper.take()).await,
        eventually("another one", || keeper.take()).await,
    ];
    for batch in batches {
        batch.due.meet();
    }
    first.end().await;
}

#[tokio::test]
async fn at_the_stop_everything_that_is_held_goes_on_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (running, collector) = collecting(dir.path(), 60_000).await;
    let mut client = Client::connect(&running).await;
    for ordinal in [1, 2, 4] {
        let part = record("journaled", ordinal, false, "j");
        client.send(&message(&part, Some("c"))).await;
        client.expect(ack("c")).await;
    }
    client
        .send(&message(&record("held", 1, false, "h"), None))
        .await;
    held(&running, 4).await;
    running.stop();
    client.expect_fin(&[]).await;
    running.end().await;
    let mut all = emitted(&collector.batches());
    all.sort_by_key(|record| {
        (
            record["partial_id"].to_string(),
            record["partial_ordinal"].to_string(),
        )
    });
    assert_eq!(
        all,
        [
            record("held", 1, false, "h"),
            record("journaled", 1, false, "jj"),
            record("journaled", 4, false, "j"),
        ]
    );
    assert!(!settings(dir.path(), 1).dir.join("parts").exists());
}

#[tokio::test]
async fn a_line_that_waits_in_vain_goes_on_as_larger_parts() {
    let dir = tempfile::tempdir().unwrap();
    let (running, collector) = collecting(dir.path(), 100).await;
    let mut client = Client::connect(&running).await;
    let parts = [
        (record("a", 1, false, "1"), Some("x")),
        (record("a", 2, false, "2"), Some("y")),
        (record("b", 2, true, "2"), None),
    ];
    for (part, chunk) in &parts {
        client.send(&message(part, *chunk)).await;
    }
    client.expect([ack("x"), ack("y")].concat()).await;
    let batches = eventually("both lines", || {
        Some(collector.batches()).filter(|batches| batches.len() == 2)
    })
    .await;
    let mut all = emitted(&batches);
    all.sort_by_key(|record| record["partial_id"].to_string());
    assert_eq!(
        all,
        [record("a", 1, false, "12"), record("b", 2, true, "2")]
    );
    held(&running, 0).await;
    assert_eq!(let_go(&running, "timeout"), 2);
    running.end().await;
}

#[tokio::test]
async fn parts_in_a_packed_message_leave_the_other_records_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let (running, collector) = collecting(dir.path(), 60_000).await;
    let mut client = Client::connect(&running).await;
    let other = |n: u64| json!({ "n": n });
    let blob: Vec<u8> = [
        other(0),
        record("a", 1, false, "a1 "),
        record("b", 2, true, "b2"),
        other(1),
        record("a", 2, true, "a2"),
        other(2),
    ]
    .iter()
    .flat_map(|record| entry(record).to_vec())
    .collect();
    client.send(&packed("docker", &blob, Some("relay"))).await;
    client.expect(ack("relay")).await;
    let batch = collector.batches().remove(0);
    assert_eq!(
        records(&batch.events),
        [other(0), other(1), line("a1 a2"), other(2)]
    );
    assert_eq!(batch.count, 4);
    let places: Vec<_> = batch.origin.as_ref().unwrap().places().collect();
    assert_eq!(places, [0, 3, 4, 5], "each keeps its place in the chunk");
    client
        .send(&message(&record("b", 1, false, "b1 "), None))
        .await;
    let line_b = eventually("the other line", || collector.batches().get(1).cloned()).await;
    assert_eq!(records(&line_b.events), [line("b1 b2")]);
    drop(client);
    running.end().await;
}

#[tokio::test]
async fn a_message_of_which_nothing_is_left_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (running, collector) = collecting(dir.path(), 60_000).await;
    let mut client = Client::connect(&running).await;
    let mut other = Client::connect(&running).await;
    // Parts of one line over two connections, the second before the first.
    client
        .send(&message(&record("id", 2, true, "2"), Some("b")))
        .await;
    client.expect(ack("b")).await;
    other
        .send(&message(&record("id", 1, false, "1"), Some("a")))
        .await;
    other.expect(ack("a")).await;
    assert_eq!(emitted(&collector.batches()), [line("12")]);
    drop((client, other));
    running.end().await;
}

#[tokio::test]
async fn a_line_that_is_not_stored_is_not_acknowledged_and_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (running, keeper) = keeping(dir.path()).await;
    let mut client = Client::connect(&running).await;
    let parts = [record("id", 1, false, "1"), record("id", 2, true, "2")];
    client.send(&message(&parts[0], Some("a"))).await;
    client.expect(ack("a")).await;
    client.send(&message(&parts[1], Some("b"))).await;
    drop(eventually("the line", || keeper.take()).await);
    client.expect_fin(&[]).await;
    // The clock finds that it is whole, before Docker is back.
    let batch = eventually("the line once more", || keeper.take()).await;
    assert_eq!(records(&batch.events), [line("12")]);
    let mut again = Client::connect(&running).await;
    again.send(&message(&parts[1], Some("b"))).await;
    eventually("it is known", || {
        (counted(&running, "again") == 1).then_some(())
    })
    .await;
    batch.due.meet();
    again.expect(ack("b")).await;
    drop(again);
    running.end().await;
    assert_eq!(keeper.waiting(), 0, "nothing comes twice");
}

#[tokio::test]
async fn without_being_asked_for_parts_stay_as_they_are() {
    let (running, collector) = Running::collecting(json!({})).await;
    let mut client = Client::connect(&running).await;
    let part = record("id", 1, true, "1");
    client.send(&message(&part, Some("a"))).await;
    client.expect(ack("a")).await;
    assert_eq!(emitted(&collector.batches()), [part]);
    drop(client);
    running.end().await;
}

#[tokio::test]
async fn a_directory_that_is_in_use_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (running, collector) = collecting(dir.path(), 60_000).await;
    let params = json!({ "listen": "127.0.0.1:0", "join_partial_messages": true });
    let mut second = crate::settings::Settings::new(
        serde_json::from_value(params).unwrap(),
        "h",
        Some(dir.path()),
    )
    .unwrap();
    second.partial = Some(settings(dir.path(), 60_000));
    let (_stopper, stop) = sdk::stop::Stopper::new();
    let ready = sdk::input::Ready::new(|_| panic!("it must not be ready"));
    let run = crate::listener::run(second, collector.cx(ready), stop);
    let error = within("it fails", run).await.unwrap_err().to_string();
    assert!(
        error.starts_with("open the journal of partial messages in ")
            && error.contains("give each its own data_dir"),
        "{error}"
    );
    running.end().await;
}

#[test]
fn the_parameters_are_checked() {
    let complaints = |params: Value, dir: Option<&Path>| -> Vec<String> {
        let config = serde_json::from_value(params).unwrap();
        let checked = crate::settings::Settings::new(config, "h", dir);
        let errors = checked.err().unwrap_or_default();
        errors.into_iter().map(|error| error.path).collect()
    };
    let dir = Path::new("data/state/in");
    let on = json!({ "join_partial_messages": true });
    assert_eq!(complaints(on.clone(), Some(dir)), [""; 0]);
    assert_eq!(complaints(on, None), ["/join_partial_messages"]);
    assert_eq!(complaints(json!({}), None), [""; 0]);
    let wrong = json!({
        "join_partial_messages": true, "partial_timeout": "0s", "partial_size_limit": "17MiB",
    });
    assert_eq!(
        complaints(wrong, Some(dir)),
        ["/partial_timeout", "/partial_size_limit"]
    );
}
