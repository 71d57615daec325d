//! Connections that speak JSON.

use super::*;

/// What each message came to: tag, events and acknowledgement, however the bytes are cut.
#[track_caller]
fn check(text: &str, expected: &[(&str, &[&str], Option<&str>)]) {
    let bytes = text.as_bytes();
    let expected: Vec<_> = expected
        .iter()
        .map(|(tag, events, ack)| {
            let events: Vec<String> = events.iter().map(ToString::to_string).collect();
            (
                (*tag).to_owned(),
                events,
                ack.map(|ack| hex(ack.as_bytes())),
            )
        })
        .collect();
    let found = |outcome: Outcome| {
        assert_eq!((outcome.error, outcome.is_clean), (None, true));
        let seen = gathered(outcome).seen.into_iter();
        seen.map(|seen| (seen.tag.unwrap_or_default(), seen.events, seen.ack))
            .collect::<Vec<_>>()
    };
    for at in 0..=bytes.len() {
        let (front, back) = bytes.split_at(at);
        assert_eq!(
            found(decode(Limits::default(), [front, back])),
            expected,
            "cut at {at}"
        );
    }
    assert_eq!(found(decode(Limits::default(), bytes.chunks(1))), expected);
}

#[test]
fn messages_are_those_of_messagepack_and_acknowledged_in_json() {
    check(
        r#"["t",1700000001,{"m":1},{"chunk":"j"}]"#,
        &[(
            "t",
            &["1700000001.000000000 {\"m\":1}"],
            Some(r#"{"ack":"j"}"#),
        )],
    );
    check(
        "[\"t\",1700000001,{\"m\":1},{\"chunk\":\"j1\"}]\n[\"t\",[[1,{\"a\":[true,null,-1,\"\u{20ac}\"]}],[2,{}]],{\"chunk\":7}]\r\n",
        &[
            (
                "t",
                &["1700000001.000000000 {\"m\":1}"],
                Some(r#"{"ack":"j1"}"#),
            ),
            (
                "t",
                &[
                    "1.000000000 {\"a\":[true,null,-1,\"\u{20ac}\"]}",
                    "2.000000000 {}",
                ],
                Some(r#"{"ack":7}"#),
            ),
        ],
    );
}

#[test]
fn floats_comments_and_keys_that_occur_twice_are_taken() {
    check(
        "[\"t\", 1700000001.25, /* a * / comment **/ {\"m\": 1, \"m\": 2, // another, with a \"\n \"/*\": \"//\\\"/*\"}] // the end\n",
        &[(
            "t",
            &["1700000001.250000000 {\"m\":2,\"/*\":\"//\\\"/*\"}"],
            None,
        )],
    );
}

#[test]
fn what_is_no_message_is_passed_over_and_the_rest_is_taken() {
    let outcome = decode(Limits::default(), [&b"{\"a\":1}[\"t\",1,{\"m\":1}][]"[..]]);
    assert_eq!((outcome.strays, outcome.error), (1, None));
    let outcome = gathered(outcome);
    assert_eq!(outcome.seen[0].events, ["1.000000000 {\"m\":1}"]);
    assert_eq!(outcome.seen[1].flaws, [("message".to_owned(), 1)]);
}

#[test]
fn a_value_is_held_up_to_a_limit_only() {
    let limits = Limits {
        part_bytes: 1000,
        ..Limits::default()
    };
    let text = format!("[\"t\",1,{{\"m\":\"{}\"}}]", "x".repeat(2000));
    let outcome = decode(limits, text.as_bytes().chunks(7));
    assert_eq!(
        outcome.error,
        Some(ProtocolError::TooLarge { limit_bytes: 1000 })
    );
    assert!(!decode(Limits::default(), [&b"[\"t\",1"[..]]).is_clean);
}
