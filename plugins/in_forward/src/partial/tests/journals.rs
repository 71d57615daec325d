//! The journal, written, damaged at every byte, and read again.

use std::{fs, io, path::Path};

use sdk::event::Tag;

use super::kit::*;
use crate::partial::journal::{Found, Journal, Note};

fn done(id: &str, upto: u32, is_whole: bool) -> Note {
    Note::Done {
        key: key(id),
        upto,
        is_whole,
    }
}

fn open(dir: &Path) -> (Journal, Found) {
    Journal::open(dir).unwrap()
}

/// What is found, in order.
fn parts(found: &Found) -> Vec<(Tag, String, u32)> {
    let mut parts: Vec<_> = found
        .parts
        .iter()
        .map(|part| {
            let id = String::from_utf8(part.key.id.to_vec()).unwrap();
            (part.key.tag.clone(), id, part.ordinal)
        })
        .collect();
    parts.sort();
    parts
}

fn named(id: &str, ordinal: u32) -> (Tag, String, u32) {
    (Tag::new("docker"), id.to_owned(), ordinal)
}

#[test]
fn what_was_noted_is_found_and_what_is_stored_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("state/in/partial");
    let (mut journal, found) = open(&dir);
    assert!(found.parts.is_empty());
    journal
        .note([
            Note::Part(part("a", 1, false, "one")),
            Note::Part(part("b", 1, false, "other")),
        ])
        .unwrap();
    journal
        .note([
            Note::Part(part("a", 2, false, "two")),
            Note::Part(part("a", 1, false, "one again")),
            done("b", 1, true),
        ])
        .unwrap();
    // As after kill -9: nothing is closed.
    drop(journal);
    let (mut journal, found) = open(&dir);
    assert_eq!(parts(&found), [named("a", 1), named("a", 2)]);
    assert!(found.parts.contains(&part("a", 1, false, "one again")));
    assert_eq!(found.stored, [key("b")]);
    assert_eq!((found.damaged_bytes, found.torn_bytes), (0, 0));
    journal.note([done("a", 1, false)]).unwrap();
    journal.close().unwrap();
    let (mut journal, found) = open(&dir);
    assert_eq!(parts(&found), [named("a", 2)]);
    assert_eq!(found.stored, [key("b")], "only whole lines are remembered");
    journal.note([done("a", 2, true)]).unwrap();
    journal.close().unwrap();
    assert!(!dir.join("parts").exists(), "nothing is left behind");
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let error = Journal::open(dir.path()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    drop(journal);
    open(dir.path());
}

#[test]
fn a_file_cut_anywhere_gives_what_is_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path());
    let path = dir.path().join("parts");
    let mut ends = vec![fs::metadata(&path).unwrap().len()];
    for ordinal in 1..=3 {
        journal
            .note([Note::Part(part("a", ordinal, false, "text"))])
            .unwrap();
        ends.push(fs::metadata(&path).unwrap().len());
    }
    drop(journal);
    let file = fs::read(&path).unwrap();
    for cut in 0..=file.len() {
        fs::write(&path, &file[..cut]).unwrap();
        let (_, found) = open(dir.path());
        let whole = ends[1..].iter().filter(|end| **end <= cut as u64).count();
        assert_eq!(found.parts.len(), whole, "cut at {cut}");
        assert_eq!(found.damaged_bytes, 0, "cut at {cut}");
        let is_torn = cut > 0 && !ends.contains(&(cut as u64));
        assert_eq!(found.torn_bytes > 0, is_torn, "cut at {cut}");
        let (_, again) = open(dir.path());
        assert_eq!((again.parts, again.torn_bytes), (found.parts, 0));
    }
}

#[test]
fn a_byte_changed_anywhere_costs_one_part_at_most() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path());
    let path = dir.path().join("parts");
    let wanted: Vec<_> = (1..=3).map(|n| part("a", n, n == 3, "text")).collect();
    journal
        .note(wanted.iter().cloned().map(Note::Part))
        .unwrap();
    drop(journal);
    let file = fs::read(&path).unwrap();
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0xa5;
        fs::write(&path, &damaged).unwrap();
        let (_, found) = open(dir.path());
        assert!(found.parts.len() >= 2, "{at}: {}", found.parts.len());
        assert!(
            found.parts.iter().all(|part| wanted.contains(part)),
            "{at}: what was never written"
        );
        assert!(found.damaged_bytes + found.torn_bytes > 0, "{at}");
        if found.damaged_bytes > 0 {
            assert_eq!(fs::read(dir.path().join("parts.damaged")).unwrap(), damaged);
        }
    }
}

#[test]
fn a_long_life_does_not_make_a_long_file() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path());
    journal
        .note([Note::Part(part("open", 1, false, "still"))])
        .unwrap();
    let text = "x".repeat(16 << 10);
    let mut longest = 0;
    let lines = |n: u32| {
        let id = format!("line-{n}");
        [Note::Part(part(&id, 1, false, &text)), done(&id, 1, true)]
    };
    for n in 0..40 {
        journal
            .note((n * 50..(n + 1) * 50).flat_map(lines))
            .unwrap();
        longest = longest.max(fs::metadata(dir.path().join("parts")).unwrap().len());
    }
    assert!(longest < 5 << 20, "{longest} bytes");
    drop(journal);
    let (_, found) = open(dir.path());
    assert_eq!(parts(&found), [named("open", 1)]);
    assert_eq!(found.stored.len(), 1024);
    assert_eq!(found.stored.last(), Some(&key("line-1999")));
}

#[test]
fn after_a_failure_the_file_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("partial");
    let (mut journal, _) = open(&home);
    journal
        .note([Note::Part(part("a", 1, false, "kept"))])
        .unwrap();
    // Nothing can be renamed into a directory that is away.
    let away = dir.path().join("away");
    fs::rename(&home, &away).unwrap();
    let big = "x".repeat(5 << 20);
    let failed = journal.note([Note::Part(part("b", 1, false, &big)), done("b", 1, false)]);
    assert!(failed.is_err());
    assert!(
        journal
            .note([Note::Part(part("a", 2, false, "lost"))])
            .is_err()
    );
    fs::rename(&away, &home).unwrap();
    journal
        .note([Note::Part(part("a", 3, false, "kept"))])
        .unwrap();
    drop(journal);
    let (_, found) = open(&home);
    assert_eq!(parts(&found), [named("a", 1), named("a", 2), named("a", 3)]);
}
