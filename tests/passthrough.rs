//! Through a router from forward to forward: a receiver that keeps what it reads gets the bytes of the entries that were
//! sent, each as it was, with compression and without, from memory and from the disk after a kill.

use std::{
    collections::BTreeMap,
    io::{BufReader, Read, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use rmpv::Value;

use crate::{
    delivery::SERVICE,
    harness::{Sender, forward, free_port, holds, weir::Home},
};

/// Entries as senders write them, in every form that may stay as it is.
const ENTRIES: &[&[u8]] = &[
    // EventTime as fixext 8, and as ext 8, as some write it.
    b"\x92\xd7\x00\x69\x24\x82\x80\x00\x00\x00\x07\x81\xa1n\x01",
    b"\x92\xc7\x08\x00\x69\x24\x82\x80\x00\x00\x00\x08\x81\xa1n\x02",
    // Whole seconds, in 32 and in 64 bits, and before 1970.
    b"\x92\xce\x69\x24\x82\x80\x81\xa1n\x03",
    b"\x92\xcf\x00\x00\x00\x00\x69\x24\x82\x80\x81\xa1n\x04",
    b"\x92\xd3\xff\xff\xff\xff\xff\xff\xff\xf6\x81\xa1n\x05",
    // Seconds with a fraction, in 64 and in 32 bits.
    b"\x92\xcb\x41\xda\x49\x20\xa0\x10\x00\x00\x81\xa1n\x06",
    b"\x92\xca\x4e\xd2\x49\x05\x81\xa1n\x07",
    // Fluent Bit's form, with metadata and without any.
    b"\x92\x92\xd7\x00\x69\x24\x82\x80\x00\x00\x00\x09\x81\xa1m\xc3\x81\xa1n\x08",
    b"\x92\x92\xd7\x00\x69\x24\x82\x80\x00\x00\x00\x0a\x80\x81\xa1n\x09",
    // Longer headers than need be.
    b"\xdc\x00\x02\xce\x69\x24\x82\x80\xde\x00\x01\xd9\x01n\xcd\x00\x0a",
    b"\xdd\x00\x00\x00\x02\xce\x69\x24\x82\x80\xdf\x00\x00\x00\x01\xdb\x00\x00\x00\x01n\xd1\x00\x0b",
    // Values that are bytes, no UTF-8, nothing, extensions, floats that are no numbers, and nested.
    b"\x92\xce\x69\x24\x82\x80\x82\xa1b\xc4\x03\x00\xff\xfe\xa1u\xa3\xff\xfe\x80",
    b"\x92\xce\x69\x24\x82\x80\x84\xa1x\xd4\x05\x01\xa1f\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\xa1z\xc0\xa1l\x92\x81\xa1a\x90\xc2",
    // Keys that are no text, and twice the same.
    b"\x92\xce\x69\x24\x82\x80\x83\x01\x02\xa1k\x01\xa1k\x02",
    b"\x92\xce\x69\x24\x82\x80\x80",
];

/// More than the entries of any message here.
const INFLATED_MAX: u64 = 1 << 20;

/// Tags with the concatenation of their entries.
type Streams = BTreeMap<String, Vec<u8>>;

/// A receiver that keeps what it reads, and acknowledges.
struct Keeper {
    port: u16,
    /// The entries of each tag, and how the last message was compressed.
    kept: Arc<Mutex<(Streams, String)>>,
}

impl Keeper {
    /// Listens at this port. Its threads end with the process.
    fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let kept = Arc::default();
        let shared = Arc::clone(&kept);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&shared);
                thread::spawn(move || keep(&stream, &kept));
            }
        });
        Self { port, kept }
    }

    fn streams(&self) -> Streams {
        self.kept.lock().expect("the entries").0.clone()
    }
}

/// Reads messages until the connection ends.
fn keep(mut stream: &TcpStream, kept: &Mutex<(Streams, String)>) {
    let mut reader = BufReader::new(stream);
    while let Ok(message) = rmpv::decode::read_value(&mut reader) {
        let parts = message.as_array().expect("an array");
        let tag = parts[0].as_str().expect("a tag").to_owned();
        let blob = parts[1].as_slice().expect("packed entries");
        let option = |name: &str| {
            let pairs = parts[2].as_map().expect("a map");
            let pair = pairs.iter().find(|(key, _)| key.as_str() == Some(name));
            pair.expect("the option").1.clone()
        };
        let compressed = option("compressed").as_str().expect("text").to_owned();
        let plain: Box<dyn Read> = match compressed.as_str() {
            "gzip" => Box::new(MultiGzDecoder::new(blob)),
            "zstd" => Box::new(zstd::Decoder::new(blob).expect("zstd")),
            _ => Box::new(blob),
        };
        let mut entries = Vec::new();
        plain
            .take(INFLATED_MAX)
            .read_to_end(&mut entries)
            .expect("compressed as it says");
        let mut kept = kept.lock().expect("the entries");
        kept.0.entry(tag).or_default().extend(entries);
        kept.1 = compressed;
        let ack = Value::Map(vec![("ack".into(), option("chunk"))]);
        stream.write_all(&forward::encode(&ack)).expect("it reads");
    }
}

