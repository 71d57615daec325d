//! `docs/BUFFER_FORMAT.md` against the code: its worked example is what is written, and what it says is enough
//! to read it.

use bytes::Bytes;
use sdk::event::Origin;

use super::{
    frame::{Head, Kind, encode, encode_end},
    segment::SegmentHeader,
    state::{Note, StateFile},
    *,
};

const PAGE: &str = include_str!("../../../docs/BUFFER_FORMAT.md");
const BUFFER: u128 = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff;
const SALT: u32 = 0x1234_5678;
const CREATED_MS: u64 = 1_767_323_045_000;

/// The bytes of the example with this name: hexadecimal digits between an offset and a bar.
fn example(name: &str) -> Vec<u8> {
    let (_, behind) = PAGE
        .split_once(&format!("<!-- example: {name} -->"))
        .expect("an example");
    let block = behind.split("```").nth(1).expect("a code block");
    let mut bytes = Vec::new();
    for line in block.lines().filter(|line| line.contains('|')) {
        let (offset, rest) = line.split_once("  ").expect("an offset");
        assert_eq!(
            usize::from_str_radix(offset.trim(), 16).unwrap(),
            bytes.len(),
            "{line}"
        );
        let digits = rest.split('|').next().unwrap();
        bytes.extend(
            digits
                .split_whitespace()
                .map(|pair| u8::from_str_radix(pair, 16).unwrap()),
        );
    }
    bytes
}

/// CRC-32C as the page defines it, bit by bit.
fn crc(start: u32, bytes: &[u8]) -> u32 {
    let mut register = !start;
    for byte in bytes {
        register ^= u32::from(*byte);
        for _ in 0..8 {
            register = (register >> 1) ^ if register & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    !register
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Two frames and the end, as the writer would write them.
fn written() -> Vec<u8> {
    let header = SegmentHeader {
        buffer: BUFFER,
        first: 65_537,
        created_ms: CREATED_MS,
        salt: SALT,
        void_from: None,
    };
    let mut out = header.encode();
    let tag = Tag::new("app.web");
    let origin = Origin {
        chunk: Bytes::from_static(b"c7"),
        first: 4,
        kept: Some(Bytes::from_static(&[0b101])),
        identifies: true,
    };
    let whole = Head {
        kind: Kind::Whole,
        tag: &tag,
        origin: Some(&origin),
        fingerprint: None,
        group: 0,
        count: 2,
        before: 0,
        sequence: 65_537,
        stored_ms: CREATED_MS + 5,
    };
    let piece = Head {
        kind: Kind::Piece { last: true },
        origin: None,
        group: 65_538,
        count: 1,
        before: 2,
        sequence: 65_538,
        stored_ms: CREATED_MS + 6,
        ..whole
    };
    for (head, events) in [(whole, events([1, 2])), (piece, events([3]))] {
        let start = out.len();
        let (trailer, len) = encode(&mut out, SALT, &head, &events).unwrap();
        out.extend_from_slice(&events);
        out.extend_from_slice(&trailer.to_le_bytes());
        assert_eq!(out.len() - start, usize::try_from(len).unwrap());
    }
    out.extend(encode_end(SALT, 65_539, 3, CREATED_MS + 7));
    out
}

fn hex(bytes: &[u8]) -> String {
    let row = |(at, row): (usize, &[u8])| {
        let digits: Vec<String> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:04x}  {}", at * 16, digits.join(" "))
    };
    bytes
        .chunks(16)
        .enumerate()
        .map(row)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_example_is_what_is_written() {
    let written = written();
    assert!(
        example("segment") == written,
        "written now:\n{}",
        hex(&written)
    );

    let dir = tempfile::tempdir().unwrap();
    let mut state = StateFile::new(&Files::system(), dir.path(), BUFFER);
    let notes = [Note::Begun(65_537), Note::Done(65_537, 65_538)];
    state.rewrite(&notes).unwrap();
    let state = std::fs::read(dir.path().join("state")).unwrap();
    assert!(example("state") == state, "written now:\n{}", hex(&state));
}

/// A reader made from the page alone.
#[test]
fn the_page_is_enough_to_read_the_example() {
    assert_eq!(crc(0, b"123456789"), 0xe306_9283);
    let bytes = example("segment");
    assert_eq!(&bytes[..8], b"WEIRSEG\n");
    assert_eq!(number(&bytes[8..10]), 1);
    assert_eq!(u64::from(crc(0, &bytes[..60])), number(&bytes[60..64]));
    let salt = u32::try_from(number(&bytes[12..16])).unwrap();
    let mut at = 64;
    let mut kinds = Vec::new();
    while at < bytes.len() {
        let header = &bytes[at..at + 44];
        let magic = u32::try_from(number(&header[..4])).unwrap() ^ salt;
        assert_eq!(&magic.to_le_bytes(), b"WFRM");
        assert_eq!(u64::from(crc(salt, &header[..40])), number(&header[40..44]));
        let payload_len = usize::try_from(number(&header[8..12])).unwrap();
        let end = at + 44 + payload_len;
        assert_eq!(
            u64::from(crc(salt, &[&header[..40], &bytes[at + 44..end]].concat())),
            number(&bytes[end..end + 4])
        );
        kinds.push((
            header[4],
            header[5],
            number(&header[16..20]),
            number(&header[24..32]),
        ));
        at = end + 4;
    }
    assert_eq!(
        kinds,
        [(1, 0, 2, 65_537), (1, 3, 1, 65_538), (2, 0, 0, 65_539)]
    );

    let state = example("state");
    let seed = crc(0, &BUFFER.to_be_bytes());
    let record = |record: &[u8]| {
        assert_eq!(u64::from(crc(seed, &record[..20])), number(&record[20..]));
        (
            number(&record[..4]),
            number(&record[4..12]),
            number(&record[12..20]),
        )
    };
    let records: Vec<_> = state.chunks(24).map(record).collect();
    assert_eq!(records, [(2, 65_537, 65_537), (1, 65_537, 65_538)]);
}

#[tokio::test]
async fn a_buffer_made_of_the_example_is_delivered() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("0000000000010001.seg"), example("segment")).unwrap();
    let rig = Rig::open(disk(dir.path()));
    assert_eq!(rig.buffer.id(), BUFFER);
    assert_eq!(rig.drain().await, [1, 2, 3]);
    drop(rig);
    let format = std::fs::read_to_string(dir.path().join("FORMAT")).unwrap();
    assert!(PAGE.contains(&format), "{format}");
}
