//! Tests of the whole way from text to configuration, with made-up plugins.

use std::{fs, path::Path};

use proptest::prelude::*;

use super::{made_up::PLUGINS, *};

struct Nothing;

impl Surroundings for Nothing {
    fn env(&self, name: &str) -> Option<String> {
        (name == "PORT").then(|| "4".to_owned())
    }

    fn read(&self, _: &Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

#[track_caller]
pub(super) fn good(text: &str) -> Config {
    let loaded = load(text, PLUGINS, &Nothing);
    let report = Report::new("good.toml", text, &loaded.findings).for_people(Look::Plain);
    loaded.config.unwrap_or_else(|| panic!("{report}"))
}

/// Every broken configuration beside its report as an operator sees it. `CONTRIBUTING.md` says how to change one.
#[test]
fn broken_configurations_are_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/broken");
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path("../../tests/config/broken");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|suffix| suffix != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let loaded = load(&text, PLUGINS, &Process::new(&folder));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(loaded.config.is_none(), "{name} is not broken");
        let helpless: Vec<_> = loaded
            .findings
            .iter()
            .filter(|finding| finding.help.is_none())
            .collect();
        assert!(helpless.is_empty(), "{name}: {helpless:?}");
        let report = Report::new(name, &text, &loaded.findings).for_people(Look::Plain);
        let stem = path.file_stem().unwrap().to_str().unwrap();
        settings.bind(|| insta::assert_snapshot!(stem, report));
        count += 1;
    }
    assert!(count >= 30, "{count} configurations");
}

/// Configurations that run, and that are refused where somebody asks for the whole of the promises.
#[test]
fn what_weakens_a_promise_is_explained_where_it_is_asked_for() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/strict");
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path("../../tests/config/strict");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|suffix| suffix != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let without = text.replace("strict = true", "");
        let loaded = load(&without, PLUGINS, &Nothing);
        assert!(loaded.config.is_some(), "{path:?}: {:?}", loaded.findings);
        let asked_for = text == without;
        let loaded = load_as(&text, PLUGINS, &Nothing, asked_for);
        assert!(loaded.config.is_none(), "{path:?} weakens nothing");
        for finding in &loaded.findings {
            assert_eq!(finding.code, Code::WeakPromise, "{finding:?}");
            assert!(finding.help.is_some(), "{finding:?}");
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let report = Report::new(name, &text, &loaded.findings).for_people(Look::Plain);
        let stem = path.file_stem().unwrap().to_str().unwrap();
        settings.bind(|| insta::assert_snapshot!(stem, report));
        count += 1;
    }
    assert!(count >= 3, "{count} configurations");
}

/// The defaults of every output that keeps what it gets, and one that waits for its destination.
#[test]
fn defaults_weaken_nothing() {
    let text = "[[source]]\ntype = \"forward\"\n[[match]]\ntag = \"a.**\"\ntype = \"elasticsearch\"\nid = \"es\"\n\
        hosts = [\"http://es:9200\"]\n[[match]]\ntag = \"**\"\ntype = \"null\"\n[match.buffer]\ntype = \"none\"\n";
    let loaded = load_as(text, PLUGINS, &Nothing, true);
    assert!(loaded.config.is_some(), "{:?}", loaded.findings);
}

const FULL: &str = r#"
config_version = 1

[service]
data_dir = "/data"
workers = "${env:PORT}"
drain_delay = 3

[service.log]
level = "debug"

[[source]]
id = "in"
type = "forward"
label = "IN"
max_connections = 2048.0
failure = "stop"

[[source]]
type = "dummy"
tag = "demo"

[[filter]]
type = "grep"
tag = "demo"
exclude = { key = "level", pattern = "debug" }

[[match]]
type = "null"
tag = "**"

[[label.IN.filter]]
type = "record_transformer"
tag = ["app.** sys", "{a,b}.*"]
except = "app.noise"
remove_keys = "secret"
[label.IN.filter.record]
port = "${env:PORT}"
from = "${tag}"
depth = { nested = [1, 2] }

