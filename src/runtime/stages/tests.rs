//! Whole graphs with made-up filters that hold, merge, retag, fail and panic.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sdk::{
    clock::Clock,
    event::{Batch, Edit, FieldPath, Group, Piece},
    filter::Filter,
    input::{Emit as _, EmitError, Input, InputCx},
    metrics::Metrics,
    obligation::{Obligation, Receipt, Unmet},
    output::{ChunkView, Outcome, Output},
    plugin::{Build, DefaultBuffer, Descriptor, Stability},
    stateful::{Held, Outbox, StatefulFilter},
    stop::Stop,
    testing,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::{
    config::{self, OnFailure, Process},
    pipeline::{Parts, SourceEmit, build},
    runtime::outputs::Outputs,
    telemetry::ledger::Ledger,
};

/// What the outputs got, by id: tag and record.
static SEEN: Mutex<BTreeMap<String, Vec<(String, Value)>>> = Mutex::new(BTreeMap::new());

const BASE: Descriptor = Descriptor {
    name: "",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Made up",
    schema: || json!({ "type": "object", "properties": {} }),
    build: Build::Filter(|_, _| Err(Vec::new())),
};

static PLUGINS: config::Registry = &[
    &Descriptor {
        name: "idle",
        build: Build::Input(|_, _| Ok(Box::new(Idle))),
        ..BASE
    },
    &Descriptor {
        name: "pairs",
        build: Build::Stateful(|_, _| Ok(Box::new(Pairs::default()))),
        ..BASE
    },
    &Descriptor {
        name: "moody",
        build: Build::Stateful(|_, _| Ok(Box::new(Moody))),
        ..BASE
    },
    &Descriptor {
        name: "touchy",
        build: Build::Filter(|_, _| Ok(Arc::new(Touchy))),
        ..BASE
    },
    &Descriptor {
        name: "collect",
        build: Build::Output(
            |_, cx| Ok(Arc::new(Collect(cx.id.to_string()))),
            DefaultBuffer::Memory,
        ),
        ..BASE
    },
];

/// The record `{"pair": true}`.
const PAIR: &[u8] = b"\x81\xa4pair\xc3";

struct Idle;

impl Input for Idle {
    fn run(self: Box<Self>, _: InputCx, _: Stop) -> Fut<'static, Result<(), RunError>> {
        Box::pin(async { Ok(()) })
    }
}

/// Joins each two events, and lets a single one go after a minute.
#[derive(Default)]
struct Pairs {
    first: Option<(Held, std::time::Instant)>,
}

impl StatefulFilter for Pairs {
    fn filter(&mut self, batch: &Batch, now: std::time::Instant, out: &mut Outbox) {
        for (index, event) in (0..).zip(batch.entries().map(Result::unwrap)) {
            let held = Held::new(batch, index, &event);
            match self.first.take() {
                None => self.first = Some((held, now + Duration::from_mins(1))),
                Some((first, _)) => {
                    out.merge(vec![first, held], &batch.tag, event.time, PAIR);
                }
            }
        }
    }

    fn tick(&mut self, now: std::time::Instant, out: &mut Outbox) {
        if let Some((held, _)) = self.first.take_if(|(_, wake)| *wake <= now) {
            out.release(held);
        }
    }

    fn wake(&self) -> Option<std::time::Instant> {
        self.first.as_ref().map(|(_, wake)| *wake)
    }

    fn finish(&mut self, out: &mut Outbox) {
        if let Some((held, _)) = self.first.take() {
            out.release(held);
        }
    }
}

/// Does what the field `do` says.
struct Moody;

impl StatefulFilter for Moody {
    fn filter(&mut self, batch: &Batch, _: std::time::Instant, out: &mut Outbox) {
        for (index, event) in (0..).zip(batch.entries().map(Result::unwrap)) {
            let record = testing::records(event.entry).remove(0);
            match record["do"].as_str().unwrap_or_default() {
                "panic" => panic!("moody"),
                "drop" => out.drop_event(),
                "fail" => out.fail(batch, index, &event, "moody"),
                "twice" => {
                    out.pass(batch, index, &event);
                    out.pass(batch, index, &event);
                }
                "pass" => out.pass(batch, index, &event),
                tag => out.retag(batch, index, &event, &tag.into()),
            }
        }
    }
}

