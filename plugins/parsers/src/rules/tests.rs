//! Types of fields against Ruby, and complaints about parameters.

use proptest::prelude::*;
use sdk::{msgpack::RawValue, testing::to_json};
use serde_json::{Value, json};

use super::*;
use crate::testing::{check, cx, try_parser};

#[track_caller]
fn converted(kind: &str, text: &str, expected: &Value) {
    let mut out = Vec::new();
    Convert::compile(kind, &Zone::UTC, &cx())
        .unwrap()
        .write(&mut out, text.as_bytes());
    assert_eq!(
        &to_json(RawValue::parse(&out).unwrap()),
        expected,
        "{kind} of {text:?}"
    );
}

/// The expected values are what Ruby 3 gives.
#[test]
fn types_are_read_as_ruby_does() {
    converted("string", "12", &json!("12"));
    converted("integer", "12abc", &json!(12));
    converted("integer", " -12", &json!(-12));
    converted("integer", "abc", &json!(0));
    converted("integer", "", &json!(0));
    converted("integer", "18446744073709551615", &json!(u64::MAX));
    converted("integer", "-9223372036854775808", &json!(i64::MIN));
    converted(
        "integer",
        "18446744073709551616",
        &json!(18_446_744_073_709_551_616.0),
    );
    converted("float", "1.5ms", &json!(1.5));
    converted("float", "-2e3x", &json!(-2000.0));
    converted("float", "1.", &json!(1.0));
    converted("float", ".5", &json!(0.5));
    converted("float", "x", &json!(0.0));
    converted("bool", "Yes", &json!(true));
    converted("bool", "1", &json!(true));
    converted("bool", "on", &json!(false));
    converted("array", "a,b,,c,,", &json!(["a", "b", "", "c"]));
    converted("array: ", "a b", &json!(["a", "b"]));
    converted("array", "", &json!([]));
}

#[test]
fn a_field_can_be_a_time_of_its_own() {
    let of = |kind: &str, text: &str| {
        let mut out = Vec::new();
        Convert::compile(kind, &Zone::UTC, &cx())
            .unwrap()
            .write(&mut out, text.as_bytes());
        Time::from_token(RawValue::parse(&out).unwrap().token()).ok()
    };
    assert_eq!(of("time", "1970-01-01T00:00:09Z"), Some(Time::from_secs(9)));
    assert_eq!(
        of("time:%d/%b/%Y:%T", "01/Jan/1970:00:01:00"),
        Some(Time::from_secs(60))
    );
    assert_eq!(of("time:+01:00:%F", "1970-01-02"), None);
    assert_eq!(
        of("time:Asia/Seoul:%F", "1970-01-02"),
        Some(Time::from_secs(15 * 3600))
    );
    assert_eq!(of("time:unixtime", "5"), Some(Time::from_secs(5)));
    assert_eq!(of("time", "never"), None);
}

#[test]
fn every_parameter_that_cannot_be_is_named() {
    let paths = |table: Value| -> Vec<String> {
        let errors = try_parser(table).err().unwrap();
        errors.into_iter().map(|error| error.path).collect()
    };
    assert_eq!(
        paths(json!({ "type": "json", "time_format": "%K", "types": "a:number,b:float" })),
        ["/time_format", "/types"]
    );
    assert_eq!(
        paths(json!({ "type": "json", "time_type": "mixed" })),
        ["/time_type"]
    );
    let fallback = json!({ "type": "json", "time_format": "%s", "time_format_fallbacks": ["%"] });
    assert_eq!(paths(fallback), ["/time_format_fallbacks"]);
}

#[test]
fn types_are_a_text_or_a_table() {
    let line = r#"{"a":"1","b":"2.5"}"#;
    for types in [
        json!("a:integer, b:float"),
        json!({ "a": "integer", "b": "float" }),
    ] {
        check(
            json!({ "type": "json", "types": types }),
            line,
            "",
            json!({ "a": 1, "b": 2.5 }),
        );
    }
}

#[test]
fn the_zone_is_the_named_one_or_utc_or_the_local_one() {
    let line = r#"{"time":"2024-01-01 00:00:00"}"#;
    for params in [
        json!({ "timezone": "+09:00" }),
        json!({ "timezone": "+09:00", "utc": true }),
    ] {
        let mut table = json!({ "type": "json" });
        table
            .as_object_mut()
            .unwrap()
            .extend(params.as_object().unwrap().clone());
        check(table, line, "2023-12-31T15:00:00Z", json!({}));
    }
    check(
        json!({ "type": "json", "utc": true }),
        line,
        "2024-01-01T00:00:00Z",
        json!({}),
    );
    check(
        json!({ "type": "json", "localtime": false }),
        line,
        "2024-01-01T00:00:00Z",
        json!({}),
    );
}

proptest! {
    #[test]
    fn no_text_makes_a_type_panic(text in prop::collection::vec(any::<u8>(), 0..40)) {
        for kind in ["string", "integer", "float", "bool", "time", "array:ab"] {
            let mut out = Vec::new();
            Convert::compile(kind, &Zone::UTC, &cx()).unwrap().write(&mut out, &text);
            prop_assert!(RawValue::parse(&out).is_ok());
        }
    }

    #[test]
    fn integers_are_read_back(number: i64) {
        let mut out = Vec::new();
        Convert::Integer.write(&mut out, number.to_string().as_bytes());
        prop_assert_eq!(to_json(RawValue::parse(&out).unwrap()), json!(number));
    }
}
