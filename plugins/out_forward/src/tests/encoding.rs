//! What stands on the wire, to the byte, and that a decoder gets back what went in.

use bytes::Bytes;
use forward_protocol::{Decoder, Limits, Message as Received, Step};
use proptest::prelude::*;
use sdk::{
    clock::Clock,
    event::Origin,
    output::{Bitmap, ChunkView, Frame},
    testing::{frame, records},
};
use serde_json::{Value, json};

use crate::{
    config::Compress,
    message::{Message, Recipe, messages},
    rewrite::Rewrite,
};

const PLAIN: Recipe = Recipe {
    asks_ack: true,
    compress: Compress::Text,
    rewrite: Rewrite {
        time_as_integer: false,
        drops_metadata: false,
    },
};

fn view<'a>(frames: &'a [Frame], live: Option<&'a Bitmap>) -> ChunkView<'a> {
    ChunkView {
        buffer: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10,
        frames,
        live,
        attempt: 0,
    }
}

fn encode(recipe: Recipe, chunk: ChunkView<'_>) -> Vec<Message> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(messages(chunk, recipe)).unwrap()
}

fn bytes(message: &Message) -> Vec<u8> {
    message.parts.concat()
}

fn ids(chunk: ChunkView<'_>) -> Vec<Bytes> {
    let messages = encode(PLAIN, chunk);
    messages
        .into_iter()
        .filter_map(|message| message.id)
        .collect()
}

fn decode(messages: &[Message]) -> Vec<Received> {
    let mut decoder = Decoder::new(Limits::default(), Clock::system());
    for message in messages {
        decoder.push(&bytes(message));
    }
    let mut received = Vec::new();
    loop {
        match decoder.poll().unwrap() {
            Step::Read => return received,
            Step::Message(message) => received.push(message),
            Step::Pause => {}
            other => panic!("{other:?}"),
        }
    }
}

fn from(chunk: &'static str, frame: Frame) -> Frame {
    Frame {
        origin: Some(Origin {
            chunk: Bytes::from_static(chunk.as_bytes()),
            first: 0,
            kept: None,
            identifies: false,
        }),
        ..frame
    }
}

#[test]
fn frames_of_a_tag_become_one_message() {
    let frames = [
        frame(5, "a", &[json!({ "m": 1 })]),
        frame(6, "b", &[json!({ "m": 2 })]),
        frame(7, "a", &[json!({ "m": 3 }), json!({ "m": 4 })]),
    ];
    let messages = encode(
        Recipe {
            asks_ack: false,
            ..PLAIN
        },
        view(&frames, None),
    );
    let entry = |secs: u8, m: u8| {
        let time = [0xd7, 0, 0, 0, 0, secs, 0, 0, 0, 0];
        [&[0x92][..], &time, &[0x81, 0xa1, b'm', m]].concat()
    };
    let option = |size: u8| [b"\x82\xa4size", &[size][..], b"\xaacompressed\xa4text"].concat();
    let first = [
        b"\x93\xa1a\xdb\0\0\0\x2d".to_vec(),
        entry(0, 1),
        entry(0, 3),
        entry(1, 4),
        option(3),
    ];
    let second = [b"\x93\xa1b\xdb\0\0\0\x0f".to_vec(), entry(0, 2), option(1)];
    assert_eq!(
        messages.iter().map(bytes).collect::<Vec<_>>(),
        [first.concat(), second.concat()]
    );
    assert_eq!(messages[0].records, [0..1, 2..4]);
    // The bytes of the frames themselves are on their way, not copies.
    assert!(messages[0].parts[1].as_ptr() == frames[0].events.as_ptr());
}

