//! From bytes as they come to entries.

use sdk::{
    event::{Entries, Time, write_event},
    msgpack::{self, Malformed, RawValue, Token, write},
};
use serde_json::Value;

use super::BadInput;

/// Longest record, in bytes as read and as sent: `in_forward` drops longer ones.
const RECORD_LEN_MAX: usize = (8 << 20) - 64;
/// Characters of a bad line that are shown.
const EXCERPT_CHARS: usize = 60;

const ONE_EACH: &str =
    "write one JSON object on each line, as `jq -c .` does; --format none takes lines as they are";
const ONE_MAP: &str =
    "write maps one after the other, or [time, record] as Fluentd's secondary_file does";
const SPLIT: &str = "split it: a router drops records above 8 MiB";

/// What the bytes are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object on each line. Empty lines are passed over.
    #[default]
    Json,
    /// MessagePack maps one after the other, or `[time, record]`, which keeps its time.
    Msgpack,
    /// Lines, each of which becomes a record with one field.
    None,
}

/// How bytes become records.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What the bytes are.
    pub format: Format,
    /// The field of [`Format::None`].
    pub message_key: String,
    /// The time of every record. Default: when it is read.
    pub event_time: Option<Time>,
}

/// Entries back to back.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) events: Vec<u8>,
    pub(super) count: u32,
}

impl Piece {
    pub(super) fn join(&mut self, other: &Self) {
        self.events.extend_from_slice(&other.events);
        self.count = self.count.saturating_add(other.count);
    }
}

/// Takes bytes and gives entries. Holds at most one record that is not whole yet.
#[derive(Debug)]
pub(super) struct Reader {
    reading: Reading,
    rest: Vec<u8>,
    /// Lines, or values of MessagePack, so far.
    seen: u64,
}

impl Reader {
    pub(super) fn new(reading: Reading) -> Self {
        Self {
            reading,
            rest: Vec::new(),
            seen: 0,
        }
    }

    /// Appends the records that `bytes` complete.
    ///
    /// # Errors
    /// The first that is none. Those before it have been appended.
    pub(super) fn take(&mut self, bytes: &[u8], piece: &mut Piece) -> Result<(), BadInput> {
        if self.reading.format == Format::Msgpack {
            self.rest.extend_from_slice(bytes);
            let bytes = std::mem::take(&mut self.rest);
            let end = self.values(&bytes, piece)?;
            self.rest
                .extend_from_slice(bytes.get(end..).unwrap_or_default());
        } else {
            self.lines(bytes, piece)?;
        }
        if self.rest.len() > RECORD_LEN_MAX {
            self.seen += 1;
            return Err(self.bad("is longer than 8 MiB", &self.rest, SPLIT));
        }
        Ok(())
    }

