//! Several receivers behind `out_forward`: killed, frozen, slow and silent ones, a standby, and shares by weight.

mod kit;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use self::kit::{
    Back, HARD_TIMEOUT, WORKERS, ack_timeouts, comes_back, complete, front, is_up, send, server,
    shares,
};
use crate::{
    harness::{
        eventually, holds,
        scripted::{Manner, Scripted},
    },
    relay::{BATCH, Load, quiet},
};

/// Of the receivers that a test waits for: so many records more than were under way.
const MANY: u64 = 20 * BATCH;
/// What a kill of a receiver may double: the chunks on their way to it, and the one that it was writing into its file,
/// which is written again when it starts (the file output is at least once).
const TWICE_BY_A_KILL: u64 = (WORKERS + 1) * BATCH;
/// Numbers of records that are sent after those of a [`Load`].
const LATER: u64 = 10_000_000;

/// Waits until a receiver has so many records more; how long it took.
#[track_caller]
fn grows(back: &Back, by: u64) -> Duration {
    let (since, goal) = (Instant::now(), back.count() + by);
    let what = format!("{} gets {by} records", back.name);
    eventually(&what, 30, || (back.count() >= goal).then_some(()));
    since.elapsed()
}

#[test]
fn chunks_leave_a_killed_receiver_and_return() {
    let (one, two) = (Back::new("one"), Back::new("two"));
    let (killed, other) = (one.home.start(), two.home.start());
    let home = front("", &[one.table(""), two.table("")]);
    let front = home.start();
    let load = Load::start(front.listens("in"));
    grows(&one, MANY);
    killed.kill();
    // More than what was under way when it was killed.
    let moved = grows(&two, 2 * WORKERS * BATCH);
    assert!(moved < HARD_TIMEOUT, "chunks moved after {moved:?}");
    assert!(!is_up(&front, "one") && is_up(&front, "two"));
    grows(&two, MANY);
    let killed = one.home.start();
    let back = comes_back(&front, "one");
    grows(&one, MANY);
    let acked = load.finish();
    println!("moved within {moved:?}, back within {back:?}");
    shares(
        &front,
        &[(&one, &killed), (&two, &other)],
        &[1, 1],
        LATER,
        200,
    );
    let sent = acked.into_iter().chain(LATER..LATER + 200 * BATCH);
    complete(&[&one, &two], sent, TWICE_BY_A_KILL);
    [front, killed, other].into_iter().for_each(quiet);
}

/// A frozen process is the hardest to notice: its kernel takes connections and bytes as before, also those of heartbeats.
#[test]
fn chunks_leave_a_frozen_receiver_and_return() {
    let (one, two) = (Back::new("one"), Back::new("two"));
    let (frozen, other) = (one.home.start(), two.home.start());
    let timeout = "ack_response_timeout = \"3s\"";
    let home = front(timeout, &[one.table(""), two.table("")]);
    let front = home.start();
    let load = Load::start(front.listens("in"));
    grows(&one, MANY);
    frozen.signal("STOP");
    eventually("the acknowledgement is missed", 30, || {
        (ack_timeouts(&front, "one") > 0).then_some(())
    });
    grows(&two, MANY);
    frozen.signal("CONT");
    comes_back(&front, "one");
    grows(&one, MANY);
    let acked = load.finish();
    for weir in [&front, &frozen, &other] {
        weir.settles(60);
    }
    // What was sent to it in vain is stored once it goes on.
    let vain = ack_timeouts(&front, "one") + ack_timeouts(&front, "two");
    complete(&[&one, &two], acked, vain * BATCH);
    [front, frozen, other].into_iter().for_each(quiet);
}

