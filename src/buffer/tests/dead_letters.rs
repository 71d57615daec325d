//! Dead letters: what is written can be read and replayed.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::*;

pub(super) fn dead(number: u32) -> DeadRecord {
    DeadRecord {
        tag: Tag::new("app \"x\"\n"),
        entry: events([number]).into(),
        buffer: 0xabc,
        sequence: 7,
        index: number,
        kind: "mapping".into(),
        message: "field [n] of type [boolean]".into(),
        attempts: 2,
        time: Time {
            secs: 1_767_323_045,
            nanos: 6,
        },
    }
}

fn lines(dir: &Path) -> Vec<serde_json::Value> {
    lines_on(&Files::system(), dir)
}

pub(super) fn lines_on(files: &Files, dir: &Path) -> Vec<serde_json::Value> {
    let mut names = files.names(dir).unwrap();
    names.sort();
    let texts = names
        .iter()
        .map(|name| files.read_small(&dir.join(name), 1 << 20).unwrap());
    let all: Vec<u8> = texts.flatten().collect();
    String::from_utf8(all)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn are_lines_of_json_with_the_exact_entry() {
    let dir = tempfile::tempdir().unwrap();
    let letter = DeadLetter::open(&dir.path().join("dead"), 1 << 20, &Metrics::new()).unwrap();
    letter.append(&[dead(1)]).unwrap();
    let entry = BASE64.encode(events([1]));
    let expected = serde_json::json!({
        "id": "00000000000000000000000000000abc-7-1",
        "failed_at": "2026-01-02T03:04:05.000000006Z",
        "tag": "app \"x\"\n",
        "kind": "mapping",
        "message": "field [n] of type [boolean]",
        "attempts": 2,
        "time": "1970-01-01T00:00:00.000000000Z",
        "record": {"n": 1},
        "entry": entry,
    });
    assert_eq!(lines(&dir.path().join("dead")), [expected]);
}

#[test]
fn stop_at_the_limit_and_go_on_when_files_are_moved_away() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = Metrics::new();
    let letter = DeadLetter::open(dir.path(), 1_000, &metrics).unwrap();
    let many: Vec<DeadRecord> = (0..3).map(dead).collect();
    letter.append(&many).unwrap();
    let error = letter.append(&many).unwrap_err();
    assert!(
        matches!(
            error,
            DeadLetterError::Full {
                max_bytes: 1_000,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(lines(dir.path()).len(), 3);
    assert!(!metrics.encode().contains("weir_dead_letter_bytes 0"));
    std::fs::remove_file(dir.path().join("00000001.ndjson")).unwrap();
    letter.append(&many).unwrap();
}

#[test]
fn of_a_killed_process_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("00000004.ndjson"), "{\"id\": \"cut o").unwrap();
    let letter = DeadLetter::open(dir.path(), 1 << 20, &Metrics::new()).unwrap();
    letter.append(&[dead(1), dead(2)]).unwrap();
    letter.append(&[dead(3)]).unwrap();
    let text = std::fs::read_to_string(dir.path().join("00000005.ndjson")).unwrap();
    assert_eq!(text.lines().count(), 3);
}

/// The `n` of each line, in order.
fn numbers_in(path: &Path) -> Vec<u32> {
    let lines = dead_lines(path).unwrap().map(|line| line.unwrap().entry);
    let entry = |entry: bytes::Bytes| -> Vec<u32> {
        let frame = Frame {
            sequence: 0,
            tag: Tag::new(""),
            events: entry,
            count: 1,
            origin: None,
        };
        numbers(&[frame])
    };
    lines.flat_map(entry).collect()
}

#[test]
fn are_read_back_line_by_line() {
    let dir = tempfile::tempdir().unwrap();
    let letter = DeadLetter::open(dir.path(), 1 << 20, &Metrics::new()).unwrap();
    letter.append(&[dead(1), dead(2)]).unwrap();
    let [path] = &dead_files(dir.path()).unwrap()[..] else {
        panic!("one file");
    };
    let line = dead_lines(path).unwrap().next().unwrap().unwrap();
    assert_eq!((line.tag.as_str(), &*line.kind), ("app \"x\"\n", "mapping"));
    assert_eq!(line.message, "field [n] of type [boolean]");
    assert_eq!(line.failed_at, "2026-01-02T03:04:05.000000006Z");
    assert_eq!(numbers_in(path), [1, 2]);

    let mut text = std::fs::read_to_string(path).unwrap();
    let (cut, entry) = (text.len() - 1, BASE64.encode(events([1])));
    text.truncate(cut);
    std::fs::write(path, &text).unwrap();
    assert_eq!(numbers_in(path), [1], "the last line is cut off");

    for bad in [
        "{}",
        "\u{fffd}",
        "{\"tag\":\"a\",\"entry\":\"%\"}",
        "{\"tag\":\"a\",\"entry\":\"wA==\"}",
        &format!(
            "{{\"tag\":\"a\",\"entry\":\"{}\"}}",
            BASE64.encode(events([1, 2]))
        ),
    ] {
        let good = format!("{{\"tag\":\"a\",\"entry\":\"{entry}\"}}");
        std::fs::write(path, format!("{good}\n{bad}\n{good}\n")).unwrap();
        let lines: Vec<_> = dead_lines(path).unwrap().collect();
        assert_eq!(lines.len(), 3, "it goes on behind {bad}");
        let error = lines[1].as_ref().unwrap_err();
        assert_eq!((error.line, &error.path), (2, path));
        assert!(lines[0].is_ok() && lines[2].is_ok());
    }
}

#[test]
fn that_an_operator_removes_in_use_are_not_written_to_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let letter = DeadLetter::open(dir.path(), 1 << 20, &Metrics::new()).unwrap();
    letter.append(&[dead(1)]).unwrap();
    let [path] = &dead_files(dir.path()).unwrap()[..] else {
        panic!("one file");
    };
    std::fs::remove_file(path).unwrap();
    letter.append(&[dead(2)]).unwrap();
    assert_eq!(lines(dir.path()).len(), 1);
}

