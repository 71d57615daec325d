//! What runs: the file by which later runs and the black-box tests find the servers.
//!
//! `target/servers/state.json` is an object by server name; `url`, `version` and `log` are for whoever wants to talk
//! to a server, `pid` and `started_ticks` for ending it.

use super::{Server, process::Process, start};
use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A server that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) url: String,
    pub(super) version: String,
    /// What it prints.
    pub(super) log: PathBuf,
    pub(super) process: Process,
}

/// The servers that were started, by name.
#[derive(Debug, Default)]
pub(super) struct State(BTreeMap<String, Entry>);

impl State {
    pub(super) fn load(folder: &Path) -> Result<Self> {
        let path = file(folder);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| {
            format!(
                "{} is damaged: end the servers by hand and remove it",
                path.display()
            )
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let map: Map<String, Value> = serde_json::from_str(text).ok()?;
        let entries = map
            .iter()
            .map(|(name, value)| Some((name.clone(), Entry::from_json(value)?)));
        entries.collect::<Option<_>>().map(Self)
    }

    /// Replaces the file as a whole: a reader never sees half of it.
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        let path = file(folder);
        let new = path.with_extension("json.new");
        fs::write(&new, self.text()?)
            .and_then(|()| fs::rename(&new, &path))
            .with_context(|| format!("write {}", path.display()))
    }

    fn text(&self) -> Result<String> {
        let map: Map<String, Value> = self
            .0
            .iter()
            .map(|(name, entry)| (name.clone(), entry.to_json()))
            .collect();
        Ok(serde_json::to_string_pretty(&map)? + "\n")
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.0.get(name)
    }

    /// Whether this version of the server runs and answers.
    pub(super) fn has_healthy(&self, server: &Server) -> bool {
        self.0.get(server.name).is_some_and(|entry| {
            entry.version == server.version && entry.process.is_alive() && start::is_healthy(entry)
        })
    }

    pub(super) fn started(&mut self, name: &str, entry: Entry) {
        self.0.insert(name.to_owned(), entry);
    }

    /// Ends a server, if it runs, and forgets it.
    pub(super) fn stop(&mut self, name: &str) -> Result<()> {
        if let Some(entry) = self.0.get(name) {
            entry
                .process
                .stop()
                .with_context(|| format!("stop {name}"))?;
        }
        self.0.remove(name);
        Ok(())
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("state.json")
}

impl Entry {
    fn to_json(&self) -> Value {
        let mut value = self.process.to_json();
        for (key, text) in [
            ("url", self.url.as_str().into()),
            ("version", self.version.as_str().into()),
            ("log", self.log.to_string_lossy()),
        ] {
            let text: std::borrow::Cow<'_, str> = text;
            if let Some(map) = value.as_object_mut() {
                map.insert(key.to_owned(), json!(text));
            }
        }
        value
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
        Some(Self {
            url: text("url")?,
            version: text("version")?,
            log: text("log")?.into(),
            process: Process::from_json(value)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_everything() {
        let entry = Entry {
            url: "http://127.0.0.1:29200".into(),
            version: "8.19.21".into(),
            log: "target/servers/run/x/log".into(),
            process: Process::of(std::process::id()).unwrap(),
        };
        let mut state = State::default();
        state.started("x", entry.clone());
        let again = State::parse(&state.text().unwrap()).unwrap();
        assert_eq!(again.entries().collect::<Vec<_>>(), [("x", &entry)]);
        assert!(State::parse(r#"{"x": {"url": "http://127.0.0.1:1"}}"#).is_none());
    }
}
