//! The input as a whole.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use sdk::{
    input::{Emit, EmitError, Ready},
    stop::{Stop, Stopper},
    testing::{Collector, records},
};
use serde_json::json;

use super::*;

fn input(params: Value) -> Box<dyn Input> {
    build(params, &BuildCx::detached("test")).unwrap()
}

fn all_records(collector: &Collector) -> Vec<Value> {
    let batches = collector.batches();
    batches
        .iter()
        .flat_map(|batch| records(&batch.events))
        .collect()
}

async fn wait_until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_count_ends_within_a_batch_and_the_source_then_idles() {
    let params = json!({
        "tag": "demo", "sample": [{ "a": 1 }, { "a": 2 }], "rate": 1000, "size": 4, "count": 10,
        "auto_increment_key": "n",
    });
    let collector = Collector::default();
    let (stopper, stop) = Stopper::new();
    let running = tokio::spawn(input(params).run(collector.cx(Ready::new(|_| {})), stop));
    wait_until(|| all_records(&collector).len() >= 10).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!running.is_finished());
    let expected: Vec<_> = (0..10).map(|n| json!({ "a": n % 2 + 1, "n": n })).collect();
    assert_eq!(all_records(&collector), expected);
    let sizes: Vec<_> = collector
        .batches()
        .iter()
        .map(|batch| batch.count)
        .collect();
    assert_eq!(sizes, [4, 4, 2]);
    assert_eq!(collector.batches()[0].tag.as_str(), "demo");
    stopper.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_default_is_one_message_per_second() {
    let collector = Collector::default();
    let (stopper, stop) = Stopper::new();
    let cx = collector.cx(Ready::new(|_| {}));
    let running = tokio::spawn(input(json!({ "tag": "demo" })).run(cx, stop));
    tokio::time::sleep(Duration::from_millis(4_500)).await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert_eq!(
        all_records(&collector),
        vec![json!({ "message": "sample" }); 5]
    );
}

/// Keeps every obligation, so that no receipt resolves, and refuses the first batches.
#[derive(Default)]
struct Holding {
    refuse: AtomicU32,
    held: Mutex<Vec<Batch>>,
}

impl Emit for Holding {
    fn emit(&self, batch: Batch) -> Fut<'_, Result<(), EmitError>> {
        let refused = self
            .refuse
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        let result = if refused.is_ok() {
            Err(EmitError::Closed {
                output: "full".into(),
            })
        } else {
            self.held.lock().unwrap().push(batch);
            Ok(())
        };
        Box::pin(std::future::ready(result))
    }
}

impl Holding {
    fn take(&self) -> Vec<Batch> {
        self.held.lock().unwrap().drain(..).collect()
    }
}

fn meet(batches: Vec<Batch>) {
    for batch in batches {
        batch.due.meet();
    }
}

fn run_with(
    emit: &Arc<Holding>,
    params: Value,
) -> (Stopper, tokio::task::JoinHandle<Result<(), RunError>>) {
    let (stopper, stop): (_, Stop) = Stopper::new();
    let mut cx = Collector::default().cx(Ready::new(|_| {}));
    cx.emit = Arc::<Holding>::clone(emit);
    (stopper, tokio::spawn(input(params).run(cx, stop)))
}

#[tokio::test(start_paused = true)]
async fn batches_in_flight_are_limited_and_awaited_at_the_end() {
    let emit = Arc::new(Holding::default());
    let (stopper, running) = run_with(&emit, json!({ "tag": "demo", "rate": 1000 }));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let held: Vec<Batch> = emit.take();
    assert_eq!(held.len(), IN_FLIGHT_MAX + 1);
    stopper.stop();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!running.is_finished(), "it must wait for its receipts");
    meet(held);
    wait_until(|| {
        meet(emit.take());
        running.is_finished()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_is_offered_again() {
    let emit = Arc::new(Holding::default());
    emit.refuse.store(3, Ordering::SeqCst);
    let params = json!({ "tag": "demo", "count": 2, "rate": 100, "auto_increment_key": "n" });
    let (stopper, running) = run_with(&emit, params);
    wait_until(|| emit.held.lock().unwrap().len() == 2).await;
    let held: Vec<Batch> = emit.take();
    let got: Vec<_> = held
        .iter()
        .flat_map(|batch| records(&batch.events))
        .collect();
    let expected: Vec<_> = (0..2)
        .map(|n| json!({ "message": "sample", "n": n }))
        .collect();
    assert_eq!(got, expected);
    meet(held);
    stopper.stop();
    running.await.unwrap().unwrap();
}

#[track_caller]
fn refused(params: Value, path: &str) {
    let errors = build(params, &BuildCx::detached("test")).err().unwrap();
    assert_eq!(errors[0].path, path);
    assert!(errors[0].help.is_some());
}

#[test]
fn what_cannot_work_is_refused_at_its_place() {
    refused(json!({ "tag": "a", "rate": 0 }), "/rate");
    refused(json!({ "tag": "a", "size": 0 }), "/size");
    refused(json!({ "tag": "a", "sample": [] }), "/sample");
    let long = json!({ "message": "x".repeat(1000) });
    refused(
        json!({ "tag": "a", "sample": long, "size": 10_000 }),
        "/size",
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait_for_a_full_buffer() {
    /// Never admits.
    struct Full;
    impl Emit for Full {
        fn emit(&self, _batch: Batch) -> Fut<'_, Result<(), EmitError>> {
            Box::pin(std::future::pending())
        }
    }
    let (stopper, stop) = Stopper::new();
    let mut cx = Collector::default().cx(Ready::new(|_| {}));
    cx.emit = Arc::new(Full);
    let running = tokio::spawn(input(json!({ "tag": "demo" })).run(cx, stop));
    tokio::time::sleep(Duration::from_secs(5)).await;
    stopper.stop();
    running.await.unwrap().unwrap();
}
