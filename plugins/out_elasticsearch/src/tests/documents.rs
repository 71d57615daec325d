//! What a record becomes: action line, id, document.

use bytes::Bytes;
use sdk::{
    event::{Origin, Time, write_event},
    msgpack::write,
};

use super::*;

/// The only request that these frames come to.
async fn request(frames: &[Frame], more: &Value) -> server::Request {
    let server = Server::start().await;
    let output = output(&[server.url()], more);
    assert_eq!(write(&output, frames).await, Outcome::Delivered);
    let [request] = server.requests().try_into().unwrap();
    request
}

fn record(tag: &str, record: &Value) -> [Frame; 1] {
    [frame(7, tag, std::slice::from_ref(record))]
}

#[tokio::test]
async fn the_body_byte_for_byte() {
    let mut events = Vec::new();
    let mut encoded = Vec::new();
    write::json(
        &mut encoded,
        &json!({ "message": "a\"b\n", "n": [1, 2.0, null] }),
    );
    write_event(
        &mut events,
        Time {
            secs: 1_764_000_000,
            nanos: 123_456_789,
        },
        &encoded,
    );
    write_event(
        &mut events,
        Time {
            secs: 1_764_115_200,
            nanos: 0,
        },
        &[0x80],
    );
    let frame = Frame {
        events: events.into(),
        count: 2,
        ..numbers(0)
    };
    let more = json!({ "index": "logs-${tag}-%Y.%m.%d", "include_tag_key": true });
    let body = request(&[frame], &more).await.body;
    let expected = concat!(
        r#"{"create":{"_index":"logs-app-2025.11.24","_id":"AAAAAAAAADAAAAAAAHAAAAA"}}"#,
        "\n",
        r#"{"@timestamp":"2025-11-24T16:00:00.123456789Z","tag":"app","message":"a\"b\n","n":[1,2.0,null]}"#,
        "\n",
        r#"{"create":{"_index":"logs-app-2025.11.26","_id":"AAAAAAAAADAAAAAAAHAAAAB"}}"#,
        "\n",
        r#"{"@timestamp":"2025-11-26T00:00:00.000000000Z","tag":"app"}"#,
        "\n",
    );
    assert_eq!(String::from_utf8(body).unwrap(), expected);
}

#[tokio::test]
async fn a_date_of_the_record_stays_and_anything_else_moves() {
    let check = async |stamp: Value, expected: Value| {
        let [document] = request(&record("a", &json!({ "@timestamp": stamp })), &json!({}))
            .await
            .documents()
            .try_into()
            .unwrap();
        assert_eq!(document, expected);
    };
    let ours = "1970-01-01T00:00:00.000000000Z";
    check(
        json!("2026-01-02T03:04:05Z"),
        json!({ "@timestamp": "2026-01-02T03:04:05Z" }),
    )
    .await;
    check(
        json!(1_764_000_000_000_u64),
        json!({ "@timestamp": 1_764_000_000_000_u64 }),
    )
    .await;
    check(
        json!("soon"),
        json!({ "@timestamp": ours, "@timestamp_raw": "soon" }),
    )
    .await;
    check(
        json!({ "a": 1 }),
        json!({ "@timestamp": ours, "@timestamp_raw": { "a": 1 } }),
    )
    .await;
    check(json!(null), json!({ "@timestamp": ours })).await;
}

#[tokio::test]
async fn time_and_tag_can_have_other_names_or_none() {
    let record = record("app.x", &json!({ "tag": "mine", "n": 1 }));
    let more = json!({ "include_tag_key": true, "timestamp_key": "ts" });
    let [document] = request(&record, &more)
        .await
        .documents()
        .try_into()
        .unwrap();
    assert_eq!(
        document,
        json!({ "ts": "1970-01-01T00:00:00.000000000Z", "tag": "app.x", "n": 1 })
    );
    let more = json!({ "include_timestamp": false });
    let [document] = request(&record, &more)
        .await
        .documents()
        .try_into()
        .unwrap();
    assert_eq!(document, json!({ "tag": "mine", "n": 1 }));
}

#[tokio::test]
async fn the_time_has_as_many_digits_as_asked_for() {
    for (digits, expected) in [
        (0, "1970-01-01T00:00:00Z"),
        (3, "1970-01-01T00:00:00.000Z"),
        (9, "1970-01-01T00:00:00.000000000Z"),
    ] {
        let request = request(&[numbers(1)], &json!({ "time_precision": digits })).await;
        assert_eq!(request.documents()[0]["@timestamp"], expected);
    }
}

