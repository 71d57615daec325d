//! Tables that are refused, and both sides against each other, also after the files changed.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use sdk::{config::ConfigErrors, metrics::Metrics};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector, rustls::pki_types::ServerName};

use crate::{Client, ClientTls, Reload, Server, ServerTls};

fn cert(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../in_forward/src/tests/certs")
        .join(name)
}

fn server_table(besides: Value) -> ServerTls {
    let mut table =
        json!({ "cert_path": cert("server.pem"), "private_key_path": cert("server.key") });
    let Value::Object(besides) = besides else {
        panic!("a table");
    };
    for (key, value) in besides {
        table[key] = value;
    }
    serde_json::from_value(table).unwrap()
}

fn client(table: Value) -> Result<Client, ConfigErrors> {
    let table: ClientTls = serde_json::from_value(table).unwrap();
    Client::new(table, "/tls")
}

/// Whether a word gets from one side to the other.
async fn speak(server: &Server, client: &Client, name: &'static str) -> Result<(), String> {
    let (near, far) = duplex(64 << 10);
    let acceptor = TlsAcceptor::from(server.subscribe().borrow().clone());
    let answered = tokio::spawn(async move {
        let mut stream = acceptor.accept(far).await?;
        stream.write_all(b"word").await?;
        stream.shutdown().await
    });
    let config = client.config().await.map_err(|error| error.to_string())?;
    let name = ServerName::try_from(name).unwrap();
    let mut stream = TlsConnector::from(config)
        .connect(name, near)
        .await
        .map_err(|error| error.to_string())?;
    let mut word = String::new();
    stream
        .read_to_string(&mut word)
        .await
        .map_err(|error| error.to_string())?;
    answered.await.unwrap().map_err(|error| error.to_string())?;
    assert_eq!(word, "word");
    Ok(())
}

#[test]
fn what_is_not_supported_is_refused_with_a_remedy() {
    let mut errors = Vec::new();
    let table = json!({
        "client_cert_auth": true, "ciphers": "ALL",
        "version": "TLSv1_2", "min_version": "TLSv1_3",
    });
    assert!(server_table(table).check("/tls", &mut errors).is_none());
    let paths: Vec<&str> = errors.iter().map(|error| &*error.path).collect();
    let expected = ["/tls/client_cert_auth", "/tls/ciphers", "/tls/version"];
    assert_eq!(paths, expected);
    assert!(errors.iter().all(|error| error.help.is_some()));
    let table = json!({
        "client_cert_path": "x", "ciphers": "ALL", "client_private_key_passphrase": "secret",
    });
    let errors = client(table).unwrap_err();
    let paths: Vec<&str> = errors.iter().map(|error| &*error.path).collect();
    let expected = [
        "/tls/client_cert_path",
        "/tls/client_private_key_passphrase",
        "/tls/ciphers",
    ];
    assert_eq!(paths, expected);
}

#[tokio::test]
async fn the_end_of_the_certificate_is_measured() {
    let mut errors = Vec::new();
    let files = server_table(json!({})).check("/tls", &mut errors).unwrap();
    let metrics = Metrics::new();
    let server = Server::load(files).await.unwrap().measured(&metrics);
    let text = metrics.encode();
    let line = text
        .lines()
        .find(|line| line.starts_with("weir_tls_certificate_not_after"));
    // As `openssl x509 -enddate` says.
    assert!(
        line.is_some_and(|line| line.ends_with(" 4733510400")),
        "{text}"
    );
    drop(server);
}

#[tokio::test]
async fn both_sides_speak_with_certificates_of_both() {
    let mut errors = Vec::new();
    let table = json!({ "client_cert_auth": true, "ca_path": cert("authority.pem") });
    let files = server_table(table).check("/tls", &mut errors).unwrap();
    let server = Server::load(files).await.unwrap();
    let known = client(json!({
        "ca_cert_path": cert("authority.pem"),
        "client_cert_path": cert("client.pem"), "client_private_key_path": cert("client.key"),
    }))
    .unwrap();
    speak(&server, &known, "weir.example").await.unwrap();
    let wrong_name = speak(&server, &known, "elsewhere.example").await;
    assert!(wrong_name.unwrap_err().contains("not valid for name"));
    let unknown = client(json!({ "ca_cert_path": cert("authority.pem") })).unwrap();
    assert!(speak(&server, &unknown, "weir.example").await.is_err());
    let distrustful = speak(&server, &Client::standard(), "weir.example").await;
    assert!(distrustful.unwrap_err().contains("UnknownIssuer"));
}

