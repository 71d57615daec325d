//! The handshake of `[source.security]`, over a socket and byte for byte.

use std::collections::HashMap;

use bytes::BytesMut;
use forward_protocol::handshake::{self, ClientStep, HandshakeError};
use rmpv::Value as Pack;
use sdk::config::Secret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::kit::*;

/// What a client says of itself.
#[derive(Clone, Copy)]
pub(super) struct Who {
    pub(super) key: &'static str,
    pub(super) user: &'static str,
    pub(super) password: &'static str,
}

pub(super) const BY_KEY: Who = Who {
    key: "secret",
    user: "",
    password: "",
};
const ALICE: Who = Who {
    key: "secret",
    user: "alice",
    password: "wonder",
};

pub(super) fn security(besides: &Value) -> Value {
    let mut table = json!({ "shared_key": "secret" });
    for (key, value) in besides.as_object().unwrap() {
        table[key] = value.clone();
    }
    json!({ "security": table })
}

/// Goes through the handshake. Returns the client and whether the server keeps connections.
pub(super) async fn shake(client: &mut Client, who: Who) -> Result<bool, HandshakeError> {
    let mut identity = handshake::Identity::new("client.example", Secret::new(who.key));
    identity.username = who.user.into();
    identity.password = Secret::new(who.password);
    let mut shaking = handshake::Client::new(identity, [7; 16]);
    let mut buf = BytesMut::new();
    loop {
        match shaking.take(&mut buf)? {
            ClientStep::Read => {
                let read = within("an answer", client.0.read_buf(&mut buf))
                    .await
                    .unwrap();
                assert_ne!(read, 0, "closed in the middle of the handshake");
            }
            ClientStep::Send(bytes) => client.0.write_all(&bytes).await.unwrap(),
            ClientStep::Done { keepalive } => return Ok(keepalive),
        }
    }
}

async fn refused(running: &Running, who: Who) -> String {
    let mut client = Client::connect(running).await;
    let error = shake(&mut client, who).await.unwrap_err();
    client.send(&packed("t", &numbered(0, 1), Some("a"))).await;
    client.expect_fin(&[]).await;
    match error {
        HandshakeError::Refused { reason } => reason,
        other => panic!("{other}"),
    }
}

async fn accepted(running: &Running, who: Who) {
    let mut client = Client::connect(running).await;
    assert_eq!(shake(&mut client, who).await, Ok(true));
    client.send(&packed("t", &numbered(0, 1), Some("a"))).await;
    client.expect(ack("a")).await;
}

