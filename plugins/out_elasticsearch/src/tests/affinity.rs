//! Changes to documents that are in an older index.

use super::{server::plain, updates::parameters, *};

const SEARCH: &str = "POST /logs-%2A/_search?filter_path=hits.hits._id,hits.hits._index";

fn finding(server: &Server, op_type: &str) -> Arc<dyn Output> {
    let more = json!({ "target_index_affinity": true });
    output(&[server.url()], &parameters(op_type, &more))
}

fn records(ids: &[&str]) -> Vec<Frame> {
    let records: Vec<Value> = ids.iter().map(|id| json!({ "id": id, "n": 1 })).collect();
    vec![frame(7, "app", &records)]
}

/// Action and index of each line that came.
fn actions(server: &Server) -> Vec<(String, String)> {
    let requests = server.requests();
    let actions = requests.iter().flat_map(|request| &request.actions);
    actions
        .map(|(name, meta, _)| (name.clone(), meta["_index"].as_str().unwrap().to_owned()))
        .collect()
}

#[tokio::test]
async fn documents_are_changed_where_they_are() {
    let hits = json!({ "hits": { "hits": [
        { "_id": "a", "_index": "logs-1969.12.28" }, { "_id": "a", "_index": "logs-1969.12.30" },
        { "_id": "q\"", "_index": "logs-1969.12.29" },
    ] } });
    for (op_type, action) in [
        ("upsert", "update"),
        ("update", "update"),
        ("delete", "delete"),
    ] {
        let server = Server::start().await;
        server.page(SEARCH, plain(200, hits.to_string()));
        let finding = finding(&server, op_type);
        let outcome = write(&finding, &records(&["a", "new", "q\"", "a"])).await;
        assert_eq!(outcome, Outcome::Delivered);
        let expected = ["1969.12.28", "1970.01.01", "1969.12.29", "1969.12.28"];
        let expected = expected.map(|day| (action.to_owned(), format!("logs-{day}")));
        assert_eq!(actions(&server), expected);
        // Each id once.
        let asked = server.body_for(SEARCH);
        let ids = json!(["a", "new", "q\""]);
        assert_eq!(asked["query"]["ids"]["values"], ids);
    }
}

#[tokio::test]
async fn a_chunk_waits_until_it_is_known_where_its_documents_are() {
    let server = Server::start().await;
    let finding = finding(&server, "upsert");
    for (reply, kind, message) in [
        (plain(503, "{}"), FailureKind::Http5xx, "answered 503"),
        (plain(403, "{}"), FailureKind::Auth, "answered with 403"),
        (plain(404, "{}"), FailureKind::Http4xx, "answered with 404"),
        (plain(200, "<html>"), FailureKind::Protocol, "the search: "),
    ] {
        server.page_anew(SEARCH, reply);
        let failure = retried(write(&finding, &records(&["a"])).await);
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.message.contains(message), "{failure}");
        assert_eq!(actions(&server), []);
    }
    // Nothing is left of an answer without hits.
    server.page_anew(SEARCH, plain(200, "{}"));
    assert_eq!(write(&finding, &records(&["a"])).await, Outcome::Delivered);
    assert_eq!(
        actions(&server),
        [("update".to_owned(), "logs-1970.01.01".to_owned())]
    );
}
