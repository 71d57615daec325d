//! Frames written by hand, from the conformance cases of the forward protocol, and what each must come to.

use super::*;

/// A connection by name, and what it must come to.
pub(super) type Case = (String, Vec<u8>, Outcome);

/// Reads `vectors.txt`.
pub(super) fn cases() -> Vec<Case> {
    let text = include_str!("vectors.txt");
    let mut cases: Vec<Case> = Vec::new();
    for line in text
        .lines()
        .skip_while(|line| !line.starts_with("# "))
        .filter(|line| !line.is_empty())
    {
        if let Some(name) = line.strip_prefix("# ") {
            let clean = Outcome {
                is_clean: true,
                ..Outcome::default()
            };
            cases.push((name.to_owned(), Vec::new(), clean));
            continue;
        }
        let (_, bytes, outcome) = cases.last_mut().expect("a name comes first");
        read_line(line.trim_start(), bytes, outcome);
    }
    assert!(cases.len() > 60, "only {} cases", cases.len());
    cases
}

fn read_line(line: &str, bytes: &mut Vec<u8>, outcome: &mut Outcome) {
    let (word, rest) = line.split_once(' ').expect("a word and what it says");
    match word {
        ">" => bytes.extend(unhex(rest)),
        "strays" => outcome.strays = rest.parse().expect("a number"),
        "message" => {
            let tag = rest
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            outcome.seen.push(Seen {
                tag: tag.map(str::to_owned),
                ..Seen::default()
            });
        }
        _ => {
            let seen = outcome.seen.last_mut().expect("a message comes first");
            match word {
                "event" => seen.events.push(rest.to_owned()),
                "ack" => seen.ack = Some(rest.to_owned()),
                "flaw" => {
                    let (reason, count) = rest.split_once(' ').expect("a reason and a count");
                    seen.flaws
                        .push((reason.to_owned(), count.parse().expect("a number")));
                }
                other => panic!("{other:?} means nothing in vectors.txt"),
            }
        }
    }
}

#[test]
fn every_vector_comes_to_what_is_written() {
    let outcome = |bytes: &[u8]| decode(Limits::default(), [bytes]);
    let all = cases()
        .into_iter()
        .map(|(name, bytes, expected)| (name, outcome(&bytes), expected));
    let wrong: Vec<_> = all
        .filter(|(_, outcome, expected)| outcome != expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn many_small_messages_in_one_read_go_on_as_few() {
    let one = "93a174ce6553f10181a16d01";
    let bytes = unhex(one).repeat(20_000);
    let outcome = decode(Limits::default(), [bytes.as_slice()]);
    let counts: Vec<usize> = outcome.seen.iter().map(|seen| seen.events.len()).collect();
    // 64 KiB hold 6,553 entries of 10 bytes.
    assert_eq!(counts, [6_553, 6_553, 6_553, 341]);
    let mut events = outcome.seen.iter().flat_map(|seen| &seen.events);
    assert!(events.all(|event| event == r#"1700000001.000000000 {"m":1}"#));
    assert!(outcome.is_clean);
}

#[test]
fn small_messages_are_gathered_only_beside_their_kind() {
    let (plain, other, acked, forward) = (
        "93a174ce6553f10181a16d01",
        "93a175ce6553f10181a16d01",
        "94a174ce6553f10181a16d0181a56368756e6b01",
        "92a1749192ce6553f10181a16d01",
    );
    let bytes = unhex(
        &[
            plain, plain, acked, plain, other, other, forward, plain, plain, "07", plain, "c1",
        ]
        .concat(),
    );
    let outcome = decode(Limits::default(), [bytes.as_slice()]);
    let of = |seen: &Seen| {
        (
            seen.tag.clone().unwrap(),
            seen.events.len(),
            seen.ack.is_some(),
        )
    };
    let seen: Vec<_> = outcome.seen.iter().map(of).collect();
    let expected = [
        ("t", 2, false),
        ("t", 1, true),
        ("t", 1, false),
        ("u", 2, false),
        ("t", 1, false),
        ("t", 2, false),
        ("t", 1, false),
    ];
    assert_eq!(
        seen,
        expected.map(|(tag, count, acked)| (tag.to_owned(), count, acked))
    );
    assert!(outcome.error.is_some(), "the error comes last");
}

#[test]
fn packed_entries_are_slices_of_what_was_read() {
    let blob = unhex("92ce6553f10181a16d01").repeat(1_000);
    let mut decoder = decoder(Limits::default());
    decoder.push(&packed(&blob, "80"));
    let within = decoder.space().as_ptr_range();
    let Ok(Step::Message(message)) = decoder.poll() else {
        panic!("a message")
    };
    assert_eq!(message.entries.bytes, blob);
    assert!(
        within.contains(&message.entries.bytes.as_ptr()),
        "they were copied"
    );
}