/// Sends the entries in every form of message, many times, and says what must come out.
fn send(sender: &mut Sender) -> Streams {
    let mut expected = Streams::new();
    let all = ENTRIES.concat();
    for round in 0..50 {
        let mut forms = Vec::new();
        let id = format!("chunk-{round}");
        forms.push((
            "packed.id",
            forward::packed("packed.id", &all, Some(&id)),
            true,
        ));
        forms.push((
            "packed.none",
            forward::packed("packed.none", &all, None),
            false,
        ));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&all).expect("memory");
        let option = vec![
            ("compressed".into(), "gzip".into()),
            ("chunk".into(), id.as_str().into()),
        ];
        let parts = vec![
            "gzip.id".into(),
            Value::Binary(gzip.finish().expect("memory")),
            Value::Map(option),
        ];
        forms.push(("gzip.id", forward::encode(&Value::Array(parts)), true));
        let count = u8::try_from(ENTRIES.len()).expect("a few");
        assert!(count < 16, "one byte is the header of the array");
        let head: &[u8] = b"\x92\xa7forward";
        forms.push(("forward", [head, &[0x90 | count], &all].concat(), false));
        for (tag, message, asks) in forms {
            sender.send(&message);
            if asks {
                sender.expect_ack(&id);
            }
            expected.entry(tag.to_owned()).or_default().extend(&all);
        }
        // A message of its own for an entry has its time and its record. A time with metadata would be taken for a list.
        let entry = ENTRIES[round % 7];
        let message = [b"\x93\xa6single", &entry[1..]].concat();
        sender.send(&message);
        expected
            .entry("single".to_owned())
            .or_default()
            .extend(entry);
    }
    // What comes last is acknowledged last, and everything before it is stored by then.
    sender.send(&forward::packed("packed.id", &all, Some("last")));
    sender.expect_ack("last");
    expected
        .entry("packed.id".to_owned())
        .or_default()
        .extend(&all);
    expected
}

fn relay(port: u16, compress: &str) -> Home {
    Home::new(&format!(
        r#"{SERVICE}[[match]]
id = "next"
tag = "**"
type = "forward"
compress = "{compress}"
[[match.server]]
host = "127.0.0.1"
port = {port}
[match.buffer]
type = "file"
flush_interval = "20ms"
flush_thread_count = 1
retry_wait = "50ms"
retry_max_interval = "200ms"
"#
    ))
}

/// Compares what arrives with what was sent, byte for byte and in order.
#[track_caller]
fn check(keeper: &Keeper, expected: &Streams, compress: &str) {
    let lengths = |streams: &Streams| -> BTreeMap<String, usize> {
        let pairs = streams.iter();
        pairs
            .map(|(tag, bytes)| (tag.clone(), bytes.len()))
            .collect()
    };
    holds("everything arrives", 30, &lengths(expected), || {
        lengths(&keeper.streams())
    });
    assert!(keeper.streams() == *expected, "other bytes arrived");
    assert_eq!(keeper.kept.lock().expect("the entries").1, compress);
}

const COMPRESSIONS: [&str; 3] = ["text", "gzip", "zstd"];

#[test]
fn entries_pass_as_they_are() {
    for compress in COMPRESSIONS {
        let keeper = Keeper::start(free_port());
        let home = relay(keeper.port, compress);
        let relay = home.start();
        let expected = send(&mut Sender::connect(relay.listens("in")));
        check(&keeper, &expected, compress);
        relay.settles(20);
        assert!(relay.stop().success());
    }
}

#[test]
fn entries_pass_as_they_are_from_the_disk() {
    for compress in COMPRESSIONS {
        let port = free_port();
        let home = relay(port, compress);
        let relay = home.start();
        let expected = send(&mut Sender::connect(relay.listens("in")));
        relay.kill();
        let keeper = Keeper::start(port);
        let relay = home.start();
        check(&keeper, &expected, compress);
        relay.settles(20);
        assert!(relay.stop().success());
    }
}
