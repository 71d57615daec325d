//! The contract of the probes: one test for each state, named after it. What each probe must say is in the table of
//! `docs/RUNBOOK.md`.

use sdk::{
    event::{Batch, Tag},
    metrics::Metrics,
    obligation::Obligation,
};

use super::*;
use crate::{
    buffer::{BufferSettings, Overflow},
    telemetry::ledger::{Holder, Ledger},
};

/// A process with one source that runs as it should.
fn normal() -> Health {
    let health = Health::new(true);
    health.beat();
    health.expect_sources(1);
    health.source_bound(true);
    health.mark_started();
    health
}

fn ago(secs: u64) -> Instant {
    Instant::now()
        .checked_sub(Duration::from_secs(secs))
        .unwrap()
}

/// `/livez`, `/readyz`, `/startupz`.
fn answers(health: &Health) -> (bool, bool, bool) {
    (health.live().ok, health.ready().ok, health.started().ok)
}

fn output(id: &str, overflow: Overflow) -> Seen {
    let metrics = Metrics::new();
    let account = Ledger::new(&metrics).open(Holder::Output, &metrics);
    let settings = BufferSettings {
        total_limit_bytes: 10_000,
        overflow,
        ..BufferSettings::memory()
    };
    Seen {
        id: id.into(),
        buffer: Buffer::open(settings, id.into(), account, &metrics).unwrap(),
        holds_up: true,
        failures: Gauge::default(),
        full_at: None,
    }
}

/// Stores until there is no room.
async fn fill(output: &Seen) {
    let events = vec![0xc0; 1_000];
    while let Ok(room) = output.buffer.reserve(events.len()).await {
        let batch = Batch::new(
            Tag::new("t"),
            events.clone().into(),
            1,
            Obligation::nobody(),
        );
        output.buffer.append(room, batch);
    }
    assert!(output.buffer.status().is_full);
}

#[test]
fn starting_listeners_not_bound() {
    let health = Health::new(true);
    health.beat();
    health.expect_sources(1);
    assert_eq!(answers(&health), (true, false, false));
    assert_eq!(health.ready().reasons, ["starting"]);
    assert_eq!(health.started().reasons, ["starting"]);
}

#[test]
fn a_source_that_is_not_bound_any_more() {
    let health = normal();
    health.source_bound(false);
    assert_eq!(answers(&health), (true, false, true));
    assert_eq!(health.ready().reasons, ["a source is not bound"]);
}

#[test]
fn normal_and_quiet_without_any_traffic() {
    let health = normal();
    health.see(vec![]);
    assert_eq!(answers(&health), (true, true, true));
    assert_eq!(health.ready().notes, [""; 0]);
}

#[tokio::test]
async fn an_output_is_down() {
    let health = normal();
    let down = output("es", Overflow::Block);
    down.failures.set(7);
    health.see(vec![down, output("files", Overflow::Block)]);
    assert_eq!(answers(&health), (true, true, true));
    assert_eq!(health.ready().notes, ["output down es"]);
}

#[tokio::test]
async fn backpressure_with_hysteresis() {
    let health = normal();
    let full = output("es", Overflow::ThrowException);
    fill(&full).await;
    let buffer = full.buffer.clone();
    health.see(vec![full]);
    assert_eq!(answers(&health), (true, false, true));
    assert_eq!(health.ready().reasons, ["backpressure es"]);
    // Then there is room again; it is not ready before it has been so for a while.
    let emptied = Instant::now();
    buffer.flush();
    let mut chunk = buffer.next_chunk().await.unwrap();
    chunk.settle(sdk::output::Bitmap::empty(chunk.record_count()));
    chunk.finish();
    while buffer.status().is_full {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let seconds = |secs| emptied + Duration::from_secs(secs);
    assert!(!health.ready_at(seconds(29)).ok);
    assert!(health.ready_at(seconds(40)).ok);
    assert!(health.ready_at(seconds(41)).ok, "and stays so");
}

#[tokio::test]
async fn backpressure_where_readiness_does_not_mind() {
    let health = normal();
    let full = output("es", Overflow::ThrowException);
    fill(&full).await;
    health.see(vec![full]);
    health.fail_on_backpressure(false);
    assert_eq!(answers(&health), (true, true, true));
    assert_eq!(health.ready().notes, ["buffer full es"]);
}

#[tokio::test]
async fn a_full_store_that_holds_nobody_up() {
    let health = normal();
    let mut full = output("archive", Overflow::ThrowException);
    fill(&full).await;
    full.holds_up = false;
    health.see(vec![full]);
    assert_eq!(answers(&health), (true, true, true));
}

#[test]
fn draining_after_sigterm() {
    let health = normal();
    health.mark_draining();
    assert_eq!(answers(&health), (true, false, true));
    assert_eq!(health.ready().reasons, ["draining"]);
}

#[test]
fn event_loop_stuck_without_a_heartbeat() {
    let health = Health::born_at(ago(31), true);
    health.mark_started();
    assert_eq!(answers(&health), (false, false, false));
    assert_eq!(health.live().reasons, ["no heartbeat for 31 s"]);
    health.beat();
    assert_eq!(answers(&health), (true, true, true));
}

#[test]
fn event_loop_stuck_in_one_poll() {
    let health = Health::born_at(ago(31), true);
    health.mark_started();
    health.beat();
    let hangs = health.watch(&"in".into(), std::future::pending::<()>());
    hangs.pretend_polled_since(Duration::ZERO);
    assert_eq!(answers(&health), (false, false, false));
    assert_eq!(health.live().reasons, ["stuck in"]);
    drop(hangs);
    assert_eq!(answers(&health), (true, true, true));
}
