//! A forward client for what no real client does: exact bytes, held-back acknowledgements, broken messages.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use rmpv::Value;

/// One connection.
pub(crate) struct Sender(pub(crate) TcpStream);

impl Sender {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the forward port answers");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self(stream)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the router reads");
    }

    /// Reads exactly the acknowledgement of `chunk`.
    #[track_caller]
    pub(crate) fn expect_ack(&mut self, chunk: &str) {
        let expected = encode(&Value::Map(vec![("ack".into(), chunk.into())]));
        let mut answer = vec![0; expected.len()];
        self.0.read_exact(&mut answer).expect("an acknowledgement");
        assert_eq!(answer, expected);
    }

    /// Whether the other side closes within the timeout, after any bytes it still sends.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// Encodes a value.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).expect("writing to a vector");
    out
}

/// An entry `[time, record]` of JSON.
pub(crate) fn entry(secs: u32, record: &serde_json::Value) -> Vec<u8> {
    let mut time = secs.to_be_bytes().to_vec();
    time.extend_from_slice(&7_u32.to_be_bytes());
    encode(&Value::Array(vec![Value::Ext(0, time), from_json(record)]))
}

/// A `PackedForward` message; with `chunk` it asks for an acknowledgement.
pub(crate) fn packed(tag: &str, entries: &[u8], chunk: Option<&str>) -> Vec<u8> {
    let mut option = vec![("size".into(), 1.into())];
    option.extend(chunk.map(|chunk| ("chunk".into(), chunk.into())));
    let parts = vec![
        tag.into(),
        Value::Binary(entries.to_vec()),
        Value::Map(option),
    ];
    encode(&Value::Array(parts))
}

/// `count` records `{"n": first}`, `{"n": first + 1}` and so on, as entries back to back.
pub(crate) fn numbered(first: u64, count: u64) -> Vec<u8> {
    let record = |n| entry(1_764_000_000, &serde_json::json!({ "n": n }));
    (first..first + count).flat_map(record).collect()
}

fn from_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(truth) => (*truth).into(),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            _ => number.as_f64().unwrap_or_default().into(),
        },
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(items) => Value::Array(items.iter().map(from_json).collect()),
        serde_json::Value::Object(pairs) => Value::Map(
            pairs
                .iter()
                .map(|(key, value)| (key.as_str().into(), from_json(value)))
                .collect(),
        ),
    }
}
