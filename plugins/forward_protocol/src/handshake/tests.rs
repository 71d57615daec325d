//! The handshake against vectors that were made by other means, and against what real peers write.

use bytes::BytesMut;
use sdk::config::Secret;

use super::{
    Client, ClientStep, HandshakeError, Identity, MESSAGE_LEN_MAX, Refusal, Server, ServerStep,
    Terms, User,
};

/// Server and client of the vectors, made with `sha512sum`: nonce 00..0f, auth 10..1f, key "secret".
const NONCE: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const AUTH: [u8; 16] = [
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
];
/// As hex it is `0123456789abcdef0123456789abcdef`.
const SALT: [u8; 16] = [
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
];
const HELO: &str = "92a448454c4f83a56e6f6e6365c410000102030405060708090a0b0c0d0e0fa461757468c41010\
    1112131415161718191a1b1c1d1e1fa96b656570616c697665c3";
const CLIENT_DIGEST: &str = "3a680037d3979b4f789647cd22e7e55f2197791eb498799823c424e2213124ed\
    63938d1c422f50e08ec02957ef44df338e46c77e8ea164b0dde6d64e171b30df";
const PASSWORD_DIGEST: &str = "28e426ad86ca78c8b421ca6d56454afb514c419e9d27042e1babc9220cfb3bd8\
    bad8ad8e63b63237086a4cb77f864ab06adb150f9c50cd5003b2f3b97048fe25";
const SERVER_DIGEST: &str = "3389a63bef56054281d75fb7b05965b0d1b1ea9eba25b4594ed8e06a02e725af\
    1fbf401cdbe697423c388ac1948566570a6f592284a536370ca36a5ccf88cbbd";

fn unhex(text: &str) -> BytesMut {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    let bytes = digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]);
    bytes.map(|byte| u8::try_from(byte).unwrap()).collect()
}

fn text(value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    sdk::msgpack::write::str(&mut out, value);
    out
}

/// `marker`, the item that is behind it in hex, and strings.
fn message(hex: &str, fields: &[&str]) -> BytesMut {
    let mut out = unhex(hex);
    for field in fields {
        out.extend_from_slice(&text(field));
    }
    out
}

fn good_ping() -> BytesMut {
    let salt = "0123456789abcdef0123456789abcdef";
    let fields = [
        "client.example",
        salt,
        CLIENT_DIGEST,
        "alice",
        PASSWORD_DIGEST,
    ];
    message("96 a450494e47", &fields)
}

fn good_pong() -> BytesMut {
    message("95 a4504f4e47 c3 a0", &["server.example", SERVER_DIGEST])
}

fn alice(password: &str) -> User {
    User {
        username: "alice".into(),
        password: Secret::new(password),
    }
}

fn server(key: &str, users: Option<Vec<User>>) -> Server {
    let mut terms = Terms::open("server.example", Secret::new(key));
    terms.users = users.map(Into::into);
    Server::new(terms, NONCE, AUTH)
}

fn client(own_name: &str) -> Client {
    let mut identity = Identity::new(own_name, Secret::new("secret"));
    identity.username = "alice".into();
    identity.password = Secret::new("wonder");
    Client::new(identity, SALT)
}

#[test]
fn every_message_is_that_of_the_vector() {
    let mut server = server("secret", Some(vec![alice("other"), alice("wonder")]));
    assert_eq!(server.helo(true), unhex(HELO));
    assert_eq!(server.helo(false).last(), Some(&0xc2));
    let mut client = client("client.example");
    let ping = client.take(&mut unhex(HELO)).unwrap();
    assert_eq!(ping, ClientStep::Send(good_ping().freeze()));
    let mut wire = good_ping();
    wire.extend_from_slice(b"\x93\xa1t");
    let ServerStep::Accepted {
        answer,
        hostname,
        username,
    } = server.take(&mut wire)
    else {
        panic!("key and password fit")
    };
    assert_eq!(answer, good_pong());
    assert_eq!(hostname, "client.example");
    assert_eq!(username, "alice");
    assert_eq!(&wire[..], b"\x93\xa1t");
    let mut wire = good_pong();
    wire.extend_from_slice(b"more");
    let done = ClientStep::Done { keepalive: true };
    assert_eq!(client.take(&mut wire).unwrap(), done);
    assert_eq!(wire, "more");
    assert_eq!(client.take(&mut wire).unwrap(), done);
}

