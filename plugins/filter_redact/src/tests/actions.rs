//! What takes the place of a value, and what is left of its field.

use sdk::msgpack::RawValue;

use super::*;

const KEY: &str = "not a real key, but long";

#[test]
fn a_value_is_masked_by_default() {
    assert_eq!(
        text(json!({}), "to alice@example.com ok"),
        "to [REDACTED:email] ok"
    );
}

#[test]
fn the_last_characters_may_stay_but_never_more_than_a_third() {
    let params = json!({ "actions": { "credit_card": { "keep_last": 4 }, "assignment": { "keep_last": 9 } } });
    assert_eq!(
        text(params.clone(), "card 4111 1111 1111 1111 ok"),
        "card ********1111 ok"
    );
    assert_eq!(
        text(params.clone(), "password=hunter2"),
        "password=********r2"
    );
    assert_eq!(
        text(params, "password=ab"),
        "password=[REDACTED:assignment]"
    );
}

#[test]
fn the_same_value_has_the_same_hash_however_it_is_written_and_another_under_another_key() {
    let params = |key: &str| json!({ "action": "hash", "key": key, "key_id": "k1" });
    let one = text(params(KEY), "card 4111 1111 1111 1111");
    assert!(
        one.starts_with("card hash_credit_card_k1_") && one.len() == 25 + 32,
        "{one}"
    );
    assert_eq!(one, text(params(KEY), "card 4111-1111-1111-1111"));
    assert_ne!(
        one,
        text(
            params("another key, as long as it"),
            "card 4111111111111111"
        )
    );
    assert_eq!(
        text(params(KEY), "Alice@Example.com"),
        text(params(KEY), "alice@example.com")
    );
}

#[test]
fn a_token_has_one_length_and_one_alphabet() {
    let params = json!({ "action": "tokenize", "key": KEY });
    for value in ["a@example.com", "a.much.longer.address@mail.example.org"] {
        let token = text(params.clone(), value);
        let tail = token.strip_prefix("tok_email_").unwrap();
        assert_eq!(tail.len(), 16);
        assert!(
            tail.bytes()
                .all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte))
        );
    }
}

#[test]
fn drop_removes_the_field_or_the_item_that_holds_the_value() {
    let record =
        json!({ "a": { "b": "x@example.com", "c": [1, "y@example.com", 2] }, "d": "stays" });
    let expected = json!({ "a": { "c": [1, 2] }, "d": "stays" });
    assert_eq!(redacted(json!({ "action": "drop" }), &record), expected);
    let record =
        json!({ "a": 1, "password": { "old": ["x", "y"], "new": "z" }, "z": "x@example.com" });
    assert_eq!(
        redacted(json!({ "action": "drop" }), &record),
        json!({ "a": 1 })
    );
}

#[test]
fn drop_event_takes_the_event_out() {
    let params = json!({ "actions": { "kr_rrn": { "action": "drop_event" } } });
    let applied = run(params.clone(), &json!({ "log": "born 210515-3123456" }));
    assert_eq!((applied.batch.count, applied.counts[0].dropped), (0, 1));
    assert_eq!(
        run(params, &json!({ "log": "to a@example.com" }))
            .batch
            .count,
        1
    );
}

#[test]
fn fields_are_known_by_their_names_at_any_depth() {
    let record = json!({
        "Password": "a b", "db": [{ "user-password": 1234, "apiKey": "k1", "API_KEY": "k2", "x-api-key": "k3" }],
        "Set-Cookie": ["a=1", "b=2"], "token": null, "access_token": "", "cookies": "stay", "passwords": 3, "secret": true,
        "authorization": { "scheme": "none of yours" },
    });
    let gone = "[REDACTED:field]";
    let expected = json!({
        "Password": gone, "db": [{ "user-password": gone, "apiKey": gone, "API_KEY": gone, "x-api-key": gone }],
        "Set-Cookie": [gone, gone], "token": null, "access_token": "", "cookies": "stay", "passwords": 3, "secret": true,
        "authorization": { "scheme": gone },
    });
    assert_eq!(redacted(json!({}), &record), expected);
    assert_eq!(
        redacted(json!({ "keys": [], "detect": "email" }), &record),
        record
    );
    let own = json!({ "fields": 1 });
    assert_eq!(
        redacted(json!({ "keys": ["*ield*"] }), &own),
        json!({ "fields": gone })
    );
    assert_eq!(
        redacted(json!({ "keys": ["id"] }), &json!({ "x": { "ID": "a" } })),
        json!({ "x": { "ID": gone } })
    );
}

#[test]
fn what_is_allowed_is_left_alone_with_all_below_it() {
    let mail = "a@example.com";
    let record = json!({ "k": { "owner": mail, "token": "x" }, "list": [mail, mail], "log": mail });
    let params = json!({ "allow": ["$.k", "$.list[1]"] });
    let gone = "[REDACTED:email]";
    let expected =
        json!({ "k": { "owner": mail, "token": "x" }, "list": [gone, mail], "log": gone });
    assert_eq!(redacted(params, &record), expected);
}

