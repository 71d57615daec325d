//! TLS: versions, certificates of senders, what is no TLS, changing certificates.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sdk::testing::Collector;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, SupportedProtocolVersion,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        version::{TLS12, TLS13},
    },
};

use super::kit::*;
use crate::settings::Settings;

/// A file of the test certificates.
pub(super) fn cert(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/certs");
    folder.join(name).display().to_string()
}

/// `[source.tls]` with the certificate of the server, and these parameters besides.
pub(super) fn tls(besides: &Value) -> Value {
    let mut table =
        json!({ "cert_path": cert("server.pem"), "private_key_path": cert("server.key") });
    for (key, value) in besides.as_object().unwrap() {
        table[key] = value.clone();
    }
    json!({ "tls": table })
}

/// What a client speaks and who it is.
#[derive(Clone, Copy, Default)]
pub(super) struct Speaks {
    pub(super) only: Option<&'static SupportedProtocolVersion>,
    pub(super) identity: Option<&'static str>,
    pub(super) alpn: bool,
}

/// A handshake over TLS, as far as the client sees it.
pub(super) async fn connect(
    running: &Running,
    speaks: Speaks,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(cert("authority.pem")).unwrap())
        .unwrap();
    let versions = speaks.only.map_or(vec![&TLS12, &TLS13], |only| vec![only]);
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match speaks.identity {
        None => builder.with_no_client_auth(),
        Some(name) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_file(cert(&format!("{name}.pem"))).unwrap()],
                PrivateKeyDer::from_pem_file(cert(&format!("{name}.key"))).unwrap(),
            )
            .unwrap(),
    };
    if speaks.alpn {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    let stream = TcpStream::connect(running.address).await?;
    let connecting =
        TlsConnector::from(Arc::new(config)).connect("weir.example".try_into().unwrap(), stream);
    within("the TLS handshake", connecting).await
}

/// Sends a message and waits for its acknowledgement. With TLS 1.3 a server that refuses the client says so only then.
pub(super) async fn delivers(
    stream: &mut TlsStream<TcpStream>,
    chunk: &str,
) -> std::io::Result<()> {
    stream
        .write_all(&packed("t", &numbered(0, 1), Some(chunk)))
        .await?;
    stream.flush().await?;
    let mut answer = vec![0; ack(chunk).len()];
    within("an answer", stream.read_exact(&mut answer)).await?;
    assert_eq!(answer, ack(chunk));
    Ok(())
}

async fn gets_through(running: &Running, speaks: Speaks) -> bool {
    match connect(running, speaks).await {
        Ok(mut stream) => delivers(&mut stream, "a").await.is_ok(),
        Err(_) => false,
    }
}

fn failures(running: &Running, reason: &str) -> i64 {
    running.metric(&format!(
        "weir_forward_handshake_failures_total{{direction=\"in\",reason=\"{reason}\"}}"
    ))
}

const V12: Speaks = Speaks {
    only: Some(&TLS12),
    identity: None,
    alpn: false,
};
const V13: Speaks = Speaks {
    only: Some(&TLS13),
    ..V12
};

#[tokio::test]
async fn versions_are_1_2_and_1_3_unless_one_is_chosen() {
    for (besides, speaks_12, speaks_13) in [
        (json!({}), true, true),
        (json!({ "version": "TLSv1_2" }), true, false),
        (json!({ "max_version": "TLS1_2" }), true, false),
        (json!({ "min_version": "TLS1_3" }), false, true),
        (json!({ "version": "TLSv1_3" }), false, true),
    ] {
        let (running, _) = Running::collecting(tls(&besides)).await;
        assert_eq!(gets_through(&running, V12).await, speaks_12, "{besides}");
        assert_eq!(gets_through(&running, V13).await, speaks_13, "{besides}");
        let offers = Speaks {
            alpn: true,
            ..Speaks::default()
        };
        assert!(gets_through(&running, offers).await, "{besides}");
        running.end().await;
    }
}

