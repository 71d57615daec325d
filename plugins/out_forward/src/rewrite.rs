//! What older servers need: entries whose time is an integer, or without metadata. Everything else leaves as it came.

use bytes::Bytes;
use sdk::{
    event::{Entries, RawEvent},
    msgpack::write,
};

/// What to change in entries.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rewrite {
    pub(crate) time_as_integer: bool,
    pub(crate) drops_metadata: bool,
}

impl Rewrite {
    /// The entries as the server wants them. An entry that cannot be read ends them; no input makes one.
    pub(crate) fn apply(self, events: Bytes) -> Bytes {
        let changes = |event: &RawEvent<'_>| {
            self.time_as_integer || (self.drops_metadata && has_metadata(event))
        };
        let entries = || Entries::new(&events).map_while(Result::ok);
        if !(self.time_as_integer || self.drops_metadata) || !entries().any(|event| changes(&event))
        {
            return events;
        }
        let mut out = Vec::with_capacity(events.len());
        for event in entries() {
            if changes(&event) {
                self.write(&mut out, &event);
            } else {
                out.extend_from_slice(event.entry);
            }
        }
        out.into()
    }

    fn write(self, out: &mut Vec<u8>, event: &RawEvent<'_>) {
        write::array(out, 2);
        if self.time_as_integer {
            write::int(out, event.time.secs);
        } else {
            event.time.write(out);
        }
        out.extend_from_slice(event.record.bytes());
    }
}

/// Whether the time of an entry is an array, with or without metadata in it.
fn has_metadata(event: &RawEvent<'_>) -> bool {
    // `92` or another array header of two, then the header of the inner array.
    event.metadata.is_some() || matches!(event.entry, [0x92, 0x90..=0x9f, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"\x92\xd7\0\x65\x53\xf1\x01\0\0\0\x05\x81\xa1m\x01";
    const WITH_METADATA: &[u8] =
        b"\x92\x92\xd7\0\x65\x53\xf1\x01\0\0\0\x05\x81\xa1k\xa1v\x81\xa1m\x02";

    #[track_caller]
    fn check(rewrite: Rewrite, expected: &[&[u8]]) {
        let events = Bytes::from([PLAIN, WITH_METADATA].concat());
        assert_eq!(rewrite.apply(events), expected.concat());
    }

    #[test]
    fn entries_are_changed_only_as_told() {
        check(Rewrite::default(), &[PLAIN, WITH_METADATA]);
        let rewrite = Rewrite {
            drops_metadata: true,
            ..Rewrite::default()
        };
        check(
            rewrite,
            &[PLAIN, b"\x92\xd7\0\x65\x53\xf1\x01\0\0\0\x05\x81\xa1m\x02"],
        );
        let rewrite = Rewrite {
            time_as_integer: true,
            ..Rewrite::default()
        };
        check(
            rewrite,
            &[
                b"\x92\xce\x65\x53\xf1\x01\x81\xa1m\x01",
                b"\x92\xce\x65\x53\xf1\x01\x81\xa1m\x02",
            ],
        );
    }
}