#[test]
fn that_are_taken_for_a_replay_are_found_again_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let letter = DeadLetter::open(dir.path(), 1 << 20, &Metrics::new()).unwrap();
    letter.append(&[dead(1)]).unwrap();
    let first = dir.path().join("00000001.ndjson");
    let claim = Claim::take(&first).unwrap().unwrap();
    assert!(!first.exists());
    assert!(
        Claim::take(claim.path()).unwrap().is_none(),
        "another replay has it"
    );
    letter.append(&[dead(2)]).unwrap();
    // The process is killed.
    drop(claim);
    let files = dead_files(dir.path()).unwrap();
    let names: Vec<_> = files
        .iter()
        .map(|path| path.strip_prefix(dir.path()).unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["replaying/00000001.ndjson", "00000002.ndjson"]);
    let claim = Claim::take(&files[0]).unwrap().unwrap();
    let kept = claim.finish(false).unwrap().unwrap();
    assert_eq!(kept, dir.path().join("replayed/00000001.ndjson"));
    assert_eq!(numbers_in(&kept), [1]);
    assert_eq!(dead_files(dir.path()).unwrap(), [files[1].clone()]);
    // A file of the same name does not take the place of the one before.
    std::fs::rename(&files[1], &first).unwrap();
    let kept = Claim::take(&first).unwrap().unwrap().finish(false).unwrap();
    assert_eq!(kept, Some(dir.path().join("replayed/00000001-2.ndjson")));
    letter.append(&[dead(3)]).unwrap();
    let claim = Claim::take(&dead_files(dir.path()).unwrap()[0]).unwrap();
    assert_eq!(claim.unwrap().finish(true).unwrap(), None);
    assert!(dead_files(dir.path()).unwrap().is_empty());
}

/// Whatever the moment at which files are taken away: each record is in one of them, once.
#[test]
fn lose_nothing_when_files_are_taken_while_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let letter = DeadLetter::open(dir.path(), 1 << 20, &Metrics::new()).unwrap();
    let writer = std::thread::spawn(move || {
        for number in 0..400 {
            letter.append(&[dead(number)]).unwrap();
        }
    });
    let mut taken = Vec::new();
    while !writer.is_finished() {
        for path in dead_files(dir.path()).unwrap() {
            if let Some(claim) = Claim::take(&path).unwrap() {
                taken.extend(numbers_in(claim.path()));
                claim.finish(true).unwrap();
            }
        }
    }
    writer.join().unwrap();
    for path in dead_files(dir.path()).unwrap() {
        taken.extend(numbers_in(&path));
    }
    taken.sort_unstable();
    assert_eq!(taken, (0..400).collect::<Vec<_>>());
}
