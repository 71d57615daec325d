//! Answers of 200 whose items say different things: what is tried again, what is refused, what was there before.

use super::*;

#[tokio::test]
async fn e04_a_record_that_came_at_a_bad_time_is_sent_again_alone_and_unchanged() {
    busy(BUSY).await;
}

#[tokio::test]
async fn e05_the_same_in_the_words_of_opensearch() {
    busy("rejected_execution_exception").await;
}

async fn busy(kind: &str) {
    let site = Site::new(json!({})).await;
    let good = (201, "");
    site.server.then(items(&[good, (429, kind), good, good]));
    let end = site.deliver(&[numbers(4)]).await;
    end.all_arrived(2);
    assert_eq!(
        site.limit_bytes(),
        (16 << 20) * 8 / 10,
        "less of it at a time"
    );
    // The class by which the engine asks less of the server from now on.
    assert_eq!(end.again(), [FailureKind::Http429]);
    let [first, second] = site.server.requests().try_into().unwrap();
    let lines: Vec<&[u8]> = first.body.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(second.body, lines[2..4].concat());
    assert_eq!((site.items("created"), site.items("rejected")), (4, 1));
}

#[tokio::test]
async fn e06_a_record_that_does_not_fit_the_mapping_is_refused_with_the_reason() {
    for kind in ["mapper_parsing_exception", MAPPING] {
        let site = Site::new(json!({})).await;
        let mut list = vec![done("create"); 4];
        list[2] = failed(
            "create",
            400,
            kind,
            "failed to parse field [n] of type [long]",
        );
        site.server.then(answer(&list));
        let end = site.deliver(&[numbers(4)]).await;
        assert_eq!(
            (end.tries, end.dead()),
            (1, vec![(2, FailureKind::Mapping)])
        );
        let id = &site.server.requests()[0].ids()[2];
        let expected =
            format!("{kind}: failed to parse field [n] of type [long] (status 400, id {id})");
        assert_eq!(end.dead[0].1.message, expected);
        assert_eq!((site.items("created"), site.items("mapping_error")), (3, 1));
    }
}

#[tokio::test]
async fn e07_each_record_has_its_own_end() {
    let site = Site::new(json!({})).await;
    let unavailable = (503, "unavailable_shards_exception");
    site.server.then(items(&[
        (400, MAPPING),
        (429, BUSY),
        (201, ""),
        unavailable,
    ]));
    let end = site.deliver(&[numbers(4)]).await;
    assert_eq!(
        (end.tries, end.dead()),
        (2, vec![(0, FailureKind::Mapping)])
    );
    assert_eq!(end.again(), [FailureKind::Http429, FailureKind::Http5xx]);
    assert_eq!(site.sent(), [vec![0, 1, 2, 3], vec![1, 3]]);
    assert_eq!(site.items("created"), 3);
}

#[tokio::test]
async fn e08_what_is_there_under_our_ids_was_delivered() {
    let site = Site::new(json!({})).await;
    site.server.then(items(&[(409, CONFLICT); 4]));
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    assert_eq!(
        (site.items("conflict"), site.server.requests().len()),
        (4, 1)
    );
}

#[tokio::test]
async fn e09_what_is_there_under_the_users_id_was_delivered_or_is_put_aside() {
    let records = [
        json!({ "n": 0, "id": "a" }),
        json!({ "n": 1 }),
        json!({ "n": 2, "id": "c" }),
        json!({ "n": 3, "id": "d" }),
    ];
    let frames = [frame(7, "app", &records)];
    let answered = || items(&[(409, CONFLICT), (409, CONFLICT), (201, ""), (201, "")]);
    let params = json!({ "op_type": "create", "id_key": "id" });
    let lenient = Site::new(params.clone()).await;
    lenient.server.then(answered());
    lenient.deliver(&frames).await.all_arrived(1);
    assert_eq!(
        (lenient.items("conflict"), lenient.items("created")),
        (2, 2)
    );
    let mut params = params;
    params["on_conflict"] = json!("dead_letter");
    let strict = Site::new(params).await;
    strict.server.then(answered());
    let end = strict.deliver(&frames).await;
    // The second has an id that only we make, so it is there because we sent it.
    assert_eq!(
        (end.tries, end.dead()),
        (1, vec![(0, FailureKind::Rejected)])
    );
    assert_eq!(
        end.dead[0].1.message,
        format!("{CONFLICT}: because (status 409, id a)")
    );
    assert_eq!((strict.items("conflict"), strict.items("created")), (2, 2));
}

#[tokio::test]
async fn e10_a_newer_version_from_outside_stays() {
    // As with an ingest pipeline that sets `_version` and `_version_type`.
    for words in [
        "is higher or equal to the one provided [3]",
        "is higher than the one provided [3]",
    ] {
        let site = Site::new(json!({ "op_type": "index" })).await;
        let reason = format!("[x]: version conflict, current version [5] {words}");
        let mut list = vec![done("index"); 4];
        list[1] = failed("index", 409, CONFLICT, &reason);
        // Another writer was faster, and knows of no versions.
        let other = "[x]: version conflict, required seqNo [1], primary term [1]. current document has seqNo [2]";
        list[3] = failed("index", 409, CONFLICT, other);
        site.server.then(answer(&list));
        site.deliver(&[numbers(4)]).await.all_arrived(2);
        assert_eq!(site.sent()[1], [3]);
        assert_eq!((site.items("stale"), site.items("created")), (1, 3));
    }
}