[[label.IN.match]]
id = "both"
type = "copy"
tag = "**"
[[label.IN.match.store]]
id = "es"
type = "opensearch"
hosts = ["http://es:9200"]
index_name = "logs-%Y"
on_error = "ignore"
[label.IN.match.store.buffer]
chunk_limit_size = "1m"
retry_max_times = 5
[label.IN.match.store.dead_letter]
max_bytes = "1GiB"
on_full = "drop"
[[label.IN.match.store]]
type = "relabel"
label = "ROOT"
"#;

#[test]
fn a_good_configuration_comes_out_typed() {
    let config = good(FULL);
    assert_eq!(
        (config.service.workers, config.service.data_dir.as_str()),
        (Some(4), "/data")
    );
    assert_eq!(config.service.drain_delay, sdk::config::Interval::secs(3));
    assert_eq!(config.service.log.level, LogLevel::Debug);
    let sources: Vec<_> = config
        .sources
        .iter()
        .map(|source| {
            (
                &*source.plugin.id,
                source.plugin.descriptor.name,
                &*source.label,
                source.failure,
            )
        })
        .collect();
    let expected = [
        ("in", "forward", "IN", Some(OnFailure::Stop)),
        ("source.1", "sample", "ROOT", None),
    ];
    assert_eq!(sources, expected);
    let labels: Vec<_> = config.labels.iter().map(|label| &*label.name).collect();
    assert_eq!(labels, ["ROOT", "IN"]);
    let filter = &config.labels[1].filters[0];
    assert_eq!(&*filter.plugin.id, "IN.filter.0");
    let takes = ["app", "sys", "b.c", "app.noise", "other"].map(|tag| filter.tags.matches(tag));
    assert_eq!(takes, [true, true, true, false, false]);
    let counts = Counts {
        sources: 2,
        filters: 2,
        matches: 2,
        outputs: 2,
    };
    assert_eq!(config.counts(), counts);
}

#[test]
fn a_plugin_gets_its_own_parameters_only() {
    let config = good(FULL);
    let params = |plugin: &PluginSpec| plugin.params.clone();
    let filter = &config.labels[1].filters[0].plugin;
    let expected = serde_json::json!({
        "remove_keys": "secret",
        "record": { "port": "4", "from": "${tag}", "depth": { "nested": [1, 2] } },
    });
    assert_eq!(params(filter), expected);
    assert_eq!(
        params(&config.sources[0].plugin),
        serde_json::json!({ "max_connections": 2048 })
    );
    let TargetSpec::Copy(stores) = &config.labels[1].matches[0].target else {
        panic!("a copy");
    };
    let [
        StoreSpec {
            on_error,
            on_full,
            target: TargetSpec::Output(output),
        },
        second,
    ] = stores.as_slice()
    else {
        panic!("two stores, the first an output");
    };
    assert_eq!(
        (*on_error, *on_full),
        (StorePolicy::Ignore, StorePolicy::Block)
    );
    let expected = serde_json::json!({ "hosts": ["http://es:9200"], "index": "logs-%Y" });
    assert_eq!(output.plugin.params, expected);
    assert_eq!(output.buffer.path, Path::new("/data/buffer/es"));
    assert_eq!(output.buffer.retry.max_times, Some(5));
    assert_eq!(output.dead_letter.on_full, DeadLetterFull::Drop);
    assert!(matches!(&second.target, TargetSpec::Relabel(label) if &**label == "ROOT"));
}

#[track_caller]
fn warned(text: &str, expected: &[(Code, &str)]) {
    let text = format!("[[source]]\ntype = \"forward\"\n{text}");
    let loaded = load(&text, PLUGINS, &Nothing);
    let found: Vec<_> = loaded
        .findings
        .iter()
        .map(|finding| (finding.code, text.get(finding.span()).unwrap()))
        .collect();
    assert_eq!(found, expected);
    assert!(loaded.config.is_some());
}

