//! Parameters: what is refused, and what Fluentd's names come to.

use sdk::config::parse;

use super::*;
use crate::{
    config::{Config, OpType},
    settings::Settings,
};

fn settle(params: Value) -> Settings {
    parse::<Config>(params).unwrap().settle().unwrap()
}

#[track_caller]
fn refused(params: &Value, places: &[&str]) {
    let errors = crate::build(params.clone(), &BuildCx::detached("es"))
        .err()
        .expect("a complaint");
    let found: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(found, places, "{params}: {errors:?}");
}

#[test]
fn contradictions_are_all_found() {
    refused(&json!({ "index": "a b" }), &["/index"]);
    refused(&json!({ "index_name": "A-${nope}" }), &["/index_name"]);
    refused(
        &json!({ "index": "a", "index_name": "b" }),
        &["/index_name"],
    );
    refused(
        &json!({ "index": "a", "logstash_format": true }),
        &["/index"],
    );
    refused(
        &json!({ "logstash_format": true, "logstash_prefix": "a b" }),
        &["/logstash_prefix"],
    );
    refused(&json!({ "hosts": ["es", "ftp://es"] }), &["/hosts"]);
    refused(&json!({ "host": "a", "hosts": "b" }), &["/host"]);
    refused(&json!({ "user": "u", "api_key": "k" }), &["/api_key"]);
    refused(&json!({ "password": "p" }), &["/password"]);
    for more in [
        json!({}),
        json!({ "id_key": "a" }),
        json!({ "op_type": "create" }),
        json!({ "id_key": "a", "write_operation": "index" }),
    ] {
        let mut params = json!({ "on_conflict": "dead_letter" });
        let more = more.as_object().unwrap().clone();
        params.as_object_mut().unwrap().extend(more);
        refused(&params, &["/on_conflict"]);
    }
    refused(&json!({ "api_key": "a\nb" }), &["/api_key"]);
    refused(&json!({ "client_cert": "c.pem" }), &["/client_cert"]);
    refused(
        &json!({ "op_type": "index", "write_operation": "index" }),
        &["/write_operation"],
    );
    refused(
        &json!({ "custom_headers": { "a b": "c" } }),
        &["/custom_headers/a b"],
    );
    refused(
        &json!({ "index": "", "password": "p", "api_key": "\u{1}" }),
        &["/index", "/password", "/api_key"],
    );
}

#[test]
fn operations_must_make_sense() {
    for name in ["op_type", "write_operation"] {
        for op_type in ["update", "upsert", "delete"] {
            refused(&json!({ name: op_type }), &[&format!("/{name}")]);
            let settled = settle(json!({ name: op_type, "id_key": "id" }));
            assert!(settled.operation.needs_id);
        }
    }
    refused(
        &json!({ "emit_error_for_missing_id": true }),
        &["/emit_error_for_missing_id"],
    );
    refused(
        &json!({
            "op_type": "index", "retry_on_conflict": 1, "suppress_doc_wrap": true,
            "remove_keys_on_update": "a", "remove_keys_on_update_key": "b"
        }),
        &[
            "/retry_on_conflict",
            "/suppress_doc_wrap",
            "/remove_keys_on_update",
            "/remove_keys_on_update_key",
        ],
    );
    let update = |more: Value| {
        let mut params = json!({ "op_type": "upsert", "id_key": "id" });
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        params
    };
    refused(
        &update(json!({ "suppress_doc_wrap": true, "include_tag_key": true })),
        &["/include_tag_key"],
    );
    refused(
        &update(json!({ "remove_keys_on_update": ["$.a[0]", "$.", "ok"] })),
        &["/remove_keys_on_update", "/remove_keys_on_update"],
    );
    let times = |more: Value| settle(update(more)).operation.retry_on_conflict;
    assert_eq!(times(json!({})), Some(3));
    assert_eq!(times(json!({ "retry_on_conflict": 0 })), Some(0));
    assert_eq!(settle(json!({})).operation.retry_on_conflict, None);
}

#[test]
fn shapes_must_make_sense() {
    for text in ["$.a[0]", "a..b", ".a", "", "$["] {
        refused(&json!({ "target_index_key": text }), &["/target_index_key"]);
    }
    refused(
        &json!({ "remove_keys": ["a", "$.b[1]"] }),
        &["/remove_keys"],
    );
    let dotted = json!({ "flatten_hashes_separator": ".", "dots": "underscore" });
    assert!(settle(dotted.clone()).shape.is_some());
    let mut params = dotted;
    params["flatten_hashes"] = true.into();
    refused(&params, &["/flatten_hashes_separator"]);
    for name in ["type_name", "target_type_key", "parent_key"] {
        let params = json!({ name: "_doc" });
        refused(&params, &[&format!("/{name}")]);
        let errors = crate::build(params, &BuildCx::detached("es"))
            .err()
            .unwrap();
        assert!(errors[0].help.is_some());
    }
    assert!(
        settle(json!({ "suppress_type_name": true }))
            .shape
            .is_none()
    );
    assert!(settle(json!({ "remove_keys": " , " })).shape.is_none());
}