#[tokio::test]
async fn e14_an_index_that_is_not_there_yet_is_waited_for() {
    let site = Site::new(json!({})).await;
    let missing = (404, "index_not_found_exception");
    site.server
        .then(items(&[missing; 4]))
        .then(items(&[missing; 4]))
        .then(items(&[(201, ""), missing, missing, (201, "")]));
    let end = site.deliver(&[numbers(4)]).await;
    end.all_arrived(4);
    assert_eq!(end.again(), [FailureKind::Http4xx; 10]);
    assert_eq!(site.sent()[3], [1, 2]);
    assert_eq!((site.items("not_found"), site.items("created")), (10, 4));
}

#[tokio::test]
async fn e15_an_index_that_is_blocked_is_waited_for() {
    let site = Site::new(json!({})).await;
    site.server
        .then(items(&[(403, "cluster_block_exception"); 4]));
    let end = site.deliver(&[numbers(4)]).await;
    end.all_arrived(2);
    assert_eq!(end.again(), [FailureKind::Http4xx; 4]);
}

#[tokio::test]
async fn e16_records_that_may_not_be_written_stay_or_are_put_aside() {
    let forbidden = (403, "security_exception");
    let answered = || items(&[(201, ""), forbidden, (201, ""), forbidden]);
    let patient = Site::new(json!({})).await;
    patient.server.then(answered());
    for _ in 0..10 {
        patient.server.then(items(&[forbidden; 2]));
    }
    let end = patient.deliver(&[numbers(4)]).await;
    end.all_arrived(12);
    assert_eq!(end.again(), [FailureKind::Auth; 22]);
    assert_eq!(patient.items("auth"), 22);
    let strict = Site::new(json!({ "on_auth_error": "dead_letter" })).await;
    strict.server.then(answered());
    let end = strict.deliver(&[numbers(4)]).await;
    assert_eq!(
        (end.tries, end.dead()),
        (1, vec![(1, FailureKind::Auth), (3, FailureKind::Auth)])
    );
    assert_eq!(strict.items("auth"), 2);
}

#[tokio::test]
async fn e17_an_error_that_is_a_sentence_is_understood_and_kept() {
    let site = Site::new(json!({})).await;
    let mut list = vec![done("create"); 4];
    list[2] = json!({ "create": { "status": 503, "error": "UnavailableShardsException[primary shard is not active]" } });
    site.server.then(answer(&list));
    let end = site.deliver(&[numbers(4)]).await;
    end.all_arrived(2);
    assert_eq!(site.sent()[1], [2]);
    let (_, failure) = &end.again[0];
    let expected =
        "error: UnavailableShardsException[primary shard is not active] (status 503, id ";
    assert!(failure.message.starts_with(expected), "{failure}");
}

#[tokio::test]
async fn e18_a_record_of_which_nothing_is_said_is_sent_again_where_that_is_safe() {
    let answered = || {
        let mut list = vec![done("create"); 4];
        list[1] = json!({ "create": { "_index": "logs" } });
        answer(&list)
    };
    let safe = Site::new(json!({})).await;
    safe.server.then(answered());
    let end = safe.deliver(&[numbers(4)]).await;
    end.all_arrived(2);
    assert_eq!(
        (safe.sent()[1].clone(), safe.items("unknown")),
        (vec![1], 1)
    );
    let unsafe_ = Site::new(json!({ "document_id": "none" })).await;
    unsafe_.server.then(answered());
    let end = unsafe_.deliver(&[numbers(4)]).await;
    assert_eq!(
        (end.tries, end.dead()),
        (1, vec![(1, FailureKind::Protocol)])
    );
    let expected = "the answer does not say what became of it (no status, id none)";
    assert_eq!(end.dead[0].1.message, expected);
}

#[tokio::test]
async fn e21_what_the_failure_store_took_was_delivered() {
    let site = Site::new(json!({})).await;
    let stored =
        json!({ "create": { "_index": ".fs-logs", "status": 201, "failure_store": "used" } });
    let mut lost = failed("create", 400, MAPPING, "because");
    lost["create"]["failure_store"] = json!("failed");
    site.server
        .then(answer(&[stored.clone(), done("create"), lost, stored]));
    let end = site.deliver(&[numbers(4)]).await;
    assert_eq!(
        (end.tries, end.dead()),
        (1, vec![(2, FailureKind::Mapping)])
    );
    let by =
        |status: &str| site.count(&format!("failure_store_items_total{{status=\"{status}\"}}"));
    assert_eq!((by("used"), by("failed"), site.items("created")), (2, 1, 3));
    let asked = site.server.requests()[0].line.clone();
    assert!(asked.contains("items.*.failure_store"), "{asked}");
}

#[tokio::test]
async fn errors_that_the_operator_gives_up_are_put_aside() {
    let params = json!({ "unrecoverable_error_types": ["out_of_memory_error", BUSY] });
    let site = Site::new(params).await;
    site.server.then(items(&[
        (429, BUSY),
        (429, "other"),
        (201, ""),
        (500, "out_of_memory_error"),
    ]));
    let end = site.deliver(&[numbers(4)]).await;
    assert_eq!(
        (end.tries, end.dead()),
        (
            2,
            vec![(0, FailureKind::Http429), (3, FailureKind::Http5xx)]
        )
    );
    assert_eq!(site.sent()[1], [1]);
}
