//! The lines, letter by letter.

use sdk::{
    event::{Tag, Time, write_event},
    msgpack::write,
    output::{Bitmap, Frame},
    testing::frame,
};
use serde_json::{Value, json};

use super::*;

static FORMATTERS: &[&Descriptor] = &[&formatters::json::PLUGIN];

/// The outcome and what was written.
async fn print(params: Value, frames: &[Frame], live: Option<&Bitmap>) -> (Outcome, String) {
    let stream = Arc::new(Mutex::new(Vec::new()));
    let shared: Stream = Arc::<Mutex<Vec<u8>>>::clone(&stream);
    let cx = BuildCx {
        plugins: FORMATTERS,
        ..BuildCx::detached("test")
    };
    let output = Stdout::new(config::parse(params).unwrap(), shared, &cx).unwrap();
    let chunk = ChunkView {
        buffer: 0,
        frames,
        live,
        attempt: 0,
    };
    let outcome = output.write(chunk).await;
    let text = String::from_utf8(stream.lock().unwrap().clone()).unwrap();
    (outcome, text)
}

fn event_frame(tag: &str, time: Time, record: &Value) -> Frame {
    let (mut encoded, mut events) = (Vec::new(), Vec::new());
    write::json(&mut encoded, record);
    write_event(&mut events, time, &encoded);
    Frame {
        sequence: 1,
        tag: Tag::new(tag),
        events: events.into(),
        count: 1,
        origin: None,
    }
}

#[tokio::test]
async fn a_line_looks_as_fluentd_writes_it() {
    let time = Time {
        secs: 1_767_323_045,
        nanos: 678,
    };
    let frames = [event_frame("app.web", time, &json!({ "a": "b\n", "n": 1 }))];
    let utc = print(json!({ "timezone": "UTC" }), &frames, None).await;
    let line = "2026-01-02 03:04:05.000000678 +0000 app.web: {\"a\":\"b\\n\",\"n\":1}\n";
    assert_eq!(utc, (Outcome::Delivered, line.to_owned()));
    let (_, text) = print(json!({ "timezone": "+09:00" }), &frames, None).await;
    assert!(
        text.starts_with("2026-01-02 12:04:05.000000678 +0900 app.web: {"),
        "{text}"
    );
}

#[tokio::test]
async fn json_lines_have_time_and_tag_in_front() {
    let time = Time {
        secs: 1_767_323_045,
        nanos: 5,
    };
    let frames = [event_frame("app", time, &json!({ "a": 1, "tag": "own" }))];
    let (_, text) = print(json!({ "format": "json" }), &frames, None).await;
    assert_eq!(
        text,
        "{\"time\":\"2026-01-02T03:04:05.000000005Z\",\"tag\":\"app\",\"a\":1,\"tag_\":\"own\"}\n"
    );
    let params = json!({ "format": "json", "include_time_key": false, "tag_key": "t" });
    let (_, text) = print(params, &frames, None).await;
    assert_eq!(text, "{\"t\":\"app\",\"a\":1,\"tag\":\"own\"}\n");
    let params = json!({ "format": "json", "include_time_key": false, "include_tag_key": false });
    let (_, text) = print(params, &frames, None).await;
    assert_eq!(text, "{\"a\":1,\"tag\":\"own\"}\n");
}

#[tokio::test]
async fn only_live_records_of_all_frames_are_written() {
    let frames = [
        frame(1, "a", &[json!({ "n": 0 }), json!({ "n": 1 })]),
        frame(2, "b", &[json!({ "n": 2 })]),
    ];
    let mut live = Bitmap::full(3);
    live.set(0, false);
    let (_, text) = print(json!({ "timezone": "UTC" }), &frames, Some(&live)).await;
    let expected = "1970-01-01 00:00:01.000000000 +0000 a: {\"n\":1}\n\
                    1970-01-01 00:00:00.000000000 +0000 b: {\"n\":2}\n";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn a_tag_cannot_end_the_line() {
    let frames = [event_frame("a\nb", Time::default(), &json!({}))];
    let (_, text) = print(json!({ "timezone": "UTC" }), &frames, None).await;
    assert_eq!(text, "1970-01-01 00:00:00.000000000 +0000 a_b: {}\n");
    let (_, text) = print(
        json!({ "format": "json", "include_time_key": false }),
        &frames,
        None,
    )
    .await;
    assert_eq!(text, "{\"tag\":\"a\\nb\"}\n");
}

#[tokio::test]
async fn a_broken_pipe_is_tried_again() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let output = Stdout::new(
        config::parse(json!({})).unwrap(),
        Arc::new(Mutex::new(Broken)),
        &BuildCx::detached("test"),
    )
    .unwrap();
    let frames = [frame(1, "a", &[json!({})])];
    let chunk = ChunkView {
        buffer: 0,
        frames: &frames,
        live: None,
        attempt: 0,
    };
    let outcome = output.write(chunk).await;
    assert!(
        matches!(
            &outcome,
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
}

#[test]
fn the_parameters_are_what_the_builder_takes() {
    let cx = BuildCx::detached("test");
    assert!(build(json!({}), &cx).is_ok());
    assert!(build(json!({ "format": "xml" }), &cx).is_err());
    assert!(build(json!({ "timezone": "Mars" }), &cx).is_err());
}

#[tokio::test]
async fn a_formatter_can_write_the_lines() {
    let frames = [event_frame("a", Time::from_secs(0), &json!({ "n": 1 }))];
    let table = json!({ "format": { "type": "json", "include_tag_key": true } });
    let printed = print(table, &frames, None).await;
    let line = "{\"tag\":\"a\",\"n\":1}\n";
    assert_eq!(printed, (Outcome::Delivered, line.to_owned()));
}
