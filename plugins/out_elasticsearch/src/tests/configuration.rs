//! Parameters: what is refused, and what Fluentd's names come to.

use sdk::config::parse;

use super::*;
use crate::config::{Config, OpType, settings::Settings};

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

/// A table `endpoint` with more in it.
fn endpoint(more: &Value) -> Value {
    let mut table = json!({ "url": "https://x", "region": "eu-central-1" });
    let more = more.as_object().unwrap().clone();
    table.as_object_mut().unwrap().extend(more);
    json!({ "endpoint": table })
}

/// An id of a deployment: `x.io$abc$def`.
const CLOUD: &str = "n:eC5pbyRhYmMkZGVm";

#[test]
fn who_we_say_that_we_are_must_be_clear() {
    let two = ["/api_key_file", "/bearer_token"];
    for (params, places) in [
        (
            json!({ "user": "u", "password": "p", "password_file": "f" }),
            &["/password_file"][..],
        ),
        (json!({ "password_file": "f" }), &["/password_file"]),
        (
            json!({ "api_key": "k", "api_key_file": "f" }),
            &["/api_key_file"],
        ),
        (json!({ "bearer_token": "a\nb" }), &["/bearer_token"]),
        (
            json!({ "user": "u", "bearer_token": "t", "api_key_file": "f" }),
            &two,
        ),
        (json!({ "cloud_id": "x" }), &["/cloud_id"]),
        (
            json!({ "cloud_id": CLOUD, "cloud_auth": "u", "host": "h" }),
            &["/cloud_id", "/cloud_auth"],
        ),
        (json!({ "cloud_auth": "u:p" }), &["/cloud_auth"]),
        (
            json!({ "cloud_id": CLOUD, "cloud_auth": "u:p", "api_key": "k" }),
            &["/cloud_auth"],
        ),
    ] {
        refused(&params, places);
    }
    let settings = settle(json!({ "cloud_id": CLOUD, "cloud_auth": "u:p:q" }));
    assert_eq!(settings.addresses[0].url.as_str(), "https://abc.x.io/");
    let (user, password) = settings.addresses[0].login.clone().unwrap();
    assert_eq!((user.as_str(), password.expose()), ("u", "p:q"));
}

#[test]
fn an_endpoint_must_make_sense() {
    for (more, place) in [
        (json!({ "access_key_id": "a" }), "access_key_id"),
        (json!({ "secret_access_key": "a" }), "secret_access_key"),
        (json!({ "session_token": "a" }), "session_token"),
        (
            json!({ "access_key_id": "a", "secret_access_key": "b", "assume_role_arn": "c" }),
            "assume_role_arn",
        ),
        (
            json!({ "assume_role_web_identity_token_file": "f" }),
            "assume_role_web_identity_token_file",
        ),
        (
            json!({ "ecs_container_credentials_relative_uri": "v2" }),
            "ecs_container_credentials_relative_uri",
        ),
        (json!({ "sts_endpoint": "sts" }), "sts_endpoint"),
        (json!({ "region": "EU Central" }), "region"),
        (
            json!({ "sts_credentials_region": "EU" }),
            "sts_credentials_region",
        ),
        (json!({ "url": "https://u:p@x" }), "url"),
        (json!({ "url": "ftp://x" }), "url"),
    ] {
        refused(&endpoint(&more), &[&format!("/endpoint/{place}")]);
    }
    let mut params = endpoint(&json!({}));
    params["hosts"] = json!("h");
    params["user"] = json!("u");
    refused(&params, &["/endpoint", "/endpoint"]);
    let url = |more: Value| settle(endpoint(&more)).addresses[0].url.to_string();
    assert_eq!(url(json!({})), "https://x/");
    assert_eq!(url(json!({ "url": "http://x/" })), "http://x/");
}

#[test]
fn versions_of_tls_are_those_that_are_spoken() {
    for (params, places) in [
        (json!({ "client_key_pass": "p" }), &["/client_key_pass"][..]),
        (json!({ "ssl_version": "TLSv1" }), &["/ssl_version"]),
        (
            json!({ "ssl_min_version": "TLSv1_1", "ssl_max_version": "TLSv1" }),
            &["/ssl_min_version", "/ssl_max_version"],
        ),
        (
            json!({ "ssl_min_version": "TLSv1_3", "ssl_max_version": "TLSv1_2" }),
            &["/ssl_min_version"],
        ),
    ] {
        refused(&params, places);
    }
    settle(json!({
        "ssl_version": "TLSv1_2", "ssl_min_version": "TLSv1_2", "ssl_max_version": "TLSv1_3"
    }));
    settle(json!({ "ssl_version": "SSLv23", "ssl_max_version": "TLSv1_2" }));
}

