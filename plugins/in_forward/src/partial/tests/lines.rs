//! When lines are held, whole, and let go.

use std::time::Duration;

use sdk::{
    budget::Budget,
    msgpack::RawValue,
    obligation::{Obligation, Receipt},
    testing,
};
use tokio::time::Instant;

use super::kit::*;
use crate::partial::{
    journal::Found,
    lines::{Added, Ended, Lines, Part, Ticket, Why},
};

const LIMIT: usize = 1 << 20;

struct Bench {
    lines: Lines,
    budget: Budget,
    let_go: Vec<(Ended, Why)>,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::with(Budget::new(64 << 20), LIMIT)
    }

    fn with(budget: Budget, limit: usize) -> Self {
        Self {
            lines: Lines::new(budget.clone(), limit),
            budget,
            let_go: Vec::new(),
            now: Instant::now(),
        }
    }

    fn add(&mut self, part: Part, due: Option<&Obligation>) -> Added {
        self.lines.add(part, due, self.now, &mut self.let_go)
    }

    /// Adds a part without an acknowledgement.
    fn plain(&mut self, id: &str, ordinal: u32, is_last: bool) -> Added {
        self.add(part(id, ordinal, is_last, &format!("{id}{ordinal} ")), None)
    }

    /// Adds one with.
    fn asked(&mut self, id: &str, ordinal: u32, is_last: bool) -> (Added, Receipt) {
        let (due, receipt) = Obligation::new();
        let part = part(id, ordinal, is_last, &format!("{id}{ordinal} "));
        let added = self.add(part, Some(&due));
        due.meet();
        (added, receipt)
    }
}

fn held(added: &Added) {
    assert!(matches!(added, Added::Held), "{added:?}");
}

fn again(added: &Added) {
    assert!(matches!(added, Added::Again), "{added:?}");
}

fn whole(added: Added) -> Ended {
    match added {
        Added::Whole(ended) => ended,
        other => panic!("{other:?}"),
    }
}

/// The texts of the stretches.
fn texts(ended: &Ended) -> Vec<String> {
    let log = |entry: &bytes::Bytes| {
        let record = RawValue::parse(entry).unwrap().item(1).unwrap();
        testing::to_json(record)["log"].as_str().unwrap().to_owned()
    };
    let stretch = |entries: &Vec<bytes::Bytes>| entries.iter().map(log).collect();
    ended.stretches.iter().map(stretch).collect()
}

fn ticket(ended: &Ended) -> Ticket {
    ended.ticket.clone().expect("it is in the journal")
}

#[test]
fn parts_may_come_in_any_order_and_among_those_of_other_lines() {
    let mut bench = Bench::new();
    held(&bench.plain("a", 3, true));
    held(&bench.plain("b", 1, false));
    held(&bench.plain("a", 1, false));
    held(&bench.plain("c", 2, true));
    let b = whole(bench.plain("b", 2, true));
    assert_eq!((texts(&b), b.is_whole), (vec!["b1 b2 ".to_owned()], true));
    let a = whole(bench.plain("a", 2, false));
    assert_eq!(texts(&a), ["a1 a2 a3 "]);
    assert_eq!(bench.lines.held(), 1);
    assert_eq!(texts(&whole(bench.plain("c", 1, false))), ["c1 c2 "]);
    assert_eq!(bench.lines.held(), 0);
    drop((a, b));
    assert_eq!(bench.budget.used_bytes(), 0);
}

#[test]
fn the_same_id_under_another_tag_is_another_line() {
    let mut bench = Bench::new();
    held(&bench.plain("a", 1, false));
    let mut other = part("a", 2, true, "x");
    other.key.tag = "other".into();
    held(&bench.add(other, None));
    assert_eq!(texts(&whole(bench.plain("a", 2, true))), ["a1 a2 "]);
}

#[test]
fn a_part_that_comes_again_takes_the_place_of_the_first() {
    let mut bench = Bench::new();
    held(&bench.plain("a", 1, false));
    held(&bench.add(part("a", 1, false, "new and longer "), None));
    assert_eq!(bench.lines.held(), 1);
    assert_eq!(
        texts(&whole(bench.plain("a", 2, true))),
        ["new and longer a2 "]
    );
    assert_eq!(bench.lines.all().len(), 0);
}

#[test]
fn what_gets_nothing_more_is_let_go_in_stretches() {
    let mut bench = Bench::new();
    for ordinal in [1, 2, 4, 5, 9] {
        held(&bench.plain("a", ordinal, ordinal == 9));
    }
    let wait = Duration::from_mins(1);
    let before = bench.now + wait - Duration::from_millis(1);
    assert!(bench.lines.expired(before, wait).is_empty());
    bench.now += Duration::from_secs(30);
    held(&bench.plain("b", 1, false));
    let expired = bench.lines.expired(bench.now + wait / 2, wait);
    assert_eq!(expired.len(), 1);
    assert_eq!(texts(&expired[0]), ["a1 a2 ", "a4 a5 ", "a9 "]);
    assert!(!expired[0].is_whole);
    assert_eq!(bench.lines.held(), 1);
}

