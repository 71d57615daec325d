//! Answers of 200: which are one, in which shapes, and which are none.

use super::*;

#[tokio::test]
async fn e01_all_good_is_one_request_and_the_connection_is_used_again() {
    let site = Site::new(json!({})).await;
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    assert_eq!(
        (site.server.requests().len(), site.server.connections()),
        (2, 1)
    );
    assert_eq!(site.items("created"), 8);
}

#[tokio::test]
async fn e02_the_order_of_keys_and_spaces_do_not_matter() {
    let item =
        r#"{"create":{"_index":"logs","_id":"x","_version":1,"result":"created","status":201}}"#;
    let list = [item; 4].join(",");
    let pretty = {
        let value: Value =
            serde_json::from_str(&format!(r#"{{"errors":false,"items":[{list}]}}"#)).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    };
    for body in [
        format!(r#"{{"errors":false,"took":3,"items":[{list}]}}"#),
        format!(r#"{{"took":3,"errors":false,"items":[{list}]}}"#),
        format!(r#"{{"took":3,"ingest_took":1,"errors":false,"items":[{list}]}}"#),
        format!(r#"{{"items":[{list}],"took":3,"errors":false}}"#),
        format!("\r\n\t{pretty}\n"),
    ] {
        let site = Site::new(json!({})).await;
        site.server.then(plain(200, &*body));
        site.deliver(&[numbers(4)]).await.all_arrived(1);
        assert_eq!(site.items("created"), 4, "{body}");
    }
}

#[tokio::test]
async fn e03_an_answer_without_items_is_success_when_nothing_failed() {
    let site = Site::new(json!({})).await;
    site.server.then(plain(200, r#"{"errors":false}"#));
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    assert_eq!(site.items("created"), 4);
}

#[tokio::test]
async fn e19_too_few_or_too_many_items_settle_nothing() {
    for got in [3, 5] {
        let site = Site::new(json!({})).await;
        // Were the first ones believed, a record would be taken for refused.
        let mut list = vec![done("create"); got];
        list[1] = failed("create", 400, MAPPING, "because");
        site.server.then(answer(&list));
        let end = site.deliver(&[numbers(4)]).await;
        end.all_arrived(2);
        assert_eq!(end.again(), [FailureKind::Protocol]);
        assert_eq!(
            end.again[0].1.message,
            format!("the answer has {got} items for 4 records")
        );
        assert_eq!(site.sent(), [[0, 1, 2, 3]; 2]);
        assert_eq!((site.items("created"), site.items("mapping_error")), (4, 0));
        assert_eq!(site.count("ambiguous_retries_total"), 1);
    }
}

#[tokio::test]
async fn e20_an_item_may_be_named_after_another_action() {
    let site = Site::new(json!({ "op_type": "index" })).await;
    site.server.then(answer(&[
        done("create"),
        done("index"),
        done("create"),
        done("create"),
    ]));
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    assert_eq!(site.server.requests()[0].actions[0].0, "index");
}

#[tokio::test]
async fn e31_what_is_no_answer_is_no_success() {
    for body in [
        "<html><body>Please log in</body></html>",
        "",
        "{}",
        "[]",
        "null",
        r#"{"took":1}"#,
        r#"{"errors":"false"}"#,
        r#"{"errors":true}"#,
        r#"[{"errors":false}]"#,
    ] {
        let site = Site::new(json!({})).await;
        site.server.then(plain(200, body));
        let end = site.deliver(&[numbers(4)]).await;
        end.all_arrived(2);
        assert_eq!(end.again(), [FailureKind::Protocol], "{body}");
        assert_eq!(site.items("created"), 4, "{body}");
    }
}

#[tokio::test]
async fn e32_an_answer_that_is_cut_off_is_asked_for_again() {
    let long = items(&[(201, ""); 4]);
    let with_length = Reply {
        cut: Some(40),
        ..long.clone()
    };
    let in_chunks = Reply {
        chunk: Some(16),
        ..with_length.clone()
    };
    for cut in [with_length, in_chunks] {
        let site = Site::new(json!({})).await;
        site.server.then(cut).then(items(&[(409, CONFLICT); 4]));
        site.deliver(&[numbers(4)]).await.all_arrived(2);
        let [first, second] = site.server.requests().try_into().unwrap();
        assert_eq!(first.body, second.body);
        assert_eq!((site.items("created"), site.items("conflict")), (0, 4));
        assert_eq!(site.count("ambiguous_retries_total"), 1);
    }
}

#[tokio::test]
async fn e36_a_long_answer_in_small_compressed_pieces_is_read() {
    const RECORDS: usize = 1_000;
    let site = Site::new(json!({})).await;
    let padding = "x".repeat(20_000);
    let item = json!({ "create": { "_index": "logs", "status": 201, "padding": padding } });
    let mut list = vec![item; RECORDS];
    list[700] = failed("create", 400, MAPPING, "because");
    let long = answer(&list);
    assert!(long.body.len() > 20_000_000, "{}", long.body.len());
    site.server.then(Reply {
        chunk: Some(7),
        is_gzip: true,
        ..long
    });
    let end = site.deliver(&[numbers(1_000)]).await;
    assert_eq!(
        (end.tries, end.dead()),
        (1, vec![(700, FailureKind::Mapping)])
    );
    assert_eq!(site.items("created"), 999);
}

#[tokio::test]
async fn e37_a_hundred_thousand_whole_items_are_read() {
    let site = Site::new(json!({ "bulk_max_bytes": "64MiB" })).await;
    site.server.then_with(|request| {
        // As from a server that ignores `filter_path`.
        let item = |(place, id): (usize, String)| match place {
            99_999 => failed("create", 429, BUSY, "because").to_string(),
            _ => format!(
                r#"{{"create":{{"_index":"logs","_id":"{id}","_version":1,"result":"created","_shards":{{"total":2,"successful":1,"failed":0}},"_seq_no":{place},"_primary_term":1,"status":201}}}}"#
            ),
        };
        let all: Vec<String> = request.ids().into_iter().enumerate().map(item).collect();
        let has_failed = all.len() == 100_000;
        plain(200, format!(r#"{{"errors":{has_failed},"took":9,"items":[{}]}}"#, all.join(",")))
    });
    let end = site.deliver(&[numbers(100_000)]).await;
    end.all_arrived(2);
    assert_eq!(
        (end.again(), site.items("created")),
        (vec![FailureKind::Http429], 100_000)
    );
    assert_eq!(site.sent()[1], [99_999]);
}