#[tokio::test]
async fn names_that_the_server_refuses_are_mended() {
    let record = record(
        "a",
        &json!({ "_id": 1, "": 2, "a.": 3, "in": { "_id": 4, ".b": 5 } }),
    );
    let [document] = request(&record, &json!({ "include_timestamp": false }))
        .await
        .documents()
        .try_into()
        .unwrap();
    assert_eq!(
        document,
        json!({ "_id_": 1, "_": 2, "a_": 3, "in": { "_id": 4, "_b": 5 } })
    );
}

#[tokio::test]
async fn a_record_that_cannot_be_written_is_refused_alone() {
    let mut events = Vec::new();
    write_event(&mut events, Time::default(), &[0x81, 0xa1, b'n', 0]);
    write_event(&mut events, Time::default(), &[0x81, 0x90, 1]);
    write_event(&mut events, Time::default(), &[0x81, 0xa1, b'n', 2]);
    let frame = Frame {
        events: events.into(),
        count: 3,
        ..numbers(0)
    };
    let server = Server::start().await;
    let output = output(&[server.url()], &json!({}));
    let outcome = write(&output, &[frame.clone(), frame]).await;
    assert_eq!(
        exceptions(&outcome),
        [
            (1, false, FailureKind::Serialize),
            (4, false, FailureKind::Serialize)
        ]
    );
    assert_eq!(server.requests()[0].numbers(), [0, 2, 0, 2]);
}

#[tokio::test]
async fn a_broken_frame_refuses_what_is_left_of_it() {
    let mut broken = numbers(3);
    broken.events = broken.events.slice(..broken.events.len() - 1);
    let server = Server::start().await;
    let output = output(&[server.url()], &json!({}));
    let outcome = write(&output, &[broken, numbers(1)]).await;
    assert_eq!(exceptions(&outcome), [(2, false, FailureKind::Serialize)]);
    assert_eq!(server.requests()[0].numbers(), [0, 1, 0]);
}

#[tokio::test]
async fn ids_come_from_where_the_record_stands() {
    let frames = [
        Frame {
            sequence: 1,
            ..numbers(3)
        },
        Frame {
            sequence: 2,
            ..numbers(3)
        },
    ];
    let all = request(&frames, &json!({})).await.ids();
    let mut unique = all.clone();
    unique.sort();
    unique.dedup();
    assert_eq!((unique.len(), all[0].len()), (6, 23));
    // However the chunk is divided, and whatever was delivered of it before.
    assert_eq!(request(&frames[1..], &json!({})).await.ids(), all[3..]);
}

#[tokio::test]
async fn ids_come_from_the_origin_where_it_identifies() {
    let origin = |kept: Option<&'static [u8]>| Origin {
        chunk: Bytes::from_static(b"chunk"),
        first: 10,
        kept: kept.map(Bytes::from_static),
        identifies: true,
    };
    let whole = Frame {
        sequence: 1,
        origin: Some(origin(None)),
        ..numbers(4)
    };
    let ids = request(&[whole], &json!({})).await.ids();
    // Another buffer, and a filter that dropped the second record.
    let rest = Frame {
        sequence: 9,
        origin: Some(origin(Some(&[0b1101]))),
        ..numbers(3)
    };
    let kept = request(&[rest], &json!({})).await.ids();
    assert_eq!(kept, [&ids[0], &ids[2], &ids[3]].map(String::clone));
    // A piece whose message named no chunk has only its place in the buffer.
    let nameless = Frame {
        origin: Some(Origin {
            chunk: Bytes::new(),
            ..origin(None)
        }),
        ..numbers(3)
    };
    let ids = request(&[nameless], &json!({})).await.ids();
    let of_the_buffer = request(&[numbers(3)], &json!({})).await.ids();
    assert_eq!(ids, of_the_buffer);
    // Fewer places than records must not make two ids equal.
    let short = Frame {
        sequence: 9,
        origin: Some(origin(Some(&[0b1]))),
        ..numbers(3)
    };
    let mut ids = request(&[short], &json!({})).await.ids();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn ids_and_routing_can_come_from_fields() {
    let records = [
        json!({ "r": { "id": "x\"1" }, "n": 0 }),
        json!({ "r": { "id": 42 }, "n": 1, "shard": "s" }),
        json!({ "n": 2 }),
        json!({ "r": { "id": "y".repeat(513) }, "n": 3 }),
    ];
    let server = Server::start().await;
    let more = json!({ "id_key": "$.r.id", "routing_key": "shard" });
    let outcome = write(&output(&[server.url()], &more), &[frame(7, "a", &records)]).await;
    assert_eq!(exceptions(&outcome), [(3, false, FailureKind::Serialize)]);
    let [request] = server.requests().try_into().unwrap();
    assert_eq!(request.numbers(), [0, 1, 2]);
    assert_eq!(request.ids(), ["x\"1", "42", "AAAAAAAAADAAAAAAAHAAAAC"]);
    assert_eq!(request.actions[1].1["routing"], "s");
    assert!(
        request
            .actions
            .iter()
            .all(|(action, _, _)| action == "index"),
        "as in Fluentd"
    );
}

