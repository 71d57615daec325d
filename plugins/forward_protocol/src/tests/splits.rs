//! However the bytes are cut, the outcome is the same, and every byte is looked at a few times at most.

use super::{vectors::cases, *};

/// Comparable whatever parts it came in.
fn joined(mut outcome: Outcome) -> Outcome {
    outcome.seen.iter_mut().for_each(|seen| seen.parts = 0);
    outcome
}

#[test]
fn every_vector_one_byte_at_a_time() {
    for (name, bytes, expected) in cases() {
        assert_eq!(
            decode(Limits::default(), bytes.chunks(1)),
            expected,
            "{name}"
        );
    }
}

#[test]
fn every_vector_cut_at_every_offset() {
    for (name, bytes, expected) in cases() {
        for at in 0..=bytes.len() {
            let (front, back) = bytes.split_at(at);
            assert_eq!(
                decode(Limits::default(), [front, back]),
                expected,
                "{name}, cut at {at}"
            );
        }
    }
}

#[test]
fn every_vector_beside_the_others_on_one_connection() {
    let (mut stream, mut expected) = (
        Vec::new(),
        Outcome {
            is_clean: true,
            ..Outcome::default()
        },
    );
    for (_, bytes, outcome) in cases() {
        stream.extend(bytes);
        expected.seen.extend(outcome.seen);
        expected.strays += outcome.strays;
    }
    let expected = gathered(expected);
    for size in [1, 2, 3, 7, 64, 1_000, stream.len()] {
        let outcome = gathered(decode(Limits::default(), stream.chunks(size)));
        assert_eq!(outcome, expected, "in pieces of {size}");
    }
}

#[test]
fn every_vector_in_the_smallest_parts() {
    let limits = Limits {
        part_bytes: 24,
        ..Limits::default()
    };
    for (name, bytes, expected) in cases() {
        for size in [1, 5, bytes.len()] {
            assert_eq!(
                joined(decode(limits, bytes.chunks(size))),
                expected,
                "{name}, in pieces of {size}"
            );
        }
    }
}

#[test]
fn a_message_that_is_cut_anywhere_is_not_clean() {
    let bytes = unhex("94a174ce6553f10181a16d0181a56368756e6ba3616263");
    for at in 1..bytes.len() {
        let outcome = decode(Limits::default(), [&bytes[..at]]);
        let expected = Outcome::default();
        assert_eq!(outcome, expected, "cut at {at}");
    }
}

/// Parts, when their number matters: 1,000 entries of 10 bytes in parts of 256.
#[test]
fn a_large_message_comes_in_parts() {
    let entries = unhex("92ce6553f10181a16d01").repeat(1_000);
    let option = "81a56368756e6ba161";
    let mut forward = unhex("93a174dc03e8");
    forward.extend(&entries);
    forward.extend(unhex(option));
    let modes = [
        forward,
        packed(&entries, option),
        packed(&gzip(&entries), option),
        packed(&zstd(&entries), option),
    ];
    for (mode, bytes) in modes.iter().enumerate() {
        for size in [1, 100, bytes.len()] {
            let outcome = decode(small(), bytes.chunks(size));
            let [seen] = outcome.seen.as_slice() else {
                panic!("mode {mode}: one message")
            };
            assert_eq!(seen.events.len(), 1_000, "mode {mode}");
            assert_eq!(seen.ack.as_deref(), Some("81a361636ba161"), "mode {mode}");
            assert!(
                seen.parts >= 1_000 / 25 - 1,
                "mode {mode}: {} parts",
                seen.parts
            );
        }
    }
}

/// The buffer holds a part and not the message, whatever it is that is large.
#[test]
fn what_is_held_is_bounded_by_a_part() {
    let limits = small();
    let large_entry = [unhex("92ce6553f10181a16dda1000"), vec![b'x'; 0x1000]].concat();
    let entries = unhex("92ce6553f10181a16d01").repeat(100);
    let cases = [
        (
            "an entry",
            packed(
                &[entries.clone(), large_entry.clone(), entries.clone()].concat(),
                "80",
            ),
            200,
            "record_too_large",
        ),
        (
            "a message",
            [unhex("93a174"), large_entry[1..].to_vec()].concat(),
            0,
            "record_too_large",
        ),
        (
            "a tag",
            [
                unhex("93da1000"),
                vec![b't'; 0x1000],
                unhex("ce6553f10181a16d01"),
            ]
            .concat(),
            0,
            "tag",
        ),
    ];
    for (name, bytes, good, reason) in cases {
        let mut decoder = decoder(limits);
        let (mut held, mut count, mut flaws) = (0, 0, None);
        for byte in bytes.chunks(16) {
            decoder.push(byte);
            loop {
                match decoder.poll().unwrap() {
                    Step::Read => break,
                    Step::Part(part) => count += part.entries.count,
                    Step::Message(message) => {
                        count += message.entries.count;
                        flaws = Some(message.flaws);
                    }
                    Step::Pause | Step::Stray => {}
                }
            }
            held = held.max(decoder.held_bytes());
        }
        let flaws = flaws.expect(name);
        let found: Vec<_> = Flaw::ALL
            .into_iter()
            .filter(|flaw| flaws.of(*flaw) == 1)
            .map(Flaw::reason)
            .collect();
        assert_eq!((count, found), (good, vec![reason]), "{name}");
        assert!(held <= limits.part_bytes + 16, "{name}: {held} bytes held");
    }
}
