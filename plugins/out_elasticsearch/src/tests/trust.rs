//! Credentials, and the files of TLS.

use std::path::Path;

use super::{server::plain, *};

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let encoded = "aWQ6a2V5";
    let cases = [
        (
            json!({ "user": "u", "password": "geheim" }),
            "Basic dTpnZWhlaW0=",
        ),
        (json!({ "api_key": "id:key" }), "ApiKey aWQ6a2V5"),
        (json!({ "api_key": encoded }), "ApiKey aWQ6a2V5"),
        (
            json!({ "custom_headers": { "Authorization": "Bearer token" } }),
            "Bearer token",
        ),
    ];
    for (params, expected) in cases {
        let server = Server::start().await;
        server.then(plain(401, ""));
        let output = output(&[server.url()], &params);
        let failure = retried(write(&output, &[numbers(1)]).await);
        assert_eq!(failure.kind, FailureKind::Auth);
        assert_eq!(server.requests()[0].header("authorization"), Some(expected));
    }
    let server = Server::start().await;
    let output = output(
        &[format!("http://u:geheim@127.0.0.1:{}", server.port)],
        &json!({}),
    );
    assert_eq!(write(&output, &[numbers(1)]).await, Outcome::Delivered);
    assert_eq!(
        server.requests()[0].header("authorization"),
        Some("Basic dTpnZWhlaW0=")
    );
    drop(server);
    let Outcome::DestinationDown(failure) = write(&output, &[numbers(1)]).await else {
        panic!()
    };
    assert!(!failure.message.contains("geheim"), "{failure}");
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_named() {
    let authority = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/tls/authority.pem");
    let server = Server::start_tls().await;
    let url = || [format!("https://127.0.0.1:{}", server.port)];
    let named = output(&url(), &json!({ "ca_file": authority }));
    assert_eq!(write(&named, &[numbers(2)]).await, Outcome::Delivered);
    let careless = output(&url(), &json!({ "ssl_verify": false }));
    assert_eq!(write(&careless, &[numbers(2)]).await, Outcome::Delivered);
    let strict = output(&url(), &json!({}));
    let Outcome::DestinationDown(failure) = write(&strict, &[numbers(2)]).await else {
        panic!()
    };
    assert_eq!(failure.kind, FailureKind::Tls, "{failure}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn an_authority_that_is_not_there_yet_is_found_later() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let server = Server::start_tls().await;
    let output = output(
        &[format!("https://127.0.0.1:{}", server.port)],
        &json!({ "ca_file": path }),
    );
    let Outcome::DestinationDown(failure) = write(&output, &[numbers(2)]).await else {
        panic!()
    };
    assert!(
        failure.message.contains("ca.pem cannot be read"),
        "{failure}"
    );
    std::fs::write(&path, "no certificate").unwrap();
    let Outcome::DestinationDown(failure) = write(&output, &[numbers(2)]).await else {
        panic!()
    };
    assert!(
        failure.message.contains("ca.pem holds no certificate") && failure.kind == FailureKind::Tls,
        "{failure}"
    );
    std::fs::write(&path, include_str!("tls/authority.pem")).unwrap();
    assert_eq!(write(&output, &[numbers(2)]).await, Outcome::Delivered);
    // One that takes its place counts at once.
    let other = include_str!("../../../in_forward/src/tests/certs/other_authority.pem");
    std::fs::write(&path, other).unwrap();
    let Outcome::DestinationDown(failure) = write(&output, &[numbers(2)]).await else {
        panic!()
    };
    assert_eq!(failure.kind, FailureKind::Tls, "{failure}");
}

#[tokio::test]
async fn a_key_with_a_passphrase_is_decrypted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/tls");
    let server = Server::start_tls().await;
    let with = |more: Value| {
        let mut params = json!({
            "ca_file": folder.join("authority.pem"), "client_cert": folder.join("server.pem"),
            "client_key": folder.join("server.encrypted.key")
        });
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        output(&[format!("https://127.0.0.1:{}", server.port)], &params)
    };
    let good = with(json!({ "client_key_pass": "geheim" }));
    assert_eq!(write(&good, &[numbers(2)]).await, Outcome::Delivered);
    for (more, expected) in [
        (json!({}), "add `client_key_pass`"),
        (json!({ "client_key_pass": "other" }), "cannot be decrypted"),
    ] {
        let Outcome::DestinationDown(failure) = write(&with(more), &[numbers(2)]).await else {
            panic!()
        };
        assert_eq!(failure.kind, FailureKind::Tls);
        assert!(
            failure.message.contains("server.encrypted.key "),
            "{failure}"
        );
        assert!(failure.message.contains(expected), "{failure}");
    }
}