#[test]
fn what_fluentd_has_and_weir_has_not_is_named_or_taken() {
    for (params, place) in [
        (json!({ "retry_tag": "again" }), "/retry_tag"),
        (
            json!({ "ignore_exceptions": "[\"Elasticsearch::Transport::Transport::ServerError\"]" }),
            "/ignore_exceptions",
        ),
        (json!({ "delimiter": "-" }), "/delimiter"),
        (
            json!({ "sniffer_class_name": "Mine" }),
            "/sniffer_class_name",
        ),
        (
            json!({ "selector_class_name": "Mine" }),
            "/selector_class_name",
        ),
        (
            json!({ "selector": "priority", "selector_class_name": "RoundRobin" }),
            "/selector_class_name",
        ),
        (json!({ "reload_after": 0 }), "/reload_after"),
        (json!({ "time_key_format": "%Y" }), "/time_key_format"),
        (
            json!({ "time_key_exclude_timestamp": true }),
            "/time_key_exclude_timestamp",
        ),
        (
            json!({ "time_key": "t", "time_key_format": "%!" }),
            "/time_key_format",
        ),
        (json!({ "hosts": "es-${tag}" }), "/hosts"),
    ] {
        refused(&params, &[place]);
        let errors = crate::build(params, &BuildCx::detached("es"))
            .err()
            .unwrap();
        assert!(errors[0].help.is_some(), "{place}");
    }
    settle(json!({
        "reconnect_on_error": true, "http_backend": "typhoeus", "http_backend_excon_nonblock": false,
        "prefer_oj_serializer": true, "with_transporter_log": true, "validate_client_version": true,
        "log_es_400_reason": true, "time_parse_error_tag": "x", "emit_error_label_event": false,
        "exception_backup": false, "target_index_affinity": false, "metadata": { "include_chunk_id": false },
        "delimiter": ".", "reload_after": -1, "content_type": "application/json"
    }));
}

#[test]
fn a_search_for_documents_must_make_sense() {
    let search = |more: Value| {
        let mut params = json!({
            "target_index_affinity": true, "logstash_format": true, "id_key": "id", "op_type": "upsert"
        });
        let more = more.as_object().unwrap().clone();
        params.as_object_mut().unwrap().extend(more);
        params
    };
    for (more, complaint) in [
        (json!({ "op_type": "index" }), "is none of them"),
        (json!({ "logstash_format": false }), "there is one only"),
        (json!({ "target_index_key": "i" }), "`target_index_key`"),
        (
            json!({ "include_index_in_url": true }),
            "do not go together",
        ),
    ] {
        let errors = crate::build(search(more), &BuildCx::detached("es"))
            .err()
            .unwrap();
        let [error] = &errors[..] else {
            panic!("{errors:?}")
        };
        assert_eq!(error.path, "/target_index_affinity");
        assert!(error.message.contains(complaint), "{error:?}");
    }
    assert!(settle(search(json!({}))).affinity.is_some());
    assert!(
        settle(search(json!({ "target_index_affinity": false })))
            .affinity
            .is_none()
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
fn a_type_about_data_streams_needs_the_name_of_one() {
    let build = |params: Value, type_name: Option<&str>| {
        let cx = BuildCx {
            type_name: type_name.map(Into::into),
            ..BuildCx::detached("es")
        };
        crate::build(params, &cx).err().unwrap_or_default()
    };
    for alias in ["elasticsearch_data_stream", "opensearch_data_stream"] {
        let errors = build(json!({}), Some(alias));
        assert_eq!(errors[0].path, "/data_stream_name", "{errors:?}");
        assert!(build(json!({ "data_stream_name": "a" }), Some(alias)).is_empty());
    }
    assert!(build(json!({}), Some("opensearch")).is_empty() && build(json!({}), None).is_empty());
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
        (stream("timestamp_key", "at".into()), &["/timestamp_key"]),
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