/// Keeps nothing, and panics on events with a field `panic`.
struct Touchy;

impl Filter for Touchy {
    fn filter(&self, edit: &mut Edit<'_>) {
        edit.set("seen", |_, out| out.push(0xc3));
        assert!(edit.get(&FieldPath::key("panic")).is_none(), "touchy");
    }
}

struct Collect(String);

impl Output for Collect {
    fn write<'a>(&'a self, chunk: ChunkView<'a>) -> Fut<'a, Outcome> {
        Box::pin(async move {
            if self.0.starts_with("stuck") {
                std::future::pending::<()>().await;
            }
            let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
            for frame in chunk.frames {
                let records = testing::records(&frame.events);
                let all = seen.entry(self.0.clone()).or_default();
                all.extend(
                    records
                        .into_iter()
                        .map(|record| (frame.tag.to_string(), record)),
                );
            }
            Outcome::Delivered
        })
    }
}

/// A running graph below its sources.
struct Graph {
    ledger: Ledger,
    pipeline: Arc<Pipeline>,
    stages: Stages,
    outputs: Outputs,
    emit: SourceEmit,
    fatals: mpsc::Receiver<super::super::supervise::Fatal>,
}

fn start(text: &str) -> Graph {
    let text = format!("[[source]]\ntype = \"idle\"\n{text}");
    let loaded = config::load(&text, PLUGINS, &Process::new(Path::new(".")));
    let config = loaded
        .config
        .unwrap_or_else(|| panic!("{:?}", loaded.findings));
    let ledger = Ledger::new(&Metrics::new());
    let parts = Parts {
        ledger: ledger.clone(),
        clock: Clock::system(),
        hostname: "host".into(),
        data_dir: Arc::from(Path::new("data")),
        plugins: PLUGINS,
    };
    let built = build(&config, &parts, None).unwrap();
    let (fatal, fatals) = mpsc::channel(1);
    let (failed, _) = mpsc::channel(1);
    let life = Life {
        default_failure: OnFailure::Resume,
        fatal,
        failed,
        health: crate::runtime::Health::new(true),
    };
    let (_, current) = Switch::new(Arc::clone(&built.pipeline));
    Graph {
        outputs: Outputs::start(built.outputs, None, &life),
        stages: Stages::start(built.stages, &built.pipeline, &life),
        emit: SourceEmit::new(current, "ROOT".into(), &Metrics::new()),
        pipeline: built.pipeline,
        ledger,
        fatals,
    }
}

impl Graph {
    async fn emit(&self, tag: &str, records: &[Value]) -> Receipt {
        let (due, receipt) = Obligation::new();
        let batch = Batch {
            due,
            ..testing::batch(tag, records)
        };
        self.emit.emit(batch).await.unwrap();
        receipt
    }

