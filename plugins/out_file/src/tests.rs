//! The output as a whole, on real files.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use sdk::{
    event::{Tag, Time, write_event},
    msgpack::write,
    output::{Bitmap, Frame, Verdict},
    stop::Stopper,
    testing::frame,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

fn output(params: Value) -> File {
    File::new(&config::parse(params).unwrap(), &BuildCx::detached("test")).unwrap()
}

async fn write(output: &File, frames: &[Frame]) -> Outcome {
    output
        .write(ChunkView {
            buffer: 0,
            frames,
            live: None,
            attempt: 0,
        })
        .await
}

fn at(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

fn path_in(folder: &TempDir, name: &str) -> String {
    at(folder, name).to_str().unwrap().to_owned()
}

fn event_frame(tag: &str, events: &[(i64, Value)]) -> Frame {
    let mut stream = Vec::new();
    for (secs, record) in events {
        let mut encoded = Vec::new();
        write::json(&mut encoded, record);
        write_event(
            &mut stream,
            Time {
                secs: *secs,
                nanos: 5,
            },
            &encoded,
        );
    }
    let count = u32::try_from(events.len()).unwrap();
    Frame {
        sequence: 1,
        tag: Tag::new(tag),
        events: stream.into(),
        count,
        origin: None,
    }
}

/// Every file below `folder`, sorted, with what is in it.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(folder)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.push((
                    name,
                    fs::read_to_string(&path).unwrap_or_else(|_| "(bytes)".into()),
                ));
            }
        }
    }
    found.sort();
    found
}

const DAY: i64 = 86_400;

#[tokio::test]
async fn lines_go_into_the_file_of_their_day() {
    let folder = tempfile::tempdir().unwrap();
    let params = json!({ "path": path_in(&folder, "logs/%Y-%m-%d/${tag}.log"), "timezone": "UTC" });
    let output = output(params);
    let frames = [
        event_frame(
            "web",
            &[
                (DAY - 1, json!({ "n": 1 })),
                (DAY, json!({ "n": 2 })),
                (DAY - 1, json!({ "n": 3 })),
            ],
        ),
        event_frame("db", &[(DAY, json!({ "time": "mine" }))]),
    ];
    assert_eq!(write(&output, &frames).await, Outcome::Delivered);
    assert_eq!(write(&output, &frames[1..]).await, Outcome::Delivered);
    let db = "{\"time\":\"1970-01-02T00:00:00.000000005Z\",\"tag\":\"db\",\"time_\":\"mine\"}\n";
    let expected = [
        (
            "logs/1970-01-01/web.log",
            "{\"time\":\"1970-01-01T23:59:59.000000005Z\",\"tag\":\"web\",\"n\":1}\n\
             {\"time\":\"1970-01-01T23:59:59.000000005Z\",\"tag\":\"web\",\"n\":3}\n",
        ),
        ("logs/1970-01-02/db.log", &db.repeat(2)),
        (
            "logs/1970-01-02/web.log",
            "{\"time\":\"1970-01-02T00:00:00.000000005Z\",\"tag\":\"web\",\"n\":2}\n",
        ),
    ];
    assert_eq!(
        files(folder.path()),
        expected.map(|(name, text)| (name.to_owned(), text.to_owned()))
    );
}

#[tokio::test]
async fn the_zone_decides_the_day() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(
        json!({ "path": path_in(&folder, "%d"), "timezone": "+09:00", "format": "out_file" }),
    );
    write(
        &output,
        &[event_frame("t\n", &[(DAY - 3600, json!({ "a": 1 }))])],
    )
    .await;
    let line = "1970-01-02T08:00:00+09:00\tt_\t{\"a\":1}\n";
    assert_eq!(files(folder.path()), [("02".to_owned(), line.to_owned())]);
}

#[tokio::test]
async fn only_live_records_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let params = json!({
        "path": path_in(&folder, "a"), "include_time_key": false, "include_tag_key": false, "sync": false,
    });
    let frames = [
        frame(1, "t", &[json!({ "n": 0 }), json!({ "n": 1 })]),
        frame(2, "t", &[json!({ "n": 2 })]),
    ];
    let mut live = Bitmap::full(3);
    live.set(1, false);
    let chunk = ChunkView {
        buffer: 0,
        frames: &frames,
        live: Some(&live),
        attempt: 1,
    };
    assert_eq!(output(params).write(chunk).await, Outcome::Delivered);
    assert_eq!(
        files(folder.path()),
        [("a".to_owned(), "{\"n\":0}\n{\"n\":2}\n".to_owned())]
    );
}

