//! Finding the end of a value bit by bit agrees with finding it at once.

use sdk::msgpack::{DEPTH_MAX, Malformed, skip};

use crate::scan::Scan;

/// Values of every kind of head, one after the other.
fn every_head() -> Vec<u8> {
    let mut out = vec![
        0x05, 0xff, 0xc0, 0xc2, 0xc3, 0x82, 0xa1, b'k', 0x90, 0xa0, 0x81, 0x01, 0x91, 0x02,
    ];
    for (marker, payload) in [
        (0xca, 4),
        (0xcb, 8),
        (0xcc, 1),
        (0xcd, 2),
        (0xce, 4),
        (0xcf, 8),
        (0xd0, 1),
        (0xd1, 2),
        (0xd2, 4),
        (0xd3, 8),
        (0xd4, 2),
        (0xd5, 3),
        (0xd6, 5),
        (0xd7, 9),
        (0xd8, 17),
    ] {
        out.push(marker);
        out.extend(vec![0; payload]);
    }
    out.extend([
        0xc4, 1, 0, 0xc5, 0, 1, 0, 0xc6, 0, 0, 0, 1, 0, 0xc7, 1, 0, 0, 0xc8, 0, 1, 0, 0,
    ]);
    out.extend([
        0xc9, 0, 0, 0, 1, 0, 0, 0xd9, 1, 0, 0xda, 0, 1, 0, 0xdb, 0, 0, 0, 1, 0,
    ]);
    out.extend([
        0xdc, 0, 1, 7, 0xdd, 0, 0, 0, 1, 7, 0xde, 0, 1, 7, 7, 0xdf, 0, 0, 0, 1, 7, 7,
    ]);
    out
}

#[test]
fn agrees_with_skip_on_every_head_however_the_bytes_come() {
    let bytes = every_head();
    let mut at = 0;
    while at < bytes.len() {
        let end = skip(&bytes, at).unwrap();
        let mut scan = Scan::new(at, 1);
        for upto in at..end {
            assert_eq!(
                scan.advance(&bytes[..upto]),
                Ok(false),
                "at {at}, up to {upto}"
            );
        }
        assert_eq!(scan.advance(&bytes), Ok(true), "at {at}");
        assert_eq!(scan.at(), end);
        at = end;
    }
}

#[test]
fn goes_two_levels_deeper_than_a_record_and_no_further() {
    let nested = |levels: usize| {
        let mut bytes = vec![0x91; levels];
        bytes.push(0x01);
        bytes
    };
    assert_eq!(Scan::new(0, 1).advance(&nested(DEPTH_MAX + 2)), Ok(true));
    assert_eq!(
        Scan::new(0, 1).advance(&nested(DEPTH_MAX + 3)),
        Err(Malformed::TooDeep)
    );
    assert_eq!(
        Scan::new(0, 1).advance(&[0x92, 0x01, 0xc1]),
        Err(Malformed::Reserved)
    );
}

#[test]
fn a_declared_count_costs_nothing() {
    let mut scan = Scan::new(0, 1);
    assert_eq!(
        scan.advance(&[0xdd, 0xff, 0xff, 0xff, 0xff, 0xdf, 0xff, 0xff, 0xff, 0xff]),
        Ok(false)
    );
    assert_eq!(scan.at(), 10);
}
