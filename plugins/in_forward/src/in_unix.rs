//! Input `unix`: the forward protocol over a Unix socket, by the name that Fluentd has for it.

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors, Size},
    input::Input,
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;
use serde_json::Value;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "unix",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Takes records over the Fluentd forward protocol on a Unix socket",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Input(build),
};

/// Fluentd's socket.
const PATH: &str = "/var/run/fluent/fluent.sock";

/// The parameters: those of `forward` that have a use on a Unix socket, by the same names.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The Unix socket to listen on. `/var/run/fluent/fluent.sock` by default.
    #[schemars(length(min = 1), extend("exclusive" = true))]
    pub path: Option<String>,
    /// Who may write to the socket, in octal like the file mode: `"0660"`. By default what the umask leaves.
    pub unix_perm: Option<String>,
    /// Connections that may wait to be accepted. 1024 by default.
    #[schemars(range(min = 1, max = 65_535))]
    pub backlog: Option<i32>,
    /// A tag in place of the one that comes with a message.
    #[schemars(length(min = 1))]
    pub tag: Option<String>,
    /// Put in front of every tag, with a dot between.
    #[schemars(length(min = 1))]
    pub add_tag_prefix: Option<String>,
    /// Drop an event that can never be used and acknowledge the rest of its message. True by default.
    pub skip_invalid_event: Option<bool>,
    /// The longest message on the wire. A longer one is not taken, and its connection is closed. `"272MiB"` by default.
    pub chunk_size_limit: Option<Size>,
    /// Connections at a time. More are closed as soon as they come. 10000 by default.
    #[schemars(range(min = 1))]
    pub max_connections: Option<usize>,
}

fn build(mut params: Value, cx: &BuildCx) -> Result<Box<dyn Input>, ConfigErrors> {
    let config: Config = config::parse(params.clone())?;
    if let (None, Some(table)) = (&config.path, params.as_object_mut()) {
        table.insert("path".to_owned(), PATH.into());
    }
    super::build(params, cx)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_takes_the_parameters_of_forward_that_have_a_use() {
        let errors = |params: Value| {
            let built = build(params, &BuildCx::detached("test"));
            built
                .err()
                .into_iter()
                .flatten()
                .map(|error| error.path)
                .collect::<Vec<_>>()
        };
        assert!(errors(json!({})).is_empty());
        let all = json!({
            "path": "/tmp/a.sock", "unix_perm": "0660", "backlog": 5, "tag": "a", "add_tag_prefix": "b",
            "skip_invalid_event": false, "chunk_size_limit": "1MiB", "max_connections": 7,
        });
        assert!(errors(all).is_empty());
        assert_eq!(errors(json!({ "unix_perm": "rw" })), ["/unix_perm"]);
        assert_eq!(errors(json!({ "port": 24224 })), [""]);
    }
}
