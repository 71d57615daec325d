//! A real Prometheus scrapes routers to which things happen: every expression of our dashboards and alert rules, and of
//! the public dashboard for Fluentd, gives data.

mod expressions;
mod run;

use std::collections::BTreeMap;

use crate::harness::{http, prometheus::program, wait::eventually, weir::Home};
use expressions::{DASHBOARD_13042, FIRING, Kind, alerts, dashboards, loosened};
use run::{Run, page};
use serde_json::Value;

/// How long to look for data of every expression.
const PATIENCE_SECS: u64 = 120;

#[test]
fn every_expression_gives_data_and_every_metric_is_on_its_page() {
    let run = Run::start();
    let mut pending: Vec<(String, String)> = dashboards();
    for (alert, expression) in alerts() {
        let fires = FIRING.contains(&alert.as_str());
        let asked = if fires {
            expression
        } else {
            loosened(&expression)
        };
        pending.push((alert, asked));
    }
    let public = DASHBOARD_13042.iter();
    pending.extend(public.map(|asked| ("13042".to_owned(), (*asked).to_owned())));
    let total = pending.len();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(PATIENCE_SECS);
    while !pending.is_empty() && std::time::Instant::now() < deadline {
        run.provoke();
        pending.retain(|(_, asked)| {
            let samples = run.prometheus.ask(asked);
            !samples.iter().any(|sample| sample.value.is_finite())
        });
    }
    let lines: Vec<String> = pending
        .iter()
        .map(|(of, asked)| format!("{of}: {asked}"))
        .collect();
    assert!(
        lines.is_empty(),
        "{} of {total} give no data:\n{}",
        lines.len(),
        lines.join("\n")
    );
    the_page_has_every_metric(&run);
    the_exposition_is_right(&run);
}

/// Names and types of the page and of what runs: the engine's are the same set, and those of plugins are all there.
fn the_page_has_every_metric(run: &Run) {
    let mut exposed = BTreeMap::new();
    for weir in run.routers() {
        exposed.extend(types(&weir.probe("/metrics").1));
    }
    let documented = page();
    let is_right = |(name, kind): &(&String, &String)| {
        documented
            .get(*name)
            .is_some_and(|(written, _)| written == *kind)
    };
    let wrong: Vec<_> = exposed.iter().filter(|pair| !is_right(pair)).collect();
    assert!(
        wrong.is_empty(),
        "not on the page docs/METRICS.md: {wrong:?}"
    );
    let engine = documented
        .iter()
        .filter(|(_, (_, kind))| *kind == Kind::Engine);
    let missing: Vec<&String> = engine
        .map(|(name, _)| name)
        .filter(|name| !exposed.contains_key(*name))
        .collect();
    assert!(
        missing.is_empty(),
        "on the page and nowhere else: {missing:?}"
    );
}

/// Names and types of an exposition, without Fluentd's.
fn types(exposition: &str) -> BTreeMap<String, String> {
    exposition
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .filter(|(name, _)| !name.starts_with("fluentd_"))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

/// The linter of Prometheus finds nothing in our own series, and no series is there twice.
fn the_exposition_is_right(run: &Run) {
    use std::{io::Write as _, process::Stdio};
    for weir in run.routers() {
        let text = weir.probe("/metrics").1;
        let own: String = text
            .lines()
            .filter(|line| !line.contains("fluentd_"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let mut series: Vec<&str> = own
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| Some(line.rsplit_once(' ')?.0))
            .collect();
        let count = series.len();
        series.sort_unstable();
        series.dedup();
        assert_eq!(series.len(), count, "a series is there twice");
        let mut lint = std::process::Command::new(program("promtool"))
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool starts");
        let mut input = lint.stdin.take().expect("a pipe");
        input.write_all(own.as_bytes()).expect("it reads");
        drop(input);
        let said = lint.wait_with_output().expect("it ends");
        let said = [said.stdout, said.stderr].concat();
        assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn monitor_agent_tells_what_happened_as_fluentd_does() {
    let config = r#"
[service]
data_dir = "data"
drain_delay = "0s"
[service.admin]
listen = "127.0.0.1:0"
[[source]]
id = "monitor"
type = "monitor_agent"
listen = "127.0.0.1:0"
include_config = true
[[source]]
id = "made"
type = "sample"
tag = "a"
count = 3
[[filter]]
id = "all"
type = "grep"
tag = "**"
exclude = [{ key = "level", pattern = "debug" }]
[[match]]
id = "null"
tag = "**"
type = "null"
"#;
    let home = Home::new(config);
    let weir = home.start();
    weir.settles(20);
    let address = weir.listens("monitor");
    let plugin = |id: &str| -> Value {
        let url = format!("http://{address}/api/plugins.json?@id={id}");
        let answer: Value = serde_json::from_str(&http::get(&url).1).expect("JSON");
        answer["plugins"][0].clone()
    };
    eventually("three records passed", 20, || {
        (plugin("null")["emit_records"] == 3).then_some(())
    });
    let made = plugin("made");
    assert_eq!(made["plugin_category"], "input");
    assert_eq!(made["emit_records"], 3);
    assert_eq!(made["config"]["tag"], "a");
    assert_eq!(plugin("all")["plugin_category"], "filter");
    assert_eq!(plugin("all")["emit_records"], 3);
    let null = plugin("null");
    assert_eq!(null["output_plugin"], true);
    assert_eq!(null["buffer_queue_length"], 0);
    let (_, process) = http::get(&format!("http://{address}/api/config.json"));
    let process: Value = serde_json::from_str(&process).expect("JSON");
    assert_eq!(process["pid"], weir.pid());
    assert_eq!(
        process["config_path"],
        home.config().to_string_lossy().as_ref()
    );
}