#[test]
fn a_slow_receiver_holds_up_no_more_than_its_own_chunks() {
    const DELAY: Duration = Duration::from_millis(400);
    const MESSAGES: u64 = 80;
    let healthy = Back::new("healthy");
    let weir = healthy.home.start();
    let slow = Scripted::start(Manner::Acks(DELAY));
    let home = front("", &[healthy.table(""), server("slow", slow.port(), "")]);
    let front = home.start();
    let since = Instant::now();
    send(front.listens("in"), 0, MESSAGES);
    front.settles(60);
    let took = since.elapsed();
    weir.settles(30);
    let waits = slow.messages().len();
    println!("{waits} chunks waited {DELAY:?} each, all is there after {took:?}");
    assert_eq!(waits as u64, MESSAGES / 2, "its share by weight");
    let in_turn = DELAY * u32::try_from(waits).expect("few");
    assert!(took < in_turn / 2, "{took:?}; one by one it is {in_turn:?}");
    // No acknowledgement was late, so every record is at one of them, once.
    let mut seen = kit::together(&[&healthy]);
    for number in slow
        .messages()
        .into_iter()
        .flat_map(|message| message.numbers)
    {
        *seen.entry(number).or_default() += 1;
    }
    let expected: HashMap<u64, u32> = (0..MESSAGES * BATCH).map(|number| (number, 1)).collect();
    assert_eq!(seen.len(), expected.len());
    assert!(seen == expected, "something is there twice");
    [front, weir].into_iter().for_each(quiet);
}

/// A receiver of this manner and a good one: everything must be at the good one in time, under the same chunk ids.
fn hopeless(manner: Manner) {
    const MESSAGES: u64 = 60;
    const TIMEOUT: Duration = Duration::from_secs(2);
    let bad = Scripted::start(manner);
    let good = Scripted::start(Manner::Acks(Duration::ZERO));
    let home = front(
        "ack_response_timeout = \"2s\"",
        &[
            server("bad", bad.port(), ""),
            server("good", good.port(), ""),
        ],
    );
    let front = home.start();
    let since = Instant::now();
    send(front.listens("in"), 0, MESSAGES);
    eventually("it is left out", 30, || {
        (!is_up(&front, "bad")).then_some(())
    });
    front.settles(30);
    let took = since.elapsed();
    println!("all at the good one after {took:?}");
    assert!(took >= TIMEOUT && took < 4 * TIMEOUT, "{took:?}");
    let ids = |server: &Scripted| -> HashMap<String, Vec<u64>> {
        let messages = server.messages().into_iter();
        messages
            .map(|message| (message.chunk, message.numbers))
            .collect()
    };
    let arrived = ids(&good);
    assert_eq!(arrived.len() as u64, MESSAGES);
    assert_eq!(good.messages().len(), arrived.len(), "something came twice");
    let mut numbers: Vec<u64> = arrived.values().flatten().copied().collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..MESSAGES * BATCH));
    for (chunk, numbers) in ids(&bad) {
        assert_eq!(arrived.get(&chunk), Some(&numbers), "{chunk}");
    }
    let missed = ack_timeouts(&front, "bad");
    assert!((1..=WORKERS).contains(&missed), "{missed} missed");
    assert_eq!(ack_timeouts(&front, "good"), 0);

    // Nothing is sent, so it is heartbeats that bring it back, and now it does what it is there for.
    bad.behave(Manner::Acks(Duration::ZERO));
    let back = comes_back(&front, "bad");
    println!("{missed} missed acknowledgements, back after {back:?}");
    // They were under way together, so they are one reason to leave it out, for `recover_wait`.
    assert!(back < Duration::from_secs(3), "back after {back:?}");
    let before = bad.messages().len();
    send(front.listens("in"), LATER, MESSAGES);
    front.settles(30);
    let share = bad.messages().len() - before;
    assert_eq!(share as u64, MESSAGES / 2, "its share once it is back");
    quiet(front);
}

#[test]
fn chunks_leave_a_receiver_that_reads_and_never_answers() {
    hopeless(Manner::Silent);
}

#[test]
fn chunks_leave_a_receiver_that_takes_connections_and_reads_nothing() {
    hopeless(Manner::Deaf);
}

