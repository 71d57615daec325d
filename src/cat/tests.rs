//! A whole run against outputs that follow a script.

use std::{collections::VecDeque, io, sync::Mutex};

use sdk::{
    Fut,
    output::{ChunkView, Failure, FailureKind, Outcome},
};
use serde_json::{Value, json};

use super::{read::tests::records, *};

/// Answers as told, then that everything arrived. Keeps what it was given.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Outcome>>,
    got: Mutex<Vec<(u64, u32, Vec<Value>)>>,
}

impl Output for Script {
    fn write<'a>(&'a self, chunk: ChunkView<'a>) -> Fut<'a, Outcome> {
        let frame = &chunk.frames[0];
        assert_eq!(frame.tag.as_str(), "app");
        let got = (frame.sequence, chunk.attempt, records(&frame.events));
        self.got.lock().unwrap().push(got);
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move { answer.unwrap_or(Outcome::Delivered) })
    }
}

/// Bytes in these pieces, then an error if there is one.
struct Input(VecDeque<&'static [u8]>, Option<io::Error>);

impl Read for Input {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match (self.0.pop_front(), self.1.take()) {
            (Some(bytes), error) => {
                self.1 = error;
                space[..bytes.len()].copy_from_slice(bytes);
                Ok(bytes.len())
            }
            (None, Some(error)) => Err(error),
            (None, None) => Ok(0),
        }
    }
}

fn input(pieces: &[&'static [u8]]) -> Input {
    Input(pieces.iter().copied().collect(), None)
}

struct Seen {
    counts: Counts,
    ended: Result<(), String>,
    /// Sequence, attempt and records of each try.
    got: Vec<(u64, u32, Vec<Value>)>,
    waits: u32,
}

fn cat(input: Input, answers: Vec<Outcome>, retry_limit: Option<u32>) -> Seen {
    let script = Arc::new(Script {
        answers: Mutex::new(answers.into()),
        ..Script::default()
    });
    let job = Job {
        output: Arc::<Script>::clone(&script),
        tag: Tag::new("app"),
        reading: Reading {
            format: Format::Json,
            message_key: "message".into(),
            event_time: None,
        },
        retry_limit,
    };
    let mut waits = 0;
    let (counts, ended) = run(job, input, |_| waits += 1);
    let got = script.got.lock().unwrap().clone();
    Seen {
        counts,
        ended: ended.map_err(|error| error.to_string()),
        got,
        waits,
    }
}

fn down(kind: FailureKind) -> Outcome {
    Outcome::DestinationDown(Failure::new(kind, "no"))
}

fn counts(sent: u64, arrived: u64) -> Counts {
    Counts { sent, arrived }
}

#[test]
fn records_arrive_in_order() {
    let seen = cat(
        input(&[b"{\"n\":0}\n{\"n\":", b"1}\n", b"{\"n\":2}"]),
        Vec::new(),
        None,
    );
    assert_eq!((seen.counts, seen.ended), (counts(3, 3), Ok(())));
    let records: Vec<Value> = seen.got.into_iter().flat_map(|(_, _, got)| got).collect();
    assert_eq!(records, [json!({"n": 0}), json!({"n": 1}), json!({"n": 2})]);
}

#[test]
fn what_stands_before_a_bad_line_is_sent() {
    let seen = cat(input(&[b"{\"n\":0}\nno\n{\"n\":2}\n"]), Vec::new(), None);
    assert_eq!(seen.counts, counts(1, 1));
    let expected = "standard input, line 2: not JSON, column 2: expected ident: no";
    assert_eq!(seen.ended, Err(expected.to_owned()));
    assert_eq!(seen.got, [(0, 0, vec![json!({"n": 0})])]);
}

#[test]
fn input_that_breaks_is_said() {
    let broken = Input([&b"{}\n"[..]].into(), Some(io::Error::other("broken")));
    let seen = cat(broken, Vec::new(), None);
    let expected = Err("cannot read standard input: broken".to_owned());
    assert_eq!((seen.counts, seen.ended), (counts(1, 1), expected));
}

#[test]
fn before_anything_arrived_a_failure_ends_it() {
    let seen = cat(input(&[b"{}\n"]), vec![down(FailureKind::Connect)], None);
    let expected = Err("not delivered: no".to_owned());
    assert_eq!((seen.counts, seen.ended), (counts(1, 0), expected));
    assert_eq!((seen.got.len(), seen.waits), (1, 0));
}

#[test]
fn the_same_message_is_tried_again_as_often_as_told() {
    let answers = vec![down(FailureKind::Connect)];
    let seen = cat(input(&[b"{}\n"]), answers, Some(1));
    assert_eq!((seen.counts, seen.ended), (counts(1, 1), Ok(())));
    let record = vec![json!({})];
    assert_eq!(seen.got, [(0, 0, record.clone()), (0, 1, record)]);
    assert_eq!(seen.waits, 1);
}

#[test]
fn credentials_are_not_tried_again() {
    let seen = cat(input(&[b"{}\n"]), vec![down(FailureKind::Auth)], Some(9));
    assert_eq!((seen.counts, seen.got.len()), (counts(1, 0), 1));
    assert!(seen.ended.is_err());
}

#[test]
fn what_is_refused_is_counted() {
    use sdk::output::Verdict;
    let verdict = Verdict::Reject(Failure::new(FailureKind::Rejected, "not this one"));
    let seen = cat(
        input(&[b"{}\n{}\n{}\n"]),
        vec![Outcome::Except(vec![(1, verdict)])],
        Some(9),
    );
    let expected = Err("not delivered: not this one".to_owned());
    assert_eq!((seen.counts, seen.ended), (counts(3, 2), expected));
}
