//! Counts the bytes that the decoder looks at, so that a test can tell linear work from more without a clock.

use std::cell::Cell;

use super::*;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

/// `bytes` more were looked at.
pub(crate) fn looked_at(bytes: usize) {
    BYTES.set(BYTES.get() + bytes);
}

#[test]
fn every_byte_is_looked_at_a_few_times_at_most() {
    let record = [
        unhex("82a16ddaffff"),
        vec![b'x'; 0xffff],
        unhex("a16e dc4000"),
        vec![7; 0x4000],
    ]
    .concat();
    let entry = [unhex("92ce6553f101"), record.clone()].concat();
    let many = unhex("92ce6553f10181a16d01").repeat(8_000);
    let cases = [
        (
            "one large record",
            [unhex("93a174ce6553f101"), record].concat(),
        ),
        (
            "a large record in forward mode",
            [unhex("92a17491"), entry.clone()].concat(),
        ),
        ("a large record, packed", packed(&entry, "80")),
        (
            "many records in forward mode",
            [unhex("92a174dc1f40"), many.clone()].concat(),
        ),
        ("many records, packed", packed(&many, "80")),
        ("many records, gzip", packed(&gzip(&many), "80")),
        (
            "a large option",
            [unhex("93a17490"), entry[6..].to_vec()].concat(),
        ),
        (
            "a large tag",
            [unhex("93daffff"), vec![b't'; 0xffff], unhex("0180")].concat(),
        ),
        (
            "many messages",
            unhex("93a174ce6553f10181a16d01").repeat(8_000),
        ),
    ];
    for (name, bytes) in cases {
        for size in [1, 3, 1_000, bytes.len()] {
            BYTES.set(0);
            let outcome = decode(Limits::default(), bytes.chunks(size));
            assert!(outcome.is_clean && outcome.error.is_none(), "{name}");
            let (looked_at, len) = (BYTES.get(), bytes.len().max(80_000));
            assert!(
                looked_at <= 4 * len,
                "{name} in pieces of {size}: {looked_at} looks at {len} bytes"
            );
            assert!(looked_at > 0, "{name}: nothing is counted");
        }
    }
}