#[test]
fn own_patterns_have_a_name_and_an_action() {
    let params = json!({
        "detect": [], "keys": [], "key": KEY,
        "pattern": [
            { "name": "employee", "pattern": "EMP-[0-9]{6}" },
            { "name": "room", "pattern": "/room [a-z]/i", "action": "tokenize" },
        ],
    });
    let found = text(params.clone(), "EMP-123456 in Room B");
    assert!(
        found.starts_with("[REDACTED:employee] in tok_room_"),
        "{found}"
    );
    assert_eq!(text(params, "EMP-12"), "EMP-12");
}

#[test]
fn an_integer_that_is_a_card_becomes_text_and_others_stay() {
    let record = json!({ "pan": 4_111_111_111_111_111_u64, "id": 4_111_111_111_111_112_u64, "t": 1_764_000_000_123_u64 });
    let expected = json!({ "pan": "[REDACTED:credit_card]", "id": 4_111_111_111_111_112_u64, "t": 1_764_000_000_123_u64 });
    assert_eq!(redacted(json!({}), &record), expected);
}

#[test]
fn keys_and_numbers_of_the_record_stay() {
    let record = json!({ "alice@example.com": { "4111111111111111": 1.5 }, "n": -3 });
    let applied = run(json!({}), &record);
    assert_eq!(records(&applied.batch.events), [record]);
}

#[test]
fn values_are_counted_by_detector_from_zero_on() {
    let cx = BuildCx::detached("test");
    let filter = build(
        json!({ "pattern": { "name": "own", "pattern": "zzz" } }),
        &cx,
    )
    .unwrap();
    assert!(
        cx.metrics
            .encode()
            .contains("weir_redactions_total{detector=\"own\"} 0")
    );
    apply(
        filter,
        "app",
        &[json!({ "log": "a@example.com b@example.com", "password": "x", "z": "zzz" })],
    );
    let text = cx.metrics.encode();
    for (name, count) in [("email", 2), ("field", 1), ("own", 1), ("jwt", 0)] {
        let line = format!("weir_redactions_total{{detector=\"{name}\"}} {count}\n");
        assert!(text.contains(&line), "{line} not in {text}");
    }
    assert!(
        !text.contains("ipv6"),
        "a detector that is off has no series"
    );
}

/// Fluent Bit's metadata beside the record is stored too.
#[test]
fn metadata_is_redacted_as_the_record_is() {
    use sdk::{
        event::{Batch, Chain, Entries, Tag, Time},
        msgpack::write,
        obligation::Obligation,
        testing::to_json,
    };
    let mut events = Vec::new();
    write::array(&mut events, 2);
    write::array(&mut events, 2);
    Time::from_secs(1).write(&mut events);
    write::json(&mut events, &json!({ "user": "a@example.com" }));
    write::json(&mut events, &json!({ "log": "plain" }));
    let batch = Batch::new(Tag::new("a"), events.into(), 1, Obligation::nobody());
    let applied = Chain::new(vec![filter(json!({}))]).apply(batch);
    let event = Entries::new(&applied.batch.events).next().unwrap().unwrap();
    assert_eq!(
        event.metadata.map(to_json),
        Some(json!({ "user": "[REDACTED:email]" }))
    );
    assert_eq!(to_json(event.record), json!({ "log": "plain" }));
}

/// Bytes are looked at as text is, and stay bytes.
#[test]
fn bytes_are_redacted_and_stay_bytes() {
    use sdk::msgpack::write;
    let (mut record, mut out) = (Vec::new(), Vec::new());
    write::map(&mut record, 1);
    write::str(&mut record, "b");
    write::bin(&mut record, b"\xff a@example.com");
    let redact = redact(json!({}));
    let mut places = Vec::new();
    redact.scan.record(&record, &mut places);
    crate::walk::Walk::new(&redact, RawValue::parse(&record).unwrap(), &places).run(&mut out);
    let mut expected = Vec::new();
    write::map(&mut expected, 1);
    write::str(&mut expected, "b");
    write::bin(&mut expected, b"\xff [REDACTED:email]");
    assert_eq!(out, expected);
}

#[test]
fn mistakes_are_found_at_their_places() {
    let paths = |params: Value| -> Vec<String> {
        refused(params)
            .into_iter()
            .map(|error| error.path)
            .collect()
    };
    assert_eq!(
        paths(json!({ "detect": ["email", "e-mail"] })),
        ["/detect/1"]
    );
    assert_eq!(
        paths(json!({ "keys": ["a*b", "x"] })),
        ["/keys/0", "/keys/1"]
    );
    assert_eq!(paths(json!({ "action": "hash" })), [""]);
    assert_eq!(paths(json!({ "action": "hash", "key": "short" })), ["/key"]);
    assert_eq!(
        paths(json!({ "actions": { "emil": {} } })),
        ["/actions/emil"]
    );
    assert_eq!(
        paths(json!({ "pattern": { "name": "email", "pattern": "x" } })),
        ["/pattern/0/name"]
    );
    assert_eq!(paths(json!({ "detect": [], "keys": [] })), [""]);
    assert_eq!(paths(json!({ "key_id": "k 1" })), ["/key_id"]);
    let shown = format!(
        "{:?}",
        refused(json!({ "action": "hash", "key": "s3cret" }))
    );
    assert!(!shown.contains("s3cret"), "{shown}");
}
