//! What stands on the wire: compression, and values that JSON has no letters for.

use sdk::{
    event::{Time, write_event},
    msgpack::write,
};

use super::*;

#[tokio::test]
async fn e40_a_compressed_request_is_one_member_with_the_right_length() {
    let plain_text = Site::new(json!({})).await;
    plain_text.deliver(&[numbers(1_000)]).await.all_arrived(1);
    let expected = &plain_text.server.requests()[0];
    assert_eq!(expected.header("content-encoding"), None);
    // Short ones go as they are, long ones are compressed on a thread of their own.
    for (count, is_compressed) in [(2, false), (100, true), (1_000, true)] {
        let site = Site::new(json!({ "compression": "gzip" })).await;
        site.deliver(&[numbers(count)]).await.all_arrived(1);
        // The server has checked that it is one member, and taken as many bytes as the length says.
        let [request] = site.server.requests().try_into().unwrap();
        assert_eq!(request.header("content-encoding").is_some(), is_compressed);
        assert!(expected.body.starts_with(&request.body));
        let wire: u64 = request.header("content-length").unwrap().parse().unwrap();
        assert_eq!((wire < request.body.len() as u64), is_compressed);
        assert_eq!(site.count("bulk_bytes_total{stage=\"wire\"}"), wire);
    }
}

/// How a value is written in MessagePack, and what becomes of it.
type Sample = (&'static str, fn(&mut Vec<u8>), Value);

fn values() -> [Sample; 13] {
    [
        ("nan", |out| write::f64(out, f64::NAN), json!(null)),
        (
            "infinity",
            |out| write::f64(out, f64::NEG_INFINITY),
            json!(null),
        ),
        ("negative zero", |out| write::f64(out, -0.0), json!(-0.0)),
        ("2^63", |out| write::uint(out, 1 << 63), json!(1_u64 << 63)),
        ("2^64-1", |out| write::uint(out, u64::MAX), json!(u64::MAX)),
        (
            "not UTF-8",
            |out| write::str_bytes(out, b"a\xff\xc3(b"),
            json!("a\u{fffd}\u{fffd}(b"),
        ),
        ("bin", |out| write::bin(out, b"a\xff"), json!("Yf8=")),
        (
            "ext",
            |out| out.extend_from_slice(&[0xd4, 5, 0xff]),
            json!({ "ext": 5, "data": "/w==" }),
        ),
        (
            "int keys",
            |out| out.extend_from_slice(&[0x82, 7, 1, 0xff, 2]),
            json!({ "7": 1, "-1": 2 }),
        ),
        (
            "twice",
            |out| out.extend_from_slice(b"\x82\xa1a\x01\xa1a\x02"),
            json!({ "a": 2 }),
        ),
        (
            "lines",
            |out| write::str(out, "a\nb\r\n\u{0}\u{1b}"),
            json!("a\nb\r\n\u{0}\u{1b}"),
        ),
        (
            "separators",
            |out| write::str(out, "a\u{2028}b\u{2029}"),
            json!("a\u{2028}b\u{2029}"),
        ),
        (
            "long",
            |out| write::str(out, &"\u{e9}".repeat(20_000)),
            json!("\u{e9}".repeat(20_000)),
        ),
    ]
}

#[tokio::test]
async fn e41_every_value_becomes_a_line_of_json_that_every_server_takes() {
    let values = values();
    let mut events = Vec::new();
    for (name, value, _) in &values {
        let mut record = vec![0x81];
        write::str(&mut record, name);
        value(&mut record);
        write_event(&mut events, Time::from_secs(0), &record);
    }
    let mut deep = b"\x81\xa4deep".to_vec();
    deep.extend_from_slice(&[0x91].repeat(100));
    deep.push(0xc0);
    write_event(&mut events, Time::from_secs(0), &deep);
    let frame = Frame {
        events: events.into(),
        count: 14,
        ..numbers(0)
    };
    let site = Site::new(json!({ "include_timestamp": false })).await;
    let end = site.deliver(&[frame]).await;
    assert_eq!(
        (end.tries, end.dead()),
        (1, vec![(13, FailureKind::Serialize)])
    );
    let [request] = site.server.requests().try_into().unwrap();
    let text = String::from_utf8(request.body.clone()).unwrap();
    assert_eq!(text.matches('\n').count(), 2 * values.len());
    assert!(text.contains(r#"{"negative zero":-0.0}"#), "{text}");
    for (document, (name, _, expected)) in request.documents().into_iter().zip(values) {
        assert_eq!(document, json!({ name: expected }), "{name}");
    }
}