#[test]
fn messages_may_arrive_byte_by_byte() {
    let mut server = server("secret", Some(vec![alice("wonder")]));
    let mut client = client("client.example");
    let mut buf = BytesMut::new();
    let helo = unhex(HELO);
    for (at, byte) in helo.iter().enumerate() {
        buf.extend_from_slice(&[*byte]);
        let step = client.take(&mut buf).unwrap();
        assert_eq!(step == ClientStep::Read, at + 1 < helo.len(), "{at}");
    }
    let answer = good_ping();
    for (at, byte) in answer.iter().enumerate() {
        buf.extend_from_slice(&[*byte]);
        let step = server.take(&mut buf);
        assert_eq!(step == ServerStep::Read, at + 1 < answer.len(), "{at}");
    }
    let verdict = good_pong();
    for (at, byte) in verdict.iter().enumerate() {
        buf.extend_from_slice(&[*byte]);
        let step = client.take(&mut buf).unwrap();
        assert_eq!(step == ClientStep::Read, at + 1 < verdict.len(), "{at}");
    }
}

#[track_caller]
fn refused(mut server: Server, mut bytes: BytesMut, wanted: &Refusal, reason: &str) {
    let ServerStep::Refused { answer, refusal } = server.take(&mut bytes) else {
        panic!("{bytes:?} is to be refused")
    };
    assert_eq!(&refusal, wanted);
    assert_eq!(answer, message("95 a4504f4e47 c2", &[reason, "", ""]));
}

#[test]
fn a_wrong_key_is_refused_with_these_bytes() {
    let ServerStep::Refused { answer, .. } = server("other", None).take(&mut good_ping()) else {
        panic!("another key")
    };
    let wanted = "95a4504f4e47c2b37368617265645f6b6579206d69736d61746368a0a0";
    assert_eq!(answer, unhex(wanted));
}

#[test]
fn what_is_no_ping_is_refused() {
    for bytes in [
        "c0",
        "80",
        "a450494e47",
        "90",
        "93a174ce6553f10181a16d01",
        "91a450494e47",
        "96a450494e47c0c0c0c0c0c0",
        "96a450494e470102030405",
        "95a450494e47a0a0a0a0",
        "97a450494e47a0a0a0a0a0a0",
        "96a450494e67a0a0a0a0a0",
        "c1",
    ] {
        let server = server("secret", None);
        refused(server, unhex(bytes), &Refusal::Ping, "invalid ping message");
    }
    for opening in ["db00010000", "dd00010000"] {
        let mut endless = unhex(opening);
        endless.resize(MESSAGE_LEN_MAX + 1, 1);
        let server = server("secret", None);
        refused(server, endless, &Refusal::Ping, "invalid ping message");
    }
    let mut nested = BytesMut::new();
    nested.resize(MESSAGE_LEN_MAX, 0x91);
    let server = server("secret", None);
    refused(server, nested, &Refusal::Ping, "invalid ping message");
}

#[test]
fn clients_and_users_that_are_not_known_are_refused() {
    let mut terms = Terms::open("server.example", Secret::new("secret"));
    terms.shared_key = Err("192.0.2.1".into());
    refused(
        Server::new(terms, NONCE, AUTH),
        good_ping(),
        &Refusal::Anonymous("192.0.2.1".into()),
        "anonymous source host '192.0.2.1' denied",
    );
    let mallory = User {
        username: "mallory".into(),
        password: Secret::new("wonder"),
    };
    for users in [vec![], vec![alice("other")], vec![mallory]] {
        refused(
            server("secret", Some(users)),
            good_ping(),
            &Refusal::User,
            "username/password mismatch",
        );
    }
}

