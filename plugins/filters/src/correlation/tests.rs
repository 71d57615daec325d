//! `correlation`: each carrier, what is not valid, and where the ids are written.

use proptest::prelude::*;
use sdk::testing::{apply, records};
use serde_json::{Value, json};

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const PARENT: &str = "b7ad6b7169203331";

fn filter(params: Value) -> Arc<dyn Filter> {
    build(params, &BuildCx::detached("test")).unwrap()
}

fn with(params: Value, record: &Value) -> Value {
    records(
        &apply(filter(params), "app", std::slice::from_ref(record))
            .batch
            .events,
    )
    .remove(0)
}

/// What the filter adds to a record, in the dotted layout.
fn added(record: &Value) -> Value {
    let params = json!({ "layout": "dotted", "correlate_by_trace": false });
    let after = with(params, record);
    let new = after
        .as_object()
        .unwrap()
        .iter()
        .filter(|(key, _)| record.get(key).is_none());
    json!(
        new.map(|(key, value)| (key.clone(), value.clone()))
            .collect::<serde_json::Map<_, _>>()
    )
}

#[track_caller]
fn gives(record: &Value, ids: &Value) {
    assert_eq!(added(record), *ids, "{record}");
    // The same in a map of headers, in other letters, and with lists of values.
    let fields = record.as_object().unwrap().iter();
    let upper: serde_json::Map<_, _> = fields
        .map(|(key, value)| (key.to_uppercase(), json!([value])))
        .collect();
    let in_headers = added(&json!({ "headers": upper, "n": 1 }));
    assert_eq!(in_headers, *ids, "{record}");
}

#[test]
fn traceparent_is_read_and_validated() {
    let ids = json!({ "trace.id": TRACE, "span.id": SPAN, "trace.sampled": true });
    gives(
        &json!({ "traceparent": format!("00-{TRACE}-{SPAN}-01") }),
        &ids,
    );
    gives(
        &json!({ "traceparent": format!("cc-{TRACE}-{SPAN}-01-what-comes") }),
        &ids,
    );
    let not = json!({ "trace.id": TRACE, "span.id": SPAN, "trace.sampled": false });
    for (flags, ids) in [("02", &not), ("0a", &not), ("0b", &ids), ("09", &ids)] {
        gives(
            &json!({ "traceparent": format!("00-{TRACE}-{SPAN}-{flags}") }),
            ids,
        );
    }
    let zero = "0".repeat(32);
    for wrong in [
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("00-{zero}-{SPAN}-01"),
        format!("00-{TRACE}-0000000000000000-01"),
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}-{SPAN}"),
        format!("00-{TRACE}-{SPAN}-"),
        format!("00-{TRACE}-{SPAN}-0!"),
        format!("00-{TRACE}-{SPAN}-0A"),
        format!("0-{TRACE}-{SPAN}-01"),
        "00-x-y-01".to_owned(),
        String::new(),
    ] {
        gives(&json!({ "traceparent": wrong }), &json!({}));
    }
}

#[test]
fn both_forms_of_b3_are_read() {
    let all =
        json!({ "trace.id": TRACE, "span.id": SPAN, "parent.id": PARENT, "trace.sampled": true });
    gives(&json!({ "b3": format!("{TRACE}-{SPAN}-1-{PARENT}") }), &all);
    gives(
        &json!({ "b3": format!("{PARENT}-{SPAN}") }),
        &json!({ "trace.id": PARENT, "span.id": SPAN }),
    );
    gives(&json!({ "b3": "0" }), &json!({ "trace.sampled": false }));
    gives(&json!({ "b3": "deny" }), &json!({}));
    let several = json!({
        "X-B3-TraceId": TRACE, "X-B3-SpanId": SPAN, "X-B3-ParentSpanId": PARENT, "X-B3-Sampled": "1",
    });
    gives(&several, &all);
    gives(
        &json!({ "x-b3-flags": "1" }),
        &json!({ "trace.sampled": true }),
    );
}

#[test]
fn other_tracers_are_read_and_converted() {
    let ids = json!({ "trace.id": TRACE, "span.id": SPAN, "trace.sampled": true });
    gives(
        &json!({ "uber-trace-id": format!("{TRACE}:f067aa0ba902b7:0:1") }),
        &ids,
    );
    let amazon = format!(
        "Root=1-{}-{};Parent={SPAN};Sampled=1",
        TRACE.split_at(8).0,
        TRACE.split_at(8).1
    );
    gives(&json!({ "x-amzn-trace-id": amazon }), &ids);
    gives(
        &json!({ "x-cloud-trace-context": format!("{TRACE}/67667974448284343;o=1") }),
        &ids,
    );
    let google = json!({ "logging.googleapis.com/trace": format!("projects/p/traces/{TRACE}") });
    gives(&google, &json!({ "trace.id": TRACE }));
    let datadog = json!({ "x-datadog-trace-id": "67667974448284343", "x-datadog-parent-id": 255 });
    gives(
        &datadog,
        &json!({ "trace.id": SPAN, "span.id": "00000000000000ff" }),
    );
}

#[test]
fn correlation_ids_are_free_text_without_spaces() {
    for name in [
        "x-request-id",
        "X_Correlation_ID",
        "correlationId",
        "cid",
        "request_id",
        "HTTP_X_REQUEST_ID",
    ] {
        gives(
            &json!({ name: "7f3a-x.Y" }),
            &json!({ "correlation_id": "7f3a-x.Y" }),
        );
    }
    gives(&json!({ "cid": "two words" }), &json!({}));
    gives(&json!({ "cid": "x".repeat(129) }), &json!({}));
    gives(&json!({ "cid": 42 }), &json!({ "correlation_id": "42" }));
}