#[tokio::test]
async fn without_identity_the_server_makes_ids() {
    let request = request(
        &[numbers(2)],
        &json!({ "document_id": "none", "pipeline": "a b&c" }),
    )
    .await;
    assert!(request.actions.iter().all(|(_, meta, _)| meta.len() == 1));
    assert!(
        request.line.contains("items.*.error&pipeline=a%20b%26c "),
        "{}",
        request.line
    );
}

#[tokio::test]
async fn a_pipeline_with_placeholders_stands_beside_each_document() {
    let records = [json!({ "kind": "web" }), json!({ "kind": "db" }), json!({})];
    let params = json!({ "pipeline": "${record.kind}" });
    let request = request(&[frame(7, "app", &records)], &params).await;
    let metas = request.actions.iter().map(|(_, meta, _)| meta);
    let pipelines: Vec<_> = metas.map(|meta| meta.get("pipeline").cloned()).collect();
    assert_eq!(pipelines, [Some(json!("web")), Some(json!("db")), None]);
    assert!(!request.line.contains("pipeline"), "{}", request.line);
}

#[tokio::test]
async fn records_that_were_stored_together_say_so() {
    let frames = [
        numbers(2),
        Frame {
            sequence: 8,
            ..numbers(1)
        },
    ];
    for (metadata, key) in [
        (json!({ "include_chunk_id": true }), "chunk_id"),
        (
            json!({ "include_chunk_id": true, "chunk_id_key": "c" }),
            "c",
        ),
    ] {
        let request = request(&frames, &json!({ "metadata": metadata })).await;
        let documents = request.documents();
        let ids: Vec<&str> = documents
            .iter()
            .map(|one| one[key].as_str().unwrap())
            .collect();
        let begins = |(id, common): (&String, &&str)| id.starts_with(*common) && common.len() == 18;
        assert!(request.ids().iter().zip(&ids).all(begins), "{ids:?}");
        assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
    }
}

#[tokio::test]
async fn the_index_follows_tag_day_and_fields() {
    let names = |request: &server::Request| -> Vec<String> {
        request
            .actions
            .iter()
            .map(|(_, meta, _)| meta["_index"].as_str().unwrap().to_owned())
            .collect()
    };
    let frames = [
        numbers(1),
        Frame {
            tag: "App.B".into(),
            ..numbers(2)
        },
        numbers(1),
    ];
    let by_tag = request(&frames, &json!({ "index": "l-${tag}" })).await;
    assert_eq!(names(&by_tag), ["l-app", "l-app.b", "l-app.b", "l-app"]);
    let by_field = request(
        &[numbers(3)],
        &json!({ "index": "l-${record.n}-${record.x:-none}" }),
    )
    .await;
    assert_eq!(names(&by_field), ["l-0-none", "l-1-none", "l-2-none"]);
    let more = json!({ "logstash_format": true, "logstash_prefix": "${tag}x", "index": null });
    assert_eq!(
        names(&request(&[numbers(1)], &more).await),
        ["appx-1970.01.01"]
    );
}

#[tokio::test]
async fn a_chunk_is_divided_into_requests() {
    let server = Server::start().await;
    let output = output(&[server.url()], &json!({ "bulk_max_bytes": "1k" }));
    assert_eq!(write(&output, &[numbers(100)]).await, Outcome::Delivered);
    let requests = server.requests();
    assert!(requests.len() > 10 && requests.iter().all(|request| request.body.len() <= 1024));
    let all: Vec<i64> = requests.iter().flat_map(server::Request::numbers).collect();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn nothing_live_is_nothing_sent() {
    let server = Server::start().await;
    let output = output(&[server.url()], &json!({}));
    assert_eq!(
        write_live(&output, &[numbers(2)], Some(&Bitmap::empty(2))).await,
        Outcome::Delivered
    );
    assert!(server.requests().is_empty());
}
