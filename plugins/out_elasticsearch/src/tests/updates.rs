//! Updates, upserts and deletions: their lines, and what becomes of records that cannot be one.

use super::*;

const LINE: &str = r#"{"update":{"_index":"logs-1970.01.01","retry_on_conflict":3,"_id":"a"}}"#;

pub(super) fn parameters(op_type: &str, more: &Value) -> Value {
    let mut params = json!({
        "op_type": op_type, "id_key": "id", "include_timestamp": false, "index": "logs-%Y.%m.%d"
    });
    let more = more.as_object().unwrap().clone();
    params.as_object_mut().unwrap().extend(more);
    params
}

/// The body for one record.
async fn body(op_type: &str, more: &Value, record: &Value) -> String {
    let server = Server::start().await;
    let output = output(&[server.url()], &parameters(op_type, more));
    let frame = frame(7, "app", std::slice::from_ref(record));
    assert_eq!(write(&output, &[frame]).await, Outcome::Delivered);
    let [request] = server.requests().try_into().unwrap();
    String::from_utf8(request.body).unwrap()
}

/// The line behind the action line.
async fn document(op_type: &str, more: &Value, record: &Value) -> String {
    let body = body(op_type, more, record).await;
    let (action, document) = body.split_once('\n').unwrap();
    assert_eq!(action, LINE);
    document.strip_suffix('\n').unwrap().to_owned()
}

