//! A record without a value costs no more than the first pass over it.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use sdk::{
    event::{Batch, Chain},
    msgpack::write,
    testing::batch,
};

use super::*;
use crate::{
    detectors::{DETECTORS, Trigger},
    words,
};

const RECORDS: usize = 200;
const ROUNDS: usize = 30;

/// A record of about 470 bytes, as an agent in a cluster sends it.
fn kubernetes(log: &str) -> Value {
    json!({
        "log": log, "stream": "stdout", "time": "2026-01-02T03:04:05.123456789Z",
        "kubernetes": {
            "pod_name": "web-7d4b9c6f5-x2x4z", "namespace_name": "shop", "container_name": "web",
            "pod_id": "550e8400-e29b-41d4-a716-446655440000", "host": "node-3.example",
            "labels": { "app": "web", "pod-template-hash": "7d4b9c6f5", "tier": "front" },
            "container_image": "registry.example/shop/web:1.2.3",
        },
    })
}

const PLAIN: &str = "level=info msg=\"request done\" path=/api/v1/orders status=200 bytes=5120 duration=12.5ms user=1234";
/// As long as `PLAIN`.
const FULL: &str = "to=alice@example.com password=hunter22 4111111111111111 010-1234-5678 b@example.org pwd=a c@example.net";

fn places(log: &str) -> usize {
    let (mut record, mut places) = (Vec::new(), Vec::new());
    write::json(&mut record, &kubernetes(log));
    redact(json!({})).scan.record(&record, &mut places);
    places.len()
}

#[test]
fn every_word_of_a_detector_is_long_enough_to_be_found() {
    for detector in DETECTORS {
        if let Trigger::Words(words) | Trigger::Names(words) = detector.trigger {
            let short = words.iter().find(|word| word.len() < words::SHORTEST);
            assert_eq!(short, None, "{}", detector.name);
        }
    }
}

#[test]
fn an_ordinary_record_points_at_no_place_so_that_it_is_not_walked() {
    assert_eq!(places(PLAIN), 0);
    assert!(places(FULL) >= 5);
}

fn took(chain: &Chain, batch: &Batch) -> Duration {
    let batch = batch.clone();
    let began = Instant::now();
    black_box(chain.apply(batch));
    began.elapsed()
}

/// The shortest of many rounds, which take turns, so that a busy machine disturbs both alike.
#[test]
fn a_record_without_a_value_costs_less_than_half_of_one_full_of_values() {
    let of = |log: &str| batch("app", &vec![kubernetes(log); RECORDS]);
    let (plain, full) = (of(PLAIN), of(FULL));
    let chain = Chain::new(vec![filter(json!({}))]);
    let (mut least, mut most) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        least = least.min(took(&chain, &plain));
        most = most.min(took(&chain, &full));
    }
    println!("{RECORDS} records: {least:?} without a value, {most:?} full of values");
    assert!(least * 2 < most, "{least:?} and {most:?}");
}