/// The message is larger than what the kernels keep, so that it is the writing that stands still.
#[test]
fn a_large_chunk_leaves_a_receiver_that_reads_nothing() {
    let bad = Scripted::start(Manner::Deaf);
    let good = Scripted::start(Manner::Acks(Duration::ZERO));
    let home = front(
        "ack_response_timeout = \"60s\"\nsend_timeout = \"1s\"",
        &[
            server("bad", bad.port(), "weight = 1000"),
            server("good", good.port(), "weight = 1"),
        ],
    );
    let front = home.start();
    let pad = "x".repeat(1 << 20);
    let record = |n: u64| serde_json::json!({ "n": n, "pad": pad });
    let entries: Vec<u8> = (0..12)
        .flat_map(|n| crate::harness::forward::entry(1_764_000_000, &record(n)))
        .collect();
    let mut sender = crate::harness::Sender::connect(front.listens("in"));
    sender.send(&crate::harness::forward::packed(
        "large",
        &entries,
        Some("large"),
    ));
    sender.expect_ack("large");
    let numbers: Vec<u64> = (0..12).collect();
    holds("all at the good one", 30, &numbers, || {
        let messages = good.messages().into_iter();
        let mut numbers: Vec<u64> = messages.flat_map(|message| message.numbers).collect();
        // It is stored in pieces, and calls at the same time may change their order.
        numbers.sort_unstable();
        numbers
    });
    assert!(!is_up(&front, "bad") && is_up(&front, "good"));
    quiet(front);
}

#[test]
fn a_standby_takes_part_only_while_another_is_away() {
    let (first, standby) = (Back::new("first"), Back::new("standby"));
    let (killed, other) = (first.home.start(), standby.home.start());
    let home = front("", &[first.table(""), standby.table("standby = true")]);
    let front = home.start();
    let load = Load::start(front.listens("in"));
    grows(&first, 2 * MANY);
    assert_eq!(standby.count(), 0);
    killed.kill();
    let moved = grows(&standby, BATCH);
    assert!(moved < HARD_TIMEOUT, "chunks moved after {moved:?}");
    grows(&standby, MANY);
    let killed = first.home.start();
    comes_back(&front, "first");
    grows(&first, MANY);
    other.settles(30);
    let during = standby.count();
    grows(&first, 2 * MANY);
    assert_eq!(standby.count(), during, "the first one is there again");
    let acked = load.finish();
    for weir in [&front, &killed, &other] {
        weir.settles(60);
    }
    complete(&[&first, &standby], acked, TWICE_BY_A_KILL);
    [front, killed, other].into_iter().for_each(quiet);
}

/// Weights as written, and what they come to: 60 where nothing is written.
fn weighed(written: [&str; 3], weights: [u32; 3]) {
    let backs = ["one", "two", "three"].map(Back::new);
    let [one, two, three] = &backs;
    let [first, second, third] = [one, two, three].map(|back| back.home.start());
    let tables = [0, 1, 2].map(|at| backs[at].table(written[at]));
    let home = front("", &tables);
    let front = home.start();
    let all = [(one, &first), (two, &second), (three, &third)];
    shares(&front, &all, &weights, 0, 600);

    third.kill();
    let some = [(one, &first), (two, &second)];
    shares(&front, &some, &weights[..2], 600 * BATCH, 120);
    let third = three.home.start();
    comes_back(&front, "three");
    let all = [(one, &first), (two, &second), (three, &third)];
    shares(&front, &all, &weights, 720 * BATCH, 600);
    // It was idle when it was killed.
    complete(&[one, two, three], 0..1_320 * BATCH, 0);
    [front, first, second, third].into_iter().for_each(quiet);
}

#[test]
fn shares_follow_the_weights() {
    weighed(["weight = 1", "weight = 2", "weight = 3"], [1, 2, 3]);
}

#[test]
fn a_weight_is_60_where_none_is_written() {
    weighed(["weight = 20", "weight = 40", ""], [20, 40, 60]);
}
