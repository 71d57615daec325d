//! Documents that are not the whole record, and indexes that records name.

use super::*;

/// The only document of a record, with parameters besides those that add nothing.
async fn document(more: &Value, record: Value) -> Value {
    let server = Server::start().await;
    let mut params = json!({ "include_timestamp": false });
    let more = more.as_object().unwrap().clone();
    params.as_object_mut().unwrap().extend(more);
    let output = output(&[server.url()], &params);
    let outcome = write(&output, &[frame(7, "app", &[record])]).await;
    assert_eq!(outcome, Outcome::Delivered);
    let [document] = server.requests()[0].documents().try_into().unwrap();
    document
}

#[tokio::test]
async fn fields_are_left_out() {
    let record = json!({ "a": 1, "b.c": 2, "d": { "e": { "f": 3 }, "g": 4 }, "h": [{ "a": 5 }] });
    let check = async |keys: Value, expected: Value| {
        let more = json!({ "remove_keys": keys });
        assert_eq!(document(&more, record.clone()).await, expected);
    };
    check(json!("a, b.c,d"), json!({ "h": [{ "a": 5 }] })).await;
    check(
        json!(["$.d.e.f", "$['b.c']", "$.h.a", "none", "$.a.b"]),
        json!({ "a": 1, "d": { "e": {}, "g": 4 }, "h": [{ "a": 5 }] }),
    )
    .await;
    // A table as a whole, and a field in it.
    for keys in [json!(["$.d.g", "d", "h"]), json!(["d", "$.d.g", "h"])] {
        check(keys, json!({ "a": 1, "b.c": 2 })).await;
    }
}

#[tokio::test]
async fn what_comes_from_a_field_stays_when_the_field_does_not() {
    let server = Server::start().await;
    let more = json!({
        "id_key": "id", "routing_key": "$.r.shard", "index": "l-${record.app}",
        "remove_keys": "id,r,app", "include_timestamp": false
    });
    server.then(server::items(&[(429, "busy")]));
    let output = output(&[server.url()], &more);
    let record = json!({ "id": "x", "r": { "shard": "s" }, "app": "shop", "n": 1 });
    let frames = [frame(7, "app", &[record])];
    write(&output, &frames).await;
    write(&output, &frames).await;
    let [first, second] = server.requests().try_into().unwrap();
    assert_eq!(first.body, second.body, "also when it is sent again");
    assert_eq!(
        String::from_utf8(first.body).unwrap(),
        "{\"index\":{\"_index\":\"l-shop\",\"_id\":\"x\",\"routing\":\"s\"}}\n{\"n\":1}\n"
    );
}

#[tokio::test]
async fn what_is_added_can_be_left_out() {
    let more = json!({
        "include_timestamp": true, "include_tag_key": true, "remove_keys": ["@timestamp", "tag"]
    });
    let record = json!({ "@timestamp": "2026-01-01", "tag": "x", "n": 1 });
    assert_eq!(document(&more, record).await, json!({ "n": 1 }));
}

#[tokio::test]
async fn a_record_can_name_its_index() {
    let check = async |key: &str| {
        let server = Server::start().await;
        let more = json!({ "target_index_key": key, "include_timestamp": false });
        let records = [
            json!({ "m": { "index": "Shop-1" }, "n": 0 }),
            json!({ "n": 1 }),
            json!({ "m": { "index": 2026 }, "n": 2 }),
            json!({ "m": { "index": null }, "n": 3 }),
            json!({ "m": { "index": "../x" }, "n": 4 }),
            json!({ "m": { "index": [".security"] }, "n": 5 }),
            json!({ "m": { "index": "" }, "n": 6 }),
            json!({ "m": { "index": ".kibana" }, "n": 7 }),
            json!({ "n": 8 }),
        ];
        let outcome = write(&output(&[server.url()], &more), &[frame(7, "a", &records)]).await;
        let refused: Vec<_> = (4..8).map(|n| (n, false, FailureKind::Serialize)).collect();
        assert_eq!(exceptions(&outcome), refused);
        let [request] = server.requests().try_into().unwrap();
        let indexes: Vec<_> = request
            .actions
            .iter()
            .map(|(_, meta, _)| meta["_index"].clone())
            .collect();
        let others = "logs-1970.01.01";
        assert_eq!(indexes, ["shop-1", others, "2026", others, others]);
        assert_eq!(request.documents()[0], json!({ "m": {}, "n": 0 }));
    };
    check("m.index").await;
    check("$.m.index").await;
}

#[tokio::test]
async fn tables_are_made_flat_as_fluentd_does() {
    let record = json!({ "a": { "b": { "c": 1 }, "": 2 }, "a_b": 3, "d": {}, "e": { "f": {} }, "g": [{ "h": {} }], "": { "i": 4 } });
    let more = json!({ "flatten_hashes": true });
    let expected = json!({ "a_b_c": 1, "a_": 2, "a_b": 3, "g": [{ "h": {} }], "_i": 4 });
    assert_eq!(document(&more, record.clone()).await, expected);
    let more = json!({ "flatten_hashes": true, "flatten_hashes_separator": "-", "remove_keys": "a-,$.a.b.c,g" });
    assert_eq!(document(&more, record).await, json!({ "a_b": 3, "-i": 4 }));
    // Of equal names the last one stands, as everywhere.
    let more = json!({ "flatten_hashes": true });
    let record = json!({ "a_b": 1, "a": { "b": 2 } });
    assert_eq!(document(&more, record).await.as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn a_record_does_not_grow_without_limit_when_it_is_made_flat() {
    let leaves: serde_json::Map<String, Value> =
        (0..1000).map(|n| (n.to_string(), json!(0))).collect();
    let bomb = json!({ "x".repeat(10_000): leaves });
    let server = Server::start().await;
    let output = output(&[server.url()], &json!({ "flatten_hashes": true }));
    let records = [json!({ "n": 0 }), bomb, json!({ "n": 2 })];
    let outcome = write(&output, &[frame(7, "a", &records)]).await;
    assert_eq!(exceptions(&outcome), [(1, false, FailureKind::Serialize)]);
    assert_eq!(server.requests()[0].numbers(), [0, 2]);
}

#[tokio::test]
async fn dots_in_names_can_be_replaced() {
    let record = json!({ "a": "text", "a.b": 1, "t": { "c.d.": [{ "e.f": "g.h" }] } });
    assert_eq!(
        document(&json!({}), json!({ "a.b": 1 })).await,
        json!({ "a.b": 1 })
    );
    assert_eq!(
        document(&json!({ "dots": "underscore" }), record.clone()).await,
        json!({ "a": "text", "a_b": 1, "t": { "c_d_": [{ "e_f": "g.h" }] } })
    );
    let more = json!({ "dots": "underscore", "flatten_hashes": true });
    assert_eq!(
        document(&more, record).await,
        json!({ "a": "text", "a_b": 1, "t_c_d_": [{ "e_f": "g.h" }] })
    );
}