fn failures(running: &Running) -> HashMap<&'static str, i64> {
    let reasons = [
        "invalid_ping",
        "shared_key",
        "user",
        "anonymous_source",
        "cut_off",
        "timeout",
    ];
    let count = |reason| {
        running.metric(&format!(
            "weir_forward_handshake_failures_total{{direction=\"in\",reason=\"{reason}\"}}"
        ))
    };
    reasons
        .into_iter()
        .map(|reason| (reason, count(reason)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

#[tokio::test]
async fn who_knows_the_key_is_let_in_and_nobody_else() {
    let (running, collector) = Running::collecting(security(&json!({}))).await;
    accepted(&running, BY_KEY).await;
    accepted(&running, ALICE).await;
    let wrong = Who {
        key: "other",
        ..BY_KEY
    };
    assert_eq!(refused(&running, wrong).await, "shared_key mismatch");
    assert_eq!(failures(&running), HashMap::from([("shared_key", 1)]));
    assert_eq!(collector.batches().len(), 2);
    running.end().await;
}

#[tokio::test]
async fn users_are_asked_for_and_only_those_of_the_network_count() {
    let user = |name: &str, password: &str| json!({ "username": name, "password": password });
    let params = |network: &str| {
        security(&json!({
            "user_auth": true,
            "user": [user("alice", "wonder"), user("bob", "builder")],
            "client": [{ "network": network, "users": ["alice"] }],
        }))
    };
    let bob = Who {
        user: "bob",
        password: "builder",
        ..BY_KEY
    };
    let (running, _) = Running::collecting(params("127.0.0.0/8")).await;
    accepted(&running, ALICE).await;
    for wrong in [
        bob,
        BY_KEY,
        Who {
            password: "builder",
            ..ALICE
        },
        Who {
            password: "",
            ..ALICE
        },
    ] {
        assert_eq!(refused(&running, wrong).await, "username/password mismatch");
    }
    assert_eq!(failures(&running), HashMap::from([("user", 4)]));
    running.end().await;
    let (running, _) = Running::collecting(params("192.0.2.0/24")).await;
    accepted(&running, ALICE).await;
    accepted(&running, bob).await;
    running.end().await;
}

#[tokio::test]
async fn the_first_client_that_fits_gives_the_key_and_strangers_may_be_kept_out() {
    let clients = json!([
        { "network": "192.0.2.0/24", "shared_key": "theirs" },
        { "host": "localhost", "shared_key": "ours" },
        { "network": "127.0.0.0/8", "shared_key": "too late" },
    ]);
    let params = json!({ "client": clients, "allow_anonymous_source": false });
    let (running, _) = Running::collecting(security(&params)).await;
    accepted(
        &running,
        Who {
            key: "ours",
            ..BY_KEY
        },
    )
    .await;
    for key in ["secret", "theirs", "too late"] {
        assert_eq!(
            refused(&running, Who { key, ..BY_KEY }).await,
            "shared_key mismatch"
        );
    }
    running.end().await;
    let params =
        json!({ "client": [{ "network": "192.0.2.0/24" }], "allow_anonymous_source": false });
    let (running, _) = Running::collecting(security(&params)).await;
    assert_eq!(
        refused(&running, BY_KEY).await,
        "anonymous source host '127.0.0.1' denied"
    );
    running.end().await;
}

#[tokio::test]
async fn every_connection_has_its_own_nonce_so_that_a_digest_cannot_be_used_again() {
    let (running, collector) = Running::collecting(security(&json!({}))).await;
    let mut first = Client::connect(&running).await;
    let mut helo = vec![0; 65];
    within("HELO", first.0.read_exact(&mut helo)).await.unwrap();
    let mut client = handshake::Client::new(
        handshake::Identity::new("client.example", Secret::new("secret")),
        [7; 16],
    );
    let ClientStep::Send(ping) = client.take(&mut BytesMut::from(&helo[..])).unwrap() else {
        panic!("HELO came whole")
    };
    first.send(&ping).await;
    // There it is good, name and digest behind it.
    let mut answer = [0; 9 + 12 + 2 + 128];
    within("PONG", first.0.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer[..8], unhex("95a4504f4e47c3a0"));
    let mut second = Client::connect(&running).await;
    let mut other = vec![0; 65];
    within("HELO", second.0.read_exact(&mut other))
        .await
        .unwrap();
    assert_ne!(helo, other);
    second
        .send(&[ping.to_vec(), packed("t", &numbered(0, 1), Some("a"))].concat())
        .await;
    let refusal = "95a4504f4e47c2b37368617265645f6b6579206d69736d61746368a0a0";
    second.expect_fin(&unhex(refusal)).await;
    assert_eq!(collector.batches().len(), 0);
    drop(first);
    running.end().await;
}

#[tokio::test]
async fn a_silent_client_is_not_waited_for_and_one_that_only_looks_is_no_failure() {
    let mut params = security(&json!({}));
    params["handshake_timeout"] = "100ms".into();
    let (running, _) = Running::collecting(params).await;
    let mut silent = Client::connect(&running).await;
    let mut helo = vec![0; 65];
    within("HELO", silent.0.read_exact(&mut helo))
        .await
        .unwrap();
    silent.expect_fin(&[]).await;
    drop(Client::connect(&running).await);
    let closed = "weir_forward_connections_closed_total{direction=\"in\",reason=\"closed\"}";
    eventually("the look is over", || {
        (running.metric(closed) == 1).then_some(())
    })
    .await;
    let mut cut_off = Client::connect(&running).await;
    cut_off.send(&[0x96, 0xa4]).await;
    drop(cut_off);
    let both = HashMap::from([("timeout", 1), ("cut_off", 1)]);
    eventually("both are counted", || {
        (failures(&running) == both).then_some(())
    })
    .await;
    running.end().await;
}

#[tokio::test]
async fn denied_keepalive_is_said_in_advance() {
    let mut params = security(&json!({}));
    params["deny_keepalive"] = true.into();
    let (running, _) = Running::collecting(params).await;
    let mut client = Client::connect(&running).await;
    assert_eq!(shake(&mut client, BY_KEY).await, Ok(false));
    client.send(&packed("t", &numbered(0, 1), Some("a"))).await;
    client.expect_fin(&ack("a")).await;
    running.end().await;
}

#[tokio::test]
async fn nothing_is_read_as_data_before_the_ping_nor_a_second_ping_after_it() {
    let (running, collector) = Running::collecting(security(&json!({}))).await;
    let mut client = Client::connect(&running).await;
    let mut helo = vec![0; 65];
    within("HELO", client.0.read_exact(&mut helo))
        .await
        .unwrap();
    client.send(&packed("t", &numbered(0, 1), Some("a"))).await;
    let reason = "invalid ping message";
    let refusal = [
        "PONG".into(),
        false.into(),
        reason.into(),
        "".into(),
        "".into(),
    ];
    client
        .expect_fin(&encode(&Pack::Array(refusal.to_vec())))
        .await;
    assert_eq!(collector.batches().len(), 0);

    let mut client = Client::connect(&running).await;
    shake(&mut client, BY_KEY).await.unwrap();
    let ping = ["PING", "client.example", "salt", "digest", "", ""].map(Pack::from);
    client.send(&encode(&Pack::Array(ping.to_vec()))).await;
    client.send(&packed("t", &numbered(0, 1), Some("a"))).await;
    client.expect(ack("a")).await;
    let tags: Vec<_> = collector
        .batches()
        .iter()
        .map(|batch| batch.tag.to_string())
        .collect();
    assert_eq!(tags, ["t"]);
    running.end().await;
}