#[tokio::test]
async fn both_sides_have_keys_with_passphrases() {
    let mut errors = Vec::new();
    let mut table = json!({
        "private_key_path": cert("encrypted.key"), "private_key_passphrase": "secret",
        "client_cert_auth": true, "ca_path": cert("authority.pem"),
    });
    let files = server_table(table.clone())
        .check("/tls", &mut errors)
        .unwrap();
    let server = Server::load(files).await.unwrap();
    let shown = |passphrase: Option<&str>| {
        client(json!({
            "ca_cert_path": cert("authority.pem"), "client_cert_path": cert("server.pem"),
            "client_private_key_path": cert("encrypted.key"),
            "client_private_key_passphrase": passphrase,
        }))
        .unwrap()
    };
    speak(&server, &shown(Some("secret")), "weir.example")
        .await
        .unwrap();
    for (passphrase, expected) in [
        (None, "add `client_private_key_passphrase`"),
        (Some("other"), "cannot be decrypted"),
    ] {
        let said = shown(passphrase).config().await.unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
        assert!(said.contains("encrypted.key "), "{said}");
    }
    table["private_key_passphrase"] = json!("other");
    let files = server_table(table).check("/tls", &mut errors).unwrap();
    let said = Server::load(files).await.unwrap_err().to_string();
    assert!(
        said.contains("encrypted.key cannot be decrypted: `private_key_passphrase`"),
        "{said}"
    );
}

#[tokio::test]
async fn changed_files_are_used_and_unusable_ones_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let [cert_path, key_path] = ["s.pem", "s.key"].map(|name| folder.path().join(name));
    let copy = |name: &str| {
        fs::copy(cert(&format!("{name}.pem")), &cert_path).unwrap();
        fs::copy(cert(&format!("{name}.key")), &key_path).unwrap();
    };
    copy("server");
    let table = json!({ "cert_path": cert_path, "private_key_path": key_path });
    let mut errors = Vec::new();
    let files = server_table(table).check("/tls", &mut errors).unwrap();
    let files = files.look_every(Duration::from_millis(10));
    let server = Server::load(files).await.unwrap();
    let mut latest = server.subscribe();
    let before = Arc::clone(&latest.borrow_and_update());
    let (told, mut said) = tokio::sync::mpsc::channel(64);
    let keeping = tokio::spawn(server.keep_up(move |reload| {
        assert!(told.try_send(matches!(reload, Reload::Done)).is_ok());
    }));
    fs::write(&cert_path, "no pem").unwrap();
    assert_eq!(said.recv().await, Some(false));
    copy("renewed");
    while said.recv().await != Some(true) {}
    assert!(!Arc::ptr_eq(&before, &latest.borrow_and_update()));
    keeping.abort();
}

#[tokio::test]
async fn a_client_makes_its_configuration_once_for_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    fs::copy(cert("authority.pem"), &path).unwrap();
    let client = client(json!({ "ca_cert_path": path })).unwrap();
    let first = client.config().await.unwrap();
    assert!(Arc::ptr_eq(&first, &client.config().await.unwrap()));
    fs::copy(cert("other_authority.pem"), &path).unwrap();
    assert!(!Arc::ptr_eq(&first, &client.config().await.unwrap()));
}

#[tokio::test]
async fn versions_are_chosen() {
    let mut errors = Vec::new();
    let table = json!({ "version": "TLSv1_2" });
    let files = server_table(table).check("/tls", &mut errors).unwrap();
    let server = Server::load(files).await.unwrap();
    let of = |versions: Value| {
        let mut table = versions;
        table["ca_cert_path"] = json!(cert("authority.pem"));
        client(table).unwrap()
    };
    for versions in [
        json!({}),
        json!({ "version": "TLS1_2" }),
        json!({ "max_version": "TLSv1_2" }),
    ] {
        speak(&server, &of(versions), "weir.example").await.unwrap();
    }
    for versions in [
        json!({ "version": "TLSv1_3" }),
        json!({ "min_version": "TLS1_3" }),
    ] {
        let newer = speak(&server, &of(versions), "weir.example").await;
        assert!(newer.unwrap_err().contains("ProtocolVersion"));
    }
}
