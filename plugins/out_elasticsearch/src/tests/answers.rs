//! Reading answers, and what is made of them.

use proptest::prelude::*;
use sdk::output::FailureKind::{
    Auth, Http4xx, Http5xx, Http429, Mapping, Protocol, Rejected, TooLarge,
};
use serde_json::json;

use crate::{
    bulk::{
        answer::{Answer, Garbage, Item, took_ms},
        item_error::{ItemError, refusal},
        judge::{
            ItemFate, RequestFate, Split, is_too_large, judge_item, judge_request, retry_after,
        },
    },
    config::{
        OpType,
        policy::{OnAuthError, OnConflict, OnMappingConflict, Policy},
    },
};

const OWN_IDS: Policy = Policy {
    op_type: OpType::Create,
    has_ids: true,
    on_auth_error: OnAuthError::Retry,
    on_conflict: OnConflict::Delivered,
    on_mapping_conflict: OnMappingConflict::DeadLetter,
};

fn read(body: &str, sent: usize) -> Result<Answer, Garbage> {
    Answer::read(body.as_bytes(), OpType::Create, sent)
}

#[test]
fn the_time_that_the_server_took_is_read_from_the_head() {
    for (body, expected) in [
        (r#"{"took":30,"errors":false,"items":[]}"#, Some(30)),
        (r#"{"errors":false,"took":0,"items":[]}"#, Some(0)),
        (r#"{"took":"x"}"#, None),
        (r#"{"errors":false}"#, None),
        (r#"{"took":99999999999}"#, None),
    ] {
        assert_eq!(took_ms(body.as_bytes()), expected, "{body}");
    }
}

#[test]
fn successes_are_seen_in_every_shape() {
    for body in [
        r#"{"errors":false,"took":3,"items":[{"create":{"status":201}},{"create":{"status":200}}]}"#,
        r#"{"took":3,"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}"#,
        r#"{"took":3,"ingest_took":9,"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}"#,
        r#"{"items":[{"create":{"status":201}},{"create":{"status":201}}],"errors":false}"#,
        r#" { "errors" : false, "items" : [ {"create":{"status":201}} ,{"index":{"status":201,"_id":"x"}}] } "#,
        r#"{"errors":false,"items":[{"index":{"status":201}},{"create":{"result":"noop","_version":-3,"status":200}}]}"#,
        "{\n  \"errors\": false\n}",
    ] {
        let answer = read(body, 2).unwrap();
        assert_eq!(answer.failed, [], "{body}");
    }
    assert_eq!(
        read(r#"{"errors":false,"took":0,"items":[]}"#, 0)
            .unwrap()
            .items,
        Some(0)
    );
}

#[test]
fn what_failed_is_kept_with_its_place() {
    let body = r#"{"errors":true,"took":3,"items":[{"create":{"status":201}},
        {"create":{"_index":"a","_id":null,"status":400,"error":{"type":"t","reason":"r","caused_by":{"type":"c","reason":"\"x\""}}}},
        {"create":{"error":"old servers write a sentence","status":503}},
        {"create":{}}]}"#;
    let error = |kind: &str, reason: &str, cause: &str| ItemError {
        kind: kind.into(),
        reason: reason.into(),
        cause: cause.into(),
    };
    let expected = [
        (
            1,
            Item {
                status: 400,
                error: error("t", "r", "c"),
            },
        ),
        (
            2,
            Item {
                status: 503,
                error: error("error", "old servers write a sentence", ""),
            },
        ),
        (3, Item::default()),
    ];
    assert_eq!(read(body, 4).unwrap().failed, expected);
}

#[test]
fn what_is_no_answer_is_refused() {
    for body in [
        "",
        "{}",
        "null",
        "[]",
        "<html>",
        r#"{"errors":true}"#,
        r#"{"errors":"false","items":[]}"#,
        r#"{"errors":false,"items":[{"create":{"status":201}}"#,
        r#"{"errors":false,"took":1,"items":[{"create":{"status":201}},]}"#,
        r#"{"errors":false,"took":1,"items":[{"create":{"status":201}}{"create":{"status":201}}]}"#,
        r#"{"errors":false,"items":[1]}"#,
    ] {
        assert_eq!(read(body, 1), Err(Garbage::NotBulk), "{body}");
    }
    let two = r#"{"errors":false,"took":1,"items":[{"create":{"status":201}},{"create":{"status":201}}]}"#;
    assert_eq!(read(two, 3), Err(Garbage::Count { got: 2, sent: 3 }));
}

#[test]
fn summaries_show_no_content() {
    let check = |reason: &str, expected: &str| {
        let error = ItemError {
            kind: "k".into(),
            reason: reason.into(),
            cause: "c".into(),
        };
        assert_eq!(
            error.summary(),
            format!("k{expected}, caused by c"),
            "{reason}"
        );
    };
    check(
        "[1:15] failed to parse field [n] of type [long] in document with id 'x'. Preview of field's value: 'geheim'",
        ": failed to parse field [n] of type [long]",
    );
    check(
        "object mapping for [a] tried to parse field [a] as object, but found a concrete value",
        ": object mapping for [a] tried to parse field [a] as object, but found a concrete value",
    );
    check(
        "Duplicate field 'geheim'\n at [Source: geheim]",
        ": Duplicate field",
    );
    check(
        "failed to parse date field [geheim] with format [x]",
        ": failed to parse",
    );
    check(
        "Numeric value (18446744073709551615) out of range",
        ": Numeric value",
    );
    check("For input string: \"geheim\"", ": For input string");
    check("", "");
    check(&"é".repeat(500), &format!(": {}", "é".repeat(200)));
}

#[test]
fn the_error_of_a_refused_request_is_read() {
    let body = json!({ "error": { "root_cause": [], "type": "t", "reason": "r" }, "status": 400 })
        .to_string();
    assert_eq!(refusal(body.as_bytes()).summary(), "t: r");
    for body in [
        "",
        "<html>",
        r#"{"Message":"Request size exceeded 10485760 bytes"}"#,
    ] {
        assert_eq!(refusal(body.as_bytes()), ItemError::default());
    }
}

#[test]
fn items_are_judged_as_the_table_says() {
    let retry = ItemFate::Retry;
    let reject = ItemFate::Reject;
    for (status, kind, expected) in [
        (200, "", ItemFate::Delivered),
        (
            409,
            "version_conflict_engine_exception",
            ItemFate::Duplicate,
        ),
        (404, "index_not_found_exception", retry(Http4xx)),
        (400, "index_closed_exception", retry(Http4xx)),
        (400, "mapper_parsing_exception", reject(Mapping)),
        (400, "document_parsing_exception", reject(Mapping)),
        (400, "strict_dynamic_mapping_exception", reject(Mapping)),
        (400, "illegal_argument_exception", reject(Mapping)),
        (400, "json_parse_exception", reject(Mapping)),
        (400, "x_content_parse_exception", reject(Mapping)),
        (400, "invalid_index_name_exception", reject(Rejected)),
        (403, "cluster_block_exception", retry(Http4xx)),
        (403, "security_exception", retry(Auth)),
        (413, "", reject(TooLarge)),
        (429, "es_rejected_execution_exception", retry(Http429)),
        (429, "rejected_execution_exception", retry(Http429)),
        (429, "cluster_block_exception", retry(Http429)),
        (500, "out_of_memory_error", retry(Http5xx)),
        (503, "unavailable_shards_exception", retry(Http5xx)),
        (0, "", retry(Protocol)),
    ] {
        let error = kind_of(kind);
        let fate = judge_item(status, &error, OWN_IDS);
        assert_eq!(fate, expected, "{status} {kind}");
    }
}

#[test]
fn items_are_judged_by_their_reasons_and_by_the_policy() {
    let (retry, reject) = (ItemFate::Retry, ItemFate::Reject);
    for reason in [
        "pipeline with id [a] does not exist",
        "Validation Failed: 1: this action would add [2] shards, but this cluster currently has [1000]/[1000] maximum normal shards open;",
    ] {
        let error = ItemError {
            reason: reason.into(),
            ..kind_of("illegal_argument_exception")
        };
        let fate = judge_item(400, &error, OWN_IDS);
        assert_eq!(fate, retry(Http4xx), "{reason}");
    }
    let too_large = ItemError {
        reason: "operation of size [9] exceeds the maximum allowed limit".into(),
        ..kind_of("es_rejected_execution_exception")
    };
    let fate = judge_item(429, &too_large, OWN_IDS);
    assert_eq!(fate, ItemFate::TooLargeTogether);
    let none = kind_of("");
    let no_ids = Policy {
        has_ids: false,
        ..OWN_IDS
    };
    assert_eq!(judge_item(0, &none, no_ids), reject(Protocol));
    let index = Policy {
        op_type: OpType::Index,
        ..OWN_IDS
    };
    assert_eq!(judge_item(409, &none, index), retry(Http4xx));
}

fn kind_of(kind: &str) -> ItemError {
    ItemError {
        kind: kind.into(),
        ..ItemError::default()
    }
}

#[test]
fn what_never_fits_is_told_from_what_does_not_fit_now() {
    let whole = |limit: &str, operation_bytes: u64, others: u64| ItemError {
        reason: format!(
            "rejected execution of coordinating operation [coordinating_and_primary_bytes={others}, replica_bytes=0, \
             all_bytes={others}, coordinating_operation_bytes={operation_bytes}, {limit}=1000]"
        ),
        ..kind_of("es_rejected_execution_exception")
    };
    // As of most versions, and of 8.19.21.
    for limit in [
        "max_coordinating_and_primary_bytes",
        "max_coordinating_bytes",
    ] {
        let seen = [(1001, 0), (1000, 0), (900, 200)]
            .map(|(own, others)| is_too_large(&whole(limit, own, others)));
        assert_eq!(seen, [true, false, false], "{limit}");
    }
    // Only what may fit later says that the server does not keep up.
    let item = |error| Item { status: 429, error };
    let limit = "max_coordinating_bytes";
    let answer = Answer {
        failed: vec![
            (0, item(whole(limit, 1001, 0))),
            (1, item(whole(limit, 9, 999))),
        ],
        ..Answer::default()
    };
    assert_eq!(answer.rejected(), 1);
}

#[test]
fn what_a_failure_store_did_is_counted() {
    let body = r#"{"errors":true,"took":1,"items":[
        {"create":{"status":201,"failure_store":"used"}},
        {"create":{"status":201,"failure_store":"not_enabled"}},
        {"create":{"status":201,"failure_store":7}},
        {"create":{"status":400,"failure_store":"failed","error":{"type":"t"}}}]}"#;
    let answer = read(body, 4).unwrap();
    assert_eq!((answer.failed.len(), answer.failure_store), (1, [1, 1]));
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let secs = |header: &str| retry_after(header, 1_764_000_000).map(|wait| wait.as_secs());
    assert_eq!(secs("2"), Some(2));
    assert_eq!(secs("86400"), Some(300));
    assert_eq!(secs("Mon, 24 Nov 2025 16:00:30 GMT"), Some(30));
    assert_eq!(secs("Mon, 24 Nov 2025 15:00:00 GMT"), Some(0));
    assert_eq!(secs("soon"), None);
}

proptest! {
    #[test]
    fn both_ways_of_reading_agree(
        statuses in prop::collection::vec(prop_oneof![9 => Just(201), 1 => Just(200), 1 => 400_u16..600], 0..40),
        order: bool,
    ) {
        let item = |status: &u16| match status {
            200..300 => format!(r#"{{"create":{{"status":{status}}}}}"#),
            _ => format!(r#"{{"create":{{"status":{status},"error":{{"type":"t"}}}}}}"#),
        };
        let items: Vec<String> = statuses.iter().map(item).collect();
        let items = items.join(",");
        let errors = statuses.iter().any(|status| *status >= 400);
        let head = if order {
            format!(r#""errors":{errors},"took":1"#)
        } else {
            format!(r#""took":1,"errors":{errors}"#)
        };
        let body = format!(r#"{{{head},"items":[{items}]}}"#);
        let answer = read(&body, statuses.len()).unwrap();
        let failed: Vec<_> = answer.failed.iter().map(|(place, item)| (*place, item.status)).collect();
        let expected: Vec<_> = statuses.iter().copied().enumerate().filter(|(_, status)| *status >= 400).collect();
        prop_assert_eq!(failed, expected);
        // The same with spaces takes the slow way.
        let spaced = body.replace("\"items\":", "\"items\": ");
        prop_assert_eq!(read(&spaced, statuses.len()), Ok(answer));
        // Cut anywhere, it is no answer.
        let cut = body.get(..body.len() - 1).unwrap();
        prop_assert!(read(cut, statuses.len()).is_err());
    }

    #[test]
    fn no_bytes_upset_the_reader(bytes: Vec<u8>) {
        prop_assert!(Answer::read(&bytes, OpType::Index, 1).is_err());
    }
}

#[test]
fn a_body_that_was_damaged_on_its_way_is_not_the_fault_of_a_document() {
    let said = |reason: &str| {
        let error = json!({ "error": { "type": "illegal_argument_exception", "reason": reason } });
        judge_request(400, &refusal(error.to_string().as_bytes()))
    };
    for reason in [
        "The bulk request must be terminated by a newline [\\n]",
        "request body is required",
    ] {
        assert_eq!(said(reason), RequestFate::Later(Http4xx), "{reason}");
    }
    let long_id = said("id [x] is too long, must be no longer than 512 bytes but was: 600");
    assert_eq!(long_id, RequestFate::Divide(Split::Document));
}
