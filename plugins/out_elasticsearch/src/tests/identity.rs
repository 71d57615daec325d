//! The format of ids.

use bytes::Bytes;
use sdk::{event::Origin, testing::frame};

use super::*;
use crate::document::identity::{of_frame, of_place};

fn text(chunk: ChunkView<'_>, frame: &Frame, place: u32) -> String {
    let (common, _) = of_frame(chunk, frame);
    let id = [&common[..], &of_place(place)].concat();
    String::from_utf8(id).unwrap()
}

fn view(buffer: u128) -> ChunkView<'static> {
    ChunkView {
        buffer,
        frames: &[],
        live: None,
        attempt: 0,
    }
}

#[test]
fn the_format_never_changes() {
    let mut frame = frame(0x0102_0304_0506, "a", &[]);
    let id = text(view(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef), &frame, 65);
    assert_eq!(id, "EjRWeJq83vAQIDBAUGAAABB");
    frame.origin = Some(Origin {
        chunk: Bytes::from_static(b"hello"),
        first: 0,
        kept: None,
        identifies: true,
    });
    // FNV-1a 128 of "hello" is e3e1efd54283d94f7081314b599d31b3.
    assert_eq!(text(view(7), &frame, 1), "_VQoPZT3CBMUtZnTGzAAAAB");
}

#[test]
fn an_origin_that_does_not_identify_is_left_alone() {
    let mut frame = frame(1, "a", &[]);
    let before = text(view(7), &frame, 1);
    for (chunk, identifies) in [(&b"hello"[..], false), (b"", true)] {
        let chunk = Bytes::from_static(chunk);
        frame.origin = Some(Origin {
            chunk,
            first: 0,
            kept: None,
            identifies,
        });
        assert_eq!(text(view(7), &frame, 1), before);
    }
}

#[test]
fn places_differ_to_the_largest() {
    assert_eq!(&of_place(0), b"AAAAA");
    assert_eq!(&of_place(63), b"AAAA_");
    assert_eq!(&of_place((1 << 30) - 1), b"_____");
}
