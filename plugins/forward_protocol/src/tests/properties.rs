//! Properties: what is built with another library comes back as it was, and no bytes make the decoder panic.

use proptest::{collection::vec, prelude::*};
use rmpv::Value;

use super::*;

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<f32>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        vec(any::<u8>(), 0..300).prop_map(Value::Binary),
        (any::<i8>(), vec(any::<u8>(), 0..20)).prop_map(|(kind, bytes)| Value::Ext(kind, bytes)),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Value::Array),
            vec((inner.clone(), inner), 0..20).prop_map(Value::Map),
        ]
    })
}

fn any_record() -> impl Strategy<Value = Value> {
    vec((".{0,8}".prop_map(Value::from), any_value()), 0..6).prop_map(Value::Map)
}

/// Entries that must come out as they went in: none that is re-timed or dropped.
fn any_entry() -> impl Strategy<Value = Value> {
    let event_time = (1..0xffff_fff0_u32, 0..1_000_000_000_u32).prop_map(|(secs, nanos)| {
        Value::Ext(0, [secs.to_be_bytes(), nanos.to_be_bytes()].concat())
    });
    let time = prop_oneof![
        event_time,
        (1..0xffff_fff0_u32).prop_map(Value::from),
        (-1_000_000..-1_i64).prop_map(Value::from)
    ];
    let head = prop_oneof![
        3 => time.clone(),
        1 => (time, any_record()).prop_map(|(time, metadata)| Value::Array(vec![time, metadata])),
    ];
    (head, any_record()).prop_map(|(head, record)| Value::Array(vec![head, record]))
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    Forward,
    Bin,
    Gzip,
    Zstd,
}

/// A message of `entries`, cut into members where it is compressed.
fn message(mode: Mode, entries: &[Value], members: usize, chunk: &str) -> Vec<u8> {
    let blob: Vec<u8> = entries.iter().flat_map(encode).collect();
    let compressed = |compress: fn(&[u8]) -> Vec<u8>| {
        let size = blob.len().div_ceil(members).max(1);
        Value::Binary(blob.chunks(size).flat_map(compress).collect())
    };
    let (body, name) = match mode {
        Mode::Forward => (Value::Array(entries.to_vec()), "text"),
        Mode::Bin => (Value::Binary(blob), "text"),
        Mode::Gzip => (compressed(gzip), "gzip"),
        Mode::Zstd => (compressed(zstd), "zstd"),
    };
    let option = vec![
        ("compressed".into(), name.into()),
        ("chunk".into(), chunk.into()),
    ];
    encode(&Value::Array(vec![
        "app.log".into(),
        body,
        Value::Map(option),
    ]))
}

fn any_mode() -> impl Strategy<Value = Mode> {
    prop_oneof![
        Just(Mode::Forward),
        Just(Mode::Bin),
        Just(Mode::Gzip),
        Just(Mode::Zstd)
    ]
}

/// The bytes of all entries, in parts and at the end.
fn entries_of(limits: Limits, pieces: &[&[u8]]) -> (Vec<u8>, u32, Option<Message>) {
    let mut decoder = decoder(limits);
    let (mut bytes, mut count, mut last) = (Vec::new(), 0, None);
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.poll().unwrap() {
                Step::Read => break,
                Step::Part(part) => {
                    bytes.extend_from_slice(&part.entries.bytes);
                    count += part.entries.count;
                }
                Step::Message(message) => {
                    bytes.extend_from_slice(&message.entries.bytes);
                    count += message.entries.count;
                    last = Some(message);
                }
                Step::Pause | Step::Stray => {}
            }
        }
    }
    (bytes, count, last)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn entries_come_out_byte_for_byte(
        mode in any_mode(),
        entries in vec(any_entry(), 0..30),
        members in 1_usize..4,
        size in 1_usize..400,
        part_bytes in prop_oneof![Just(20_000_usize), Just(8 << 20)],
    ) {
        let wire = message(mode, &entries, members, "id");
        let pieces: Vec<&[u8]> = wire.chunks(size).collect();
        let (bytes, count, last) = entries_of(Limits { part_bytes, ..Limits::default() }, &pieces);
        let sent: Vec<Vec<u8>> = entries.iter().map(encode).filter(|entry| entry.len() <= part_bytes).collect();
        prop_assert_eq!(count as usize, sent.len());
        prop_assert_eq!(bytes, sent.concat());
        let last = last.expect("the message ends");
        prop_assert_eq!(last.wire_bytes, wire.len());
        prop_assert_eq!(last.chunk.map(|chunk| chunk.id()), Some("id".into()));
    }

    #[test]
    fn random_bytes_never_panic_and_the_cut_does_not_matter(
        bytes in vec(prop_oneof![any::<u8>(), 0x80..0xa8_u8, 0xc0..0xe0_u8], 0..200),
        size in 1_usize..50,
    ) {
        let whole = gathered(decode(small(), [bytes.as_slice()]));
        let pieces = gathered(decode(small(), bytes.chunks(size)));
        prop_assert_eq!(&whole.seen, &pieces.seen);
        prop_assert_eq!(whole.error, pieces.error);
    }

    #[test]
    fn damaged_messages_never_panic_and_the_cut_does_not_matter(
        mode in any_mode(),
        entries in vec(any_entry(), 0..8),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        size in 1_usize..50,
    ) {
        let mut wire = message(mode, &entries, 2, "id");
        for (at, byte) in damage {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        let whole = gathered(decode(Limits::default(), [wire.as_slice()]));
        let pieces = gathered(decode(Limits::default(), wire.chunks(size)));
        prop_assert_eq!(&whole.seen, &pieces.seen);
        // How much comes out before the decompressor sees the damage depends on how much it is given.
        if let Mode::Forward | Mode::Bin = mode {
            prop_assert_eq!(whole.error, pieces.error);
        }
        prop_assert_eq!(whole.error.is_some(), pieces.error.is_some());
    }
}
