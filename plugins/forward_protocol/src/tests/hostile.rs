//! Bad input: an error that says what it is, and nothing held on its say-so.

use super::*;

#[track_caller]
fn fails(bytes: &[u8], expected: ProtocolError) -> Outcome {
    fails_within(Limits::default(), bytes, expected)
}

#[track_caller]
fn fails_within(limits: Limits, bytes: &[u8], expected: ProtocolError) -> Outcome {
    let whole = decode(limits, [bytes]);
    assert_eq!(whole.error, Some(expected));
    let bitwise = decode(limits, bytes.chunks(1));
    assert_eq!(bitwise.error, Some(expected), "one byte at a time");
    whole
}

fn malformed() -> ProtocolError {
    ProtocolError::Malformed(sdk::msgpack::Malformed::Reserved)
}

#[test]
fn other_protocols_are_named() {
    fails(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", ProtocolError::Http);
    fails(b"POST /x HTTP/1.1\r\n\r\n", ProtocolError::Http);
    fails(
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        ProtocolError::Tls,
    );
    fails(br#"["t",1700000001,{"m":}]"#, ProtocolError::Json);
    fails(br#"["t",1700000001,{"m":"\x"}]"#, ProtocolError::Json);
    fails(b"[] 7", ProtocolError::Json);
    fails(b"[]\x93\xa1t", ProtocolError::Json);
    fails(
        &b"[".repeat(100),
        ProtocolError::Malformed(sdk::msgpack::Malformed::TooDeep),
    );
    let says = ProtocolError::Tls.to_string();
    assert!(says.starts_with("looks like a TLS handshake: "), "{says}");
}

#[test]
fn garbage_ends_the_connection_but_not_what_came_before() {
    let good = unhex("94a174ce6553f10181a16d0181a56368756e6ba3616263");
    let outcome = fails(&[good.as_slice(), &[0xc1]].concat(), malformed());
    assert_eq!(outcome.seen[0].ack.as_deref(), Some("81a361636ba3616263"));
    fails(&unhex("93a174ce6553f10181a16dc1"), malformed());
    fails(
        &packed(&unhex("92ce6553f10181a16d01 92c1"), "80"),
        malformed(),
    );
    let numbers = decode(Limits::default(), [[7; 100].as_slice()]);
    assert_eq!(
        numbers.error,
        Some(ProtocolError::NoMessages { in_a_row: 16 })
    );
    assert_eq!(numbers.strays, 16);
}

#[test]
fn strays_are_counted_anew_after_a_message() {
    let bytes = [vec![7; 16], unhex("92a17490"), vec![7; 16]].concat();
    let outcome = decode(Limits::default(), [bytes.as_slice()]);
    assert_eq!((outcome.error, outcome.strays), (None, 32));
}

#[test]
fn depth_is_limited_in_every_place() {
    let too_deep = ProtocolError::Malformed(sdk::msgpack::Malformed::TooDeep);
    let deep = vec![0x91; 100_000];
    for front in [
        "93a174ce6553f101",
        "92a1749192ce6553f101",
        "92a174c60001870092ce6553f101",
        "93a17490",
        "94a1749080",
        "93",
        "92a17491",
        "",
    ] {
        fails(&[unhex(front), deep.clone()].concat(), too_deep);
    }
    let nested = |levels: usize| {
        [
            unhex("93a174ce6553f10181a16d"),
            vec![0x91; levels],
            vec![0x01],
        ]
        .concat()
    };
    assert_eq!(
        decode(Limits::default(), [nested(63).as_slice()]).seen[0]
            .events
            .len(),
        1
    );
    fails(&nested(64), too_deep);
}

#[test]
fn declared_lengths_hold_nothing() {
    for head in [
        "ddffffffff",
        "92a174ddffffffff",
        "93a174ce6553f101dfffffffff",
        "93a17490dfffffffff",
        "92dbffffffff",
        "93a174c9ffffffff00",
        "dbffffffff",
    ] {
        let mut decoder = decoder(Limits::default());
        decoder.push(&unhex(head));
        assert!(matches!(decoder.poll(), Ok(Step::Read)), "{head}");
        assert!(decoder.held_bytes() < 32, "{head}");
        assert!(decoder.space().capacity() <= 64 << 10, "{head}");
        assert_eq!(decoder.finish(), Err(ProtocolError::Truncated), "{head}");
    }
}

#[test]
fn size_is_limited_before_it_is_read_where_it_is_declared() {
    let limits = Limits {
        message_bytes: 1_000,
        ..Limits::default()
    };
    let too_large = ProtocolError::TooLarge { limit_bytes: 1_000 };
    fails_within(limits, &unhex("92a174c680000000"), too_large);
    fails_within(
        limits,
        &[unhex("93a174ce6553f10181a16dda1000"), vec![b'x'; 0x1000]].concat(),
        too_large,
    );
    fails_within(
        limits,
        &[
            unhex("92a174dc1000"),
            unhex("92ce6553f10181a16d01").repeat(200),
        ]
        .concat(),
        too_large,
    );
    fails_within(
        limits,
        &[unhex("93da1000"), vec![b'x'; 0x1000]].concat(),
        too_large,
    );
    // What is no message counts as one.
    fails_within(
        limits,
        &[unhex("da1000"), vec![b'x'; 0x1000]].concat(),
        too_large,
    );
    let blob = |len: usize| packed(&vec![0xc0; len], "80");
    assert_eq!(decode(limits, [blob(1_000 - 9).as_slice()]).error, None);
    fails_within(limits, &blob(1_000 - 8), too_large);
    fails_within(
        small(),
        &[unhex("93a17490da1000"), vec![b'x'; 0x1000]].concat(),
        ProtocolError::TooLarge { limit_bytes: 512 },
    );
}

/// What was passed over once counted against the message behind it, when that came in pieces.
#[test]
fn a_message_behind_a_large_stray_has_the_whole_limit() {
    let limits = Limits {
        message_bytes: 1_000,
        ..Limits::default()
    };
    let stray = [unhex("da03e0"), vec![b'x'; 0x3e0]].concat();
    let bytes = [stray, unhex("dd00000002a17490")].concat();
    for size in [1, bytes.len()] {
        let outcome = decode(limits, bytes.chunks(size));
        assert_eq!((outcome.error, outcome.strays), (None, 1), "{size}");
        assert_eq!(outcome.seen.len(), 1, "{size}");
    }
}

#[test]
fn compression_must_be_what_the_option_says() {
    let entry = unhex("92ce6553f10181a16d01");
    let (gz, zs) = (gzip(&entry), zstd(&entry));
    let (says_gzip, says_lz4, says_int) = (
        "81aa636f6d70726573736564a4677a6970",
        "81aa636f6d70726573736564a36c7a34",
        "81aa636f6d7072657373656401",
    );
    fails(&packed(&entry, says_gzip), ProtocolError::NotCompressed);
    fails(&packed(&entry, says_lz4), ProtocolError::UnknownCompression);
    fails(&packed(&gz, says_int), ProtocolError::UnknownCompression);
    fails(
        &packed(&gz[..gz.len() - 1], says_gzip),
        ProtocolError::Damaged,
    );
    fails(&packed(&zs[..zs.len() - 1], "80"), ProtocolError::Damaged);
    fails(
        &packed(&[gz.as_slice(), b"garbage behind"].concat(), says_gzip),
        ProtocolError::Damaged,
    );
    fails(
        &packed(&[zs.as_slice(), b"garbage behind"].concat(), says_gzip),
        ProtocolError::Damaged,
    );
    let mut wrong_sum = gz.clone();
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    fails(&packed(&wrong_sum, says_gzip), ProtocolError::Damaged);
    for mixed in [
        [gz.clone(), gz.clone()].concat(),
        zs,
        [gzip(&[]), gzip(&entry[..3]), gzip(&entry[3..])].concat(),
    ] {
        let outcome = decode(Limits::default(), [packed(&mixed, says_gzip).as_slice()]);
        assert_eq!((outcome.error, outcome.seen.len()), (None, 1));
        assert!(!outcome.seen[0].events.is_empty());
    }
}

/// One entry whose record holds this many zeros as text.
fn zeros(len: u32) -> Vec<u8> {
    let mut out = unhex("92ce6553f10181a16ddb");
    out.extend(len.to_be_bytes());
    out.resize(out.len() + len as usize, b'0');
    out
}

#[test]
fn bombs_are_defused() {
    let limits = Limits {
        inflated_ratio: u64::MAX,
        inflated_bytes: 1 << 20,
        ..Limits::default()
    };
    let inflated = ProtocolError::Inflated {
        limit_bytes: 1 << 20,
    };
    let ratio = ProtocolError::Ratio { limit: 200 };
    for compress in [gzip, zstd] {
        let bomb = compress(&zeros(16 << 20));
        for (limits, error) in [(limits, inflated), (Limits::default(), ratio)] {
            let mut decoder = decoder(limits);
            decoder.push(&packed(&bomb, "80"));
            let mut held = 0;
            let end = loop {
                match decoder.poll() {
                    Ok(step) => assert!(matches!(step, Step::Pause), "{step:?}"),
                    Err(error) => break error,
                }
                held = held.max(decoder.held_bytes());
            };
            assert_eq!(end, error);
            assert!(held < 5 << 20, "{held} bytes held");
        }
        let many = compress(&unhex("92ce6553f10181a16d01")).repeat(10_000);
        assert_eq!(
            decode(Limits::default(), [packed(&many, "80").as_slice()]).seen[0]
                .events
                .len(),
            10_000
        );
    }
}

/// A zstd frame may declare a window of 2 GiB and a content of 16 EiB.
#[test]
fn zstd_windows_are_limited() {
    let frame = unhex("28b52ffd c0 a8 ffffffffffffff7f 010000");
    fails(&packed(&frame, "80"), ProtocolError::Damaged);
}
