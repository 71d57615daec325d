//! Hostile shapes, many in one process: bombs, depth, declared lengths, tags, sizes, keys. Each table has one ceiling
//! of memory, and an honest sender beside it.

use std::{
    io::Write as _,
    net::{Shutdown, SocketAddr},
};

use flate2::{Compression, write::GzEncoder};
use rmpv::Value;
use serde_json::json;

use super::{Honest, compressed};
use crate::{
    delivery::{SERVICE, TO_FILES},
    harness::{Sender, Weir, eventually, forward, holds, weir::Home},
};

/// What must come of one connection.
enum Comes {
    /// It is closed, for a reason that is counted; nothing is acknowledged.
    Closed(&'static str),
    /// The chunk `a` is acknowledged.
    Acked,
    /// Either, or nothing at all: what is asked is that nobody is harmed.
    Whatever,
}

struct Case {
    name: String,
    bytes: Vec<u8>,
    comes: Comes,
}

impl Case {
    fn new(name: impl Into<String>, bytes: Vec<u8>, comes: Comes) -> Self {
        Self {
            name: name.into(),
            bytes,
            comes,
        }
    }
}

/// Sends every case over a connection of its own, beside an honest sender. Memory may grow by `growth_mib` at most.
/// Returns how many records were stored that are not the honest sender's.
fn endures(cases: &[Case], growth_mib: u64) -> usize {
    let home = Home::new(&format!("{SERVICE}{TO_FILES}"));
    let weir = home.start();
    let address = weir.listens("in");
    let honest = Honest::start(address);
    let before = weir.memory_kib("VmRSS");
    let mut kept = Vec::new();
    for case in cases {
        let mut sender = Sender::connect(address);
        let counted = |weir: &Weir| match case.comes {
            Comes::Closed(reason) => closed(weir, reason),
            Comes::Acked | Comes::Whatever => 0.0,
        };
        let so_far = counted(&weir);
        // The router may close before it has read everything.
        let sent = sender.0.write_all(&case.bytes);
        match case.comes {
            Comes::Acked => {
                assert!(sent.is_ok(), "{}: {sent:?}", case.name);
                sender.expect_ack("a");
            }
            Comes::Closed(reason) => {
                drop(sender.0.shutdown(Shutdown::Write));
                assert!(sender.is_closed(), "{}: it stays open", case.name);
                eventually(&format!("{}: {reason} is counted", case.name), 20, || {
                    (counted(&weir) == so_far + 1.0).then_some(())
                });
            }
            Comes::Whatever => kept.push(sender),
        }
        let now = weir.memory_kib("VmRSS");
        assert!(
            now <= before + (growth_mib << 10),
            "{}: {before} KiB became {now} KiB",
            case.name
        );
    }
    let after = weir.memory_kib("VmRSS");
    println!("{} cases: {before} KiB became {after} KiB", cases.len());
    drop(kept);
    let honest = honest.finish();
    eventually("every connection is over", 20, || {
        (weir.metrics().sum("weir_forward_connections", &[]) == 0.0).then_some(())
    });
    weir.settles(20);
    home.records("out").len() - honest
}

/// Connections that were closed for this reason.
fn closed(weir: &Weir, reason: &str) -> f64 {
    let label = format!("reason=\"{reason}\"");
    let metrics = weir.metrics();
    metrics.sum("weir_forward_connections_closed_total", &[&label])
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 3).expect("memory")
}

/// One entry with a record of this many zeros as text.
fn zeros(len: u32) -> Vec<u8> {
    let mut out = vec![0x92, 0x01, 0x81, 0xa1, b'z', 0xdb];
    out.extend_from_slice(&len.to_be_bytes());
    out.resize(out.len() + len as usize, b'0');
    out
}