#[test]
fn fluentds_names_mean_the_same() {
    let settings = settle(json!({
        "host": "es", "port": 9201, "scheme": "https", "path": "/prefix",
        "index_name": "logs", "write_operation": "index", "compression_level": "best_compression",
        "bulk_message_request_threshold": "1m"
    }));
    assert_eq!(settings.addresses[0].url.as_str(), "https://es:9201/prefix");
    assert_eq!(
        (
            settings.operation.op_type,
            settings.gzip_level,
            settings.bulk_max_bytes
        ),
        (OpType::Index, Some(9), 1 << 20)
    );
    let settings = settle(json!({ "hosts": "a:1, https://b,c" }));
    let urls: Vec<_> = settings
        .addresses
        .iter()
        .map(|address| address.url.as_str())
        .collect();
    assert_eq!(urls, ["http://a:1/", "https://b:9200/", "http://c:9200/"]);
}

#[test]
fn defaults_are_safe() {
    let settings = settle(json!({}));
    assert_eq!(settings.addresses[0].url.as_str(), "http://localhost:9200/");
    assert_eq!(
        (settings.operation.op_type, settings.gzip_level),
        (OpType::Create, None)
    );
    assert_eq!(
        settle(json!({ "id_key": "a" })).operation.op_type,
        OpType::Index
    );
    let level = |params| settle(params).gzip_level;
    assert_eq!(level(json!({ "compression": "gzip" })), Some(1));
    assert_eq!(
        level(json!({ "compression": "none", "compression_level": "best_speed" })),
        None
    );
    assert_eq!(
        level(json!({ "compression_level": "no_compression" })),
        None
    );
}

#[test]
fn secrets_do_not_show() {
    let params = json!({ "user": "u", "password": "geheim", "hosts": "http://x:geheim@es" });
    let output =
        crate::Elasticsearch::new(&parse(params).unwrap(), &BuildCx::detached("es")).unwrap();
    assert!(!format!("{output:?}").contains("geheim"));
}

/// Each of these is refused for these parameters, with an index where nothing else says where documents go.
#[track_caller]
fn all_refused(cases: &[(Value, &[&str])]) {
    for (params, places) in cases {
        let mut params = params.clone();
        if params.get("index").is_none() && params.get("data_stream_name").is_none() {
            params["index"] = "logs".into();
        }
        refused(&params, places);
    }
}

#[test]
fn templates_and_aliases_must_make_sense() {
    let with = |name: &str, more: Value| {
        let mut params = json!({ "template_name": "a", "template_file": "a.json" });
        params[name] = more;
        params
    };
    all_refused(&[
        (json!({ "template_name": "a" }), &["/template_name"]),
        (json!({ "template_file": "a" }), &["/template_file"]),
        (
            json!({ "customize_template": { "a": "b" } }),
            &["/customize_template"],
        ),
        (
            json!({ "use_legacy_template": true }),
            &["/use_legacy_template"],
        ),
        (with("template_name", "${what}".into()), &["/template_name"]),
        (
            with("customize_template", json!({ "x": "${" })),
            &["/customize_template/x"],
        ),
        (json!({ "index_prefix": "a" }), &["/index_prefix"]),
        (json!({ "deflector_alias": "a" }), &["/deflector_alias"]),
        (
            json!({ "rollover_index": true, "target_index_key": "a" }),
            &["/target_index_key"],
        ),
        (
            json!({ "rollover_index": true, "deflector_alias": "a b" }),
            &["/deflector_alias"],
        ),
        (
            json!({ "ilm_policy_id": "a", "ilm_policy_overwrite": true }),
            &["/ilm_policy_id", "/ilm_policy_overwrite"],
        ),
    ]);
}

#[test]
fn data_streams_must_make_sense() {
    let stream = |name: &str, value: Value| {
        let mut params = json!({ "data_stream_name": "a" });
        params[name] = value;
        params
    };
    all_refused(&[
        (
            json!({ "data_stream_ilm_name": "a" }),
            &["/data_stream_ilm_name"],
        ),
        (json!({ "data_stream_name": "-a" }), &["/data_stream_name"]),
        (stream("index", "b".into()), &["/index"]),
        (stream("rollover_index", true.into()), &["/rollover_index"]),
        (stream("op_type", "index".into()), &["/op_type"]),
        (stream("time_key", "at".into()), &["/time_key"]),
        (
            stream("include_timestamp", false.into()),
            &["/include_timestamp"],
        ),
        (
            json!({ "data_stream_name": "a", "enable_ilm": false, "ilm_policy": {} }),
            &["/ilm_policy"],
        ),
    ]);
}
