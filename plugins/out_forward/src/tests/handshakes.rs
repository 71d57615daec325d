//! TLS and the handshake with the shared key, against the server side of the same protocol.

use std::{fs, path::PathBuf, sync::Arc};

use forward_protocol::handshake::{Terms, User};
use sdk::{
    config::Secret,
    output::{FailureKind, Outcome},
};
use serde_json::{Value, json};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::WebPkiClientVerifier,
        version,
    },
};

use super::{
    down, numbered, output,
    server::{Answers, Script, Server},
    write,
};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/tests/tls")
        .join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(&fs::read(file(name)).unwrap()).unwrap()
}

/// A server with the certificate `name`; with `mutual` it asks for one of the client. `old` speaks TLS 1.2 only.
fn acceptor(name: &str, mutual: bool, old: bool) -> TlsAcceptor {
    let provider = Arc::new(ring::default_provider());
    let key = PrivateKeyDer::from_pem_slice(&fs::read(file(&format!("{name}.key"))).unwrap());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = if old {
        builder.with_protocol_versions(&[&version::TLS12])
    } else {
        builder.with_safe_default_protocol_versions()
    };
    let mut roots = RootCertStore::empty();
    roots.add(certificate("authority.pem")).unwrap();
    let builder = if mutual {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.unwrap().with_no_client_auth()
    };
    let chain = vec![certificate(&format!("{name}.pem"))];
    TlsAcceptor::from(Arc::new(
        builder.with_single_cert(chain, key.unwrap()).unwrap(),
    ))
}

fn serve(tls: Option<TlsAcceptor>, terms: Option<Terms>) -> Server {
    let script = Script {
        answers: Answers::Right,
        terms,
        tls,
    };
    Server::follow(script, 0)
}

/// Sends one record to `server` under the name `localhost`.
async fn try_one(server: &Server, more: &Value) -> Outcome {
    let table = json!({ "host": "localhost", "port": server.port });
    write(&output(&[table], more), &[numbered(1)]).await
}

#[tokio::test]
async fn tls_is_trusted_as_configured() {
    let [ca, own, client, key] = [
        "authority.pem",
        "self_signed.pem",
        "client.pem",
        "client.key",
    ]
    .map(file);
    let trusting = json!({ "ca_cert_path": ca });
    let mutual =
        json!({ "ca_cert_path": ca, "client_cert_path": client, "client_private_key_path": key });
    // The certificate of the server, whether it asks for one, the table `tls`, and whether records arrive.
    let cases = [
        ("server", false, trusting.clone(), true),
        ("server", false, json!({}), false),
        ("server", false, json!({ "insecure_mode": true }), true),
        ("server", true, trusting.clone(), false),
        ("server", true, mutual, true),
        ("self_signed", false, trusting, false),
        ("self_signed", false, json!({ "ca_cert_path": own }), true),
        (
            "self_signed",
            false,
            json!({ "allow_self_signed_cert": true }),
            true,
        ),
    ];
    for (name, mutual, tls, arrives) in cases {
        for old in [false, true] {
            let server = serve(Some(acceptor(name, mutual, old)), None);
            let outcome = try_one(&server, &json!({ "tls": tls })).await;
            let case = format!("{name}, mutual {mutual}, old {old}, {tls}: {outcome:?}");
            assert_eq!(outcome == Outcome::Delivered, arrives, "{case}");
            assert_eq!(server.numbers() == [1], arrives, "{case}");
        }
    }
}

