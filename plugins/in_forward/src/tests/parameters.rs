//! Parameters: complaints at their place, defaults, tags.

use sdk::{
    input::Input,
    plugin::{Build, BuildCx},
};
use serde_json::{Value, json};

use super::kit::*;
use crate::{
    Config,
    settings::{Place, Settings},
};

fn build(params: Value) -> Result<Box<dyn Input>, Vec<String>> {
    let Build::Input(build) = crate::PLUGIN.build else {
        panic!("an input")
    };
    let input = build(params, &BuildCx::detached("test"));
    input.map_err(|errors| {
        errors
            .into_iter()
            .map(|error| format!("{}: {error}", error.path))
            .collect()
    })
}

fn address(params: Value) -> String {
    let config: Config = serde_json::from_value(params).unwrap();
    match Settings::new(config, "weir.example").unwrap().place {
        Place::Tcp(address) => address.to_string(),
        Place::Unix(path, _) => panic!("{}", path.display()),
    }
}

#[test]
fn the_address_is_fluentds_by_default() {
    assert_eq!(address(json!({})), "0.0.0.0:24224");
    assert_eq!(address(json!({ "bind": "::1" })), "[::1]:24224");
    assert_eq!(address(json!({ "port": 24225 })), "0.0.0.0:24225");
    assert_eq!(address(json!({ "listen": "127.0.0.1:1" })), "127.0.0.1:1");
}

#[test]
fn wrong_values_are_refused_at_their_place() {
    let wrong = json!({ "bind": "localhost", "chunk_size_limit": 0, "message_timeout": 0 });
    let complaints = build(wrong).err().unwrap();
    assert_eq!(
        complaints,
        [
            "/bind: \"localhost\" is not an IP address",
            "/chunk_size_limit: a limit of 0 takes nothing",
            "/message_timeout: a timeout of 0 closes every connection",
        ]
    );
    let twice = build(json!({ "listen": "127.0.0.1:1", "port": 1 }))
        .err()
        .unwrap();
    assert_eq!(
        twice,
        ["/listen: stands beside \"bind\" or \"port\", which say the same"]
    );
    assert!(build(json!({})).is_ok());
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let (running, collector) = Running::collecting(json!({})).await;
    let input = build(json!({ "listen": running.address.to_string() })).unwrap();
    let (_stopper, stop) = sdk::stop::Stopper::new();
    let cx = collector.cx(sdk::input::Ready::new(|_| panic!("it is not ready")));
    let error = within("it fails", input.run(cx, stop))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("listen on {}: ", running.address)),
        "{error}"
    );
    running.end().await;
}

#[tokio::test]
async fn tags_are_replaced_and_prefixed() {
    for (params, expected) in [
        (json!({ "tag": "x" }), ["x", "x"]),
        (json!({ "add_tag_prefix": "p" }), ["p.a", "p.b"]),
        (json!({ "tag": "x", "add_tag_prefix": "p" }), ["p.x", "p.x"]),
    ] {
        let (running, collector) = Running::collecting(params).await;
        let mut client = Client::connect(&running).await;
        client.send(&packed("a", &numbered(0, 1), None)).await;
        client.send(&packed("b", &numbered(0, 1), Some("1"))).await;
        client.expect(ack("1")).await;
        let tags: Vec<String> = collector
            .batches()
            .iter()
            .map(|batch| batch.tag.to_string())
            .collect();
        assert_eq!(tags, expected);
        running.end().await;
    }
}

#[tokio::test]
async fn origin_identifies_when_it_is_asked_to() {
    let (running, collector) = Running::collecting(json!({ "identity": "origin" })).await;
    let mut client = Client::connect(&running).await;
    client.send(&packed("a", &numbered(0, 1), Some("id"))).await;
    client.expect(ack("id")).await;
    let origin = collector.batches().remove(0).origin.unwrap();
    assert_eq!(
        (origin.chunk.as_ref(), origin.first, origin.identifies),
        (b"id".as_slice(), 0, true)
    );
    running.end().await;
}
