//! The reader in Python that was written from `docs/BUFFER_FORMAT.md` alone, against the code: both tell the same of
//! every directory.

use std::{fs, path::Path, process::Command};

use bytes::Bytes;
use sdk::{
    event::{Group, Origin, Piece},
    json,
};
use serde_json::{Value, json};

use super::{
    damage::small,
    inspect::{held, with_a_missing_segment, with_void_frames},
    *,
};

/// What the reader says: its lines, and its exit code.
fn read(dir: &Path, args: &[&str]) -> (Vec<Value>, i32) {
    let reader = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/clients/buffer/reader.py"
    );
    let output = Command::new("python3")
        .args(["-B", reader])
        .arg(dir)
        .args(args)
        .output()
        .expect("python3 runs");
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (lines.collect(), output.status.code().unwrap())
}

fn of_kind<'l>(lines: &'l [Value], kind: &str) -> Vec<&'l Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

/// Frames that are held as the code tells them, in the form of the reader.
fn expected(seen: &Inspection) -> Vec<Value> {
    let mut all = Vec::new();
    seen.each_held(&mut |held| {
        let Frame {
            sequence,
            tag,
            events,
            count,
            origin,
        } = held.frame;
        let mut records = Vec::new();
        for event in sdk::event::Entries::new(&events) {
            let event = event.unwrap();
            let mut text = Vec::new();
            json::write_value(&mut text, event.record);
            let record: Value = serde_json::from_slice(&text).unwrap();
            records.push(json!([[event.time.secs, event.time.nanos], record]));
        }
        let origin = origin.map(|origin| {
            json!([
                origin.chunk.to_vec(),
                origin.places().take(count as usize).collect::<Vec<_>>(),
                origin.identifies
            ])
        });
        all.push(json!([
            sequence,
            tag.as_str(),
            held.stored_ms,
            origin,
            records
        ]));
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    all
}

/// The same, as the reader tells them.
fn told(lines: &[Value]) -> Vec<Value> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let records = of_kind(lines, "record");
    let frames = of_kind(lines, "frame")
        .into_iter()
        .filter(|frame| frame["fate"] == "held");
    frames
        .map(|frame| {
            let sequence = frame["sequence"].as_u64().unwrap();
            let place = format!("-{sequence}-");
            let own = records
                .iter()
                .filter(|record| record["id"].as_str().unwrap().contains(&place));
            let own: Vec<Value> = own
                .map(|record| json!([record["time"], record["record"]]))
                .collect();
            assert_eq!(own.len() as u64, frame["count"].as_u64().unwrap());
            let origin = (!frame["origin"].is_null()).then(|| {
                let origin = &frame["origin"];
                let chunk = STANDARD.decode(origin["chunk"].as_str().unwrap()).unwrap();
                let first = origin["first"].as_u64().unwrap();
                let all = (first..first + frame["count"].as_u64().unwrap()).collect();
                let places: Vec<u64> =
                    serde_json::from_value(origin["places"].clone()).unwrap_or(all);
                json!([chunk, places, origin["identifies"]])
            });
            json!([sequence, frame["tag"], frame["stored_ms"], origin, own])
        })
        .collect()
}

/// Both look at a directory; returns what the reader said last.
fn compare(dir: &Path, what: &str) -> Value {
    let seen = Inspection::look(dir).unwrap();
    let (lines, code) = read(dir, &["--records"]);
    assert_eq!(told(&lines), expected(&seen), "{what}");
    let summary = of_kind(&lines, "summary")[0].clone();
    let of = |fate: &str| summary["fates"][fate]["records"].as_u64().unwrap_or(0);
    assert_eq!(
        (of("held"), of("done"), of("open")),
        (
            seen.held().records,
            seen.done().records,
            seen.open().records
        ),
        "{what}: {summary}"
    );
    assert_eq!(
        summary["id"],
        json!(seen.id.map(|id| format!("{id:032x}"))),
        "{what}"
    );
    let ours: Vec<Value> = seen
        .damage()
        .map(|(name, damage)| json!([name, damage.offset, damage.bytes, damage.records]))
        .collect();
    let theirs = of_kind(&lines, "damage").into_iter();
    // A write that was cut off, and room that was never written to, are no damage.
    let theirs = theirs.filter(|damage| damage["cut"] == false && damage["zeros"] == false);
    let theirs: Vec<Value> = theirs
        .map(|damage| {
            json!([
                damage["segment"],
                damage["offset"],
                damage["length"],
                damage["records"]
            ])
        })
        .collect();
    assert_eq!(theirs, ours, "{what}");
    assert_eq!(summary["missing"], json!(seen.missing), "{what}");
    let is_whole = seen.damage().count() == 0 && seen.missing.is_empty();
    assert_eq!(code, i32::from(!is_whole), "{what}");
    summary
}

#[tokio::test]
async fn tells_the_same_of_an_ordinary_buffer_with_and_without_its_state() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(disk(dir.path()));
    for number in 0..6 {
        rig.put(number * 10..number * 10 + 7).await;
        if number == 1 {
            let chunk = rig.take().await;
            rig.deliver(chunk);
        }
    }
    until("the state file tells", || {
        Inspection::look(dir.path()).unwrap().done().records > 0
    })
    .await;
    let killed = snapshot(dir.path());
    let summary = compare(killed.path(), "a buffer in use");
    assert!(
        summary["fates"]["done"]["records"].as_u64().unwrap() > 0,
        "{summary}"
    );
    // A process that comes after adds a segment.
    drop(Rig::open(disk(killed.path())));
    compare(killed.path(), "two segments");
    for damaged in [&b"no state"[..], b"\x01\0\0\0\x01", b""] {
        fs::write(killed.path().join("state"), damaged).unwrap();
        compare(killed.path(), "a damaged state file");
    }
    fs::remove_file(killed.path().join("state")).unwrap();
    let summary = compare(killed.path(), "the state is lost");
    assert_eq!(summary["fates"]["held"]["records"], 42);
}