#[test]
fn ids_are_found_in_text() {
    let both = json!({ "trace.id": TRACE, "span.id": SPAN });
    for text in [
        format!("done traceId={TRACE} spanId={SPAN}"),
        format!("done trace_id={TRACE}, span_id={SPAN}."),
        format!("{{\"trace.id\":\"{TRACE}\",\"span.id\":\"{SPAN}\"}}"),
        format!("{{\\\"traceId\\\": \\\"{TRACE}\\\", \\\"spanId\\\": \\\"{SPAN}\\\"}}"),
        format!("INFO [shop-web,{TRACE},{SPAN}] 1 --- [main] c.e.App : done"),
        format!("INFO [shop-web] [{TRACE}-{SPAN}] done"),
        format!("X-B3-TraceId: {TRACE} X-B3-SpanId: {SPAN}"),
    ] {
        assert_eq!(added(&json!({ "log": text })), both, "{text}");
    }
    let sampled = json!({ "trace.id": TRACE, "span.id": SPAN, "trace.sampled": true });
    assert_eq!(
        added(&json!({ "message": format!("traceparent: 00-{TRACE}-{SPAN}-01") })),
        sampled
    );
    assert_eq!(
        added(&json!({ "msg": format!("[app,{TRACE},{SPAN},true] x") })),
        sampled
    );
    assert_eq!(
        added(&json!({ "log": "x-request-id=abc-1, next" })),
        json!({ "correlation_id": "abc-1" })
    );
    for text in [
        "acid=12",
        "traceId is missing",
        "trace_id=",
        "trace_id=xyz",
        "[a,b,c]",
        "the trace id",
    ] {
        assert_eq!(added(&json!({ "log": text })), json!({}), "{text}");
    }
}

#[test]
fn fields_come_before_text_and_one_trace_is_not_mixed_with_another() {
    let record =
        json!({ "trace_id": TRACE, "log": format!("traceId={PARENT}{PARENT} spanId={SPAN}") });
    assert_eq!(added(&record)["trace.id"], TRACE);
    let record = json!({ "b3": format!("{PARENT}{PARENT}-{SPAN}-0"), "traceparent": format!("00-{TRACE}-{PARENT}-01") });
    let ids = added(&record);
    assert_eq!(ids["trace.id"], format!("{PARENT}{PARENT}"));
    assert_eq!(
        (&ids["span.id"], &ids["trace.sampled"]),
        (&json!(SPAN), &json!(false))
    );
}

#[test]
fn own_patterns_come_first() {
    let params = json!({ "pattern": "#(?<correlation_id>[0-9]+)#", "layout": "dotted" });
    let record = with(
        params,
        &json!({ "log": format!("#77# cid=88 traceId={TRACE}") }),
    );
    assert_eq!(record["correlation_id"], "77");
    assert_eq!(record["trace.id"], TRACE);
}

#[test]
fn ids_are_nested_by_default_and_nothing_that_stands_there_is_lost() {
    let log = format!("traceId={TRACE} spanId={SPAN}");
    let record = json!({ "log": log, "trace": { "state": "x" }, "span": "text" });
    let expected = json!({
        "log": log, "trace": { "state": "x", "id": TRACE }, "span": "text", "correlation_id": TRACE,
    });
    assert_eq!(with(json!({}), &record), expected);
    let record = json!({ "log": log, "trace": { "id": "mine" }, "correlation_id": "mine" });
    let kept = with(json!({}), &record);
    assert_eq!(
        (&kept["trace"]["id"], &kept["correlation_id"]),
        (&json!("mine"), &json!("mine"))
    );
    assert_eq!(
        with(json!({ "overwrite": true }), &record)["trace"]["id"],
        TRACE
    );
}

#[test]
fn only_the_carriers_of_from_are_read() {
    let record =
        json!({ "traceparent": format!("00-{TRACE}-{SPAN}-01"), "cid": "c", "x-request-id": "r" });
    let found = with(json!({ "from": ["CID"], "layout": "dotted" }), &record);
    assert_eq!(
        (found.get("trace.id"), &found["correlation_id"]),
        (None, &json!("c"))
    );
}

#[test]
fn mistakes_are_found_at_their_places() {
    let paths = |params: Value| -> Vec<String> {
        let errors = build(params, &BuildCx::detached("test")).err().unwrap();
        errors.into_iter().map(|error| error.path).collect()
    };
    assert_eq!(paths(json!({ "from": ["b3", "b4"] })), ["/from/1"]);
    assert_eq!(paths(json!({ "pattern": "[0-9]+" })), ["/pattern/0"]);
}

/// Anything, and what has the hyphens and nearly the digits of an id.
const HEADER: &str = ".{0,80}|([0-9a-f]{2}|.{0,2})(-[0-9a-f]{16,17}|-[0-9a-f]{32}|-.{0,3}){0,5}";

proptest! {
    #[test]
    fn any_header_and_any_text_is_survived(name in prop::sample::select(CARRIERS.to_vec()), value in HEADER, text in ".{0,120}") {
        let mut ids = Ids::default();
        name.read(value.as_bytes(), &mut ids);
        let record = json!({ "b3": value, "traceparent": value, "log": format!("{text} traceId={value} [{value},{text}]") });
        let batch = apply(filter(json!({})), "app", &[record]).batch;
        prop_assert_eq!(batch.count, 1);
    }
}
