//! The volumes of a pod, filled as the kubelet fills them.

use super::{node::Node, plan::Plan};
use crate::chart::objects::{list, name, name_of, text};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

/// The modes of a new volume and of an emptyDir. New files in them are of their group.
const CLAIMED: u32 = 0o2775;
const SHARED: u32 = 0o2777;

/// Volumes by their names.
#[derive(Default)]
pub(super) struct Volumes(Vec<(String, PathBuf)>);

impl Volumes {
    /// Makes the volumes of a pod of an object below `folder`; what is claimed there is kept.
    pub(super) fn fill(
        plan: &Plan,
        node: &Node,
        object: &Value,
        pod: &Value,
        folder: &Path,
    ) -> Result<Self> {
        let group = pod.pointer("/securityContext/fsGroup");
        let group = group.and_then(Value::as_u64).map(u32::try_from);
        let group = group.transpose()?;
        let mut volumes = Vec::new();
        for claim in list(object, "/spec/volumeClaimTemplates") {
            let path = folder.join(name(&claim));
            empty(&path, CLAIMED, group)?;
            volumes.push((name(&claim).to_owned(), path));
        }
        for volume in list(pod, "/volumes") {
            let name = name_of(&volume);
            let mut path = folder.join(name);
            if let Some(source) = volume.get("configMap") {
                let entries = plan.entries("ConfigMap", text(source, "/name"))?;
                write(&path, source, entries, group)?;
            } else if let Some(source) = volume.get("secret") {
                let entries = plan.entries("Secret", text(source, "/secretName"))?;
                write(&path, source, entries, group)?;
            } else if let Some(source) = volume.get("hostPath") {
                path = node.path(text(source, "/path"));
                fs::create_dir_all(&path)?;
            } else if volume.get("emptyDir").is_some() {
                empty(&path, SHARED, group)?;
            } else {
                bail!("nothing is known of the volume {volume}");
            }
            volumes.push((name.to_owned(), path));
        }
        Ok(Self(volumes))
    }

    /// Where the content of a volume is.
    pub(super) fn path(&self, volume: &str) -> Result<&Path> {
        let found = self.0.iter().find(|(name, _)| name == volume);
        let (_, path) = found.with_context(|| format!("no volume {volume}"))?;
        Ok(path)
    }
}

fn empty(path: &Path, mode: u32, group: Option<u32>) -> Result<()> {
    fs::create_dir_all(path)?;
    chown(path, None, group)?;
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(())
}

/// Writes what a `ConfigMap` or a Secret holds: all of it, or the items that are named.
fn write(
    path: &Path,
    source: &Value,
    entries: Vec<(String, String)>,
    group: Option<u32>,
) -> Result<()> {
    fs::create_dir_all(path)?;
    let items = list(source, "/items");
    let mode = source.get("defaultMode").and_then(Value::as_u64);
    let mode = u32::try_from(mode.context("a volume without a mode")?)?;
    for (key, value) in entries {
        let item = items.iter().find(|item| text(item, "/key") == key);
        if item.is_none() && !items.is_empty() {
            continue;
        }
        let file = path.join(item.map_or(key.as_str(), |item| text(item, "/path")));
        fs::write(&file, value)?;
        chown(&file, None, group)?;
        fs::set_permissions(&file, Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::objects::Objects;
    use serde_json::json;

    #[test]
    fn only_named_items_are_written() {
        let folder = std::env::temp_dir().join(format!("weir-volumes-{}", std::process::id()));
        let secret = json!({
            "kind": "Secret",
            "metadata": { "name": "tls" },
            "data": { "ca.crt": "YQ==", "tls.key": "Yg==" },
        });
        let source = json!({
            "secretName": "tls",
            "defaultMode": 0o440,
            "items": [{ "key": "ca.crt", "path": "authority" }],
        });
        let pod = json!({ "volumes": [{ "name": "tls", "secret": source }] });
        let plan = Plan {
            folder: folder.clone(),
            token: String::new(),
            pause: String::new(),
            objects: Objects::new(vec![secret]),
        };
        let node = Node::new(&folder, "");
        let volumes = Volumes::fill(&plan, &node, &json!({}), &pod, &folder).unwrap();
        let path = volumes.path("tls").unwrap();
        assert_eq!(fs::read_to_string(path.join("authority")).unwrap(), "a");
        assert_eq!(fs::read_dir(path).unwrap().count(), 1);
        assert!(volumes.path("other").is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