#[tokio::test]
async fn the_lines_of_each_operation() {
    let record = json!({ "id": "a", "n": 1 });
    let none = json!({});
    assert_eq!(
        body("update", &none, &record).await,
        format!("{LINE}\n{}\n", r#"{"doc":{"id":"a","n":1}}"#)
    );
    assert_eq!(
        body("upsert", &none, &record).await,
        format!(
            "{LINE}\n{}\n",
            r#"{"doc":{"id":"a","n":1},"doc_as_upsert":true}"#
        )
    );
    assert_eq!(
        body("delete", &none, &record).await,
        "{\"delete\":{\"_index\":\"logs-1970.01.01\",\"_id\":\"a\"}}\n"
    );
    let more = json!({ "retry_on_conflict": 0, "routing_key": "n" });
    assert_eq!(
        body("update", &more, &record).await,
        "{\"update\":{\"_index\":\"logs-1970.01.01\",\"retry_on_conflict\":0,\"_id\":\"a\",\"routing\":\"1\"}}\n\
         {\"doc\":{\"id\":\"a\",\"n\":1}}\n"
    );
}

#[tokio::test]
async fn time_and_tag_are_added_to_what_an_update_changes() {
    let more = json!({ "include_timestamp": true, "include_tag_key": true });
    assert_eq!(
        document("upsert", &more, &json!({ "id": "a" })).await,
        r#"{"doc":{"@timestamp":"1970-01-01T00:00:00.000000000Z","tag":"app","id":"a"},"doc_as_upsert":true}"#
    );
}

#[tokio::test]
async fn an_unwrapped_record_is_the_whole_body() {
    let script = json!({ "_source": true, "id": "a", "script": { "source": "x" } });
    for op_type in ["update", "upsert"] {
        // A server refuses a field that it does not know in the body of an update.
        let more =
            json!({ "suppress_doc_wrap": true, "include_timestamp": true, "remove_keys": "id" });
        assert_eq!(
            document(op_type, &more, &script).await,
            r#"{"_source":true,"script":{"source":"x"}}"#
        );
    }
}

#[tokio::test]
async fn an_update_leaves_fields_alone() {
    let record = json!({ "id": "a", "n": 1, "u": { "age": 2, "name": "x" } });
    let more = json!({ "remove_keys_on_update": ["$.u.name", "id"] });
    assert_eq!(
        document("update", &more, &record).await,
        r#"{"doc":{"n":1,"u":{"age":2}}}"#
    );
    assert_eq!(
        document("upsert", &more, &record).await,
        r#"{"doc":{"n":1,"u":{"age":2}},"upsert":{"id":"a","n":1,"u":{"age":2,"name":"x"}}}"#
    );
    let more = json!({ "remove_keys_on_update": "id , u" });
    assert_eq!(
        document("update", &more, &record).await,
        r#"{"doc":{"n":1}}"#
    );
    // When it changes everything, there is no need to send it twice.
    let more = json!({ "remove_keys_on_update": "created" });
    assert_eq!(
        document("upsert", &more, &json!({ "id": "a" })).await,
        r#"{"doc":{"id":"a"},"doc_as_upsert":true}"#
    );
    let more = json!({ "remove_keys_on_update": "id", "suppress_doc_wrap": true });
    assert_eq!(
        document("upsert", &more, &json!({ "doc": {}, "id": "a" })).await,
        r#"{"doc":{}}"#
    );
}

#[tokio::test]
async fn a_new_document_can_keep_its_first_time() {
    let more = json!({ "include_timestamp": true, "remove_keys_on_update": "@timestamp" });
    assert_eq!(
        document("upsert", &more, &json!({ "id": "a" })).await,
        r#"{"doc":{"id":"a"},"upsert":{"@timestamp":"1970-01-01T00:00:00.000000000Z","id":"a"}}"#
    );
}

#[tokio::test]
async fn a_record_can_list_what_an_update_leaves_alone() {
    let more = json!({
        "remove_keys_on_update": "m", "remove_keys_on_update_key": "$.meta.skip",
        "include_timestamp": true
    });
    let time = r#""@timestamp":"1970-01-01T00:00:00.000000000Z""#;
    let record = json!({ "id": "a", "m": 1, "meta": { "skip": ["id", "@timestamp", 3] } });
    assert_eq!(
        document("upsert", &more, &record).await,
        format!(
            r#"{{"doc":{{"m":1,"meta":{{}}}},"upsert":{{{time},"id":"a","m":1,"meta":{{}}}}}}"#
        )
    );
    // Nothing listed is nothing left alone; without a list, what is configured counts.
    let record = json!({ "id": "a", "m": 1, "meta": { "skip": [] } });
    assert_eq!(
        document("update", &more, &record).await,
        format!(r#"{{"doc":{{{time},"id":"a","m":1,"meta":{{}}}}}}"#)
    );
    let record = json!({ "id": "a", "m": 1, "meta": { "skip": "id" } });
    assert_eq!(
        document("update", &more, &record).await,
        format!(r#"{{"doc":{{{time},"id":"a","meta":{{}}}}}}"#)
    );
}

#[tokio::test]
async fn a_long_list_costs_no_more_than_its_sort() {
    let names: Vec<String> = (0..100_000).map(|n| format!("f{n}")).collect();
    let mut record = json!({ "id": "a", "kept": 1 });
    for name in names.iter().rev() {
        record[name] = json!(0);
    }
    record["skip"] = json!(names);
    let more = json!({ "remove_keys_on_update_key": "skip" });
    let since = std::time::Instant::now();
    assert_eq!(
        document("update", &more, &record).await,
        r#"{"doc":{"id":"a","kept":1}}"#
    );
    // Comparing each with each takes minutes.
    assert!(since.elapsed() < std::time::Duration::from_secs(20));
}

#[tokio::test]
async fn a_record_without_an_id_goes_to_the_dead_letter_alone() {
    let records = [
        json!({ "n": 0 }),
        json!({ "id": "a", "n": 1 }),
        json!({ "id": "", "n": 2 }),
        json!({ "id": { "x": 1 }, "n": 3 }),
        json!({ "id": "b", "n": 4 }),
    ];
    let check = async |params: Value, verb: &str| {
        let server = Server::start().await;
        let outcome = write(
            &output(&[server.url()], &params),
            &[frame(7, "a", &records)],
        )
        .await;
        let refused: Vec<_> = [0, 2, 3].map(|n| (n, false, FailureKind::Serialize)).into();
        assert_eq!(exceptions(&outcome), refused);
        let Outcome::Except(exceptions) = outcome else {
            panic!("{outcome:?}")
        };
        let (_, Verdict::Reject(failure)) = &exceptions[0] else {
            panic!("{exceptions:?}")
        };
        assert_eq!(
            failure.message,
            format!("the field `id_key` is missing, so there is no document to {verb}")
        );
        let [request] = server.requests().try_into().unwrap();
        assert_eq!(request.ids(), ["a", "b"], "never the id of a neighbour");
    };
    for op_type in ["update", "delete"] {
        check(parameters(op_type, &json!({})), op_type).await;
    }
    check(parameters("upsert", &json!({})), "update").await;
    for op_type in ["create", "index"] {
        let more = json!({ "emit_error_for_missing_id": true });
        check(parameters(op_type, &more), op_type).await;
    }
    // By default it gets an id of its own.
    let server = Server::start().await;
    let params = parameters("create", &json!({}));
    let outcome = write(
        &output(&[server.url()], &params),
        &[frame(7, "a", &records)],
    )
    .await;
    assert_eq!(outcome, Outcome::Delivered);
    let ids = server.requests()[0].ids();
    assert_eq!(ids[1], "a");
    assert_eq!(ids[0], "AAAAAAAAADAAAAAAAHAAAAA");
}

#[tokio::test]
async fn a_record_that_is_no_map_cannot_be_an_update() {
    let mut events = Vec::new();
    sdk::event::write_event(&mut events, sdk::event::Time::default(), &[0x90]);
    let broken = Frame {
        events: events.into(),
        count: 1,
        ..numbers(0)
    };
    let server = Server::start().await;
    let more = json!({ "remove_keys_on_update": "a" });
    let outcome = write(
        &output(&[server.url()], &parameters("update", &more)),
        &[broken],
    )
    .await;
    assert_eq!(exceptions(&outcome), [(0, false, FailureKind::Serialize)]);
    assert!(server.requests().is_empty());
}

/// What the server says about an update, a deletion, and what becomes of it.
#[tokio::test]
async fn answers_to_updates_and_deletions() {
    let check = async |op_type: &str, item: Value, errors: bool| {
        let name = if op_type == "delete" {
            "delete"
        } else {
            "update"
        };
        let server = Server::start().await;
        let answer = json!({ "took": 1, "errors": errors, "items": [{ name: item }] });
        server.then(server::plain(200, answer.to_string()));
        let params = parameters(op_type, &json!({ "document_id": "none" }));
        let frame = frame(7, "app", &[json!({ "id": "a" })]);
        write(&output(&[server.url()], &params), &[frame]).await
    };
    let failed = |status: u16, kind: &str| json!({ "status": status, "error": { "type": kind, "reason": "r" } });
    for op_type in ["update", "upsert", "delete"] {
        let done = json!({ "status": 200 });
        assert_eq!(check(op_type, done, false).await, Outcome::Delivered);
        let conflict = failed(409, "version_conflict_engine_exception");
        let outcome = check(op_type, conflict, true).await;
        assert_eq!(exceptions(&outcome), [(0, true, FailureKind::Http4xx)]);
        // Sending it again does no harm, with or without ids of our own.
        let outcome = check(op_type, json!({}), true).await;
        assert_eq!(exceptions(&outcome), [(0, true, FailureKind::Protocol)]);
        let missing = failed(404, "index_not_found_exception");
        let outcome = check(op_type, missing, true).await;
        assert_eq!(exceptions(&outcome), [(0, true, FailureKind::Http4xx)]);
    }
    let missing = failed(404, "document_missing_exception");
    let outcome = check("update", missing, true).await;
    assert_eq!(exceptions(&outcome), [(0, false, FailureKind::Rejected)]);
    let gone = json!({ "status": 404 });
    assert_eq!(check("delete", gone, false).await, Outcome::Delivered);
}
