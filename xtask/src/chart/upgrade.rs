//! An upgrade from an older chart: what Kubernetes refuses to change, and what senders and volumes rely on, stays.

use super::{
    Chart,
    objects::{Objects, kind, name},
};
use crate::process;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{fs, path::PathBuf};

/// What older charts rendered, and the values that say the same now.
const OLD: &str = "helm/upgrade/0.1.0";
/// What must stay, of kinds with anything of that sort.
const FIXED: [(&str, &[&str]); 3] = [
    (
        "StatefulSet",
        &[
            "/spec/selector",
            "/spec/serviceName",
            "/spec/volumeClaimTemplates",
            "/spec/podManagementPolicy",
        ],
    ),
    ("Service", &["/spec/clusterIP", "/spec/selector"]),
    ("ServiceAccount", &[]),
];

/// Compares each old chart with what is rendered now.
pub(super) fn check(chart: &Chart) -> Result<()> {
    let folder = chart.root.join(OLD);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix("-values.yaml") {
            names.push(name.to_owned());
        }
    }
    ensure!(!names.is_empty(), "{OLD} has no values");
    names.sort();
    for name in &names {
        let values = folder.join(format!("{name}-values.yaml"));
        let new = chart.output.join(format!("upgrade-{name}.yaml"));
        let mut render = chart.helm(&super::template("1.31.0"), &values);
        fs::write(&new, process::output(&mut render)?)?;
        let files: [PathBuf; 2] = [folder.join(format!("{name}.yaml")), new];
        let objects = chart.tools.objects(&files)?;
        let [old, new] = objects.as_slice() else {
            anyhow::bail!("not two files were read");
        };
        compare(old, new).with_context(|| format!("upgrade of {OLD} with {name} values"))?;
    }
    println!("{} upgrades keep what must stay", names.len());
    Ok(())
}

fn compare(old: &Objects, new: &Objects) -> Result<()> {
    for (wanted, places) in FIXED {
        for before in old.of_kind(wanted) {
            let after = new.named(wanted, name(before))?;
            for place in places {
                ensure!(
                    before.pointer(place) == after.pointer(place),
                    "{} {}: {place} changes from {} to {}",
                    kind(before),
                    name(before),
                    shown(before.pointer(place)),
                    shown(after.pointer(place))
                );
            }
            ports(before, after)?;
        }
    }
    Ok(())
}

/// A Service has every port that it had.
fn ports(before: &Value, after: &Value) -> Result<()> {
    let ports = |object: &Value| super::objects::list(object, "/spec/ports");
    let now = ports(after);
    for port in ports(before) {
        ensure!(now.contains(&port), "{} loses port {port}", name(before));
    }
    Ok(())
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn objects() -> Objects {
        Objects::new(vec![
            json!({ "kind": "StatefulSet", "metadata": { "name": "a" }, "spec": { "serviceName": "s" } }),
            json!({ "kind": "Service", "metadata": { "name": "s" }, "spec": { "ports": [{ "port": 1 }] } }),
        ])
    }

    #[test]
    fn what_stays_passes_and_what_changes_is_found() {
        compare(&objects(), &objects()).unwrap();
        for (index, place) in [
            (0, "/metadata/name"),
            (0, "/spec/serviceName"),
            (1, "/spec/ports/0/port"),
        ] {
            let mut new = objects();
            *new.0[index].pointer_mut(place).unwrap() = json!("other");
            assert!(compare(&objects(), &new).is_err(), "{place}");
        }
    }
}
