//! UDP, TLS and the handshake.

use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::rustls::{
    crypto::{GetRandomFailed, SecureRandom},
    version::{TLS12, TLS13},
};

use super::*;
use crate::{
    settings::Settings,
    tests::{
        security::{BY_KEY, security, shake},
        tls::{Speaks, connect, delivers, tls},
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c48_heartbeats_of_every_length_are_answered_with_one_zero_byte() {
    let (running, _) = Running::collecting(none()).await;
    let address = running.address;
    let asked = tokio::task::spawn_blocking(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        for len in [0, 1, 128, 500] {
            socket.send_to(&vec![7; len], address).unwrap();
            let mut answer = [9; 16];
            let (len, from) = socket.recv_from(&mut answer).expect("an answer");
            assert_eq!((&answer[..len], from), (&[0_u8][..], address));
        }
    });
    asked.await.unwrap();
    running.end().await;
}

#[tokio::test]
async fn c49_tls_1_2_and_1_3_with_any_alpn_and_nothing_else() {
    let (running, collector) = Running::collecting(tls(&none())).await;
    for only in [&TLS12, &TLS13] {
        let speaks = Speaks {
            only: Some(only),
            alpn: true,
            ..Speaks::default()
        };
        let mut stream = connect(&running, speaks).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), None);
        delivers(&mut stream, "a").await.unwrap();
        drop(connect(&running, speaks).await.unwrap());
    }
    // The alert of TLS is all that is said.
    let mut plain = Client::connect(&running).await;
    plain.send(&unhex("93a174ce6553f10181a16d01")).await;
    let mut said = Vec::new();
    within("the input closes", plain.0.read_to_end(&mut said))
        .await
        .expect("FIN, not RST");
    assert_eq!((said.first(), said.len()), (Some(&0x15), 7));
    assert_eq!(events(&collector).len(), 2);
    running.end().await;
}

#[tokio::test]
async fn c50_certificates_of_senders_are_asked_for() {
    let authority = crate::tests::tls::cert("authority.pem");
    let params = tls(&json!({ "client_cert_auth": true, "ca_path": authority }));
    let (running, collector) = Running::collecting(params).await;
    for (identity, is_let_in) in [
        (None, false),
        (Some("stranger"), false),
        (Some("client"), true),
    ] {
        let speaks = Speaks {
            identity,
            ..Speaks::default()
        };
        let delivered = match connect(&running, speaks).await {
            Ok(mut stream) => delivers(&mut stream, "a").await.is_ok(),
            Err(_) => false,
        };
        assert_eq!(delivered, is_let_in, "{identity:?}");
    }
    assert_eq!(events(&collector).len(), 1);
    running.end().await;
}

/// Gives 0, 1, 2 and so on.
#[derive(Debug)]
struct Counting(AtomicU8);

