//! The parameters as they are used, checked together.

use std::{path::PathBuf, time::Duration};

use sdk::config::{ConfigError, ConfigErrors, Pattern};

use crate::{
    config::{Config, Fields, TAG_PATTERN},
    pod::Words,
};

/// What the filter goes by.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a parameter of its own"
)]
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) fields: Fields,
    pub(crate) wait: Duration,
    pub(crate) wait_limit_bytes: usize,
    pub(crate) grace: Duration,
    annotation_match: Vec<Pattern>,
    pub(crate) skip_labels: bool,
    pub(crate) skip_container: bool,
    pub(crate) skip_namespace: bool,
    pub(crate) master_url: Option<String>,
    pub(crate) owners: bool,
    pub(crate) dedot: String,
    pub(crate) exclude: bool,
    pub(crate) namespace_metrics: bool,
    pub(crate) tag_pattern: Pattern,
    pub(crate) server: Server,
}

/// How the API server is reached.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) url: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) verify: bool,
    pub(crate) node_name: Option<String>,
    pub(crate) watches_namespaces: bool,
}

impl Settings {
    /// Checks what the schema cannot.
    ///
    /// # Errors
    /// Every complaint, at its place.
    pub(crate) fn new(config: Config) -> Result<Self, ConfigErrors> {
        let mut errors = address_errors(&config);
        let url = config.kubernetes_url;
        let tag_pattern = match config.tag_to_kubernetes_name_regexp {
            Some(pattern) => pattern,
            None => TAG_PATTERN
                .parse()
                .map_err(|error: String| vec![ConfigError::at("", error)])?,
        };
        errors.extend(group_errors(&tag_pattern));
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            fields: config.fields,
            wait: config.wait.0,
            wait_limit_bytes: config.wait_limit_size.as_usize(),
            grace: config.grace.0,
            annotation_match: config.annotation_match.0,
            skip_labels: config.skip_labels,
            skip_container: config.skip_container_metadata,
            skip_namespace: config.skip_namespace_metadata,
            master_url: url.clone().filter(|_| !config.skip_master_url),
            owners: config.include_ownerrefs_metadata,
            // Flat keys have dots anyway.
            dedot: if config.fields == Fields::Otel {
                String::new()
            } else {
                config.dedot
            },
            exclude: config.exclude,
            namespace_metrics: config.namespace_metrics,
            tag_pattern,
            server: Server {
                url,
                token_file: config.bearer_token_file,
                ca_file: config.ca_file,
                verify: config.verify_ssl,
                node_name: config.node_name,
                watches_namespaces: !config.skip_namespace_metadata,
            },
        })
    }

    /// The annotations that are written.
    pub(crate) fn wanted_annotations(&self, all: &Words) -> Words {
        let is_wanted = |name: &str| {
            self.annotation_match
                .iter()
                .any(|pattern| pattern.is_match(name.as_bytes()))
        };
        all.iter()
            .filter(|(name, _)| is_wanted(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// What is wrong with the way to the API server.
fn address_errors(config: &Config) -> ConfigErrors {
    let mut errors = ConfigErrors::new();
    let url = &config.kubernetes_url;
    if let Some(url) = url
        && !["http://", "https://"]
            .iter()
            .any(|scheme| url.starts_with(scheme))
    {
        let message = format!(
            "`{url}` is not the address of an API server; write it as in \"https://10.0.0.1:443\""
        );
        errors.push(ConfigError::at("/kubernetes_url", message));
    }
    let needs_url = [
        ("/bearer_token_file", config.bearer_token_file.is_some()),
        ("/ca_file", config.ca_file.is_some()),
        ("/verify_ssl", !config.verify_ssl),
    ];
    for (path, is_set) in needs_url {
        if is_set && url.is_none() {
            let name = path.trim_start_matches('/');
            let message = format!(
                "`{name}` is only for a given address; add kubernetes_url, or leave it out"
            );
            errors.push(ConfigError::at(path, message));
        }
    }
    errors
}

/// The groups that a pattern of tags lacks.
fn group_errors(pattern: &Pattern) -> ConfigErrors {
    let mut errors = ConfigErrors::new();
    for group in ["pod_name", "namespace", "container_name"] {
        if !pattern
            .regex()
            .capture_names()
            .flatten()
            .any(|name| name == group)
        {
            let message =
                format!("it has no group `{group}`; write (?P<{group}>...) where it stands");
            errors.push(ConfigError::at("/tag_to_kubernetes_name_regexp", message));
        }
    }
    errors
}
