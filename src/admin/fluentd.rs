//! The series of fluent-plugin-prometheus, for dashboards and alerts that were made for Fluentd.
//!
//! All are gauges, as with its default `gauge_all true`, but for the two totals of records.

use sdk::monitor::{Component, Delivering, Figures, Monitor};

/// A series of an output: its name behind the prefix, and how to read it.
type Reading = (&'static str, fn(&Delivering) -> f64);

/// What `prometheus_monitor` gives, behind `fluentd_status_`.
const STATUS: [Reading; 5] = [
    ("buffer_queue_length", |figures| count(figures.queue_chunks)),
    ("buffer_total_bytes", |figures| count(figures.total_bytes)),
    ("retry_count", |figures| count(figures.rollbacks)),
    ("buffer_newest_timekey", |figures| {
        instant(figures.newest_secs)
    }),
    ("buffer_oldest_timekey", |figures| {
        instant(figures.oldest_secs)
    }),
];

/// What `prometheus_output_monitor` gives, behind `fluentd_output_status_`. `queue_byte_size` is how public
/// dashboards spell `buffer_queue_byte_size`.
const OUTPUT_STATUS: [Reading; 18] = [
    ("buffer_total_bytes", |figures| count(figures.total_bytes)),
    ("buffer_stage_length", |figures| count(figures.stage_chunks)),
    ("buffer_stage_byte_size", |figures| {
        count(figures.stage_bytes)
    }),
    ("buffer_queue_length", |figures| count(figures.queue_chunks)),
    ("buffer_queue_byte_size", |figures| {
        count(figures.queue_bytes)
    }),
    ("queue_byte_size", |figures| count(figures.queue_bytes)),
    ("buffer_available_space_ratio", |figures| {
        figures.available_percent()
    }),
    ("buffer_newest_timekey", |figures| {
        instant(figures.newest_secs)
    }),
    ("buffer_oldest_timekey", |figures| {
        instant(figures.oldest_secs)
    }),
    ("retry_count", |figures| count(figures.rollbacks)),
    ("num_errors", |figures| count(figures.errors)),
    ("emit_count", |figures| count(figures.accepted.batches)),
    ("emit_records", |figures| count(figures.accepted.records)),
    ("write_count", |figures| count(figures.writes)),
    ("rollback_count", |figures| count(figures.rollbacks)),
    ("flush_time_count", |figures| count(figures.flush_time_ms)),
    ("slow_flush_count", |figures| count(figures.slow_flushes)),
    ("retry_wait", |figures| figures.retry_wait_seconds),
];

/// Every series, in the text format that both versions of the exposition share.
pub(super) fn exposition(monitor: &dyn Monitor) -> String {
    let hostname = monitor.process().hostname;
    let components = monitor.components();
    let mut out = Out {
        text: String::new(),
        hostname,
    };
    let outputs: Vec<(&Component, &Delivering)> = components
        .iter()
        .filter_map(|component| match &component.figures {
            Figures::Output(figures) => Some((component, &**figures)),
            _ => None,
        })
        .collect();
    for (name, read) in STATUS {
        let name = format!("fluentd_status_{name}");
        out.head(&name, "gauge");
        for (component, figures) in &outputs {
            out.sample(
                &name,
                component,
                &[("plugin_category", "output")],
                read(figures),
            );
        }
    }
    for (name, read) in OUTPUT_STATUS {
        let name = format!("fluentd_output_status_{name}");
        out.head(&name, "gauge");
        for (component, figures) in &outputs {
            out.sample(&name, component, &[], read(figures));
        }
    }
    out.head("fluentd_output_status_num_records", "counter");
    for (component, figures) in &outputs {
        let sent = count(figures.sent_records);
        out.sample(
            "fluentd_output_status_num_records_total",
            component,
            &[],
            sent,
        );
    }
    out.head("fluentd_input_status_num_records", "counter");
    for component in &components {
        if let Figures::Input(passed) = &component.figures {
            let records = count(passed.records);
            out.sample(
                "fluentd_input_status_num_records_total",
                component,
                &[],
                records,
            );
        }
    }
    out.text
}

struct Out {
    text: String,
    hostname: String,
}

impl Out {
    fn head(&mut self, name: &str, kind: &str) {
        let help = "As fluent-plugin-prometheus gives it.";
        self.text.extend([
            "# HELP ",
            name,
            " ",
            help,
            "\n# TYPE ",
            name,
            " ",
            kind,
            "\n",
        ]);
    }

    fn sample(&mut self, name: &str, of: &Component, more: &[(&str, &str)], value: f64) {
        let mut labels = format!(
            "plugin_id=\"{}\",type=\"{}\",hostname=\"{}\"",
            escape(&of.id),
            escape(of.plugin),
            escape(&self.hostname)
        );
        for (name, value) in more {
            labels.extend([",", name, "=\"", value, "\""]);
        }
        let value = value.to_string();
        self.text.extend([name, "{", &labels, "} ", &value, "\n"]);
    }
}

/// A label value.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
fn count(number: u64) -> f64 {
    number as f64
}

fn instant(secs: Option<u64>) -> f64 {
    secs.map_or(0.0, count)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sdk::{
        monitor::{Passed, Process},
        plugin::Kind,
    };
    use serde_json::Value;

    use super::*;

    struct Two;

    impl Monitor for Two {
        fn process(&self) -> Process {
            Process {
                hostname: "node-1".to_owned(),
                ..Process::default()
            }
        }

        fn components(&self) -> Vec<Component> {
            let component = |id: &str, kind, plugin, figures| Component {
                id: Arc::from(id),
                kind,
                plugin,
                params: Value::Null,
                figures,
            };
            let passed = Passed {
                records: 7,
                ..Passed::default()
            };
            let delivering = Delivering {
                total_bytes: 25,
                limit_bytes: 100,
                sent_records: 5,
                ..Delivering::default()
            };
            vec![
                component("in", Kind::Input, "forward", Figures::Input(passed)),
                component(
                    "e\"s",
                    Kind::Output,
                    "elasticsearch",
                    Figures::Output(Box::new(delivering)),
                ),
            ]
        }
    }

    #[test]
    fn outputs_and_inputs_have_fluentds_names_and_labels() {
        let text = exposition(&Two);
        for line in [
            "fluentd_input_status_num_records_total{plugin_id=\"in\",type=\"forward\",hostname=\"node-1\"} 7",
            "fluentd_output_status_num_records_total{plugin_id=\"e\\\"s\",type=\"elasticsearch\",hostname=\"node-1\"} 5",
            "fluentd_output_status_buffer_available_space_ratio{plugin_id=\"e\\\"s\",type=\"elasticsearch\",hostname=\"node-1\"} 75",
            "fluentd_status_buffer_total_bytes{plugin_id=\"e\\\"s\",type=\"elasticsearch\",hostname=\"node-1\",plugin_category=\"output\"} 25",
            "# TYPE fluentd_input_status_num_records counter",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
