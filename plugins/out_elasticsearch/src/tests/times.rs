//! The time of a document: from the event or from a field, and the index that it names.

use sdk::{clock::Clock, event::Time};

use super::*;

/// The indexes and documents that records come to, and the value of a counter.
async fn shipped(params: &Value, records: &[Value]) -> (Vec<(String, Value)>, String) {
    shipped_at(1_764_000_000, params, records).await
}

async fn shipped_at(now: i64, params: &Value, records: &[Value]) -> (Vec<(String, Value)>, String) {
    let server = Server::start().await;
    let mut all = json!({ "hosts": server.url(), "index": "logs-%Y.%m.%d" });
    let more = params.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(more);
    let mut cx = BuildCx::detached("es");
    (cx.clock, _) = Clock::fixed(Time::from_secs(now));
    let output = crate::build(all, &cx).expect("parameters");
    assert_eq!(
        write(&output, &[frame(7, "app", records)]).await,
        Outcome::Delivered
    );
    let [request] = server.requests().try_into().unwrap();
    let shipped = request
        .actions
        .into_iter()
        .map(|(_, meta, document)| (meta["_index"].as_str().unwrap().to_owned(), document));
    (shipped.collect(), cx.metrics.encode())
}

#[tokio::test]
async fn a_field_with_a_time_names_the_index_and_is_copied() {
    let records = [
        json!({ "at": "2025-11-24T23:59:59.5+01:00" }),
        json!({ "at": 1_764_000_000 }),
        json!({ "n": 1 }),
        json!({ "at": "soon" }),
        json!({ "at": null }),
        json!({ "at": "2024-02-29", "@timestamp": "2020-01-01" }),
    ];
    let (shipped, metrics) = shipped(&json!({ "time_key": "at" }), &records).await;
    let expected = [
        ("logs-2025.11.24", "2025-11-24T22:59:59.500000000Z"),
        ("logs-2025.11.24", "2025-11-24T16:00:00.000000000Z"),
        // The second of the event is its place.
        ("logs-1970.01.01", "1970-01-01T00:00:02.000000000Z"),
        ("logs-1970.01.01", "1970-01-01T00:00:03.000000000Z"),
        ("logs-1970.01.01", "1970-01-01T00:00:04.000000000Z"),
        ("logs-2024.02.29", "2020-01-01"),
    ];
    for ((index, document), (record, (expected_index, stamp))) in
        shipped.iter().zip(records.iter().zip(expected))
    {
        assert_eq!(
            (index.as_str(), &document["@timestamp"]),
            (expected_index, &json!(stamp))
        );
        assert_eq!(document.get("at"), record.get("at"));
    }
    assert!(
        metrics.contains("weir_elasticsearch_time_errors_total 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn the_time_that_a_record_has_can_name_the_index_where_it_stands() {
    let params = json!({ "time_key": "@timestamp" });
    let records = [
        json!({ "@timestamp": "2025-11-24T00:00:00Z" }),
        json!({ "@timestamp": "24/Nov/2025:00:00:00 +0000" }),
    ];
    let (shipped, _) = shipped(&params, &records).await;
    assert_eq!(shipped[0].0, "logs-2025.11.24");
    assert_eq!(shipped[0].1, records[0]);
    // What is a time for us and none for the server becomes one that is.
    assert_eq!(shipped[1].0, "logs-2025.11.24");
    let expected = json!({
        "@timestamp": "2025-11-24T00:00:00.000000000Z", "@timestamp_raw": "24/Nov/2025:00:00:00 +0000"
    });
    assert_eq!(shipped[1].1, expected);
}

#[tokio::test]
async fn formats_paths_and_names_can_be_chosen() {
    let params = json!({
        "time_key": "$.meta.at", "time_key_format": "%d.%m.%Y %H:%M", "timestamp_key": "when", "time_precision": 3
    });
    let records = [json!({ "meta": { "at": "24.11.2025 16:00" } })];
    let (shipped, _) = shipped(&params, &records).await;
    let expected =
        json!({ "when": "2025-11-24T16:00:00.000Z", "meta": { "at": "24.11.2025 16:00" } });
    assert_eq!(shipped, [("logs-2025.11.24".to_owned(), expected)]);
}

#[tokio::test]
async fn a_time_that_is_there_need_not_be_there_twice() {
    for more in [
        json!({}),
        json!({ "op_type": "upsert", "id_key": "id" }),
        json!({ "op_type": "upsert", "id_key": "id", "remove_keys_on_update": "tag" }),
        json!({ "op_type": "upsert", "id_key": "id", "remove_keys_on_update_key": "none" }),
    ] {
        let mut params = json!({ "time_key": "at", "time_key_exclude_timestamp": true });
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let records = [
            json!({ "id": "a", "at": "2025-11-24T00:00:00Z" }),
            json!({ "id": "b" }),
            json!({ "id": "c", "at": "soon" }),
        ];
        let (shipped, _) = shipped(&params, &records).await;
        let bodies = shipped
            .iter()
            .map(|(_, document)| document.get("doc").unwrap_or(document));
        let has_stamp: Vec<bool> = bodies
            .map(|document| document.get("@timestamp").is_some())
            .collect();
        assert_eq!(has_stamp, [false, true, true], "{params}: {shipped:?}");
        assert_eq!(shipped[0].0, "logs-2025.11.24");
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_makes_no_indexes() {
    let records = [
        json!({ "at": "1970-01-01T00:00:09Z" }),
        json!({ "at": "2025-11-22T16:00:00Z" }),
        json!({ "at": "2025-11-22T15:59:59Z" }),
        json!({ "at": "2025-11-26T16:00:00Z" }),
        json!({ "at": "2038-01-19T03:14:08Z" }),
    ];
    let params = json!({ "time_key": "at", "max_index_age": "2d" });
    let (shipped, _) = shipped(&params, &records).await;
    let days: Vec<&str> = shipped
        .iter()
        .map(|(index, _)| index.trim_start_matches("logs-"))
        .collect();
    assert_eq!(
        days,
        [
            "2025.11.24",
            "2025.11.22",
            "2025.11.24",
            "2025.11.26",
            "2025.11.24"
        ]
    );
    // The document keeps its time.
    assert_eq!(shipped[0].1["@timestamp"], "1970-01-01T00:00:09.000000000Z");
    // Times of events are looked at as well.
    let (shipped, _) = shipped_at(0, &json!({ "max_index_age": "1s" }), &[json!({}); 1]).await;
    assert_eq!(shipped[0].0, "logs-1970.01.01");
    let (shipped, _) = shipped_at(NOW, &json!({ "max_index_age": "1s" }), &[json!({}); 1]).await;
    assert_eq!(shipped[0].0, "logs-2025.11.24");
}

const NOW: i64 = 1_764_000_000;
