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

pub(super) fn lines(dir: &Path) -> Vec<serde_json::Value> {
    let mut names = files::names(dir).unwrap();
    names.sort();
    let texts = names
        .iter()
        .map(|name| std::fs::read_to_string(dir.join(name)).unwrap());
    let all: String = texts.collect();
    all.lines()
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