/// S01, beside the plain bombs.
#[test]
fn s01_bombs_in_many_pieces_and_in_each_other() {
    let bomb = |blob: Vec<u8>, how: &str| compressed(blob, how);
    let (member, frame) = (gzip(&zeros(100 << 10)), zstd(&zeros(100 << 10)));
    let nested = gzip(&gzip(&zeros(64 << 20)));
    let mut cases = vec![
        // Three hundred mebibytes in all, of which no member is large: they count together.
        Case::new(
            "many members",
            bomb(member.repeat(3_000), "gzip"),
            Comes::Closed("inflated"),
        ),
        Case::new(
            "many frames",
            bomb(frame.repeat(3_000), "zstd"),
            Comes::Closed("inflated"),
        ),
        // One layer is taken off. What is in it is no entry, whatever could be made of it.
        Case::new("a bomb in gzip", bomb(nested, "gzip"), Comes::Whatever),
    ];
    for (what, member) in [("members", gzip(&[])), ("frames", zstd(&[]))] {
        let mut message = vec![0x93, 0xa1, b't', 0xc6];
        let blob = member.repeat(300_000);
        message.extend_from_slice(&u32::try_from(blob.len()).expect("small").to_be_bytes());
        message.extend_from_slice(&blob);
        message.extend_from_slice(b"\x82\xaacompressed\xa4");
        message.extend_from_slice(if what == "members" { b"gzip" } else { b"zstd" });
        message.extend_from_slice(b"\xa5chunk\xa1a");
        cases.push(Case::new(format!("empty {what}"), message, Comes::Acked));
    }
    assert_eq!(endures(&cases, 80), 0);
}

/// S02.
#[test]
fn s02_a_million_openers_maps_in_keys_and_extensions_in_extensions() {
    let begins = |front: &[u8], rest: Vec<u8>| [front, &rest].concat();
    let record = b"\x93\xa1t\xce\x65\x53\xf1\x01\x81\xa1m";
    let mut cases = Vec::new();
    for (name, opener) in [("arrays", 0x91), ("maps in keys", 0x81), ("pairs", 0x92)] {
        let openers = vec![opener; 1_000_000];
        for (place, front) in [
            ("alone", &b""[..]),
            ("in a record", record),
            ("in an option", b"\x93\xa1t\x90"),
            ("in entries", b"\x92\xa1t\xc6\x00\x0f\x42\x40"),
        ] {
            let bytes = begins(front, openers.clone());
            let comes = Comes::Closed("too_deep");
            cases.push(Case::new(format!("{name} {place}"), bytes, comes));
        }
    }
    // The inside of an extension is never looked at.
    let mut nested = Value::Ext(5, vec![1]);
    for _ in 0..10_000 {
        nested = Value::Ext(5, forward::encode(&nested));
    }
    let record = Value::Map(vec![("m".into(), nested)]);
    let entry = forward::encode(&Value::Array(vec![1_764_000_000.into(), record]));
    let message = forward::packed("t", &entry, Some("a"));
    cases.push(Case::new("extensions", message, Comes::Acked));
    assert_eq!(endures(&cases, 16), 1);
}

