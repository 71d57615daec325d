//! Which containers are read.

use glob::Pattern;
use sdk::config::{ConfigError, ConfigErrors, OneOrMany};

use crate::{config::Config, container::Container};

/// Which containers are read.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    namespaces: Vec<Pattern>,
    exclude_namespaces: Vec<Pattern>,
    exclude_pods: Vec<Pattern>,
    exclude_containers: Vec<Pattern>,
    own: Option<Own>,
}

/// The pod that this program runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Own {
    uid: Option<String>,
    pod: Option<String>,
    namespace: Option<String>,
}

impl Choice {
    /// As the parameters say.
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let mut read = |key: &str, texts: &OneOrMany<String>| {
            let mut patterns = Vec::new();
            for text in &texts.0 {
                match Pattern::new(text) {
                    Ok(pattern) => patterns.push(pattern),
                    Err(error) => {
                        let message =
                            format!("{text:?} is not a name with wildcards: {}", error.msg);
                        errors
                            .push(ConfigError::at(key, message).help("write `*`, `?` or `[a-z]`"));
                    }
                }
            }
            patterns
        };
        let choice = Self {
            namespaces: read("/namespaces", &config.namespaces),
            exclude_namespaces: read("/exclude_namespaces", &config.exclude_namespaces),
            exclude_pods: read("/exclude_pods", &config.exclude_pods),
            exclude_containers: read("/exclude_containers", &config.exclude_containers),
            own: None,
        };
        if errors.is_empty() {
            Ok(choice)
        } else {
            Err(errors)
        }
    }

    /// Leaves out the pod that the environment tells of.
    #[must_use]
    pub(crate) fn without_own(mut self, env: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name| env(name).filter(|value| !value.is_empty());
        self.own = Some(Own {
            uid: get("POD_UID"),
            pod: get("POD_NAME").or_else(|| get("HOSTNAME")),
            namespace: get("POD_NAMESPACE"),
        });
        self
    }

    pub(crate) fn takes(&self, container: &Container) -> bool {
        let any = |patterns: &[Pattern], name: &str| patterns.iter().any(|p| p.matches(name));
        let is_named = self.namespaces.is_empty() || any(&self.namespaces, &container.namespace);
        is_named
            && !any(&self.exclude_namespaces, &container.namespace)
            && !any(&self.exclude_pods, &container.pod)
            && !any(&self.exclude_containers, &container.name)
            && !self.own.as_ref().is_some_and(|own| own.wrote(container))
    }
}

impl Own {
    fn wrote(&self, container: &Container) -> bool {
        if let Some(uid) = &self.uid
            && !container.uid.is_empty()
        {
            return *uid == container.uid;
        }
        let is_pod = self.pod.as_ref().is_some_and(|pod| *pod == container.pod);
        let is_namespace = |namespace: &String| *namespace == container.namespace;
        is_pod && self.namespace.as_ref().is_none_or(is_namespace)
    }
}
