//! Updates and deletions, and documents without some of the fields of their records: what is sent again is the same.

use super::*;

/// Records that name their documents `d0`, `d1` and so on, each in an index of its own.
fn named() -> [Frame; 1] {
    let record = |n| json!({ "n": n, "id": format!("d{n}"), "index": format!("i{n}") });
    [frame(7, "app", &(0..4).map(record).collect::<Vec<_>>())]
}

/// The lines of the record at `position`: two of each.
fn lines_of(body: &[u8], position: usize) -> Vec<u8> {
    let lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
    lines[2 * position..2 * position + 2].concat()
}

#[tokio::test]
async fn e11_an_update_that_meets_another_is_tried_again() {
    for op_type in ["update", "upsert"] {
        let site = Site::new(json!({ "op_type": op_type, "id_key": "id" })).await;
        let mut list = vec![done("update"); 4];
        list[1] = failed("update", 409, CONFLICT, "[d1]: version conflict");
        let again = answer(&list[1..2]);
        site.server.then(answer(&list)).then(again);
        let end = site.deliver(&named()).await;
        end.all_arrived(3);
        assert_eq!(end.again(), [FailureKind::Http4xx; 2]);
        let [first, second, third] = site.server.requests().try_into().unwrap();
        let times = first
            .actions
            .iter()
            .map(|(_, meta, _)| &meta["retry_on_conflict"]);
        assert_eq!(times.collect::<Vec<_>>(), [&json!(3); 4]);
        assert_eq!(second.body, lines_of(&first.body, 1));
        assert_eq!(third.body, second.body);
        assert_eq!((site.items("created"), site.items("other")), (4, 2));
    }
}

#[tokio::test]
async fn e12_a_document_that_was_not_there_is_as_good_as_deleted() {
    let site = Site::new(json!({ "op_type": "delete", "id_key": "id" })).await;
    let missing = json!({ "delete": { "_index": "logs", "status": 404, "result": "not_found" } });
    let list = vec![missing, done("delete"), done("delete"), done("delete")];
    // The server says that there are no errors.
    let reply = answer(&list);
    assert!(reply.body.contains("\"errors\":false"), "{}", reply.body);
    site.server.then(reply);
    site.deliver(&named()).await.all_arrived(1);
    // And it is the same beside one that there is.
    let mut list = list;
    list[2] = failed("delete", 429, BUSY, "rejected execution");
    site.server.then(answer(&list));
    site.deliver(&named()).await.all_arrived(2);
    assert_eq!(site.server.requests()[2].ids(), ["d2"]);
    assert_eq!((site.items("created"), site.items("not_found")), (8, 0));
}

#[tokio::test]
async fn e13_an_update_of_what_is_not_there_is_refused() {
    let site = Site::new(json!({ "op_type": "update", "id_key": "id" })).await;
    let mut list = vec![done("update"); 4];
    list[3] = failed(
        "update",
        404,
        "document_missing_exception",
        "[d3]: document missing",
    );
    site.server.then(answer(&list));
    let end = site.deliver(&named()).await;
    assert_eq!(
        (end.tries, end.dead()),
        (1, vec![(3, FailureKind::Rejected)])
    );
    assert_eq!(
        end.dead[0].1.message,
        "document_missing_exception: [d3] (status 404, id d3)"
    );
    assert_eq!((site.items("created"), site.items("not_found")), (3, 1));
}

#[tokio::test]
async fn e42_fields_that_are_left_out_still_name_id_and_index_when_it_is_sent_again() {
    for op_type in ["create", "index", "update", "upsert"] {
        let site = Site::new(json!({
            "op_type": op_type, "id_key": "id", "target_index_key": "index", "remove_keys": "id"
        }))
        .await;
        let verb = if op_type.starts_with("up") {
            "update"
        } else {
            op_type
        };
        let mut list = vec![done(verb); 4];
        list[1] = failed(verb, 429, BUSY, "rejected execution");
        list[3] = list[1].clone();
        site.server
            .then(answer(&list))
            .then(answer(&[done(verb), list[1].clone()]));
        site.deliver(&named()).await.all_arrived(3);
        let [first, second, third] = site.server.requests().try_into().unwrap();
        assert_eq!(first.ids(), ["d0", "d1", "d2", "d3"]);
        let both = [lines_of(&first.body, 1), lines_of(&first.body, 3)].concat();
        assert_eq!(second.body, both);
        assert_eq!(third.body, lines_of(&first.body, 3));
        for (n, (_, meta, document)) in first.actions.iter().enumerate() {
            assert_eq!(meta["_index"], format!("i{n}"));
            let fields = document.get("doc").unwrap_or(document).as_object().unwrap();
            assert_eq!(fields["n"], n);
            assert!(
                !fields.contains_key("id") && !fields.contains_key("index"),
                "{document}"
            );
        }
    }
}