#[test]
fn what_probably_means_something_else_is_a_warning() {
    warned(
        "[[match]]\ntype = \"null\"\ntag = [\"app.**\", \"a,b\"]\nexcept = [\"app.x\", \"sys.x\"]\n",
        &[
            (Code::StrayComma, "\"a,b\""),
            (Code::IdleExcept, "\"sys.x\""),
        ],
    );
    warned(
        "[[match]]\ntype = \"elasticsearch\"\ntag = \"**\"\nhosts = [\"x\"]\nbuffer = { type = \"memory\" }\n",
        &[(Code::MemoryBuffer, "\"memory\"")],
    );
    warned(
        "[[match]]\ntype = \"null\"\ntag = \"**\"\n[[label.OLD.match]]\ntype = \"null\"\ntag = \"**\"\n[[label.ERROR.match]]\ntype = \"null\"\ntag = \"**\"\n",
        &[(Code::UnusedLabel, "OLD")],
    );
}

/// The ids of the outputs that `text` warns of.
#[track_caller]
fn unprotected(text: &str, expected: &[&str]) {
    let loaded = load(text, PLUGINS, &Nothing);
    let report = Report::new("x", text, &loaded.findings).for_people(Look::Plain);
    assert!(loaded.config.is_some(), "{report}");
    let found: Vec<_> = loaded
        .findings
        .iter()
        .map(|finding| {
            assert_eq!(finding.code, Code::Unprotected, "{report}");
            let behind = text.get(finding.span().start..).unwrap();
            behind.split('"').nth(1).unwrap()
        })
        .collect();
    assert_eq!(found, expected, "{report}");
}

const REDACTED: &str = "[[filter]]\ntype = \"redact\"\ntag = \"app.**\"\n";

fn sent(id: &str, table: &str, tag: &str) -> String {
    format!("[[{table}]]\nid = \"{id}\"\ntype = \"elasticsearch\"\nhosts = [\"x\"]\n{tag}\n")
}

#[test]
fn an_output_behind_no_filter_that_protects_is_a_warning() {
    let source = "[[source]]\ntype = \"forward\"\n";
    let app = sent("app", "match", "tag = \"app.*\"");
    let rest = sent("rest", "match", "tag = \"**\"");
    unprotected(&format!("{source}{REDACTED}{app}{rest}"), &["rest"]);
    let excepted = REDACTED.replace("app.**\"", "app.**\"\nexcept = \"app.x\"");
    unprotected(&format!("{source}{excepted}{app}"), &["app"]);
    // Nobody has anything to protect, or says so.
    unprotected(&format!("{source}{rest}"), &[]);
    let said = |word: &str| format!("[service]\nunprotected = \"{word}\"\n{source}{rest}");
    unprotected(&said("warn"), &["rest"]);
    let allowed = format!("[service]\nunprotected = \"allow\"\n{source}{REDACTED}{rest}");
    unprotected(&allowed, &[]);
    // These stay on this machine.
    let here = "[[match]]\ntype = \"copy\"\ntag = \"**\"\n[[match.store]]\ntype = \"stdout\"\n\
        [[match.store]]\nid = \"file\"\ntype = \"file\"\npath = \"x\"\n";
    unprotected(&format!("{source}{REDACTED}{here}"), &[]);
}

#[test]
fn protection_follows_labels_copies_and_the_tags_of_sources() {
    let plain = "[[source]]\ntype = \"sample\"\ntag = \"app.web\"\n";
    let rest = sent("rest", "match", "tag = \"**\"");
    // The only tag there is passes the filter.
    unprotected(&format!("{plain}{REDACTED}{rest}"), &[]);
    let other = plain.replace("app.web", "sys");
    unprotected(&format!("{other}{REDACTED}{rest}"), &["rest"]);
    let copy = format!(
        "{plain}[[match]]\ntype = \"copy\"\ntag = \"app.**\"\n{}\
        [[match.store]]\ntype = \"relabel\"\nlabel = \"SAFE\"\n\
        [[label.SAFE.filter]]\ntype = \"redact\"\ntag = \"**\"\n{}",
        sent("early", "match.store", ""),
        sent("late", "label.SAFE.match", "tag = \"**\"")
    );
    unprotected(&copy, &["early"]);
    let error = format!(
        "{plain}{REDACTED}[[match]]\ntype = \"null\"\ntag = \"**\"\n{}",
        sent("errors", "label.ERROR.match", "tag = \"**\"")
    );
    unprotected(&error, &["errors"]);
}

