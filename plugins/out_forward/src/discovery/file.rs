//! Servers in a file: a list in YAML, of which JSON is a part.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use super::Mistake;
use crate::config::{Server, ServiceDiscovery};

/// How often to look whether it has changed.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// Longest file, in bytes.
const LEN_MAX: usize = 1 << 20;

/// A file with servers.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    /// What it held last.
    last: Mutex<Option<Vec<u8>>>,
}

impl File {
    pub(super) fn new(table: &ServiceDiscovery) -> Result<Self, Mistake> {
        let missing = || {
            let help = "name the file with the list of servers";
            ("", "`path` is missing".to_owned(), help)
        };
        Ok(Self {
            path: table.path.clone().ok_or_else(missing)?,
            last: Mutex::new(None),
        })
    }

    /// The servers; `None` when the file has not changed.
    pub(super) async fn look(&self) -> Result<Option<Vec<Server>>, String> {
        let path = self.path.display();
        let bytes = tokio::fs::read(&self.path)
            .await
            .map_err(|error| format!("path {path} cannot be read: {error}"))?;
        if bytes.len() > LEN_MAX {
            return Err(format!("path {path} is longer than 1 MiB"));
        }
        if self.last().as_ref() == Some(&bytes) {
            return Ok(None);
        }
        let servers = parse(&bytes).map_err(|error| format!("path {path}: {error}"))?;
        *self.last() = Some(bytes);
        Ok(Some(servers))
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Vec<u8>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<Server>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
    let Some(Yaml::Array(items)) = documents.first() else {
        return Err("it holds no list of servers".into());
    };
    let server = |(index, item)| {
        let read: Result<Server, _> = serde_json::from_value(to_json(item));
        read.map_err(|error| format!("server {index}: {error}"))
    };
    (1..).zip(items).map(server).collect()
}

fn to_json(yaml: &Yaml) -> Value {
    match yaml {
        // A number with a fraction has no place in these tables, so its text will do for the complaint.
        Yaml::String(text) | Yaml::Real(text) => text.as_str().into(),
        Yaml::Integer(number) => (*number).into(),
        Yaml::Boolean(truth) => (*truth).into(),
        Yaml::Array(items) => items.iter().map(to_json).collect(),
        Yaml::Hash(pairs) => pairs
            .iter()
            .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), to_json(value))))
            .collect(),
        Yaml::Alias(_) | Yaml::Null | Yaml::BadValue => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_are_lists_of_servers() {
        let yaml = "- host: 10.0.0.1\n  port: 24225\n  weight: 10\n  standby: true\n- host: two\n  name: second\n";
        let json = r#"[{"host":"10.0.0.1","port":24225,"weight":10,"standby":true},{"host":"two","name":"second"}]"#;
        let servers = parse(yaml.as_bytes()).unwrap();
        assert_eq!(servers, parse(json.as_bytes()).unwrap());
        let [first, second] = servers.as_slice() else {
            panic!("{servers:?}");
        };
        assert_eq!(
            (first.host.as_str(), first.port, first.weight, first.standby),
            ("10.0.0.1", 24225, 10, true)
        );
        assert_eq!(
            (second.name.as_deref(), second.port, second.weight),
            (Some("second"), 24224, 60)
        );
        assert_eq!(parse(b"[]"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_list_of_servers_is_said() {
        for (text, part) in [
            ("", "no list"),
            ("host: a", "no list"),
            ("- port: 1", "server 1: missing field `host`"),
            ("- host: a\n- hots: b", "server 2: unknown field `hots`"),
            ("- [", "while parsing"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
