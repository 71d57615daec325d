//! Ids and names of indexes: never those of another record.

use super::*;

#[tokio::test]
async fn e43_a_record_without_an_id_does_not_get_that_of_its_neighbour() {
    let records = [
        json!({ "n": 0, "id": "first" }),
        json!({ "n": 1 }),
        json!({ "n": 2, "id": null }),
        json!({ "n": 3, "id": "" }),
        json!({ "n": 4, "id": "last" }),
        json!({ "n": 5 }),
    ];
    let frames = [frame(7, "app", &records)];
    let site = Site::new(json!({ "op_type": "create", "id_key": "id" })).await;
    site.deliver(&frames).await.all_arrived(1);
    let ids = site.server.requests()[0].ids();
    assert_eq!((ids[0].as_str(), ids[4].as_str()), ("first", "last"));
    let own = Site::new(json!({})).await;
    own.deliver(&frames).await.all_arrived(1);
    let own = own.server.requests()[0].ids();
    for place in [1, 2, 3, 5] {
        assert_eq!(ids[place], own[place]);
    }
    let site =
        Site::new(json!({ "op_type": "create", "id_key": "id", "document_id": "none" })).await;
    site.deliver(&frames).await.all_arrived(1);
    let ids: Vec<_> = site.server.requests()[0]
        .actions
        .iter()
        .map(|(_, meta, _)| meta.get("_id").cloned())
        .collect();
    assert_eq!(
        ids,
        [
            Some(json!("first")),
            None,
            None,
            None,
            Some(json!("last")),
            None
        ]
    );
}

#[tokio::test]
async fn e50_a_name_from_a_record_reaches_no_other_index() {
    let names = ["Shop", "../x", "<a-{now/d}>", "a,b*c", "..", "a\u{0}b", ""];
    let long = "y".repeat(300);
    let record = |name: &&str| json!({ "n": 0, "app": name });
    let mut records: Vec<Value> = names.iter().map(record).collect();
    records.push(json!({ "n": 0, "app": long }));
    records.push(json!({ "n": 0 }));
    let frames = [frame(7, "app", &records)];
    let index = |request: &Request| -> Vec<String> {
        let name = |(_, meta, _): &(String, _, Value)| -> String {
            let meta: &serde_json::Map<String, Value> = meta;
            meta["_index"].as_str().unwrap().to_owned()
        };
        request.actions.iter().map(name).collect()
    };
    // Behind what the operator wrote.
    let site = Site::new(json!({ "index": "logs-${record.app}" })).await;
    let end = site.deliver(&frames).await;
    assert_eq!(
        (end.tries, end.dead()),
        (1, vec![(7, FailureKind::Serialize)])
    );
    let expected = [
        "logs-shop",
        "logs-.._x",
        "logs-_a-{now_d}_",
        "logs-a_b_c",
        "logs-..",
        "logs-a_b",
        "logs-",
        "logs-",
    ];
    assert_eq!(index(&site.server.requests()[0]), expected);
    // As the whole name: none of the system, none that is special, and no guess where there is none.
    let site = Site::new(json!({ "index": "${record.app}" })).await;
    let end = site.deliver(&frames).await;
    let refused = [4, 6, 7, 8].map(|index| (index, FailureKind::Serialize));
    assert_eq!((end.tries, end.dead()), (1, refused.to_vec()));
    assert_eq!(
        index(&site.server.requests()[0]),
        ["shop", "x", "a-{now_d}_", "a_b_c", "a_b"]
    );
    let about = |place: usize| end.dead[place].1.message.as_str();
    assert!(
        about(0).contains("is empty once it is filled in"),
        "{}",
        about(0)
    );
    assert!(
        about(2).contains("has 300 bytes; it can have 255"),
        "{}",
        about(2)
    );
}
