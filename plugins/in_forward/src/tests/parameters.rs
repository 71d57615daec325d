//! Parameters: complaints at their place, defaults, tags.

use sdk::{
    input::Input,
    plugin::{Build, BuildCx},
};
use serde_json::{Value, json};

use super::{kit::*, tls::cert};
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
    match Settings::new(config, "weir.example", None).unwrap().place {
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

#[track_caller]
fn complaints(params: Value) -> Vec<String> {
    build(params).err().expect("complaints")
}

#[test]
fn what_contradicts_itself_is_refused_at_its_place() {
    let unix = json!({ "path": "s", "port": 1, "unix_perm": "rw", "tls": { "cert_path": "c", "private_key_path": "k" } });
    assert_eq!(
        complaints(unix),
        [
            "/path: stands beside an address, and one source listens in one place",
            "/tls: is not spoken over a Unix socket",
            "/unix_perm: \"rw\" is no file mode",
        ]
    );
    let names =
        json!({ "source_hostname_key": "h", "resolve_hostname": false, "unix_perm": "660" });
    assert_eq!(
        complaints(names),
        [
            "/unix_perm: says who may write to a Unix socket, but there is none",
            "/resolve_hostname: is false, but \"source_hostname_key\" needs the names of senders",
        ]
    );
}

#[test]
fn tls_that_cannot_be_is_refused_at_its_place() {
    let check = |besides: Value, complaint: &str| {
        let mut table = json!({ "cert_path": "c", "private_key_path": "k" });
        for (key, value) in besides.as_object().unwrap() {
            table[key] = value.clone();
        }
        assert_eq!(
            complaints(json!({ "tls": table })),
            [complaint],
            "{besides}"
        );
    };
    check(
        json!({ "client_cert_auth": true }),
        "/tls/client_cert_auth: certificates of senders are asked for, but no authority is named that signs them",
    );
    check(
        json!({ "ca_path": "ca" }),
        "/tls/ca_path: is not used without \"client_cert_auth = true\"",
    );
    check(
        json!({ "version": "TLSv1_2", "min_version": "TLS1_2" }),
        "/tls/version: stands beside \"min_version\" or \"max_version\"",
    );
    check(
        json!({ "min_version": "TLSv1_3", "max_version": "TLSv1_2" }),
        "/tls/min_version: is above \"max_version\"",
    );
}

#[test]
fn security_that_lets_nobody_in_is_refused_at_its_place() {
    let clients = json!([
        { "host": "a", "network": "10.0.0.0/8" },
        { "shared_key": "k" },
        { "network": "10.0.0.0/99" },
        { "host": "a", "users": ["nobody"] },
    ]);
    let security = json!({ "shared_key": "k", "user_auth": true, "client": clients });
    assert_eq!(
        complaints(json!({ "security": security })),
        [
            "/security/user_auth: users are asked for, but there is none",
            "/security/client/0: has both \"host\" and \"network\"",
            "/security/client/1: has neither \"host\" nor \"network\"",
            "/security/client/2/network: \"10.0.0.0/99\" is not a network",
            "/security/client/3/users/0: \"nobody\" is no user",
        ]
    );
    let closed = json!({ "shared_key": "k", "allow_anonymous_source": false });
    assert_eq!(
        complaints(json!({ "security": closed })),
        [
            "/security/allow_anonymous_source: is false, but no client is named: nobody could send anything"
        ]
    );
}

async fn start_error(cert_path: &str, key_path: &str) -> String {
    let table = json!({ "cert_path": cert_path, "private_key_path": key_path });
    let input = build(json!({ "listen": "127.0.0.1:0", "tls": table })).unwrap();
    let (_stopper, stop) = sdk::stop::Stopper::new();
    let ready = sdk::input::Ready::new(|_| panic!("it is not ready"));
    let running = input.run(sdk::testing::Collector::default().cx(ready), stop);
    within("it fails", running).await.unwrap_err().to_string()
}

/// Files are read when the source runs, so that `weir check` needs none.
#[tokio::test]
async fn tls_files_that_cannot_be_used_are_named_when_the_source_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (empty, bad) = (
        file("empty", ""),
        file(
            "bad",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        ),
    );
    let (cert, key) = (cert("server.pem"), cert("server.key"));
    let other_key = super::tls::cert("client.key");
    let encrypted = super::tls::cert("encrypted.key");
    for (cert_path, key_path, expected) in [
        (
            "/nowhere".to_owned(),
            key.clone(),
            "tls: cannot read /nowhere: No such file or directory (os error 2)".to_owned(),
        ),
        (
            empty.clone(),
            key.clone(),
            format!(
                "tls: {empty} holds no certificate: write PEM, the server's own certificate first"
            ),
        ),
        (
            bad.clone(),
            key.clone(),
            format!("tls: {bad} cannot be read as PEM: "),
        ),
        (
            cert.clone(),
            empty.clone(),
            format!("tls: {empty} holds no private key: write PEM, as PKCS #8, PKCS #1 or SEC 1"),
        ),
        (
            cert.clone(),
            encrypted.clone(),
            format!(
                "tls: the private key in {encrypted} is encrypted: add `private_key_passphrase`"
            ),
        ),
        (
            cert.clone(),
            other_key.clone(),
            format!(
                "tls: the certificate in {cert} and the private key in {other_key} cannot be used together: "
            ),
        ),
    ] {
        let error = start_error(&cert_path, &key_path).await;
        assert!(error.starts_with(&expected), "{error}");
    }
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