/// S03: every type with a length, at every place, with 0, all ones, and one less.
#[test]
fn s03_declared_lengths_of_every_type_at_every_place() {
    // The marker, the bytes of its length, and what stands behind the length.
    let types: [(&str, u8, usize, &[u8]); 13] = [
        ("str8", 0xd9, 1, b""),
        ("str16", 0xda, 2, b""),
        ("str32", 0xdb, 4, b""),
        ("bin8", 0xc4, 1, b""),
        ("bin16", 0xc5, 2, b""),
        ("bin32", 0xc6, 4, b""),
        ("ext8", 0xc7, 1, b"\x05"),
        ("ext16", 0xc8, 2, b"\x05"),
        ("ext32", 0xc9, 4, b"\x05"),
        ("array16", 0xdc, 2, b""),
        ("array32", 0xdd, 4, b""),
        ("map16", 0xde, 2, b""),
        ("map32", 0xdf, 4, b""),
    ];
    let places: [(&str, &[u8]); 9] = [
        ("alone", b""),
        ("tag", b"\x93"),
        ("entries", b"\x92\xa1t"),
        ("record", b"\x93\xa1t\xce\x65\x53\xf1\x01"),
        ("key", b"\x93\xa1t\xce\x65\x53\xf1\x01\x81"),
        ("value", b"\x93\xa1t\xce\x65\x53\xf1\x01\x81\xa1m"),
        ("option", b"\x93\xa1t\x90"),
        ("chunk", b"\x93\xa1t\x90\x81\xa5chunk"),
        ("packed entries", b"\x92\xa1t\xc6\xff\xff\xff\x00"),
    ];
    let mut cases = Vec::new();
    for (name, marker, width, behind) in types {
        for (length, digits) in [
            ("0", vec![0; width]),
            ("max", vec![0xff; width]),
            ("max - 1", [vec![0xff; width - 1], vec![0xfe]].concat()),
        ] {
            for (place, front) in places {
                let bytes = [front, &[marker], &digits, behind].concat();
                let name = format!("{name} of {length} as {place}");
                cases.push(Case::new(name, bytes, Comes::Whatever));
            }
        }
    }
    assert_eq!(cases.len(), 13 * 3 * 9);
    endures(&cases, 16);
}

/// S06.
#[test]
fn s06_giant_and_strange_tags() {
    let one = forward::numbered(0, 1);
    let message = |tag: Value| {
        let option = Value::Map(vec![("chunk".into(), "a".into())]);
        let blob = Value::Binary(one.clone());
        forward::encode(&Value::Array(vec![tag, blob, option]))
    };
    let longest = "t".repeat(1024);
    let parts = "a.".repeat(500);
    let strange = [
        longest.as_str(),
        parts.as_str(),
        "",
        "..",
        ".",
        "a..b",
        "../../outside",
        "/etc/passwd",
        "a\0b",
        "a\r\nb",
        "\u{1b}[2J\u{7}",
        "\u{202e}\u{2028}\u{feff}",
        "${tag}",
        "%Y%m%d",
        "**",
        "@ERROR",
    ];
    let mut cases: Vec<_> = strange
        .iter()
        .map(|tag| Case::new(format!("{tag:?}"), message((*tag).into()), Comes::Acked))
        .collect();
    let stored = cases.len();
    for len in [1025, 64 << 10, 16 << 20] {
        let tag = "t".repeat(len);
        let name = format!("a tag of {len} bytes");
        cases.push(Case::new(name, message(tag.into()), Comes::Acked));
    }
    for (name, tag) in [
        ("nil", Value::Nil),
        ("map", Value::Map(vec![])),
        ("int", 7.into()),
    ] {
        cases.push(Case::new(name, message(tag), Comes::Acked));
    }
    cases.push(Case::new(
        "no UTF-8",
        message(Value::Binary(vec![0xff, 0xfe, b'.'])),
        Comes::Acked,
    ));
    assert_eq!(endures(&cases, 40), stored + 1);
}

/// S17: nothing is made of what a sender says about sizes.
#[test]
fn s17_sizes_that_lie() {
    let one = forward::numbered(0, 1);
    let mut cases = Vec::new();
    for size in [
        0.into(),
        u64::MAX.into(),
        i64::MIN.into(),
        1_000_000_000.into(),
        f64::INFINITY.into(),
        "4294967295".into(),
        Value::Nil,
        Value::Map(vec![]),
    ] {
        let option = vec![("size".into(), size.clone()), ("chunk".into(), "a".into())];
        for entries in [
            Value::Binary(one.clone()),
            Value::Binary(gzip(&one)),
            Value::Array(vec![Value::Array(vec![
                1.into(),
                Value::Map(vec![("n".into(), 1.into())]),
            ])]),
        ] {
            let parts = vec!["t".into(), entries, Value::Map(option.clone())];
            let bytes = forward::encode(&Value::Array(parts));
            cases.push(Case::new(format!("{size}"), bytes, Comes::Acked));
        }
    }
    let stored = cases.len();
    assert_eq!(endures(&cases, 16), stored);
}