#[tokio::test]
async fn the_name_in_the_certificate_counts_unless_told_otherwise() {
    let server = serve(Some(acceptor("server", false, false)), None);
    let ca = file("authority.pem");
    // The certificate says `localhost` and not `127.0.0.1`; where the host is an address, the name may be given.
    let address = server.table();
    let mut named = address.clone();
    named["name"] = "localhost".into();
    let strict = json!({ "tls": { "ca_cert_path": ca } });
    let failure = down(
        write(
            &output(std::slice::from_ref(&address), &strict),
            &[numbered(1)],
        )
        .await,
    );
    assert_eq!(failure.kind, FailureKind::Tls);
    assert_eq!(
        write(&output(&[named], &strict), &[numbered(1)]).await,
        Outcome::Delivered
    );
    let lax = json!({ "tls": { "ca_cert_path": ca, "verify_hostname": false } });
    assert_eq!(
        write(&output(&[address], &lax), &[numbered(1)]).await,
        Outcome::Delivered
    );
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let server = serve(Some(acceptor("server", false, false)), None);
    let outcome = try_one(
        &server,
        &json!({ "tls": { "ca_cert_path": "no/such.pem" } }),
    )
    .await;
    let failure = down(outcome);
    assert!(
        failure
            .message
            .contains("ca_cert_path no/such.pem cannot be read"),
        "{failure}"
    );
}

fn terms(users: Option<&[(&str, &str)]>) -> Terms {
    let mut terms = Terms::open("server.example", Secret::new("a shared key"));
    terms.users = users.map(|users| {
        let user = |(username, password): &(&str, &str)| User {
            username: (*username).to_owned(),
            password: Secret::new(*password),
        };
        users.iter().map(user).collect()
    });
    terms
}

#[tokio::test]
async fn the_shared_key_lets_in() {
    let security = json!({ "self_hostname": "client.example", "shared_key": "a shared key" });
    for tls in [None, Some(acceptor("server", false, false))] {
        let with_tls = tls.is_some();
        let server = serve(tls, Some(terms(None)));
        let mut more = json!({ "security": security });
        if with_tls {
            more["tls"] = json!({ "ca_cert_path": file("authority.pem") });
        }
        assert_eq!(try_one(&server, &more).await, Outcome::Delivered);
        assert_eq!(server.numbers(), [1]);
    }
}

/// Sends one record, with these keys in the table of the server.
async fn as_user(server: &Server, keys: Value) -> Outcome {
    let mut table = server.table();
    table
        .as_object_mut()
        .unwrap()
        .extend(keys.as_object().unwrap().clone());
    let security = json!({ "self_hostname": "client.example", "shared_key": "a shared key" });
    write(
        &output(&[table], &json!({ "security": security })),
        &[numbered(1)],
    )
    .await
}

#[tokio::test]
async fn users_and_keys_of_servers_are_theirs() {
    let server = serve(None, Some(terms(Some(&[("alice", "wonder")]))));
    let right = json!({ "username": "alice", "password": "wonder" });
    assert_eq!(as_user(&server, right).await, Outcome::Delivered);
    for (keys, reason) in [
        (
            json!({ "username": "alice", "password": "land" }),
            "username/password mismatch",
        ),
        (json!({}), "username/password mismatch"),
        (
            json!({ "username": "alice", "password": "wonder", "shared_key": "another" }),
            "shared_key mismatch",
        ),
    ] {
        let failure = down(as_user(&server, keys).await);
        assert_eq!(failure.kind, FailureKind::Auth);
        assert!(failure.message.contains(reason), "{failure}");
        assert!(!failure.message.contains("land") && !failure.message.contains("another"));
    }
    assert_eq!(server.numbers(), [1]);
}

#[tokio::test]
async fn a_server_with_our_name_is_refused() {
    let server = serve(None, Some(terms(None)));
    let security = json!({ "self_hostname": "server.example", "shared_key": "a shared key" });
    let failure = down(try_one(&server, &json!({ "security": security })).await);
    assert!(failure.message.contains("self_hostname"), "{failure}");
    assert_eq!(server.numbers(), [] as [u64; 0]);
}

#[tokio::test]
async fn a_server_that_never_says_helo_is_left_in_time() {
    let server = serve(None, None);
    let security = json!({ "shared_key": "a shared key" });
    let more = json!({ "security": security, "hard_timeout": "100ms" });
    let failure = down(try_one(&server, &more).await);
    assert_eq!(failure.kind, FailureKind::Auth);
    assert!(
        failure.message.contains("did not end within 0.1 s"),
        "{failure}"
    );
}
