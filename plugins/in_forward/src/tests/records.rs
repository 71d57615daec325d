//! What is written into records, and which events are taken.

use rmpv::Value as Pack;
use sdk::testing::{Collector, records};
use serde_json::{Value, json};

use super::kit::*;

fn all(collector: &Collector) -> Vec<Value> {
    let batches = collector.batches();
    batches
        .iter()
        .flat_map(|batch| records(&batch.events))
        .collect()
}

#[tokio::test]
async fn the_sender_is_written_into_each_record() {
    let params = json!({ "source_address_key": "from", "source_hostname_key": "host" });
    let (running, collector) = Running::collecting(params).await;
    let mut client = Client::connect(&running).await;
    let record = Pack::Map(vec![
        ("from".into(), "a lie".into()),
        ("n".into(), 1.into()),
    ]);
    let entry = Pack::Array(vec![1_700_000_001.into(), record]);
    let blob = [numbered(0, 1), encode(&entry)].concat();
    client.send(&packed("t", &blob, Some("a"))).await;
    client.expect(ack("a")).await;
    let found = all(&collector);
    assert_eq!(found[0]["from"], "127.0.0.1");
    assert_eq!(found[1]["from"], "127.0.0.1");
    let named = dns_lookup::lookup_addr(&"127.0.0.1".parse().unwrap());
    assert_eq!(
        found[0]["host"],
        named.unwrap_or_else(|_| "127.0.0.1".into())
    );
    assert_eq!((&found[0]["n"], &found[1]["n"]), (&json!(0), &json!(1)));
    running.end().await;
}

/// An event with metadata between markers, and one in Message mode, as Fluent Bit 5.0.5 and later write them.
const WITH_METADATA: [&str; 2] = [
    "93a174949292d700ffffffff0000000080809292d7006553f1010000000581a16ba17681a16d019292d700fffffffe00000000808092ce65\
     53f10181a16d0281ad666c75656e745f7369676e616c00",
    "94a174d7006553f1010000000581a16d0382a86d6574616461746181a16ba177a56368756e6ba161",
];

#[tokio::test]
async fn metadata_stays_beside_the_record_or_goes_into_it() {
    for (params, expected) in [
        (
            json!({}),
            [json!({ "m": 1 }), json!({ "m": 2 }), json!({ "m": 3 })],
        ),
        (
            json!({ "metadata_key": "meta" }),
            [
                json!({ "m": 1, "meta": { "k": "v" } }),
                json!({ "m": 2 }),
                json!({ "m": 3, "meta": { "k": "w" } }),
            ],
        ),
    ] {
        let (running, collector) = Running::collecting(params).await;
        let mut client = Client::connect(&running).await;
        for message in WITH_METADATA {
            client.send(&unhex(message)).await;
        }
        client.expect(ack("a")).await;
        assert_eq!(all(&collector), expected);
        let batches = collector.batches();
        let beside: Vec<bool> = batches
            .iter()
            .flat_map(sdk::event::Batch::entries)
            .map(|event| event.unwrap().metadata.is_some())
            .collect();
        assert_eq!(beside, [true, false, true]);
        running.end().await;
    }
}

/// A good event and one whose record is no map.
fn half_good(chunk: Option<&str>) -> Vec<u8> {
    let bad = encode(&Pack::Array(vec![1.into(), "not a map".into()]));
    packed("t", &[numbered(0, 1), bad].concat(), chunk)
}

#[tokio::test]
async fn invalid_events_are_skipped_or_their_message_is_refused() {
    let (running, collector) = Running::collecting(json!({ "skip_invalid_event": false })).await;
    let mut client = Client::connect(&running).await;
    client.send(&half_good(None)).await;
    client.send(&half_good(Some("a"))).await;
    client.expect_fin(&[]).await;
    assert_eq!(numbers(&collector.batches()), [0]);
    assert_eq!(running.invalid("record"), 2);
    let closed = "weir_forward_connections_closed_total{direction=\"in\",reason=\"invalid\"}";
    assert_eq!(running.metric(closed), 1);
    running.end().await;
}

#[tokio::test]
async fn a_tag_that_is_no_text_is_dropped_or_taken_for_its_text() {
    // The tags nil, 5, -3, true and 1.5, and one that is a map.
    let tags = ["c0", "05", "fd", "c3", "cb3ff8000000000000", "80"];
    let send = async |params: Value| {
        let (running, collector) = Running::collecting(params).await;
        for tag in tags {
            let mut client = Client::connect(&running).await;
            client
                .send(&unhex(&format!("93{tag}ce6553f10181a16d01")))
                .await;
            assert_eq!(client.finish().await, [0_u8; 0]);
        }
        running.end().await;
        let batches = collector.batches();
        batches
            .iter()
            .map(|batch| batch.tag.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(send(json!({})).await, [""; 0]);
    let texts = send(json!({ "skip_invalid_event": false })).await;
    assert_eq!(texts, ["", "5", "-3", "true", "1.5"]);
}