/// S18: keys and tags in great numbers, chosen by the sender. What is hashed is hashed with a random seed.
#[test]
fn s18_keys_and_tags_in_great_numbers() {
    let keys = (0..100_000).map(|n| (Value::from(format!("{n:08x}")), n.into()));
    let record = Value::Map(keys.collect());
    let entry = forward::encode(&Value::Array(vec![1_764_000_000.into(), record]));
    let mut tags = Vec::new();
    for n in 0..20_000 {
        let tag = format!("t.{n:08x}");
        tags.extend(forward::packed(&tag, &forward::numbered(n, 1), None));
    }
    tags.extend(forward::packed("t", &forward::numbered(0, 1), Some("a")));
    let wide = forward::packed("t", &entry, Some("a"));
    let cases = [
        Case::new("100,000 keys", wide, Comes::Acked),
        Case::new("20,000 tags", tags, Comes::Acked),
    ];
    assert_eq!(endures(&cases, 64), 1 + 20_000 + 1);
}

/// What a sender says of itself, so that lines of the log be forged and terminals obey.
const EVIL: &str =
    "a\u{1b}[31m\r\n{\"level\":\"ERROR\",\"message\":\"forged\"}\n\u{2028}\u{9b}31m\u{7}";

/// A router that knows no match for the tag of [`EVIL`], with more in its configuration.
fn home_of(more: &str) -> Home {
    let only = TO_FILES.replace("\"**\"", "\"app.**\"");
    Home::new(&format!("{SERVICE}{more}{only}"))
}

fn speak(address: SocketAddr, bytes: &[u8]) {
    let mut sender = Sender::connect(address);
    sender.send(bytes);
    sender.0.shutdown(Shutdown::Write).expect("it is open");
    assert!(sender.is_closed());
}

fn evil_message() -> Vec<u8> {
    forward::packed(EVIL, &forward::numbered(0, 1), Some("a"))
}

/// S09: what a sender says about itself stays inside its line of the log, and inside its string.
#[test]
fn s09_no_sender_writes_the_log() {
    let secured =
        "[source.security]\nself_hostname = \"here\"\nshared_key = \"a key of 22 characters\"\n";
    let names = ["PING", EVIL, EVIL, EVIL, EVIL, EVIL].map(Value::from);
    let pings = forward::encode(&Value::Array(names.to_vec()));
    for (security, bytes) in [("", evil_message()), (secured, pings)] {
        let weir = home_of(security).start();
        speak(weir.listens("in"), &bytes);
        eventually("it is said", 20, || {
            let log = weir.log();
            log.iter().any(|line| line["level"] == "WARN").then_some(())
        });
        let log = weir.log();
        for line in &log {
            // A line that is not JSON, as with a raw escape, is a string here.
            assert!(line.is_object(), "{line}");
            assert_ne!(line["message"], "forged");
            assert!(line.to_string().len() < 4 << 10, "{line}");
        }
        let tags: Vec<_> = log.iter().filter_map(|line| line["tag"].as_str()).collect();
        if security.is_empty() {
            assert_eq!(tags, [EVIL], "in one string, and as it came");
        } else {
            assert!(!weir.log_text().contains("forged"), "{}", weir.log_text());
        }
        assert!(weir.stop().success());
    }
}

/// S09, where the log is text for people.
#[test]
fn s09_no_sender_writes_the_log_of_a_terminal() {
    let home = home_of("[service.log]\nformat = \"text\"\n");
    let weir = home.spawn(&[]);
    let lines = || -> Vec<String> {
        let log = weir.log();
        log.iter()
            .filter_map(|line| Some(line.as_str()?.to_owned()))
            .collect()
    };
    let address = eventually("the source is bound", 20, || {
        let lines = lines();
        let line = lines.iter().find(|line| line.contains("source"))?;
        let (_, rest) = line.split_once("listening on ")?;
        rest.split_whitespace().next()?.parse().ok()
    });
    speak(address, &evil_message());
    eventually("it is said", 20, || {
        lines()
            .iter()
            .any(|line| line.contains("WARN"))
            .then_some(())
    });
    assert!(
        weir.log().iter().all(serde_json::Value::is_string),
        "a line was forged"
    );
    for line in lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    assert!(weir.stop().success());
}