#[test]
fn a_message_that_came_with_an_id_leaves_under_it() {
    let id = "Zg20t/9Swh69jybTE3EpLg==\n";
    let frames = [
        frame(1, "a", &[json!({ "m": 1 })]),
        from(id, frame(2, "a", &[json!({ "m": 2 })])),
        frame(3, "a", &[json!({ "m": 3 })]),
    ];
    let messages = encode(PLAIN, view(&frames, None));
    assert_eq!(messages.len(), 3);
    assert_eq!(messages[1].id.as_deref(), Some(id.as_bytes()));
    let tail = [b"\xa5chunk\xb9", id.as_bytes()].concat();
    assert!(bytes(&messages[1]).ends_with(&tail));
    let received = decode(&messages);
    let first = |message: &Received| records(&message.entries.bytes)[0]["m"].clone();
    assert_eq!(received.iter().map(first).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_part_of_a_message_does_not_take_its_id() {
    let whole = from("id", frame(1, "a", &[json!({ "m": 1 }), json!({ "m": 2 })]));
    let with = |change: fn(&mut Origin)| {
        let mut frame = whole.clone();
        change(frame.origin.as_mut().unwrap());
        frame
    };
    let later = with(|origin| origin.first = 3);
    let filtered = with(|origin| origin.kept = Some(Bytes::from_static(&[0b101])));
    for frame in [later, filtered] {
        assert_ne!(ids(view(&[frame], None)), ["id"]);
    }
    let pieces = [whole.clone(), with(|origin| origin.first = 2)];
    let ids_of_pieces = ids(view(&pieces, None));
    assert!(
        !ids_of_pieces.contains(&Bytes::from_static(b"id")),
        "{ids_of_pieces:?}"
    );
    let mut live = Bitmap::full(2);
    assert_eq!(ids(view(std::slice::from_ref(&whole), Some(&live))), ["id"]);
    live.set(0, false);
    assert_ne!(ids(view(&[whole], Some(&live))), ["id"]);
}

#[test]
fn ids_tell_what_a_message_is_made_of() {
    let frames: Vec<Frame> = (5..9)
        .map(|n| frame(n, "a", &[json!({}), json!({})]))
        .collect();
    let id = |frames: &[Frame]| ids(view(frames, None)).remove(0);
    assert_eq!(id(&frames), id(&frames.clone()));
    // The first 32 characters are buffer and first sequence.
    let start = "AQIDBAUGBwgJCgsMDQ4PEAAAAAAAAAAF";
    assert_eq!(&id(&frames)[..32], start.as_bytes());
    assert_eq!(id(&frames).len(), 43);
    // After a restart a chunk may begin with the same frame and hold others.
    assert_ne!(id(&frames), id(&frames[..2]));
    assert_ne!(id(&frames), id(&frames[1..]));
    let mut live = Bitmap::full(8);
    live.set(3, false);
    assert_ne!(ids(view(&frames, Some(&live)))[0], id(&frames));
}

#[test]
fn only_live_records_are_sent() {
    let record = |n: u32| json!({ "n": n });
    let frames = [
        frame(1, "a", &[record(0), record(1), record(2)]),
        frame(2, "a", &[record(3)]),
        frame(3, "a", &[record(4), record(5)]),
    ];
    let mut live = Bitmap::full(6);
    for index in [1, 3] {
        live.set(index, false);
    }
    let received = decode(&encode(PLAIN, view(&frames, Some(&live))));
    assert_eq!(received.len(), 1);
    assert_eq!(
        records(&received[0].entries.bytes),
        [0, 2, 4, 5].map(record)
    );
    assert!(encode(PLAIN, view(&frames, Some(&Bitmap::empty(6)))).is_empty());
}

#[test]
fn an_id_that_is_no_text_leaves_as_bin() {
    let mut frame = from("", frame(1, "a", &[json!({})]));
    frame.origin.as_mut().unwrap().chunk = Bytes::from_static(&[0xff, 0xfe]);
    let messages = encode(PLAIN, view(&[frame], None));
    assert!(bytes(&messages[0]).ends_with(b"\xa5chunk\xc4\x02\xff\xfe"));
}

#[test]
fn compressed_entries_are_read_back() {
    let record = json!({ "text": "all the same, all the same, all the same" });
    let frames = [
        frame(1, "a", &vec![record.clone(); 3_000]),
        frame(2, "a", &[record]),
    ];
    let plain = decode(&encode(PLAIN, view(&frames, None)));
    for compress in [Compress::Gzip, Compress::Zstd] {
        let messages = encode(Recipe { compress, ..PLAIN }, view(&frames, None));
        let len = bytes(&messages[0]).len();
        assert!(len < 20_000, "{len} bytes");
        let option = format!("\u{a}compressed\u{4}{}", compress.as_str());
        let option: Vec<u8> = option
            .bytes()
            .map(|byte| if byte < 32 { byte | 0xa0 } else { byte })
            .collect();
        assert!(
            bytes(&messages[0])
                .windows(option.len())
                .any(|window| window == option)
        );
        let unpacked = decode(&messages);
        assert_eq!(unpacked[0].entries.count, 3_001);
        assert!(records(&unpacked[0].entries.bytes) == records(&plain[0].entries.bytes));
    }
}

#[test]
fn what_would_look_like_an_attack_is_not_compressed() {
    let long = "0".repeat(6 << 20);
    let frames = [frame(1, "a", &[json!({ "long": long })])];
    let recipe = Recipe {
        compress: Compress::Zstd,
        ..PLAIN
    };
    let messages = encode(recipe, view(&frames, None));
    assert!(bytes(&messages[0]).len() > 6 << 20);
    assert_eq!(decode(&messages)[0].entries.count, 1);
}

fn any_frames() -> impl Strategy<Value = Vec<Frame>> {
    let origin = prop::option::of(prop::collection::vec(any::<u8>(), 0..40));
    let one = ("[abc]", 1..4_usize, origin);
    prop::collection::vec(one, 1..20).prop_map(|frames| {
        let mut n = 0_u64;
        (1..)
            .zip(frames)
            .map(|(sequence, (tag, count, origin))| {
                let records: Vec<Value> = (0..count)
                    .map(|_| {
                        n += 1;
                        json!({ "n": n })
                    })
                    .collect();
                let mut frame = frame(sequence, &tag, &records);
                frame.origin = origin.map(|chunk| Origin {
                    chunk: chunk.into(),
                    first: 0,
                    kept: None,
                    identifies: false,
                });
                frame
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_record_arrives_once_and_in_order_of_its_tag(frames in any_frames(), dead in any::<u64>()) {
        let count = frames.iter().map(|frame| frame.count).sum();
        let mut live = Bitmap::full(count);
        (0..count).filter(|index| dead >> (index % 64) & 1 == 1).for_each(|index| live.set(index, false));
        let messages = encode(PLAIN, view(&frames, Some(&live)));
        let received = decode(&messages);
        for tag in ["a", "b", "c"] {
            let mut index = 0;
            let mut expected = Vec::new();
            for frame in &frames {
                for record in records(&frame.events) {
                    if frame.tag.as_str() == tag && live.get(index) {
                        expected.push(record);
                    }
                    index += 1;
                }
            }
            let of_tag = received.iter().filter(|message| message.tag.as_ref().is_some_and(|it| it.as_str() == tag));
            let got: Vec<Value> = of_tag.flat_map(|message| records(&message.entries.bytes)).collect();
            prop_assert_eq!(got, expected);
        }
        let chunks: Vec<_> = received.iter().map(|message| message.chunk.as_ref().unwrap().id()).collect();
        let ids: Vec<_> = messages.iter().map(|message| message.id.clone().unwrap()).collect();
        prop_assert_eq!(chunks, ids);
    }
}