#[test]
fn what_variables_hold_is_not_shown() {
    struct Secrets;
    impl Surroundings for Secrets {
        fn env(&self, _: &str) -> Option<String> {
            Some("hunter2 hunter2".to_owned())
        }
        fn read(&self, _: &Path) -> std::io::Result<String> {
            Ok("swordfish".to_owned())
        }
    }
    let text = "
[[source]]
type = \"${env:A}\"
[[source]]
type = \"forward\"
listen = \"${file:a}\"
max_connections = \"${env:A}\"
label = \"${env:A}\"
[[filter]]
type = \"grep\"
tag = \"/${env:A}(/\"
regexp = [{ key = \"$.${env:A}.\", pattern = \"${file:a}(\" }]
[[match]]
id = \"${env:A}\"
type = \"elasticsearch\"
tag = \"**\"
hosts = []
op_type = \"${file:a}\"
buffer = { total_limit_size = \"${file:a}\", type = \"${env:A}\" }
";
    let loaded = load(text, PLUGINS, &Secrets);
    assert!(loaded.findings.len() >= 9, "{:#?}", loaded.findings);
    let report = Report::new("x", text, &loaded.findings);
    let said = format!(
        "{} {}",
        report.for_people(Look::Plain),
        report.for_machines()
    );
    assert!(
        !said.contains("hunter2") && !said.contains("swordfish"),
        "{said}"
    );
}

#[test]
fn a_report_for_machines_has_every_place() {
    let text = "[[source]]\ntype = \"forward\"\n[[match]]\ntag = \"a.**\"\ntype = \"null\"\n[[match]]\ntag = \"a.b\"\ntype = \"null\"\n";
    let loaded = load(text, PLUGINS, &Nothing);
    let expected = serde_json::json!({
        "file": "weir.toml", "ok": false, "errors": 1, "warnings": 0,
        "diagnostics": [{
            "code": "unreachable-match",
            "severity": "error",
            "message": "this match never gets a record",
            "help": "the first match in file order wins: move it above that one, or use type = \"copy\" there",
            "line": 7, "column": 7, "offset": 81, "length": 5,
            "related": [{
                "line": 4, "column": 7, "offset": 44, "length": 6,
                "text": "everything it could take is taken here",
            }],
        }],
    });
    let report = Report::new("weir.toml", text, &loaded.findings);
    assert_eq!(report.for_machines(), expected);
}

#[test]
fn colours_are_for_terminals_only() {
    let loaded = load("", PLUGINS, &Nothing);
    let report = Report::new("weir.toml", "", &loaded.findings);
    assert!(report.for_people(Look::Coloured).contains('\u{1b}'));
    assert!(!report.for_people(Look::Plain).contains('\u{1b}'));
}

#[test]
fn the_schema_for_editors_knows_every_plugin_and_refers_to_nothing_missing() {
    fn references(node: &serde_json::Value, found: &mut Vec<String>) {
        match node {
            serde_json::Value::Object(object) => {
                found.extend(
                    object
                        .get("$ref")
                        .and_then(|text| text.as_str())
                        .map(str::to_owned),
                );
                for value in object.values() {
                    references(value, found);
                }
            }
            serde_json::Value::Array(items) => {
                for item in items {
                    references(item, found);
                }
            }
            _ => {}
        }
    }
    let schema = document_schema(PLUGINS);
    let mut found = Vec::new();
    references(&schema, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        assert!(
            schema.pointer(reference.trim_start_matches('#')).is_some(),
            "{reference}"
        );
    }
    let types = |name: &str| -> Vec<String> {
        let all = schema["definitions"][name]["oneOf"].as_array().unwrap();
        let names = all
            .iter()
            .flat_map(|one| one["properties"]["type"]["enum"].as_array().unwrap());
        names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(types("source"), ["forward", "sample", "dummy", "tail"]);
    let outputs = [
        "elasticsearch",
        "opensearch",
        "file",
        "null",
        "stdout",
        "relabel",
        "copy",
    ];
    assert_eq!(types("match"), outputs);
    assert_eq!(types("match_store"), outputs);
    let elasticsearch = &schema["definitions"]["match"]["oneOf"][0];
    assert_eq!(
        elasticsearch["required"],
        serde_json::json!(["type", "hosts"])
    );
    for key in ["tag", "buffer", "secondary", "index", "index_name", "id"] {
        assert!(elasticsearch["properties"][key].is_object(), "{key}");
    }
}

#[test]
fn a_secondary_is_an_output_in_an_output() {
    let text = r#"
[[source]]
type = "forward"
[[match]]
id = "es"
tag = "**"
type = "elasticsearch"
hosts = ["http://es:9200"]
[match.buffer]
retry_timeout = "1h"
retry_secondary_threshold = 0.25
[match.secondary]
type = "file"
path = "second/%Y.log"
"#;
    let config = good(text);
    let outputs = config.output_specs();
    let secondary = outputs[0].secondary.as_ref().unwrap();
    assert_eq!(
        (&*secondary.id, secondary.descriptor.name),
        ("es.secondary", "file")
    );
    assert_eq!(secondary.params["path"], "second/%Y.log");
    let threshold = outputs[0].buffer.retry.secondary_threshold;
    assert!((threshold - 0.25).abs() < f64::EPSILON);
    assert!(config.has_component("es.secondary"));
    let named = good(&text.replace("type = \"file\"", "id = \"spare\"\ntype = \"file\""));
    assert!(named.has_component("spare"));
    let schema = document_schema(PLUGINS);
    let reference = &schema["definitions"]["match"]["oneOf"][0]["properties"]["secondary"];
    assert_eq!(reference["allOf"][0]["$ref"], "#/definitions/secondary");
    let file = &schema["definitions"]["secondary"]["oneOf"][1]["properties"];
    assert!(file["path"].is_object() && file["buffer"].is_null());
}

#[test]
fn the_schema_for_editors_leads_into_inner_tables_and_to_what_has_memory() {
    let schema = document_schema(PLUGINS);
    let definitions = &schema["definitions"];
    let types =
        |name: &str, at: usize| &definitions[name]["oneOf"][at]["properties"]["type"]["enum"];
    assert_eq!(types("parser", 0), &serde_json::json!(["json"]));
    assert_eq!(types("parser", 1), &serde_json::json!(["multi_format"]));
    assert_eq!(types("formatter", 0), &serde_json::json!(["csv"]));
    let tail = &definitions["source"]["oneOf"][2]["properties"];
    let parser = serde_json::json!([{ "$ref": "#/definitions/parser" }]);
    assert_eq!(tail["parse"]["allOf"], parser);
    assert!(!schema.to_string().contains("\"plugin\""));
    let has_failure =
        |at: usize| definitions["filter"]["oneOf"][at]["properties"]["failure"].is_object();
    assert_eq!([0, 1, 2, 3].map(has_failure), [false, false, false, true]);
}

#[test]
fn only_a_filter_with_memory_can_say_what_happens_when_it_fails() {
    let text = |kind: &str| {
        format!(
            "[[source]]\ntype = \"forward\"\n[[filter]]\ntag = \"**\"\ntype = \"{kind}\"\nfailure = \"stop\"\n[[match]]\ntag = \"**\"\ntype = \"null\"\n"
        )
    };
    let config = good(&text("concat"));
    assert_eq!(config.labels[0].filters[0].failure, Some(OnFailure::Stop));
    let loaded = load(&text("redact"), PLUGINS, &Nothing);
    let codes: Vec<_> = loaded.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::UnknownKey]);
}

fn manual(name: &str) -> Manual {
    let mut all = manuals(PLUGINS).into_iter();
    all.find(|manual| manual.answers_to(name)).unwrap()
}

#[test]
fn a_manual_is_a_table_of_the_parameters() {
    let expected = "\
| parameter | type | default | meaning |
| --- | --- | --- | --- |
| `listen` | address | `\"0.0.0.0:24224\"` | Where to listen. |
| `max_connections` | integer | `1024` | Connections at the same time. |
| `max_message_size` | size |  | Largest message. |
| `security` | table |  | Who may connect. |
| `security.shared_key` | secret | required | The key that both sides know. |
";
    assert_eq!(manual("in_forward").markdown(), expected);
    assert_eq!(
        manual("null").markdown(),
        "It has no parameters of its own.\n"
    );
}

#[test]
fn a_manual_names_the_kind_of_inner_tables() {
    let expected = "\
| parameter | type | default | meaning |
| --- | --- | --- | --- |
| `parse` | parser table | required | How lines are read. |
| `format` | formatter table |  | How lines are written again. |
| `read_from_head` | boolean | `false` | Whether files are read from their beginning. |
";
    assert_eq!(manual("in_tail").markdown(), expected);
    let pattern = "| `pattern` | list of parser table | required | The parsers, in order. |\n";
    assert!(manual("parser_multi_format").markdown().ends_with(pattern));
    assert_eq!(manual("formatter_csv").kind, "formatter");
}

#[test]
fn tables_inside_reach_their_plugins() {
    let config = good(
        "[[source]]\ntype = \"tail\"\nformat = { type = \"csv\", fields = [] }\n[source.parse]\n\
        type = \"multi_format\"\n[[source.parse.pattern]]\ntype = \"json\"\ntime_key = \"at\"\n\
        [[match]]\ntag = \"**\"\ntype = \"null\"\n",
    );
    let expected = serde_json::json!({
        "format": { "type": "csv", "fields": [] },
        "parse": { "type": "multi_format", "pattern": [{ "type": "json", "time_key": "at" }] },
    });
    assert_eq!(config.sources[0].plugin.params, expected);
}

#[test]
fn a_manual_fits_a_terminal() {
    let expected = "\
elasticsearch (output, stable)
Made up.
Other names: opensearch

  hosts                           list of string     required
      The servers.

  index                           template
      The index of a record. Also written
      `index_name`.

  user                            string
      The user.

  password                        secret
      The password of the user.

  op_type                         \"index\", \"create\"  \"index\"
      What the server does with a record.

  bulk_message_request_threshold  size
      Largest request.
";
    assert_eq!(manual("opensearch").text(42), expected);
}

/// The tables of `docs/CONFIGURATION.md` are what the code says. A failure shows what to write.
#[test]
fn the_page_about_the_language_has_the_tables_of_the_engine() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CONFIGURATION.md");
    let page = fs::read_to_string(path).unwrap();
    for name in ["service", "buffer", "dead_letter", "store"] {
        let table = manual(name).markdown();
        assert!(
            page.contains(&table),
            "the table of {name} should be\n{table}"
        );
    }
    for code in Code::ALL {
        let row = format!("| `{}` | ", code.name());
        assert!(page.contains(&row), "{row} is missing");
    }
}

/// Lines of a good configuration, changed at random: what TOML and people make of it.
fn mangled() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => proptest::sample::select(FULL.lines().collect::<Vec<_>>()).prop_map(str::to_owned),
        1 => "\\PC{0,30}",
        1 => "[a-z]{1,6} = (\"\\PC{0,10}\"|[0-9]{1,25}|-?[0-9.e]{1,6}|\\[\\]|\\{\\}|true)",
        1 => "\\[{1,2}(source|match|filter|label|service)(\\.[A-Za-z]{1,6}){0,3}\\]{1,2}",
    ];
    proptest::collection::vec(line, 0..30).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_text_panics_and_errors_have_places_and_remedies(text in mangled()) {
        let loaded = load(&text, PLUGINS, &Nothing);
        let has_error = loaded.findings.iter().any(Diagnostic::is_error);
        prop_assert_eq!(loaded.config.is_none(), has_error);
        for finding in &loaded.findings {
            for label in &finding.labels {
                prop_assert!(text.get(label.span.clone()).is_some(), "{:?}", finding);
            }
            prop_assert!(finding.help.is_some(), "{:?}", finding);
        }
        let report = Report::new("x", &text, &loaded.findings);
        report.for_people(Look::Plain);
        report.for_machines();
    }
}