#[tokio::test]
async fn what_fails_is_tried_again_and_what_is_written_is_not() {
    let folder = tempfile::tempdir().unwrap();
    // A folder stands where the file of `bad` should be.
    fs::create_dir(at(&folder, "bad")).unwrap();
    let output = output(json!({ "path": path_in(&folder, "${record.to}") }));
    let frames = [frame(
        1,
        "t",
        &[
            json!({ "to": "bad" }),
            json!({ "to": "good" }),
            json!({ "to": "bad" }),
        ],
    )];
    let Outcome::Except(except) = write(&output, &frames).await else {
        panic!("some were written")
    };
    let places: Vec<_> = except.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [0, 2]);
    for (_, verdict) in except {
        assert!(
            matches!(
                verdict,
                Verdict::Retry(
                    None,
                    Failure {
                        kind: FailureKind::Io,
                        ..
                    }
                )
            ),
            "{verdict:?}"
        );
    }
    let outcome = write(&output, &[frame(1, "t", &[json!({ "to": "bad" })])]).await;
    assert!(
        matches!(
            outcome,
            Outcome::RetryChunk(
                None,
                Failure {
                    kind: FailureKind::Io,
                    ..
                }
            )
        ),
        "{outcome:?}"
    );
    assert_eq!(files(folder.path()).len(), 1);
}

#[tokio::test]
async fn a_name_that_no_file_can_have_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let long = "${record.a}/".repeat(30);
    let output = output(json!({ "path": path_in(&folder, &format!("{long}x")) }));
    let frames = [frame(
        1,
        "t",
        &[json!({ "a": "short" }), json!({ "a": "x".repeat(1000) })],
    )];
    let Outcome::Except(except) = write(&output, &frames).await else {
        panic!("one was written")
    };
    let [(1, Verdict::Reject(failure))] = except.as_slice() else {
        panic!("{except:?}")
    };
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert_eq!(files(folder.path()).len(), 1);
}

/// The kernel's own full disk.
#[tokio::test]
async fn a_full_disk_is_tried_again() {
    let output = output(json!({ "path": "/dev/full" }));
    let outcome = write(&output, &[frame(1, "t", &[json!({})])]).await;
    let Outcome::RetryChunk(None, failure) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(failure.kind, FailureKind::Io);
    assert!(failure.message.contains("No space left"), "{failure}");
}

#[tokio::test]
async fn a_half_line_from_before_is_ended_first() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(at(&folder, "a"), "{\"half\":").unwrap();
    let params = json!({ "path": path_in(&folder, "a"), "include_time_key": false, "include_tag_key": false });
    write(&output(params), &[frame(1, "t", &[json!({ "n": 1 })])]).await;
    assert_eq!(
        fs::read_to_string(at(&folder, "a")).unwrap(),
        "{\"half\":\n{\"n\":1}\n"
    );
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(json!({ "path": path_in(&folder, "a") }));
    let frames = [frame(1, "t", &[json!({})])];
    write(&output, &frames).await;
    fs::rename(at(&folder, "a"), at(&folder, "b")).unwrap();
    write(&output, &frames).await;
    let all = files(folder.path());
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].1, all[1].1);
}

#[tokio::test]
async fn permissions_are_those_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(json!({
        "path": path_in(&folder, "d/a"), "file_permission": "0666", "dir_permission": "0777",
    }));
    write(&output, &[frame(1, "t", &[json!({})])]).await;
    let mode = |name| {
        fs::metadata(at(&folder, name))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!((mode("d"), mode("d/a")), (0o777, 0o666));
}

#[tokio::test]
async fn the_link_leads_to_the_newest_file() {
    let folder = tempfile::tempdir().unwrap();
    let output = output(json!({
        "path": path_in(&folder, "%d.log"), "timezone": "UTC", "symlink_path": path_in(&folder, "now"),
    }));
    write(
        &output,
        &[event_frame(
            "t",
            &[(0, json!({})), (DAY, json!({})), (5, json!({}))],
        )],
    )
    .await;
    assert_eq!(
        fs::read_link(at(&folder, "now")).unwrap(),
        at(&folder, "02.log")
    );
}