    /// Appends a last line that has no end.
    ///
    /// # Errors
    /// When it is no record.
    pub(super) fn end(&mut self, piece: &mut Piece) -> Result<(), BadInput> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return Ok(());
        }
        if self.reading.format == Format::Msgpack {
            self.seen += 1;
            return Err(self.bad("is cut off", &rest, ONE_MAP));
        }
        self.line(&rest, piece)
    }

    fn lines(&mut self, mut bytes: &[u8], piece: &mut Piece) -> Result<(), BadInput> {
        while let Some((line, after)) = split_line(bytes) {
            bytes = after;
            if self.rest.is_empty() {
                self.line(line, piece)?;
            } else {
                let mut whole = std::mem::take(&mut self.rest);
                whole.extend_from_slice(line);
                self.line(&whole, piece)?;
            }
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    fn line(&mut self, line: &[u8], piece: &mut Piece) -> Result<(), BadInput> {
        self.seen += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut record = Vec::with_capacity(line.len() + 16);
        if self.reading.format == Format::None {
            write::map(&mut record, 1);
            write::str(&mut record, &self.reading.message_key);
            write::str_bytes(&mut record, line);
            return self.push(&record, line, piece);
        }
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        match serde_json::from_slice(line) {
            Ok(object @ Value::Object(_)) => write::json(&mut record, &object),
            Ok(other) => {
                let problem = format!("{} is not an object", kind(&other));
                return Err(self.bad(&problem, line, ONE_EACH));
            }
            Err(error) => {
                let text = error.to_string();
                let what = text
                    .rsplit_once(" at line ")
                    .map_or(&*text, |(what, _)| what);
                let problem = format!("not JSON, column {}: {what}", error.column());
                return Err(self.bad(&problem, line, ONE_EACH));
            }
        }
        self.push(&record, line, piece)
    }

    /// Takes the whole values and returns where the rest begins.
    fn values(&mut self, bytes: &[u8], piece: &mut Piece) -> Result<usize, BadInput> {
        let mut reader = msgpack::Reader::new(bytes);
        while !reader.is_empty() {
            let rest = reader.rest();
            match reader.value() {
                Ok(value) => {
                    self.seen += 1;
                    self.value(value, piece)?;
                }
                Err(Malformed::Truncated) => break,
                Err(error) => {
                    self.seen += 1;
                    return Err(self.bad(&error.to_string(), rest, ONE_MAP));
                }
            }
        }
        Ok(reader.position())
    }

    fn value(&mut self, value: RawValue<'_>, piece: &mut Piece) -> Result<(), BadInput> {
        let bytes = value.bytes();
        if matches!(value.token(), Token::Map(_)) {
            return self.push(bytes, bytes, piece);
        }
        let event = match value.token() {
            Token::Array(2) => Entries::new(bytes).next().and_then(Result::ok),
            _ => None,
        };
        let event = event.filter(|event| matches!(event.record.token(), Token::Map(_)));
        let Some(event) = event else {
            return Err(self.bad("is neither a map nor [time, record]", bytes, ONE_MAP));
        };
        let time = self.reading.event_time.unwrap_or(event.time);
        self.push_at(time, event.record.bytes(), bytes, piece)
    }

    fn push(&self, record: &[u8], read: &[u8], piece: &mut Piece) -> Result<(), BadInput> {
        let time = self.reading.event_time.unwrap_or_else(Time::now);
        self.push_at(time, record, read, piece)
    }

    /// Appends a record that a router will not drop.
    fn push_at(
        &self,
        time: Time,
        record: &[u8],
        read: &[u8],
        piece: &mut Piece,
    ) -> Result<(), BadInput> {
        if record.len() > RECORD_LEN_MAX {
            return Err(self.bad("is longer than 8 MiB", read, SPLIT));
        }
        if let Err(error) = RawValue::parse(record) {
            return Err(self.bad(&error.to_string(), read, "a router takes no deeper records"));
        }
        write_event(&mut piece.events, time, record);
        piece.count = piece.count.saturating_add(1);
        Ok(())
    }

    fn bad(&self, problem: &str, bytes: &[u8], help: &'static str) -> BadInput {
        let (unit, excerpt) = if self.reading.format == Format::Msgpack {
            ("value", hex(bytes))
        } else {
            ("line", excerpt(bytes))
        };
        BadInput {
            place: format!("{unit} {}", self.seen),
            problem: problem.to_owned(),
            excerpt,
            help,
        }
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, after) = bytes.split_at_checked(end)?;
    Some((line, after.get(1..)?))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The beginning of a line, fit for a terminal.
fn excerpt(bytes: &[u8]) -> String {
    let start = bytes.get(..EXCERPT_CHARS * 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    let mut shown: String = text
        .chars()
        .take(EXCERPT_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().count() > EXCERPT_CHARS || start.len() < bytes.len() {
        shown.push_str("...");
    }
    shown
}

fn hex(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes
        .iter()
        .take(EXCERPT_CHARS / 4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let dots = if bytes.len() > shown.len() {
        " ..."
    } else {
        ""
    };
    format!("{}{dots}", shown.join(" "))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The records of entries, as JSON.
    pub(in crate::cat) fn records(events: &[u8]) -> Vec<Value> {
        let records = Entries::new(events).map_while(Result::ok);
        let json = |record| {
            let mut text = Vec::new();
            sdk::json::write_value(&mut text, record);
            serde_json::from_slice(&text).unwrap_or_default()
        };
        records.map(|event| json(event.record)).collect()
    }

    fn reader(format: Format) -> Reader {
        Reader::new(Reading {
            format,
            message_key: "message".into(),
            event_time: None,
        })
    }

    /// Records of `bytes`, read in pieces of `step` bytes, and what is wrong with them.
    fn read(format: Format, bytes: &[u8], step: usize) -> (Vec<Value>, Result<(), String>) {
        let (mut reader, mut piece) = (reader(format), Piece::default());
        let taken = bytes
            .chunks(step)
            .try_for_each(|bytes| reader.take(bytes, &mut piece));
        let ended = taken.and_then(|()| reader.end(&mut piece));
        let records = records(&piece.events);
        assert_eq!(records.len(), piece.count as usize);
        (records, ended.map_err(|bad| bad.to_string()))
    }

    #[track_caller]
    fn check(format: Format, bytes: &[u8], expected: &[Value]) {
        for step in [1, 3, bytes.len()] {
            assert_eq!(read(format, bytes, step), (expected.to_vec(), Ok(())));
        }
    }

    #[track_caller]
    fn refuse(format: Format, bytes: &[u8], before: usize, expected: &str) {
        for step in [1, bytes.len()] {
            let (records, ended) = read(format, bytes, step);
            assert_eq!((records.len(), ended), (before, Err(expected.to_owned())));
        }
    }

    #[test]
    fn each_line_is_an_object_and_the_last_needs_no_end() {
        let lines =
            b"{\"n\":1}\n\n  {\"b\":[null,true,-2.5],\"a\":{\"t\":\"\\u00e9\"}} \r\n{\"n\":3}";
        let expected = [
            json!({"n": 1}),
            json!({"b": [null, true, -2.5], "a": {"t": "\u{e9}"}}),
            json!({"n": 3}),
        ];
        check(Format::Json, lines, &expected);
        check(Format::Json, b"\n\n", &[]);
    }

    #[test]
    fn integers_keep_every_digit_and_keys_their_order() {
        let line = b"{\"z\":18446744073709551615,\"a\":-9223372036854775808}";
        let (mut reader, mut piece) = (reader(Format::Json), Piece::default());
        reader.take(line, &mut piece).unwrap();
        reader.end(&mut piece).unwrap();
        let record = b"\x82\xa1z\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1a\xd3\x80\0\0\0\0\0\0\0";
        assert!(piece.events.ends_with(record), "{:02x?}", piece.events);
    }

    #[test]
    fn lines_as_they_are() {
        let expected = [
            json!({"message": "one"}),
            json!({"message": ""}),
            json!({"message": "{\"n\":1}"}),
        ];
        check(Format::None, b"one\r\n\n{\"n\":1}", &expected);
    }

    #[test]
    fn maps_one_after_the_other_and_entries_with_their_time() {
        let mut bytes = b"\x81\xa1n\x01".to_vec();
        write_event(&mut bytes, Time::from_secs(7), b"\x81\xa1n\x02");
        check(Format::Msgpack, &bytes, &[json!({"n": 1}), json!({"n": 2})]);
        let (mut reader, mut piece) = (reader(Format::Msgpack), Piece::default());
        reader.take(&bytes, &mut piece).unwrap();
        let last = Entries::new(&piece.events).last().unwrap().unwrap();
        assert_eq!(last.time, Time::from_secs(7));
    }

    #[test]
    fn the_given_time_is_that_of_every_record() {
        let time = Time::from_secs(1_700_000_000);
        for (format, bytes) in [
            (Format::Json, &b"{}\n"[..]),
            (Format::None, b"x\n"),
            (Format::Msgpack, b"\x80"),
            (Format::Msgpack, b"\x92\x07\x80"),
        ] {
            let mut reader = reader(format);
            reader.reading.event_time = Some(time);
            let mut piece = Piece::default();
            reader.take(bytes, &mut piece).unwrap();
            let event = Entries::new(&piece.events).next().unwrap().unwrap();
            assert_eq!(event.time, time);
        }
    }

    #[test]
    fn what_is_no_record_is_named_and_what_stands_before_it_is_kept() {
        refuse(
            Format::Json,
            b"{\"n\":1}\n{\"n\":2\n{\"n\":3}\n",
            1,
            "standard input, line 2: not JSON, column 6: EOF while parsing an object: {\"n\":2",
        );
        refuse(
            Format::Json,
            b"{}\n\n[1]",
            1,
            "standard input, line 3: an array is not an object: [1]",
        );
        refuse(
            Format::Json,
            b"\"\x1b[31m\"\n",
            0,
            "standard input, line 1: not JSON, column 2: control character (\\u0000-\\u001F) found while parsing a \
             string: \" [31m\"",
        );
        refuse(
            Format::Msgpack,
            b"\x80\xc1",
            1,
            "standard input, value 2: byte 0xc1 is never valid MessagePack: c1",
        );
        refuse(
            Format::Msgpack,
            b"\x80\x07",
            1,
            "standard input, value 2: is neither a map nor [time, record]: 07",
        );
        refuse(
            Format::Msgpack,
            b"\x80\x81\xa1n",
            1,
            "standard input, value 2: is cut off: 81 a1 6e",
        );
    }

    #[test]
    fn records_that_a_router_would_drop_are_refused() {
        let deep = format!("{{\"a\":{}{}}}\n", "[".repeat(70), "]".repeat(70));
        let (_, ended) = read(Format::Json, deep.as_bytes(), deep.len());
        assert!(ended.unwrap_err().contains("nested deeper than 64 levels"));
        let long = vec![b'x'; RECORD_LEN_MAX + 1];
        let (records, ended) = read(Format::None, &long, 1 << 20);
        assert!(records.is_empty());
        assert!(
            ended
                .unwrap_err()
                .starts_with("standard input, line 1: is longer than 8 MiB: xxx")
        );
    }

    proptest! {
        #[test]
        fn nothing_panics_and_pieces_do_not_matter(bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 1_usize..20) {
            for format in [Format::Json, Format::Msgpack, Format::None] {
                let (whole, ended) = read(format, &bytes, bytes.len().max(1));
                let (records, in_pieces) = read(format, &bytes, step);
                prop_assert_eq!((records, in_pieces.is_ok()), (whole, ended.is_ok()));
            }
        }
    }
}
