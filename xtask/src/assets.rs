//! `cargo xtask assets`: alert rules, dashboards and saved objects, checked by the real promtool and against each other.

use crate::{packages, process, stamp, tree};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where they are, from the root.
const ASSETS: &str = "assets";
/// The Debian package with the server and promtool. Unpacked, never installed: it would start.
const PROMETHEUS: [&str; 1] = ["prometheus"];
/// Variables that every dashboard has, so that one chosen in one of them is chosen in the others.
const VARIABLES: [&str; 4] = ["datasource", "job", "namespace", "pod"];

/// Runs the command.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    if !args.is_empty() {
        bail!("usage: cargo xtask assets");
    }
    check()
}

/// Installs what is missing and checks everything.
pub(crate) fn check() -> Result<()> {
    let root = tree::root()?;
    let target = root.join("target/prometheus");
    stamp::ensure(&target, &PROMETHEUS.join(" "), || {
        packages::unpack(&PROMETHEUS, &target)
    })?;
    let promtool = || Command::new(target.join("root/usr/bin/promtool"));
    let assets = root.join(ASSETS);
    let rules = assets.join("prometheus");
    process::quiet(
        promtool()
            .args(["check", "rules"])
            .arg(rules.join("rules.yml")),
    )?;
    process::quiet(
        promtool()
            .args(["test", "rules"])
            .arg(rules.join("rules_test.yml")),
    )?;
    let dashboards = read_all(&assets.join("grafana"), "json")?;
    let expressions = dashboards
        .iter()
        .map(|(name, text)| dashboard(text).with_context(|| format!("the dashboard {name}")))
        .collect::<Result<Vec<_>>>()?
        .concat();
    let file = target.join("dashboards.yml");
    fs::write(&file, as_rules(&expressions))?;
    process::quiet(promtool().args(["check", "rules"]).arg(&file))
        .context("the expressions of the dashboards, as rules")?;
    let saved = read_all(&assets.join("kibana"), "ndjson")?;
    for (name, text) in &saved {
        saved_objects(text).with_context(|| format!("the saved objects {name}"))?;
    }
    println!(
        "{} expressions of {} dashboards, {} files of saved objects, and the alert rules are right",
        expressions.len(),
        dashboards.len(),
        saved.len()
    );
    Ok(())
}

/// The files of a folder with this ending, by name. None is an error.
fn read_all(folder: &Path, ending: &str) -> Result<Vec<(String, String)>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("list {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    paths.sort();
    ensure!(!paths.is_empty(), "{} holds no .{ending}", folder.display());
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok((name.into_owned(), text))
    };
    paths.into_iter().map(read).collect()
}

/// Checks one dashboard and returns its expressions.
fn dashboard(text: &str) -> Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(text)?;
    ensure!(text_at(&dashboard, "/uid").is_some(), "it has no uid");
    let variables = list(&dashboard, "/templating/list");
    for name in VARIABLES {
        let has = variables
            .iter()
            .any(|found| text_at(found, "/name") == Some(name));
        ensure!(has, "it has no variable `{name}`");
    }
    let (mut ids, mut expressions) = (BTreeSet::new(), Vec::new());
    for panel in list(&dashboard, "/panels") {
        let title = text_at(panel, "/title").context("a panel has no title")?;
        let id = panel.get("id").and_then(Value::as_u64);
        ensure!(
            id.is_some_and(|id| ids.insert(id)),
            "`{title}` has the id of another panel"
        );
        if text_at(panel, "/type") == Some("row") {
            continue;
        }
        let about = text_at(panel, "/description").unwrap_or_default();
        ensure!(!about.is_empty(), "`{title}` does not say what it shows");
        let targets = list(panel, "/targets");
        ensure!(!targets.is_empty(), "`{title}` asks nothing");
        for target in targets {
            let uid = text_at(target, "/datasource/uid");
            ensure!(
                uid == Some("${datasource}"),
                "`{title}` does not use the chosen data source"
            );
            let expression = text_at(target, "/expr").context("a target has no expression")?;
            expressions.push(expression.to_owned());
        }
    }
    Ok(expressions)
}

/// Expressions as recording rules, with the variables of Grafana filled in, for `promtool check rules`.
fn as_rules(expressions: &[String]) -> String {
    let mut out = String::from("groups:\n  - name: dashboards\n    rules:\n");
    for (number, expression) in expressions.iter().enumerate() {
        let filled = expression
            .replace("$__rate_interval", "1m")
            .replace("$namespace", ".*")
            .replace("$job", ".*")
            .replace("$pod", ".*")
            .replace('\'', "''");
        let number = number.to_string();
        out.extend([
            "      - { record: 'x",
            &number,
            "', expr: '",
            &filled,
            "' }\n",
        ]);
    }
    out
}

/// Every line is an object, no id is there twice, and what is referred to is there.
fn saved_objects(text: &str) -> Result<()> {
    let mut known = BTreeSet::new();
    let mut wanted = Vec::new();
    for line in text.lines() {
        let object: Value = serde_json::from_str(line)?;
        let key = |object: &Value| {
            let part = |place| text_at(object, place).map(str::to_owned);
            part("/type").zip(part("/id"))
        };
        let own = key(&object).context("an object has no type or no id")?;
        ensure!(
            object.pointer("/attributes/title").is_some(),
            "{own:?} has no title"
        );
        for place in [
            "/attributes/panelsJSON",
            "/attributes/kibanaSavedObjectMeta/searchSourceJSON",
        ] {
            if let Some(inner) = text_at(&object, place) {
                serde_json::from_str::<Value>(inner)
                    .with_context(|| format!("{place} of {own:?}"))?;
            }
        }
        let references = list(&object, "/references").iter().filter_map(key);
        wanted.extend(references.map(|other| (own.clone(), other)));
        ensure!(known.insert(own.clone()), "{own:?} is there twice");
    }
    for (own, other) in wanted {
        ensure!(
            known.contains(&other),
            "{own:?} refers to {other:?}, which is not there"
        );
    }
    Ok(())
}

fn text_at<'a>(value: &'a Value, place: &str) -> Option<&'a str> {
    value.pointer(place).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, place: &str) -> &'a [Value] {
    let found = value.pointer(place).and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_dashboard_without_a_variable_or_a_description_is_refused() {
        let panel = json!({ "id": 1, "title": "t", "type": "stat", "description": "d",
            "targets": [{ "datasource": { "uid": "${datasource}" }, "expr": "up" }] });
        let variables: Vec<Value> = VARIABLES
            .iter()
            .map(|name| json!({ "name": name }))
            .collect();
        let good = json!({ "uid": "u", "templating": { "list": variables }, "panels": [panel] });
        assert_eq!(dashboard(&good.to_string()).unwrap(), ["up"]);
        for (place, value) in [
            ("/templating/list/1/name", "other"),
            ("/panels/0/description", ""),
            ("/panels/0/targets/0/datasource/uid", "fixed"),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(place).unwrap() = value.into();
            assert!(dashboard(&bad.to_string()).is_err(), "{place}");
        }
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_refused() {
        let view =
            r#"{"type":"index-pattern","id":"v","attributes":{"title":"t"},"references":[]}"#;
        let search = r#"{"type":"search","id":"s","attributes":{"title":"t"},"references":[{"type":"index-pattern","id":"v"}]}"#;
        assert!(saved_objects(&format!("{view}\n{search}\n")).is_ok());
        assert!(saved_objects(search).is_err());
        assert!(saved_objects(&format!("{view}\n{view}\n")).is_err());
    }
}