impl SecureRandom for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        for byte in bytes {
            *byte = self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[tokio::test]
async fn c51_the_handshake_is_that_of_the_known_answer() {
    let collector = Collector::default();
    let mut params = security(&json!({
        "self_hostname": "server.example",
        "user_auth": true,
        "user": [{ "username": "alice", "password": "wonder" }],
    }));
    params["udp_heartbeat"] = false.into();
    let known = |settings: &mut Settings| {
        let rules = Arc::get_mut(settings.rules.as_mut().unwrap()).unwrap();
        rules.random = Box::leak(Box::new(Counting(AtomicU8::new(0))));
    };
    let running = Running::start_with(params, known, |ready| collector.cx(ready)).await;
    let mut client = Client::connect(&running).await;
    let helo = "92a448454c4f83a56e6f6e6365c410000102030405060708090a0b0c0d0e0fa461757468c410101112131415161718191a1b1c\
        1d1e1fa96b656570616c697665c3";
    client.expect(unhex(helo)).await;
    let fields = [
        "client.example",
        "0123456789abcdef0123456789abcdef",
        "3a680037d3979b4f789647cd22e7e55f2197791eb498799823c424e2213124ed63938d1c422f50e08ec02957ef44df338e46c77e8ea164\
         b0dde6d64e171b30df",
        "alice",
        "28e426ad86ca78c8b421ca6d56454afb514c419e9d27042e1babc9220cfb3bd8bad8ad8e63b63237086a4cb77f864ab06adb150f9c50cd\
         5003b2f3b97048fe25",
    ];
    client.send(&ping(&fields)).await;
    let digest = "3389a63bef56054281d75fb7b05965b0d1b1ea9eba25b4594ed8e06a02e725af1fbf401cdbe697423c388ac1948566570a6f\
        592284a536370ca36a5ccf88cbbd";
    let answer = [
        unhex("95a4504f4e47c3a0ae"),
        b"server.example\xd9\x80".to_vec(),
        digest.as_bytes().to_vec(),
    ];
    client.expect(answer.concat()).await;
    client.send(&unhex(STILL_THERE)).await;
    client.expect(unhex(STILL_THERE_ACK)).await;
    drop(client);
    running.end().await;
}

fn ping(fields: &[&str]) -> Vec<u8> {
    let items = std::iter::once("PING").chain(fields.iter().copied());
    encode(&rmpv::Value::Array(items.map(Into::into).collect()))
}

/// Reads HELO and gives the nonce.
async fn helo(client: &mut Client) -> Vec<u8> {
    let mut helo = vec![0; 65];
    within("HELO", client.0.read_exact(&mut helo))
        .await
        .unwrap();
    assert_eq!(helo[..15], unhex("92a448454c4f83a56e6f6e6365c410"));
    helo[15..31].to_vec()
}

fn digest(parts: &[&[u8]]) -> String {
    use sha2::Digest as _;
    let bytes = sha2::Sha512::digest(parts.concat());
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn refusal(reason: &str) -> Vec<u8> {
    encode(&rmpv::Value::Array(vec![
        "PONG".into(),
        false.into(),
        reason.into(),
        "".into(),
        "".into(),
    ]))
}

/// As Fluent Bit writes it: sixteen raw bytes as a str, and no user.
#[tokio::test]
async fn c52_a_salt_of_raw_bytes_is_taken() {
    let (running, _) = Running::collecting(security(&none())).await;
    let mut client = Client::connect(&running).await;
    let nonce = helo(&mut client).await;
    let salt = [0xff; 16];
    let proof = digest(&[&salt, b"bit", &nonce, b"secret"]);
    let ping = [
        &unhex("96a450494e47a3626974b0")[..],
        &salt,
        b"\xd9\x80",
        proof.as_bytes(),
        b"\xa0\xa0",
    ]
    .concat();
    client.send(&ping).await;
    let proof = digest(&[&salt, b"weir.example", &nonce, b"secret"]);
    let answer = [
        &unhex("95a4504f4e47c3a0ac")[..],
        b"weir.example\xd9\x80",
        proof.as_bytes(),
    ]
    .concat();
    client.expect(answer).await;
    drop(client);
    running.end().await;
}

#[tokio::test]
async fn c53_a_wrong_key_is_told_so_and_closed_with_fin() {
    let (running, _) = Running::collecting(security(&none())).await;
    let mut client = Client::connect(&running).await;
    let nonce = helo(&mut client).await;
    let proof = digest(&[b"salt", b"client.example", &nonce, b"wrong"]);
    client
        .send(&ping(&["client.example", "salt", &proof, "", ""]))
        .await;
    let exact = "95a4504f4e47c2b37368617265645f6b6579206d69736d61746368a0a0";
    client.expect_fin(&unhex(exact)).await;
    running.end().await;
}

/// Makes a PING of a nonce.
type Answer<'a> = Box<dyn Fn(&[u8]) -> Vec<u8> + 'a>;

#[tokio::test]
async fn c54_everybody_else_is_told_why_and_nothing_is_stored() {
    let nobody =
        json!({ "allow_anonymous_source": false, "client": [{ "network": "192.0.2.0/24" }] });
    let users =
        json!({ "user_auth": true, "user": [{ "username": "alice", "password": "wonder" }] });
    let good_key = |nonce: &[u8]| {
        let proof = digest(&[b"salt", b"client.example", nonce, b"secret"]);
        ping(&["client.example", "salt", &proof, "mallory", "guess"])
    };
    let is_no_ping = "invalid ping message";
    let cases: Vec<(Value, Answer<'_>, &str)> = vec![
        (users, Box::new(good_key), "username/password mismatch"),
        (
            nobody,
            Box::new(good_key),
            "anonymous source host '127.0.0.1' denied",
        ),
        (
            none(),
            Box::new(|_| unhex("93a174ce6553f10181a16d01")),
            is_no_ping,
        ),
        (
            none(),
            Box::new(|_| ping(&["client.example", "salt", "digest", ""])),
            is_no_ping,
        ),
        (
            none(),
            Box::new(|_| unhex("96a450494e47c0c0c0c0c0")),
            is_no_ping,
        ),
        (none(), Box::new(|_| unhex("81a16101")), is_no_ping),
        (none(), Box::new(|_| unhex("c0")), is_no_ping),
    ];
    for (besides, answer, reason) in cases {
        let (running, collector) = Running::collecting(security(&besides)).await;
        let mut client = Client::connect(&running).await;
        let nonce = helo(&mut client).await;
        client.send(&answer(&nonce)).await;
        client.expect_fin(&refusal(reason)).await;
        assert_eq!(events(&collector).len(), 0);
        running.end().await;
    }
}

#[tokio::test]
async fn c55_nothing_behind_a_bad_ping_is_stored() {
    let (running, collector) = Running::collecting(security(&none())).await;
    let mut client = Client::connect(&running).await;
    helo(&mut client).await;
    let bad = ping(&["client.example", "salt", "digest", "", ""]);
    client
        .send(&[bad, packed("t", &numbered(0, 1), Some("a"))].concat())
        .await;
    client.expect_fin(&refusal("shared_key mismatch")).await;
    assert_eq!(events(&collector).len(), 0);
    running.end().await;
}

#[tokio::test]
async fn c56_data_together_with_a_good_ping_is_stored() {
    let (running, collector) = Running::collecting(security(&none())).await;
    let mut client = Client::connect(&running).await;
    let nonce = helo(&mut client).await;
    let proof = digest(&[b"salt", b"client.example", &nonce, b"secret"]);
    let good = ping(&["client.example", "salt", &proof, "", ""]);
    client
        .send(&[good, packed("t", &numbered(0, 1), Some("a"))].concat())
        .await;
    // The name of twelve characters, and the digest.
    let mut answer = vec![0; 9 + 12 + 2 + 128];
    within("PONG", client.0.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer[..7], unhex("95a4504f4e47c3"));
    client.expect(ack("a")).await;
    assert_eq!(events(&collector).len(), 1);
    running.end().await;
}

#[tokio::test]
async fn c57_a_second_ping_is_no_event() {
    let (running, collector) = Running::collecting(security(&none())).await;
    let mut client = Client::connect(&running).await;
    shake(&mut client, BY_KEY).await.unwrap();
    client
        .0
        .write_all(&ping(&["client.example", "salt", "digest", "", ""]))
        .await
        .unwrap();
    client.send(&unhex(STILL_THERE)).await;
    client.expect(unhex(STILL_THERE_ACK)).await;
    assert_eq!(events(&collector), [""; 0]);
    drop(client);
    running.end().await;
}
