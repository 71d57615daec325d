//! Texts that are made to cost time: each takes what its length says.

use std::time::{Duration, Instant};

use super::*;

const MIB: usize = 1 << 20;
/// Far above what a pass over a mebibyte takes, far below what its square takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a detector may look at for long when it is repeated.
const BEGINNINGS: [&str; 62] = [
    "@",
    "a@",
    "a@a",
    "a@a.a@",
    "a@a.",
    "://a:",
    "://a:b@",
    "eyJ",
    "eyJ.",
    "eyJhbGciOiJIUzI1NiJ9.",
    "1",
    "1-",
    "1 ",
    "4111 ",
    "4111111111111111",
    "41111111111111111111 ",
    "010-",
    "+82 ",
    "(",
    "0.",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\nAAAAAAAAAAAAAAAAAAAA",
    "-----END ",
    "password",
    "password=",
    "password='",
    "password=\\\"",
    "\"password\":\"\\",
    "password = ",
    "passwordpassword.",
    "authorization: ",
    "authorization: digest ",
    "Authorization: \"Digest '",
    "bearer ",
    "bearer a1",
    "basic ",
    "Basic dTpw",
    "AKIA",
    "ghp_",
    "xoxb-",
    "xoxe",
    "AIza",
    "sk_live_",
    "whsec_",
    "slack.com/services/T",
    "GB29 ",
    "GB29",
    "DE89 3704 0044 ",
    ":",
    "a:",
    "::",
    "1:",
    "\\",
    "\\\\\"",
    "M123A",
    "1.2.3.",
    "secret_access_key=",
    "\\n",
    "[REDACTED:",
    "%3D",
    "token:\\\\\\",
];

#[test]
fn a_mebibyte_of_any_beginning_takes_linear_time() {
    let filter = filter(json!({ "detect": "all" }));
    for part in BEGINNINGS {
        let text = part.repeat(MIB / part.len());
        let began = Instant::now();
        let applied = apply(Arc::clone(&filter), "app", &[json!({ "log": text })]);
        let took = began.elapsed();
        assert_eq!(applied.batch.count, 1);
        if took > Duration::from_millis(200) {
            println!("{part:?}: {took:?}");
        }
        assert!(took < PATIENCE, "{part:?} took {took:?}");
    }
}

#[test]
fn a_value_at_the_end_of_a_long_text_is_found() {
    let long = format!("{} alice@example.com", "x ".repeat(MIB / 2));
    let found = text(json!({}), &long);
    assert!(found.ends_with(" [REDACTED:email]"));
}

#[test]
fn the_deepest_record_is_looked_at() {
    let mut value = json!("a@example.com");
    for _ in 0..62 {
        value = json!([value]);
    }
    let mut found = redacted(json!({}), &json!({ "deep": value }))["deep"].clone();
    while let Some(inner) = found.get(0) {
        found = inner.clone();
    }
    assert_eq!(found, json!("[REDACTED:email]"));
}

#[test]
fn thousands_of_fields_that_are_dropped_take_linear_time() {
    let items: Vec<_> = (0..100_000).map(|_| json!({ "password": "x" })).collect();
    let began = Instant::now();
    let found = redacted(json!({ "action": "drop" }), &json!({ "list": items }));
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(found["list"][99_999], json!({}));
}