#[tokio::test]
async fn a_file_makes_room_before_it_is_too_large() {
    let folder = tempfile::tempdir().unwrap();
    let params = json!({
        "path": path_in(&folder, "a"), "rotate_size": 20, "include_time_key": false, "include_tag_key": false,
    });
    let output = output(params);
    for n in 0..5 {
        write(&output, &[frame(1, "t", &[json!({ "n": n })])]).await;
    }
    let expected = [
        ("a", "{\"n\":4}\n"),
        ("a.1", "{\"n\":0}\n{\"n\":1}\n"),
        ("a.2", "{\"n\":2}\n{\"n\":3}\n"),
    ];
    assert_eq!(
        files(folder.path()),
        expected.map(|(name, text)| (name.to_owned(), text.to_owned()))
    );
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(fs::File::open(path).unwrap());
    io::Read::read_to_string(&mut decoder, &mut text).unwrap();
    text
}

async fn wait_until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_file_whose_day_is_over_is_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let params = json!({
        "path": path_in(&folder, "${tag}/%Y-%m-%d.log"), "timezone": "UTC", "compress": "gzip", "timekey_wait": 0,
    });
    let output = Arc::new(output(params));
    let today = Time::now().secs;
    write(
        &output,
        &[event_frame(
            "t",
            &[(DAY, json!({ "n": 1 })), (today, json!({ "n": 2 }))],
        )],
    )
    .await;
    fs::write(at(&folder, "t/notes.txt"), "not ours").unwrap();
    let (stopper, stop) = Stopper::new();
    let running = Arc::clone(&output);
    let running = tokio::spawn(async move { running.run(stop).await });
    let archive = at(&folder, "t/1970-01-02.log.gz");
    wait_until(|| archive.exists() && !at(&folder, "t/1970-01-02.log.0.rotating").exists()).await;
    let line = "{\"time\":\"1970-01-02T00:00:00.000000005Z\",\"tag\":\"t\",\"n\":1}\n";
    assert_eq!(unpacked(&archive), line);
    // A late event gets a file, and then an archive, of its own.
    write(&output, &[event_frame("t", &[(DAY, json!({ "n": 1 }))])]).await;
    let second = at(&folder, "t/1970-01-02.log.1.gz");
    wait_until(|| second.exists() && !at(&folder, "t/1970-01-02.log.1.rotating").exists()).await;
    assert_eq!(unpacked(&second), line);
    assert_eq!(unpacked(&archive), line);
    stopper.stop();
    running.await.unwrap().unwrap();
    let names: Vec<_> = files(folder.path())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(names[3], "t/notes.txt");
}

#[tokio::test]
async fn a_file_that_is_full_is_compressed_and_so_is_a_leftover() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(at(&folder, "a.log.4.rotating"), "left over\n").unwrap();
    fs::write(at(&folder, "foreign.log.4.rotating"), "not ours\n").unwrap();
    let output = Arc::new(output(json!({
        "path": path_in(&folder, "a.log"), "compress": "gzip", "rotate_size": 1,
        "include_time_key": false, "include_tag_key": false,
    })));
    let (stopper, stop) = Stopper::new();
    let running = Arc::clone(&output);
    let running = tokio::spawn(async move { running.run(stop).await });
    for n in 0..2 {
        write(&output, &[frame(1, "t", &[json!({ "n": n })])]).await;
    }
    wait_until(|| {
        files(folder.path())
            .iter()
            .filter(|(name, _)| name.ends_with("rotating"))
            .count()
            == 1
    })
    .await;
    stopper.stop();
    running.await.unwrap().unwrap();
    assert_eq!(unpacked(&at(&folder, "a.log.4.gz")), "left over\n");
    assert_eq!(unpacked(&at(&folder, "a.log.5.gz")), "{\"n\":0}\n");
    assert_eq!(
        fs::read_to_string(at(&folder, "a.log")).unwrap(),
        "{\"n\":1}\n"
    );
    assert!(at(&folder, "foreign.log.4.rotating").exists());
}

