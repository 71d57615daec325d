//! `json` against `serde_json`, and on lines as they occur.

use proptest::prelude::*;
use sdk::{
    event::Time,
    msgpack::{DEPTH_MAX, RawValue},
    testing::to_json,
};
use serde_json::{Map, Value, json};

use crate::testing::{check, parse, parser, refused};

fn plain() -> Value {
    json!({ "type": "json" })
}

#[test]
fn real_lines_are_read() {
    check(
        plain(),
        r#"{"level":"info","ts":1700000000.25,"msg":"started","port":8080,"tls":false}"#,
        "",
        json!({ "level": "info", "ts": 1_700_000_000.25, "msg": "started", "port": 8080, "tls": false }),
    );
    check(
        plain(),
        r#"{"time":"2024-02-29T12:00:00.123456789Z","level":"INFO","msg":"slog","n":-3}"#,
        "2024-02-29T12:00:00.123456789Z",
        json!({ "level": "INFO", "msg": "slog", "n": -3 }),
    );
    check(
        plain(),
        r#"{"level":30,"time":1700000000000,"pid":1,"hostname":"a","msg":"pino counts milliseconds"}"#,
        "2023-11-14T22:13:20Z",
        json!({ "level": 30, "pid": 1, "hostname": "a", "msg": "pino counts milliseconds" }),
    );
    check(
        json!({ "type": "json", "time_key": "ts", "time_format": "%Y-%m-%dT%H:%M:%S.%L%z", "keep_time_key": true }),
        r#"{"ts":"2024-02-29T12:00:00.5+0100","logger":"zap","stacktrace":"a\n\tb \"c\" \u00e9 \ud83d\ude00"}"#,
        "2024-02-29T11:00:00.5Z",
        json!({ "ts": "2024-02-29T12:00:00.5+0100", "logger": "zap", "stacktrace": "a\n\tb \"c\" \u{e9} \u{1f600}" }),
    );
    check(
        json!({ "type": "json", "types": { "code": "integer", "tags": "array:|", "ok": "bool" } }),
        r#"{"code":"200","tags":"a|b","ok":"yes","other":"1"}"#,
        "",
        json!({ "code": 200, "tags": ["a", "b"], "ok": true, "other": "1" }),
    );
    check(
        json!({ "type": "json", "null_empty_string": true, "null_value_pattern": "^-$" }),
        r#" { "a" : "" , "b" : "-" , "c" : [ 1 , { } ] } "#,
        "",
        json!({ "a": null, "b": null, "c": [1, {}] }),
    );
}

#[test]
fn a_field_called_time_need_not_be_one_unless_it_is_asked_for() {
    let line = r#"{"time":"after lunch"}"#;
    check(plain(), line, "", json!({ "time": "after lunch" }));
    let reason = refused(json!({ "type": "json", "time_key": "time" }), line);
    assert!(reason.contains("time_key"), "{reason}");
    assert!(!reason.contains("lunch"), "{reason}");
}

#[test]
fn a_text_that_is_no_object_is_refused_with_its_place() {
    let cases = [
        ("", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ("plain text", "not a JSON object"),
        ("{\"a\":1", "byte 6"),
        ("{\"a\":1}{", "more text"),
        ("{\"a\" 1}", "colon"),
        ("{\"a\":01}", "begin"),
        ("{\"a\":1,}", "comma"),
        ("{\"a\":\"\\x\"}", "escape"),
        ("{\"a\":\"b\nc\"}", "control"),
        ("{\"a\":1e999}", "range"),
        ("{a:1}", "quotes"),
        ("{\"a\":nul}", "byte 5"),
    ];
    for (text, part) in cases {
        let reason = refused(plain(), text);
        assert!(reason.contains(part), "{text}: {reason}");
    }
}

#[test]
fn numbers_keep_all_they_can() {
    let text = "{\"a\":18446744073709551615,\"b\":-9223372036854775808,\"c\":18446744073709551616,\"d\":-0,\
        \"e\":0.1,\"f\":1E-2,\"g\":-9223372036854775809}";
    let expected: Value = serde_json::from_str(text).unwrap();
    check(plain(), text, "", expected);
}

#[test]
fn nesting_ends_where_that_of_a_record_ends() {
    let nested = |levels: usize| {
        let inner = levels - 1;
        format!("{{\"a\":{}1{}}}", "[".repeat(inner), "]".repeat(inner))
    };
    assert!(parse(&*parser(plain()), nested(DEPTH_MAX).as_bytes()).is_ok());
    let reason = refused(plain(), &nested(DEPTH_MAX + 1));
    assert!(reason.contains("nested"), "{reason}");
    let deep = format!("{{\"a\":{}", "[".repeat(1 << 20));
    assert!(refused(plain(), &deep).contains("nested"));
}

#[test]
fn bytes_that_are_not_utf_8_and_half_characters_get_through() {
    let mut record = Vec::new();
    parser(plain())
        .parse(b"{\"a\":\"x\xff\",\"b\":\"\\ud800!\"}", &mut record)
        .unwrap();
    let record = RawValue::parse(&record).unwrap();
    assert_eq!(record.get(b"a").unwrap().as_bytes(), Some(&b"x\xff"[..]));
    assert_eq!(record.get(b"b").unwrap().as_str(), Some("\u{fffd}!"));
}

#[test]
fn keys_that_occur_twice_come_as_they_are() {
    let mut record = Vec::new();
    parser(plain())
        .parse(b"{\"a\":1,\"a\":2}", &mut record)
        .unwrap();
    assert_eq!(record, [0x82, 0xa1, b'a', 1, 0xa1, b'a', 2]);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no others", |float| float.is_finite())
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~\\\\\"\\n\\t\u{0}-\u{20}]{0,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            pairs(inner).prop_map(Value::from),
        ]
    })
}

fn pairs(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((any::<String>(), value), 0..20)
        .prop_map(|pairs| pairs.into_iter().collect())
}

proptest! {
    #[test]
    fn what_serde_json_writes_is_read_back(record in pairs(value()), pretty: bool) {
        let text = if pretty { serde_json::to_vec_pretty(&record) } else { serde_json::to_vec(&record) }.unwrap();
        let no_time = parser(json!({ "type": "json", "time_key": "\u{1}no such key" }));
        prop_assert_eq!(parse(&*no_time, &text), Ok((None, Value::from(record))));
    }

    /// What is valid here is valid there and the other way round, but for half characters and bytes that are not
    /// UTF-8, which only pass here.
    #[test]
    fn what_is_accepted_is_what_serde_json_accepts(text in "[\\[\\]{}:,\"\\\\ untrfalse0-9eE.+-]{0,24}") {
        let text = format!("{{\"k\":{text}}}");
        let ours = parse(&*parser(plain()), text.as_bytes());
        match serde_json::from_str::<Map<String, Value>>(&text) {
            Ok(map) => {
                let seen = ours.unwrap().1;
                // Its floats may be off by the last bit.
                prop_assert!(text.contains(['.', 'e', 'E']) || seen == Value::from(map), "{}", seen);
            }
            Err(error) => prop_assert!(ours.is_err() || error.to_string().contains("surrogate"), "{}", error),
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let parser = parser(plain());
        let mut record = Vec::new();
        let _any: Result<Option<Time>, _> = parser.parse(&bytes, &mut record);
        let mut object = b"{\"a\":\"".to_vec();
        object.extend_from_slice(&bytes);
        record.clear();
        if parser.parse(&object, &mut record).is_ok() {
            to_json(RawValue::parse(&record).unwrap());
        }
    }
}