#[tokio::test]
async fn senders_prove_themselves_with_a_certificate_where_one_is_asked_for() {
    let params = tls(&json!({ "client_cert_auth": true, "ca_path": cert("authority.pem") }));
    let (running, collector) = Running::collecting(params).await;
    for version in [V12, V13] {
        for (identity, lets_in) in [
            (None, false),
            (Some("stranger"), false),
            (Some("client"), true),
        ] {
            let speaks = Speaks {
                identity,
                ..version
            };
            assert_eq!(
                gets_through(&running, speaks).await,
                lets_in,
                "{identity:?}"
            );
        }
    }
    assert_eq!(collector.batches().len(), 2);
    eventually("four failures", || {
        (failures(&running, "tls") == 4).then_some(())
    })
    .await;
    running.end().await;
}

#[tokio::test]
async fn what_is_no_tls_is_closed_and_counted_and_a_check_of_the_port_is_neither() {
    let (running, collector) = Running::collecting(tls(&json!({}))).await;
    for bytes in [
        packed("t", &numbered(0, 1), Some("a")),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        let mut plain = Client::connect(&running).await;
        plain.send(&bytes).await;
        let mut answer = Vec::new();
        within("the input closes", plain.0.read_to_end(&mut answer))
            .await
            .expect("FIN, not RST");
        // An alert of TLS, and nothing of ours.
        assert_eq!((answer.first(), answer.len()), (Some(&0x15), 7));
    }
    assert_eq!(failures(&running, "tls"), 2);
    drop(Client::connect(&running).await);
    drop(connect(&running, V13).await.unwrap());
    let closed = "weir_forward_connections_closed_total{direction=\"in\",reason=\"closed\"}";
    eventually("both are closed", || {
        (running.metric(closed) == 2).then_some(())
    })
    .await;
    assert_eq!(
        (failures(&running, "tls"), failures(&running, "cut_off")),
        (2, 0)
    );
    assert_eq!(collector.batches().len(), 0);
    running.end().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let mut params = tls(&json!({}));
    params["handshake_timeout"] = "100ms".into();
    let (running, _) = Running::collecting(params).await;
    let mut silent = Client::connect(&running).await;
    silent.expect_fin(&[]).await;
    assert_eq!(failures(&running, "timeout"), 1);
    running.end().await;
}

/// A folder with the certificate of the server, for changing it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.put("server");
        folder
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.0.path().join(kind)
    }

    fn put(&self, name: &str) {
        for kind in ["key", "pem"] {
            std::fs::copy(cert(&format!("{name}.{kind}")), self.path(kind)).unwrap();
        }
    }

    fn tls(&self) -> Value {
        tls(&json!({ "cert_path": self.path("pem"), "private_key_path": self.path("key") }))
    }
}

fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn der(name: &str) -> Vec<u8> {
    CertificateDer::from_pem_file(cert(name)).unwrap().to_vec()
}

#[tokio::test]
async fn a_changed_certificate_is_shown_to_new_connections_and_open_ones_stay() {
    let folder = Folder::new();
    let collector = Collector::default();
    let often = |settings: &mut Settings| {
        settings.tls = settings
            .tls
            .take()
            .map(|files| files.look_every(Duration::from_millis(20)));
    };
    let running = Running::start_with(folder.tls(), often, |ready| collector.cx(ready)).await;
    let mut open = connect(&running, V13).await.unwrap();
    delivers(&mut open, "before").await.unwrap();
    assert_eq!(shown(&open), der("server.pem"));

    std::fs::write(folder.path("pem"), "damaged").unwrap();
    let failed = "weir_forward_tls_reloads_total{direction=\"in\",result=\"failed\"}";
    eventually("the damage is noticed", || {
        (running.metric(failed) > 0).then_some(())
    })
    .await;
    let mut after_damage = connect(&running, V13).await.unwrap();
    delivers(&mut after_damage, "with the old one")
        .await
        .unwrap();

    folder.put("renewed");
    let mut new = within("the new certificate is shown", async {
        loop {
            let stream = connect(&running, V13).await.unwrap();
            if shown(&stream) == der("renewed.pem") {
                return stream;
            }
        }
    })
    .await;
    delivers(&mut new, "after").await.unwrap();
    delivers(&mut open, "still there").await.unwrap();
    running.end().await;
}