/// Writers, two at a time, while files are set aside and compressed: every line is there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writing_and_compressing_at_once_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = Arc::new(output(json!({
        "path": path_in(&folder, "a.log"), "compress": "gzip", "rotate_size": 400, "sync": false,
        "include_time_key": false, "include_tag_key": false,
    })));
    let (stopper, stop) = Stopper::new();
    let running = Arc::clone(&output);
    let running = tokio::spawn(async move { running.run(stop).await });
    let writers = [0, 1].map(|writer| {
        let output = Arc::clone(&output);
        tokio::spawn(async move {
            for n in 0..200 {
                let frames = [frame(1, "t", &[json!({ "w": writer, "n": n })])];
                assert_eq!(write(&output, &frames).await, Outcome::Delivered);
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    wait_until(|| {
        !files(folder.path())
            .iter()
            .any(|(name, _)| name.ends_with("rotating"))
    })
    .await;
    stopper.stop();
    running.await.unwrap().unwrap();
    let mut lines = Vec::new();
    for (name, text) in files(folder.path()) {
        let text = if name == "a.log" {
            text
        } else {
            unpacked(&at(&folder, &name))
        };
        lines.extend(text.lines().map(str::to_owned));
    }
    let mut expected: Vec<_> = [0, 1]
        .iter()
        .flat_map(|w| (0..200).map(move |n| format!("{{\"w\":{w},\"n\":{n}}}")))
        .collect();
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected);
}

#[track_caller]
fn refused(params: Value, path: &str, message: &str) {
    let errors = build(params, &BuildCx::detached("test")).err().unwrap();
    let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, [path]);
    assert!(errors[0].message.contains(message), "{}", errors[0].message);
    assert!(errors[0].help.is_some());
}

#[test]
fn mistakes_are_refused_at_their_place() {
    refused(json!({ "path": "" }), "/path", "names a folder");
    refused(json!({ "path": "logs/${tag}/" }), "/path", "names a folder");
    refused(
        json!({ "path": "logs/${tags}" }),
        "/path",
        "there is no placeholder `${tags}`",
    );
    refused(
        json!({ "path": "logs/${tag}/../x" }),
        "/path",
        "below its folder",
    );
    refused(json!({ "path": "logs/%!.log" }), "/path", "wrong time");
    refused(
        json!({ "path": "a.gz", "compress": "gzip" }),
        "/path",
        "compressed file",
    );
    refused(
        json!({ "path": "a", "file_permission": "rw" }),
        "/file_permission",
        "permission",
    );
    refused(
        json!({ "path": "a", "append": false }),
        "/append",
        "no file of its own",
    );
    refused(
        json!({ "path": "a", "rotate_size": 0 }),
        "/rotate_size",
        "0 bytes",
    );
    refused(
        json!({ "path": "a", "symlink_path": "a" }),
        "/symlink_path",
        "where the file is",
    );
    assert!(
        build(
            json!({ "path": "../logs/%Y/100%%-${tag}.log" }),
            &BuildCx::detached("test")
        )
        .is_ok()
    );
}

#[tokio::test]
async fn a_formatter_can_write_the_lines() {
    static FORMATTERS: &[&Descriptor] =
        &[&formatters::json::PLUGIN, &formatters::single_value::PLUGIN];
    let cx = BuildCx {
        plugins: FORMATTERS,
        ..BuildCx::detached("test")
    };
    let folder = TempDir::new().unwrap();
    let build = |format: Value| {
        let params = json!({ "path": path_in(&folder, "${tag}.log"), "format": format });
        File::new(&config::parse(params).unwrap(), &cx)
    };
    let frames = |tag: &str| [event_frame(tag, &[(1, json!({ "message": "x", "n": 1 }))])];
    let output = build(json!({ "type": "json" })).unwrap();
    assert_eq!(write(&output, &frames("a")).await, Outcome::Delivered);
    let text = fs::read_to_string(at(&folder, "a.log")).unwrap();
    assert_eq!(text, "{\"message\":\"x\",\"n\":1}\n");
    let output = build(json!({ "type": "single_value" })).unwrap();
    assert_eq!(write(&output, &frames("b")).await, Outcome::Delivered);
    assert_eq!(fs::read_to_string(at(&folder, "b.log")).unwrap(), "x\n");
    let errors = build(json!({ "type": "jsn" })).unwrap_err();
    assert_eq!(errors[0].path, "/format/type");
}
