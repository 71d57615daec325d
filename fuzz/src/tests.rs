//! The corpus, made-up inputs, and proof that the checks can fail.

use std::{fs, panic, path::Path};

use forward_protocol::{Flaw, Limits, ProtocolError};

use sdk::msgpack::Malformed;

use crate::{
    dice::Dice,
    drive::{Arrival, drive},
    grammar, handshake,
    outcome::{Item, Outcome, Told},
    packed, protocol,
    reader::{self, Bad},
    seeds::noise,
};

/// Files of a corpus: few enough for a repository, many enough to begin with.
const FILES: std::ops::RangeInclusive<usize> = 20..=200;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert!(FILES.contains(&files.len()), "{} files", files.len());
    for file in files {
        let input = fs::read(&file).unwrap();
        if let Err(cause) = panic::catch_unwind(|| check(&input)) {
            eprintln!("{} is a finding", file.display());
            panic::resume_unwind(cause);
        }
    }
}

#[test]
fn the_corpus_of_protocol_has_no_finding() {
    replay("protocol", protocol::check);
}

#[test]
fn the_corpus_of_packed_has_no_finding() {
    replay("packed", packed::check);
}

#[test]
fn the_corpus_of_handshake_has_no_finding() {
    replay("handshake", handshake::check);
}

#[test]
fn made_up_connections_are_as_the_grammar_says() {
    let (mut messages, mut events, mut errors, mut flaws) = (0, 0, 0, [0; Flaw::ALL.len()]);
    for seed in 0..2_000 {
        let bytes = noise(seed, 600);
        let limits = Limits {
            part_bytes: if seed % 2 == 0 { 100 } else { 8 << 20 },
            ..Limits::default()
        };
        let connection = grammar::connection(&mut Dice::new(&bytes), &limits);
        let outcome = drive(limits, &connection.bytes, &Arrival::default());
        assert_eq!(outcome, connection.expected, "seed {seed}");
        errors += usize::from(outcome.error.is_some());
        for item in &outcome.items {
            if let Item::Message(told) = item {
                messages += 1;
                events += told.count;
                for (sum, more) in flaws.iter_mut().zip(told.flaws) {
                    *sum += more;
                }
            }
        }
    }
    assert!(
        messages > 2_000 && events > 5_000,
        "{messages} messages, {events} events"
    );
    assert!(errors > 50, "{errors} errors");
    assert!(
        flaws.iter().all(|count| *count > 10),
        "every flaw: {flaws:?}"
    );
}

#[test]
fn made_up_inputs_have_no_finding() {
    for seed in 0..1_000 {
        for check in [protocol::check, packed::check, handshake::check] {
            check(&noise(seed, 300));
        }
    }
}

#[test]
fn the_second_reader_knows_entries() {
    let good = [0x92, 0xce, 0x65, 0x53, 0xf1, 0x01, 0x81, 0xa1, b'm', 0x01];
    let told = reader::read(&[&good[..], &[0x91, 0x01], &[0x92, 0x00, 0x80], &good[..3]].concat())
        .unwrap();
    let now = [0x92, 0xd7, 0, 0x6b, 0x49, 0xd2, 0x00, 0, 0, 0, 5, 0x80];
    let mut expected = Told {
        entries: [&good[..], &now].concat(),
        count: 2,
        ..Told::default()
    };
    expected.add(Flaw::Entry, 1);
    expected.add(Flaw::CutOff, 1);
    assert_eq!(told, expected);
    assert_eq!(reader::read(&[0x92, 0xc1]), Err(Bad::Reserved));
    assert_eq!(reader::read(&[0x91; 200]), Err(Bad::Deep));
}

#[test]
fn what_is_not_the_same_is_told_apart() {
    let clean = Outcome {
        is_clean: true,
        ..Outcome::default()
    };
    let failed = |error| Outcome {
        error: Some(error),
        ..Outcome::default()
    };
    let too_large = failed(ProtocolError::TooLarge { limit_bytes: 1 });
    assert!(!clean.is_like(&Outcome::default()));
    assert!(!clean.is_like(&failed(ProtocolError::Json)));
    assert!(!failed(ProtocolError::Http).is_like(&failed(ProtocolError::Json)));
    assert!(too_large.is_like(&failed(ProtocolError::Json)));
    let stray = Outcome {
        items: vec![Item::Stray],
        ..clean.clone()
    };
    assert!(!clean.is_like(&stray));
    let too_deep = failed(ProtocolError::Malformed(Malformed::TooDeep));
    assert!(too_deep.is_like(&stray) && stray.is_like(&too_deep));
    let message = Outcome {
        items: vec![Item::Message(Told::default()), Item::Stray],
        ..clean
    };
    let strays = Outcome {
        items: vec![Item::Stray, Item::Stray],
        ..too_deep
    };
    assert!(!strays.is_like(&message) && !message.is_like(&strays));
}

/// Neighbours are joined only where the decoder may join them.
#[test]
fn joined_messages_keep_their_counts() {
    let told = |ack: Option<&[u8]>| Told {
        tag: Some("t".into()),
        entries: vec![1],
        count: 1,
        ack: ack.map(<[u8]>::to_vec),
        wire_bytes: 9,
        ..Told::default()
    };
    let mut outcome = Outcome::default();
    for ack in [None, None, Some(&b"a"[..]), None] {
        outcome.push(told(ack));
    }
    let counts: Vec<u32> = outcome
        .items
        .iter()
        .map(|item| match item {
            Item::Message(told) => told.count,
            Item::Stray => 0,
        })
        .collect();
    assert_eq!(counts, [2, 1, 1]);
}