/// Entries of which MessagePack leaves something open, and what files of JSON hold then.
fn ambiguous() -> Vec<(Vec<u8>, serde_json::Value)> {
    let map = |pairs: &[u8]| [&[0x92, 0xce, 0x65, 0x53, 0xf1, 0x01][..], pairs].concat();
    vec![
        // The last of two equal keys.
        (map(b"\x82\xa1a\x01\xa1a\x02"), json!({ "a": 2 })),
        // Keys that are no text.
        (map(b"\x81\x01\x02"), json!({ "1": 2 })),
        (map(b"\x81\xc4\x01k\x02"), json!({ "k": 2 })),
        // Numbers that JSON has not, or that are wide.
        (
            map(b"\x81\xa1a\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"),
            json!({ "a": null }),
        ),
        (
            map(b"\x81\xa1a\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"),
            json!({ "a": null }),
        ),
        (
            map(b"\x81\xa1a\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
            json!({ "a": u64::MAX }),
        ),
        (
            map(b"\x81\xa1a\xd3\x80\x00\x00\x00\x00\x00\x00\x00"),
            json!({ "a": i64::MIN }),
        ),
        // Bytes that are no text.
        (
            map(b"\x81\xa1a\xa2\xff\xfe"),
            json!({ "a": "\u{fffd}\u{fffd}" }),
        ),
        (
            map(b"\x81\xa2\xff\xfe\x01"),
            json!({ "\u{fffd}\u{fffd}": 1 }),
        ),
        // Extensions: unknown ones, a timestamp of MessagePack, and an EventTime with too many nanoseconds.
        (
            map(b"\x81\xa1a\xd4\x05\x01"),
            json!({ "a": { "ext": 5, "data": "AQ==" } }),
        ),
        (
            map(b"\x81\xa1a\xd6\xff\x65\x53\xf1\x01"),
            json!({ "a": { "ext": -1, "data": "ZVPxAQ==" } }),
        ),
        (
            map(b"\x81\xa1a\xd7\x00\x65\x53\xf1\x01\xff\xff\xff\xff"),
            json!({ "a": "2023-11-14T22:13:21.999999999Z" }),
        ),
    ]
}

/// S15.
#[test]
fn s15_what_is_ambiguous_comes_to_this() {
    let table = ambiguous();
    let home = Home::new(&format!("{SERVICE}{TO_FILES}"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    let blob: Vec<u8> = table.iter().flat_map(|(entry, _)| entry.clone()).collect();
    sender.send(&forward::packed("t", &blob, Some("a")));
    sender.expect_ack("a");
    let expected: Vec<_> = table.into_iter().map(|(_, record)| record).collect();
    let records = || {
        let mut records = home.records("out");
        for record in &mut records {
            let pairs = record.as_object_mut().expect("an object");
            pairs.retain(|key, _| key != "time" && key != "tag");
        }
        records
    };
    holds("each record as the table says", 20, &expected, records);
    // Of times: nanoseconds out of range are the last of the second; a timestamp of MessagePack is no time here.
    let times = b"\x92\xd7\x00\x65\x53\xf1\x01\xff\xff\xff\xff\x81\xa1a\x01\x92\xd6\xff\x65\x53\xf1\x01\x81\xa1a\x02";
    sender.send(&forward::packed("t", times, Some("b")));
    sender.expect_ack("b");
    weir.settles(20);
    let last = home.records("out").pop();
    let expected = json!({ "time": "2023-11-14T22:13:21.999999999Z", "tag": "t", "a": 1 });
    assert_eq!(last, Some(expected));
    let dropped = weir
        .metrics()
        .sum("weir_invalid_records_total", &["reason=\"time\""]);
    assert_eq!(dropped, 1.0);
    assert!(weir.stop().success());
}