#[tokio::test]
async fn tells_the_same_of_groups_with_and_without_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(disk(dir.path()));
    let whole = Group::next();
    let open = Group::next();
    let mut receipts = Vec::new();
    for (numbers, group, last) in [
        (0..3, &whole, false),
        (10..12, &open, false),
        (3..5, &whole, false),
        (12..13, &open, false),
        (5..6, &whole, true),
    ] {
        let (mut piece, receipt) = batch("tag", numbers.clone());
        piece.piece = Some(Piece {
            group: Arc::clone(group),
            last,
        });
        piece.origin = Some(Origin {
            chunk: if last {
                Bytes::from_static(b"a chunk \xff")
            } else {
                Bytes::new()
            },
            first: numbers.start,
            kept: None,
            identifies: true,
        });
        rig.admit(piece).await.unwrap();
        if Arc::ptr_eq(group, &whole) {
            receipts.push(receipt);
        }
    }
    for receipt in receipts {
        within(receipt).await.unwrap();
    }
    let summary = compare(dir.path(), "groups");
    assert_eq!(summary["fates"]["open"]["records"], 3, "{summary}");
    assert_eq!(
        held(&Inspection::look(dir.path()).unwrap()),
        [0, 1, 2, 3, 4, 5]
    );
}

#[tokio::test]
async fn tells_the_same_of_damage_and_of_torn_tails() {
    let small = small().await;
    // A process per place takes too long for every byte; inspect.rs looks at every one.
    for at in (0..small.bytes().len()).step_by(23) {
        let mut bytes = small.bytes().to_vec();
        bytes[at] ^= 0x10;
        compare(small.with(&bytes).path(), &format!("a bit of byte {at}"));
        compare(
            small.with(&small.bytes()[..at]).path(),
            &format!("cut at {at}"),
        );
        let zeros = [&small.bytes()[..at], &[0; 500]].concat();
        compare(small.with(&zeros).path(), &format!("zeros from {at} on"));
    }
}

#[tokio::test]
async fn tells_the_same_of_void_frames_and_of_a_missing_segment() {
    for damage_at in [None, Some(1), Some(3), Some(4)] {
        let copy = with_void_frames(damage_at).await;
        compare(
            copy.path(),
            &format!("void frames, damage at {damage_at:?}"),
        );
    }
    let copy = with_a_missing_segment().await;
    let summary = compare(copy.path(), "a missing segment");
    assert_eq!(summary["missing"].as_array().unwrap().len(), 1, "{summary}");
}

#[test]
fn refuses_what_it_does_not_know() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("FORMAT"), "weir buffer\nformat 2\n").unwrap();
    let reader = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/clients/buffer/reader.py"
    );
    let output = Command::new("python3")
        .args(["-B", reader])
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(output.stdout.is_empty());
}