    /// A metric by the beginning of its line.
    fn metric(&self, start: &str) -> i64 {
        self.ledger.audit();
        let text = self.ledger.metrics().encode();
        let lines = text.lines().filter(|line| line.starts_with(start));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap())
            .sum()
    }

    fn pipeline_metric(&self, name: &str) -> i64 {
        self.metric(&format!("weir_{name}{{component_id=\"pipeline\""))
    }

    fn assert_balance(&self) {
        assert_eq!(self.metric("weir_ledger_imbalance_records"), 0);
    }

    async fn until(&self, is_met: impl Fn(&Self) -> bool) {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !is_met(self) {
            assert!(
                std::time::Instant::now() < deadline,
                "{}",
                self.ledger.metrics().encode()
            );
            // Moves a clock that stands still by this much.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn seen(output: &str) -> Vec<(String, Value)> {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.get(output).cloned().unwrap_or_default()
}

const NOW: &str = "buffer = { flush_interval = \"0s\" }";

fn matched(id: &str, tag: &str) -> String {
    format!("[[match]]\nid = \"{id}\"\ntype = \"collect\"\ntag = \"{tag}\"\n{NOW}\n")
}

#[tokio::test]
async fn what_is_held_is_answered_when_it_left_and_balances_meanwhile() {
    let graph = start(&format!(
        "[[filter]]\ntype = \"pairs\"\ntag = \"**\"\n{}",
        matched("held", "**")
    ));
    let first = graph.emit("a", &[json!({ "n": 1 })]).await;
    graph
        .until(|graph| graph.metric("weir_filter_held_records") == 1)
        .await;
    assert!(!first.is_settled());
    assert_eq!(graph.pipeline_metric("held_records"), 1);
    graph.assert_balance();
    let second = graph.emit("a", &[json!({ "n": 2 })]).await;
    assert_eq!((first.await, second.await), (Ok(()), Ok(())));
    graph.until(|_| seen("held").len() == 1).await;
    assert_eq!(seen("held"), [("a".to_owned(), json!({ "pair": true }))]);
    let terms = [
        "admitted_records_total",
        "merged_records_total",
        "routed_records_total",
    ];
    assert_eq!(terms.map(|name| graph.pipeline_metric(name)), [2, 1, 1]);
    assert_eq!(graph.metric("weir_filter_records_in_total"), 2);
    assert_eq!(graph.metric("weir_filter_records_out_total"), 1);
    assert_eq!(graph.metric("weir_filter_held_records"), 0);
    assert_eq!(graph.metric("weir_filter_queue_bytes"), 0);
    graph.assert_balance();
}

#[tokio::test(start_paused = true)]
async fn a_filter_is_woken_when_it_asks_for_it() {
    let graph = start(&format!(
        "[[filter]]\ntype = \"pairs\"\ntag = \"**\"\n{}",
        matched("woken", "**")
    ));
    let began = Instant::now();
    let receipt = graph.emit("a", &[json!({ "n": 1 })]).await;
    assert_eq!(receipt.await, Ok(()));
    let took = began.elapsed().as_secs();
    assert!((60..62).contains(&took), "{took} s");
}

#[tokio::test]
async fn what_leaves_goes_on_behind_the_filter_with_its_new_tag() {
    let graph = start(&format!(
        "[[filter]]\ntype = \"moody\"\ntag = \"in\"\n\
        [[filter]]\ntype = \"moody\"\ntag = \"in\"\n\
        [[filter]]\ntype = \"pairs\"\ntag = \"two\"\n{}{}",
        matched("retag-two", "two"),
        matched("retag-rest", "**")
    ));
    let events = ["two", "in", "two", "other"].map(|tag| json!({ "do": tag }));
    let receipt = graph.emit("in", &events).await;
    assert_eq!(receipt.await, Ok(()));
    graph
        .until(|_| seen("retag-two").len() + seen("retag-rest").len() == 3)
        .await;
    assert_eq!(
        seen("retag-two"),
        [("two".to_owned(), json!({ "pair": true }))]
    );
    let rest = ["in", "other"].map(|tag| (tag.to_owned(), json!({ "do": tag })));
    // What stays "in" goes through the second filter too, and may be overtaken meanwhile.
    let mut found = seen("retag-rest");
    found.sort_by_key(|(tag, _)| tag.clone());
    assert_eq!(found, rest);
    graph.assert_balance();
}

#[tokio::test]
async fn a_panic_breaks_what_was_held_and_the_filter_goes_on() {
    let graph = start(&format!(
        "[[filter]]\ntype = \"moody\"\ntag = \"**\"\n{}",
        matched("panic", "**")
    ));
    let broken = graph
        .emit("a", &[json!({ "do": "pass" }), json!({ "do": "panic" })])
        .await;
    assert_eq!(broken.await, Err(Unmet));
    let whole = graph
        .emit("a", &[json!({ "do": "drop" }), json!({ "do": "twice" })])
        .await;
    assert_eq!(whole.await, Ok(()));
    assert_eq!(
        graph.metric("weir_component_restarts_total{component_id=\"filter.0\""),
        1
    );
    let dropped = |reason: &str| {
        graph.metric(&format!(
            "weir_dropped_records_total{{component_id=\"pipeline\",component_kind=\"pipeline\",component_type=\"pipeline\",reason=\"{reason}\""
        ))
    };
    assert_eq!((dropped("stage_failed"), dropped("filtered")), (2, 1));
    assert_eq!(graph.pipeline_metric("created_records_total"), 1);
    graph.assert_balance();
}

const TO_ERRORS: &str = "[[label.ERROR.match]]\nid = \"ID\"\ntype = \"collect\"\ntag = \"**\"\n";

#[tokio::test]
async fn what_makes_a_plain_filter_panic_is_refused_twice_and_then_set_aside_alone() {
    let filter = "[[filter]]\ntype = \"touchy\"\ntag = \"**\"\n";
    let (good, errors) = (matched("touchy", "**"), TO_ERRORS.replace("ID", "touched"));
    let graph = start(&format!("{filter}{good}{errors}"));
    let records = [json!({ "n": 1 }), json!({ "panic": 1 }), json!({ "n": 2 })];
    let offer = async || {
        let (due, receipt) = Obligation::new();
        let batch = testing::batch("a", &records);
        let emitted = graph.emit.emit(Batch { due, ..batch }).await;
        (emitted, receipt.await)
    };
    let refused = EmitError::Filter {
        label: "ROOT".into(),
    };
    for _ in 0..2 {
        assert_eq!(offer().await, (Err(refused.clone()), Err(Unmet)));
        assert!(seen("touchy").is_empty() && seen("touched").is_empty());
    }
    assert_eq!(offer().await, (Ok(()), Ok(())));
    graph
        .until(|_| seen("touchy").len() == 2 && seen("touched").len() == 1)
        .await;
    let kept = [1, 2].map(|n| ("a".to_owned(), json!({ "n": n, "seen": true })));
    assert_eq!(seen("touchy"), kept);
    assert_eq!(seen("touched"), [("a".to_owned(), json!({ "panic": 1 }))]);
    assert_eq!(graph.pipeline_metric("panics_total"), 3);
    assert_eq!(graph.pipeline_metric("admitted_records_total"), 3);
    graph.assert_balance();
}

#[tokio::test]
async fn what_makes_a_filter_with_memory_panic_is_set_aside_the_third_time() {
    let filter = "[[filter]]\ntype = \"moody\"\ntag = \"**\"\n";
    let graph = start(&format!("{filter}{}", matched("moody", "**")));
    let offer = async || {
        let records = [json!({ "do": "pass" }), json!({ "do": "panic" })];
        graph.emit("a", &records).await.await
    };
    for _ in 0..2 {
        assert_eq!(offer().await, Err(Unmet));
    }
    assert_eq!(offer().await, Ok(()));
    let dropped = "weir_dropped_records_total{component_id=\"pipeline\",component_kind=\"pipeline\",component_type=\"pipeline\",reason=\"filter_panic\"";
    assert_eq!(graph.metric(dropped), 2);
    // Others are not hurt.
    assert_eq!(
        graph.emit("a", &[json!({ "do": "pass" })]).await.await,
        Ok(())
    );
    graph.assert_balance();
}

#[tokio::test]
async fn what_fails_goes_to_the_error_label_and_never_in_circles() {
    let graph = start(&format!(
        "[[filter]]\ntype = \"moody\"\ntag = \"**\"\n{}\
        [[label.ERROR.match]]\ntype = \"copy\"\ntag = \"**\"\n\
        [[label.ERROR.match.store]]\nid = \"errors\"\ntype = \"collect\"\n{NOW}\n\
        [[label.ERROR.match.store]]\ntype = \"relabel\"\nlabel = \"AGAIN\"\n\
        [[label.AGAIN.filter]]\ntype = \"moody\"\ntag = \"**\"\n\
        [[label.AGAIN.match]]\nid = \"again\"\ntype = \"collect\"\ntag = \"**\"\n",
        matched("fails", "**")
    ));
    let receipt = graph.emit("a", &[json!({ "do": "fail" })]).await;
    assert_eq!(receipt.await, Ok(()));
    graph.until(|_| seen("errors").len() == 1).await;
    assert!(seen("fails").is_empty() && seen("again").is_empty());
    assert_eq!(graph.metric("weir_filter_errors_total"), 2);
    graph.assert_balance();
}

#[tokio::test]
async fn a_forgiven_store_behind_a_stage_holds_up_nobody() {
    let graph = start(&format!(
        "[[match]]\ntype = \"copy\"\ntag = \"**\"\n\
        [[match.store]]\nid = \"strict\"\ntype = \"collect\"\n{NOW}\n\
        [[match.store]]\ntype = \"relabel\"\nlabel = \"SIDE\"\non_full = \"ignore\"\non_error = \"ignore\"\n\
        [[label.SIDE.filter]]\ntype = \"moody\"\ntag = \"**\"\n\
        [[label.SIDE.match]]\nid = \"stuck-side\"\ntype = \"collect\"\ntag = \"**\"\n\
        buffer = {{ total_limit_size = \"256k\", chunk_limit_size = \"64k\", flush_interval = \"0s\" }}\n"
    ));
    let text = "x".repeat(50 << 10);
    for _ in 0..40 {
        let receipt = graph
            .emit("a", &[json!({ "do": "pass", "text": text })])
            .await;
        assert_eq!(receipt.await, Ok(()));
    }
    graph.until(|_| seen("strict").len() == 40).await;
    assert!(graph.metric("weir_dropped_records_total{component_id=\"pipeline\"") > 0);
    graph.assert_balance();
}

#[tokio::test]
async fn a_full_buffer_behind_a_stage_makes_only_its_own_senders_wait() {
    let graph = start(&format!(
        "[[filter]]\ntype = \"moody\"\ntag = \"slow\"\n\
        [[match]]\nid = \"stuck\"\ntype = \"collect\"\ntag = \"slow\"\n\
        buffer = {{ total_limit_size = \"256k\", chunk_limit_size = \"64k\", flush_interval = \"0s\" }}\n{}",
        matched("fast", "**")
    ));
    let text = "x".repeat(1 << 16);
    let record = json!({ "do": "pass", "text": text });
    let mut taken = 0;
    loop {
        let emit = graph.emit("slow", std::slice::from_ref(&record));
        match tokio::time::timeout(Duration::from_millis(200), emit).await {
            Ok(_) => taken += 1,
            Err(_) => break,
        }
        assert!(taken < 1_000, "the queue has no limit");
    }
    let receipt = graph.emit("fast", std::slice::from_ref(&record)).await;
    assert_eq!(receipt.await, Ok(()));
    graph.assert_balance();
    let Graph {
        stages, pipeline, ..
    } = graph;
    stages.end(Instant::now() + Duration::from_millis(50)).await;
    drop(pipeline);
}

#[tokio::test]
async fn a_drain_lets_go_of_what_is_held_in_order() {
    let graph = start(&format!(
        "[[filter]]\ntype = \"pairs\"\ntag = \"**\"\n[[filter]]\ntype = \"pairs\"\ntag = \"**\"\n{}",
        matched("drained", "**")
    ));
    let records: Vec<_> = (0..7).map(|n| json!({ "n": n })).collect();
    let receipt = graph.emit("a", &records).await;
    graph
        .until(|graph| graph.metric("weir_filter_held_records") == 2)
        .await;
    // A source that drains waits for its receipts before the stages end.
    graph.stages.drain();
    assert_eq!(receipt.await, Ok(()));
    let last = graph.emit("a", &[json!({ "n": 7 })]).await;
    assert_eq!(last.await, Ok(()));
    graph.until(|_| seen("drained").len() == 3).await;
    graph.assert_balance();
    let Graph {
        stages,
        emit,
        fatals,
        outputs,
        ..
    } = graph;
    stages.end(Instant::now() + Duration::from_secs(10)).await;
    let (due, receipt) = Obligation::new();
    let late = Batch {
        due,
        ..testing::batch("a", &records)
    };
    assert!(emit.emit(late).await.is_err());
    assert_eq!(receipt.await, Err(Unmet));
    drop((fatals, outputs));
}

#[tokio::test]
async fn pieces_of_a_message_are_each_on_their_own_behind_a_stage() {
    let graph = start(&format!(
        "[[filter]]\ntype = \"moody\"\ntag = \"**\"\n{}",
        matched("pieces", "**")
    ));
    let (due, receipt) = Obligation::new();
    let group = Group::next();
    for (last, records) in [(false, vec![json!({ "do": "pass" })]), (true, Vec::new())] {
        let piece = Some(Piece {
            group: Arc::clone(&group),
            last,
        });
        let due = due.clone();
        let batch = Batch {
            due,
            piece,
            ..testing::batch("a", &records)
        };
        graph.emit.emit(batch).await.unwrap();
    }
    due.meet();
    assert_eq!(receipt.await, Ok(()));
    graph.until(|_| seen("pieces").len() == 1).await;
    graph.assert_balance();
}
