//! The expressions that must give data: of our files, and of the public dashboard for Fluentd.

use std::{fs, path::Path};

use serde_json::Value;

/// Alerts that the run provokes: their expressions are asked as they stand. Of the others, which wait for longer than a
/// test can, the comparisons with numbers are left out.
pub(super) const FIRING: [&str; 17] = [
    "WeirCollectorDown",
    "WeirAgentMissingOnNode",
    "WeirComponentDown",
    "WeirRecordsLost",
    "WeirOutputFailing",
    "WeirOutputRetrying",
    "WeirBufferFilling",
    "WeirBufferFullSoon",
    "WeirEndToEndSlow",
    "WeirDeadLetters",
    "WeirMappingConflicts",
    "WeirRejected429",
    "WeirReloadFailed",
    "WeirConfigDrift",
    "WeirForwardNodeDown",
    "WeirHandshakeFailures",
    "WeirDiskLow",
];

/// Grafana dashboard 13042, "Fluentd 1.x", as it is in the chart of the fluent community (charts/fluentd/dashboards).
pub(super) const DASHBOARD_13042: [&str; 34] = [
    "sum(rate(fluentd_output_status_retry_count[1m]))",
    "sum(rate(fluentd_output_status_num_errors[1m]))",
    "sum(rate(fluentd_input_status_num_records_total[1m]))",
    "sum(rate(fluentd_output_status_write_count[1m]))",
    "min(fluentd_output_status_buffer_available_space_ratio)",
    "sum(rate(fluentd_output_status_flush_time_count[1m]))",
    "sum(rate(fluentd_output_status_slow_flush_count[1m]))",
    "sum(fluentd_output_status_buffer_total_bytes) by (type)",
    "sum(fluentd_output_status_buffer_queue_length)",
    "sum(rate(fluentd_input_status_num_records_total[1m])) by (hostname)",
    "sum(rate(fluentd_input_status_num_records_total[1m])) by (namespace)",
    "sum(rate(fluentd_input_status_num_records_total[1m])) by (instance)",
    "sum(rate(fluentd_input_status_num_records_total[1m])) by (tag)",
    "sum(fluentd_output_status_buffer_stage_length) by (pod, type)",
    "sum(fluentd_output_status_buffer_stage_byte_size) by (pod, type)",
    "max_over_time(fluentd_output_status_buffer_queue_length[1m])",
    "max_over_time(fluentd_output_status_buffer_total_bytes[1m])",
    "sum(fluentd_output_status_buffer_queue_length) by (pod, type)",
    "sum(fluentd_output_status_queue_byte_size) by (pod, type)",
    "sum(fluentd_output_status_buffer_available_space_ratio) by (pod, type)",
    "sum(rate(fluentd_output_status_retry_count[1m])) by (type)",
    "sum(rate(fluentd_output_status_emit_records[1m])) by (type)",
    "sum(rate(fluentd_output_status_emit_count[1m])) by (type)",
    "sum(rate(fluentd_output_status_rollback_count[1m])) by (type)",
    "sum(rate(fluentd_output_status_write_count[1m])) by (type)",
    "sum(rate(fluentd_output_status_slow_flush_count[1m])) by (type)",
    "sum(rate(fluentd_output_status_retry_wait[1m])) by (type)",
    "sum(rate(fluentd_output_status_flush_time_count[1m])) by (type)",
    "sum(rate(fluentd_output_status_num_errors[1m])) by (type)",
    "fluentd_output_status_buffer_newest_timekey - fluentd_output_status_buffer_oldest_timekey",
    "sum(fluentd_output_status_buffer_newest_timekey) by (pod, type)",
    "sum(fluentd_output_status_buffer_oldest_timekey) by (pod, type)",
    // Of the same plugin, for other dashboards.
    "sum(fluentd_status_buffer_queue_length) by (plugin_category)",
    "sum(rate(fluentd_output_status_num_records_total[1m])) by (hostname)",
];

/// Who is to expose a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Every process, or every process with an output.
    Engine,
    /// Processes with a certain plugin.
    Plugin,
}

/// A file of the repository.
pub(super) fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).expect("a file of the repository")
}

/// Alerts and their expressions.
pub(super) fn alerts() -> Vec<(String, String)> {
    let (mut found, mut alert) = (Vec::new(), String::new());
    for line in file("assets/prometheus/rules.yml").lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("- alert: ") {
            name.clone_into(&mut alert);
        }
        if let Some(quoted) = line.strip_prefix("expr: ") {
            let expression = quoted.trim_matches('\'').replace("''", "'");
            found.push((alert.clone(), expression));
        }
    }
    assert_eq!(found.len(), 25, "alerts with an expression");
    found
}

/// The expressions of our dashboards with the variables filled in, each with the name of its panel.
pub(super) fn dashboards() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in ["overview", "agents", "aggregator", "elasticsearch"] {
        let text = file(&format!("assets/grafana/weir-{name}.json"));
        let dashboard: Value = serde_json::from_str(&text).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            let title = panel["title"].as_str().expect("a title");
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expression = target["expr"].as_str().expect("an expression");
                let filled = expression
                    .replace("$__rate_interval", "1m")
                    .replace("$namespace", ".*")
                    .replace("$job", ".*")
                    .replace("$pod", ".*");
                found.push((format!("{name}, {title}"), filled));
            }
        }
    }
    found
}

/// An expression without its comparisons with numbers: it gives data where there is anything to compare.
pub(super) fn loosened(expression: &str) -> String {
    let words: Vec<&str> = expression.split(' ').collect();
    let mut out: Vec<&str> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let compares = matches!(words[at], ">" | "<" | "==" | "!=");
        let is_number = |word: &&str| word.parse::<f64>().is_ok();
        if compares && words.get(at + 1).is_some_and(is_number) {
            at += 2;
            while words.get(at) == Some(&"*") {
                at += 2;
            }
            continue;
        }
        out.push(words[at]);
        at += 1;
    }
    out.join(" ")
}

#[test]
fn comparisons_with_numbers_are_left_out() {
    for (expression, expected) in [
        ("a > 0.8", "a"),
        ("a - time() < 7 * 86400", "a - time()"),
        ("sum(a) > 0 and rate(b[1m]) == 0", "sum(a) and rate(b[1m])"),
        ("a < b - c", "a < b - c"),
    ] {
        assert_eq!(loosened(expression), expected);
    }
}