#[test]
fn a_digest_for_another_nonce_is_worth_nothing() {
    let terms = Terms::open("server.example", Secret::new("secret"));
    let server = Server::new(terms, [7; 16], AUTH);
    refused(
        server,
        good_ping(),
        &Refusal::SharedKey,
        "shared_key mismatch",
    );
}

/// Fluent Bit sends sixteen raw bytes as a str, which is no UTF-8, and knows no user.
#[test]
fn a_salt_of_raw_bytes_is_taken() {
    let salt = [0xff_u8; 16];
    let key_digest = super::digest([&salt, b"bit", &NONCE, b"secret"]);
    let mut ping = message("96 a450494e47", &["bit"]);
    ping.extend_from_slice(&[0xb0]);
    ping.extend_from_slice(&salt);
    ping.extend_from_slice(&text(std::str::from_utf8(&key_digest).unwrap()));
    ping.extend_from_slice(&unhex("a0 a0"));
    let step = server("secret", None).take(&mut ping);
    assert!(matches!(step, ServerStep::Accepted { .. }), "{step:?}");
}

/// Fluent Bit's server writes str and no `keepalive`; Fluentd without `user_auth` of old leaves `auth` empty.
#[test]
fn a_client_copes_with_every_helo() {
    let nonce_as_str = "92a448454c4f82a56e6f6e6365b0000102030405060708090a0b0c0d0e0fa461757468b0\
        101112131415161718191a1b1c1d1e1f";
    let step = client("client.example").take(&mut unhex(nonce_as_str));
    assert_eq!(step.unwrap(), ClientStep::Send(good_ping().freeze()));

    let no_user = "92a448454c4f81a56e6f6e6365c410000102030405060708090a0b0c0d0e0f";
    let salt = "0123456789abcdef0123456789abcdef";
    let fields = ["client.example", salt, CLIENT_DIGEST, "", ""];
    let ping = message("96 a450494e47", &fields).freeze();
    let step = client("client.example").take(&mut unhex(no_user));
    assert_eq!(step.unwrap(), ClientStep::Send(ping));

    for empty in [
        "91a448454c4f",
        "92a448454c4fc0",
        "92a448454c4f80",
        "92a448454c4f82a56e6f6e6365c0a461757468a0",
    ] {
        let step = client("client.example").take(&mut unhex(empty));
        let step = step.unwrap();
        let ClientStep::Send(ping) = step else {
            panic!("{empty}: {step:?}")
        };
        assert!(ping.ends_with(&[0xa0, 0xa0]), "{empty}");
    }

    for no_helo in ["c0", "90", "91a448454c50", "92a448454c4f81a56e6f6e636501"] {
        let error = client("client.example").take(&mut unhex(no_helo));
        assert_eq!(error.unwrap_err(), HandshakeError::Helo, "{no_helo}");
    }
}

#[track_caller]
fn rejected(own_name: &str, pong: &BytesMut, wanted: &HandshakeError) {
    let mut client = client(own_name);
    client.take(&mut unhex(HELO)).unwrap();
    assert_eq!(&client.take(&mut pong.clone()).unwrap_err(), wanted);
}

#[test]
fn a_client_does_not_trust_every_pong() {
    let mut bad = good_pong();
    *bad.last_mut().unwrap() ^= 1;
    rejected("client.example", &bad, &HandshakeError::SharedKey);
    let short = message("95 a4504f4e47 c3 a0", &["server.example", ""]);
    rejected("client.example", &short, &HandshakeError::SharedKey);
    let same = HandshakeError::SameHostname {
        hostname: "server.example".into(),
    };
    rejected("server.example", &good_pong(), &same);
    let refusal = message("95 a4504f4e47 c2", &["shared_key mismatch", "", ""]);
    let refused = HandshakeError::Refused {
        reason: "shared_key mismatch".into(),
    };
    rejected("client.example", &refusal, &refused);
    for no_pong in ["c0", "94a4504f4e47c3a0a0", "95a4504f4e4701a0a0a0", "c1"] {
        rejected("client.example", &unhex(no_pong), &HandshakeError::Pong);
    }
}
