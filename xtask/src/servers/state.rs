//! What runs: the file by which later runs and the black-box tests find the servers.
//!
//! `target/servers/state.json` is an object by server name; `url`, `version` and `log` are for whoever wants to talk
//! to a server, and so are `ca_file`, `user` and `password` of a guarded one; `node` is for starting another like it, `pid`
//! and `started_ticks` for ending it.

use super::{guard::Login, list::Server, process::Process, start};
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
    pub(super) login: Option<Login>,
    /// Program, arguments, environment, folder and account: everything to start a node like it.
    pub(super) node: Value,
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
        let mut texts = vec![
            ("url", self.url.clone()),
            ("version", self.version.clone()),
            ("log", self.log.display().to_string()),
        ];
        if let Some(login) = &self.login {
            texts.extend([
                ("ca_file", login.ca_file.display().to_string()),
                ("user", login.user.clone()),
                ("password", login.password.clone()),
            ]);
        }
        if let Some(map) = value.as_object_mut() {
            let texts = texts.into_iter().map(|(key, text)| (key, json!(text)));
            let all = texts.chain([("node", self.node.clone())]);
            map.extend(all.map(|(key, value)| (key.to_owned(), value)));
        }
        value
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
        let login = |ca_file: String| {
            Some(Login {
                ca_file: ca_file.into(),
                user: text("user")?,
                password: text("password")?,
            })
        };
        Some(Self {
            url: text("url")?,
            version: text("version")?,
            log: text("log")?.into(),
            login: text("ca_file").and_then(login),
            node: value.get("node")?.clone(),
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
            login: None,
            node: json!({ "program": "x" }),
            process: Process::of(std::process::id()).unwrap(),
        };
        let guarded = Entry {
            login: Some(Login {
                ca_file: "ca.crt".into(),
                user: "a".into(),
                password: "b".into(),
            }),
            ..entry.clone()
        };
        let mut state = State::default();
        state.started("x", entry.clone());
        state.started("y", guarded.clone());
        let again = State::parse(&state.text().unwrap()).unwrap();
        let all: Vec<_> = again.entries().collect();
        assert_eq!(all, [("x", &entry), ("y", &guarded)]);
        assert!(State::parse(r#"{"x": {"url": "http://127.0.0.1:1"}}"#).is_none());
    }
}