#[test]
fn a_line_that_is_too_long_becomes_several_parts_and_still_ends() {
    let one = part("a", 1, false, "a1 ").entry.len();
    let mut bench = Bench::with(Budget::new(64 << 20), one * 2);
    for ordinal in 1..=4 {
        held(&bench.plain("a", ordinal, false));
    }
    let (first, why) = bench.let_go.pop().expect("what was there");
    assert_eq!(
        (texts(&first), first.is_whole, why),
        (vec!["a1 a2 ".to_owned()], false, Why::Size)
    );
    let rest = whole(bench.plain("a", 5, true));
    let (middle, _) = bench.let_go.pop().expect("what was there");
    assert_eq!(texts(&middle), ["a3 a4 "]);
    assert_eq!(
        (texts(&rest), rest.is_whole),
        (vec!["a5 ".to_owned()], false)
    );
    assert_eq!(bench.lines.held(), 0);
    drop((first, middle, rest));
    assert_eq!(bench.budget.used_bytes(), 0);
}

#[test]
fn the_oldest_lines_make_room() {
    // A quarter of it is for parts: four of a hundred KiB.
    let mut bench = Bench::with(Budget::new(1600 << 10), 300 << 10);
    let text = "x".repeat(90 << 10);
    for id in ["a", "b", "c", "d", "e"] {
        bench.now += Duration::from_secs(1);
        held(&bench.add(part(id, 1, false, &text), None));
    }
    let gone: Vec<_> = bench
        .let_go
        .iter()
        .map(|(ended, why)| (ended.key.clone(), *why))
        .collect();
    assert_eq!(gone, [(key("a"), Why::Room)]);
    assert_eq!(bench.lines.held(), 4);
}

#[test]
fn without_free_memory_parts_are_held_up_to_their_own_limit() {
    let mut bench = Bench::with(Budget::new(4 << 20), LIMIT);
    let all = bench.budget.try_take(4 << 20).expect("everything");
    held(&bench.plain("a", 1, false));
    drop(all);
    assert_eq!(texts(&whole(bench.plain("a", 2, true))), ["a1 a2 "]);
}

#[tokio::test]
async fn what_comes_again_while_it_is_stored_waits_for_that() {
    let mut bench = Bench::new();
    held(&bench.asked("a", 1, false).0);
    let ended = whole(bench.asked("a", 2, true).0);
    assert_eq!(bench.lines.held(), 2);
    let (added, receipt) = bench.asked("a", 2, true);
    again(&added);
    assert!(!receipt.is_settled(), "it is not stored yet");
    let settled = bench.lines.settle(&ticket(&ended)).expect("it was open");
    assert_eq!((settled.upto, settled.is_whole), (2, true));
    settled.dues.into_iter().for_each(Obligation::meet);
    assert_eq!(receipt.await, Ok(()));
    assert_eq!(bench.lines.held(), 0);
    // The acknowledgement was lost on the way.
    let (added, receipt) = bench.asked("a", 2, true);
    again(&added);
    assert_eq!(receipt.await, Ok(()));
}

#[tokio::test]
async fn what_could_not_be_stored_waits_again() {
    let mut bench = Bench::new();
    held(&bench.asked("a", 1, false).0);
    let first = whole(bench.asked("a", 2, true).0);
    let (added, receipt) = bench.asked("a", 2, true);
    again(&added);
    bench.lines.reopen(&ticket(&first), bench.now);
    assert!(receipt.await.is_err(), "nothing is acknowledged");
    assert_eq!(bench.lines.held(), 2);
    // Its sender brings the last part again: nothing else is needed.
    let second = whole(bench.asked("a", 2, true).0);
    assert_eq!(texts(&second), ["a1 a2 "]);
    bench.lines.reopen(&ticket(&second), bench.now);
    // The third time each part goes alone, without waiting.
    let third = bench.lines.expired(bench.now, Duration::from_mins(1));
    assert_eq!(texts(&third[0]), ["a1 ", "a2 "]);
    assert!(!third[0].is_whole);
    assert!(bench.lines.settle(&ticket(&third[0])).is_some());
    assert_eq!((bench.lines.held(), bench.budget.used_bytes()), (0, 0));
}

#[test]
fn what_follows_a_stretch_that_could_not_be_stored_joins_it_again() {
    let one = part("a", 1, false, "a1 ").entry.len();
    let mut bench = Bench::with(Budget::new(64 << 20), one * 2);
    for ordinal in 1..=3 {
        held(&bench.asked("a", ordinal, false).0);
    }
    let (stretch, _) = bench.let_go.pop().expect("too long");
    bench.lines.reopen(&ticket(&stretch), bench.now);
    assert_eq!(bench.lines.held(), 3);
    let all = bench.lines.all();
    assert_eq!(texts(&all[0]), ["a1 a2 a3 "]);
    assert!(bench.lines.settle(&ticket(&all[0])).is_some());
    assert_eq!(bench.lines.held(), 0);
}

#[test]
fn recovered_parts_wait_for_their_rest() {
    let mut bench = Bench::new();
    let found = Found {
        parts: vec![part("a", 2, true, "two"), part("b", 1, false, "b1 ")],
        stored: vec![key("old")],
        ..Found::default()
    };
    bench.lines.recover(found, bench.now);
    assert_eq!(bench.lines.held(), 2);
    again(&bench.plain("old", 3, true));
    let ended = whole(bench.plain("a", 1, false));
    assert_eq!(texts(&ended), ["a1 two"]);
    assert!(ended.ticket.is_some(), "the journal has to know its end");
}
