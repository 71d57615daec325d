//! What a trial runs: the chart rendered for it, and where it has its things.

use super::names::ELASTICSEARCH;
use crate::{
    chart::{
        Chart,
        objects::{Objects, list, text},
        template,
    },
    image, process,
};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

/// Where a trial has its things, and what is in it.
pub(super) struct Plan {
    pub(super) folder: PathBuf,
    /// A word that no other trial has.
    pub(super) token: String,
    /// The image of the container that holds what the others of a pod share.
    pub(super) pause: String,
    pub(super) objects: Objects,
}

impl Plan {
    /// Renders the chart: its own values but for images, and the address and the index of Elasticsearch.
    pub(super) fn make(chart: &Chart, folder: PathBuf, tools: &str) -> Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let token = format!("t{}", since.as_millis());
        let (repository, tag) = image::IMAGE
            .rsplit_once(':')
            .context("the image has no tag")?;
        let hosts = [format!("http://{ELASTICSEARCH}:9200")];
        let index = format!("trial-{token}-${{tag_parts[0]}}");
        let values = json!({
            "image": { "repository": repository, "tag": tag },
            "tests": { "image": tools },
            "elasticsearch": { "hosts": hosts, "index": index },
        });
        let file = folder.join("values.json");
        fs::write(&file, values.to_string())?;
        let rendered = folder.join("rendered.yaml");
        let mut render = chart.helm(&template("1.31.0"), &file);
        fs::write(&rendered, process::output(&mut render)?)?;
        let mut objects = chart.tools.objects(&[rendered])?;
        let plan = Self {
            folder,
            token,
            pause: tools.to_owned(),
            objects: objects.pop().context("nothing was rendered")?,
        };
        let text = json!({ "token": plan.token, "pause": plan.pause, "objects": plan.objects.0 });
        fs::write(plan.folder.join("plan.json"), text.to_string())?;
        Ok(plan)
    }

    /// The plan that was made in a folder.
    pub(super) fn load(folder: &Path) -> Result<Self> {
        let plan = fs::read_to_string(folder.join("plan.json")).context("read the plan")?;
        let plan: Value = serde_json::from_str(&plan)?;
        Ok(Self {
            folder: folder.to_owned(),
            token: text(&plan, "/token").to_owned(),
            pause: text(&plan, "/pause").to_owned(),
            objects: Objects::new(list(&plan, "/objects")),
        })
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.join("elasticsearch.sock")
    }

    pub(super) fn index(&self, tag: &str) -> String {
        format!("trial-{}-{tag}", self.token)
    }

    pub(super) fn indexes(&self) -> [String; 2] {
        ["kubernetes", "helmtest"].map(|tag| self.index(tag))
    }

    /// Keys and values of a `ConfigMap` or a Secret.
    pub(super) fn entries(&self, kind: &str, name: &str) -> Result<Vec<(String, String)>> {
        let object = self.objects.named(kind, name)?;
        let data = object.pointer("/data").and_then(Value::as_object);
        let entries = data.into_iter().flatten().map(|(key, value)| {
            let value = value.as_str().unwrap_or_default();
            let value = match kind {
                "Secret" => decoded(value)?,
                _ => value.to_owned(),
            };
            Ok((key.clone(), value))
        });
        entries.collect()
    }
}

/// The text that stands in base64.
fn decoded(text: &str) -> Result<String> {
    let mut decode = Command::new("sh");
    decode.args(["-c", "printf %s \"$1\" | base64 --decode", "sh", text]);
    process::output(&mut decode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_decoded() {
        let secret =
            json!({ "kind": "Secret", "metadata": { "name": "a" }, "data": { "b": "Y2QK" } });
        let plan = Plan {
            folder: PathBuf::new(),
            token: "t1".to_owned(),
            pause: String::new(),
            objects: Objects::new(vec![secret]),
        };
        let entries = plan.entries("Secret", "a").unwrap();
        assert_eq!(entries, [("b".to_owned(), "cd\n".to_owned())]);
        assert_eq!(plan.index("x"), "trial-t1-x");
    }
}
