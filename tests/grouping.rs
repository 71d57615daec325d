//! `chunk_keys` and `ordering` as a destination sees them: what comes in one request, when, and in which order.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{
    delivery::SERVICE,
    harness::{
        Sender,
        collector::{Batch, Collector},
        eventually, forward, holds,
        weir::{Home, Weir},
    },
};

/// A router that posts to the collector, with this in its buffer.
fn router(collector: &Collector, buffer: &str) -> Home {
    Home::new(&format!(
        r#"{SERVICE}
[[match]]
id = "http"
tag = "**"
type = "http"
endpoint = "http://{}/logs"
json_array = true
tag_key = "tag"
[match.buffer]
retry_wait = "100ms"
retry_max_interval = "200ms"
{buffer}
"#,
        collector.address()
    ))
}

/// Sends an acknowledged message of records `{"n": NUMBER, "service": NAME}`, of which each tenth is for another service.
fn send(sender: &mut Sender, tag: &str, first: u64) {
    let mut events = Vec::new();
    for n in first..first + 20 {
        let service = ["web", "db"][usize::from(n % 10 == 0)];
        let record = json!({ "n": n, "service": service });
        events.extend(forward::entry(1_764_000_000, &record));
    }
    let chunk = format!("{tag}-{first}");
    sender.send(&forward::packed(tag, &events, Some(&chunk)));
    sender.expect_ack(&chunk);
}

fn of(batch: &Batch, field: &str) -> BTreeSet<String> {
    let values = batch.iter().filter_map(|record| record[field].as_str());
    values.map(str::to_owned).collect()
}

/// How often each number was taken.
fn counts(batches: &[Batch]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for number in batches
        .iter()
        .flatten()
        .filter_map(|record| record["n"].as_u64())
    {
        *counts.entry(number).or_default() += 1;
    }
    counts
}

fn all_arrived(weir: &Weir, collector: &Collector, sent: u64) {
    weir.settles(30);
    let counts = counts(&collector.taken());
    assert_eq!(counts.len() as u64, sent, "each number is there");
}

#[test]
fn a_request_has_records_of_one_tag_and_service_over_a_kill() {
    let collector = Collector::start();
    let home = router(
        &collector,
        "chunk_keys = [\"tag\", \"$.service\"]\nflush_interval = \"700ms\"\n",
    );
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    let tags = ["a", "b", "c"].into_iter().cycle();
    for (message, tag) in (0..30).zip(tags.clone()) {
        send(&mut sender, tag, message * 20);
    }
    weir.kill();
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    for (message, tag) in (30..60).zip(tags) {
        send(&mut sender, tag, message * 20);
    }
    all_arrived(&weir, &collector, 1_200);
    let taken = collector.taken();
    for batch in &taken {
        let keys = (of(batch, "tag").len(), of(batch, "service").len());
        assert_eq!(keys, (1, 1), "{batch:?}");
    }
    assert!(
        taken.len() < 60,
        "{} requests: nothing was gathered",
        taken.len()
    );
    assert!(weir.stop().success());
}

#[test]
fn a_key_that_fails_holds_up_itself_and_no_other() {
    let collector = Collector::start();
    let home = router(
        &collector,
        "chunk_keys = [\"tag\"]\nordering = \"per_chunk_key\"\nflush_thread_count = 4\n\
         flush_interval = \"0s\"\nchunk_limit_records = 20\n",
    );
    let is_bad = |batch: &Batch| of(batch, "tag").contains("bad");
    collector.refuse(is_bad);
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    for (message, tag) in (0..40).zip(["bad", "good"].into_iter().cycle()) {
        send(&mut sender, tag, message * 20);
    }
    let good = || collector.taken().iter().flatten().count();
    holds("the good ones are there", 30, &400, good);
    eventually("the bad one is tried again", 30, || {
        (collector.refused() > 3).then_some(())
    });
    assert!(!collector.taken().iter().any(is_bad));
    collector.refuse(|_| false);
    all_arrived(&weir, &collector, 800);
    for tag in ["bad", "good"] {
        let taken = collector.taken();
        let records = taken.iter().flatten();
        let numbers = records.filter(|record| record["tag"] == tag);
        let numbers: Vec<u64> = numbers.filter_map(|record| record["n"].as_u64()).collect();
        assert!(numbers.is_sorted(), "{tag}: {numbers:?}");
    }
    assert!(weir.stop().success());
}

/// Records of this second are sent when their slot and the wait are over, and not before.
#[test]
fn a_slot_of_time_is_sent_when_it_is_over() {
    let collector = Collector::start();
    let home = router(
        &collector,
        "chunk_keys = [\"time\"]\ntimekey = \"3s\"\ntimekey_wait = \"1s\"\ntimekey_use_utc = true\n",
    );
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a time")
    };
    let begun = now();
    let slot = begun.as_secs() - begun.as_secs() % 3;
    let event = forward::entry(
        u32::try_from(slot).expect("a time"),
        &json!({ "n": 0, "service": "web" }),
    );
    sender.send(&forward::packed("a", &event, Some("c")));
    sender.expect_ack("c");
    let since = Instant::now();
    eventually("it is sent", 20, || {
        (!collector.taken().is_empty()).then_some(())
    });
    assert!(
        now() >= Duration::from_secs(slot + 4),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(collector.taken()[0][0]["n"], Value::from(0));
    assert!(weir.stop().success());
}
