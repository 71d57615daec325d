//! From parameters to what has to be at the server.

use sdk::config::{ConfigError, ConfigErrors, Template as Text};

use super::{
    Names, Plan, Target,
    lifecycle::Lifecycle,
    template::{Form, Handling, Template},
};
use crate::config::{Config, OpType};

/// Fluentd's name of the policy, where none is given.
const POLICY: &str = "logstash-policy";

impl Config {
    /// Whether documents are sent to an alias that moves on from index to index.
    pub(crate) fn rolls_over(&self) -> bool {
        let has_cycle = self.enable_ilm == Some(true);
        (self.rollover_index || has_cycle) && self.data_stream_name.is_none()
    }

    /// What has to be at the server; `None`: nothing. `index` is the name that documents are sent to.
    pub(crate) fn plan(&self, errors: &mut ConfigErrors) -> Option<Plan> {
        self.check_templates(errors);
        self.check_rollover(errors);
        self.check_stream(errors);
        let templates = |files: &std::collections::BTreeMap<_, _>, form| {
            let template = |(name, file): (&String, &std::path::PathBuf)| Template {
                name: name.clone(),
                file: file.clone(),
                form,
            };
            files.iter().map(template).collect::<Vec<_>>()
        };
        let form = match self.use_legacy_template {
            Some(true) => Form::Legacy,
            Some(false) => Form::Composable,
            None => Form::AsWritten,
        };
        // Parts come before the templates that refer to them.
        let mut shared = templates(&self.component_templates, Form::Component);
        shared.extend(templates(&self.templates, form));
        let name = self
            .template_name
            .clone()
            .or(self.data_stream_template_name.clone());
        let own = self.template_file.clone().map(|file| Template {
            name: name.unwrap_or_default(),
            file,
            form,
        });
        let target = self.target();
        let mut own = own;
        if target == Target::Index && !self.names_templates_by_events() {
            shared.extend(own.take());
        }
        let plan = Plan {
            shared,
            own,
            handling: Handling {
                replacements: self.customize_template.clone(),
                overwrites: self.template_overwrite,
            },
            target,
            lifecycle: self.lifecycle(),
        };
        let is_needed = !plan.shared.is_empty() || plan.own.is_some();
        (is_needed || plan.target != Target::Index).then_some(plan)
    }

    fn names_templates_by_events(&self) -> bool {
        let texts = self.customize_template.values().chain(&self.template_name);
        texts.into_iter().any(|text| text.contains(['$', '%']))
    }

    fn target(&self) -> Target {
        if self.data_stream_name.is_some() {
            return Target::Stream {
                template: self.data_stream_template_name.clone(),
                has_wildcard: self.data_stream_template_use_index_patterns_wildcard,
            };
        }
        if !self.rolls_over() {
            return Target::Index;
        }
        let literal = |text: &&String| !text.contains(['$', '%']);
        let index = self.index.as_ref().or(self.index_name.as_ref());
        let index = index
            .filter(|_| self.deflector_alias.is_some())
            .filter(literal);
        let base = index.map(|index| {
            let (separator, application) = (&self.index_separator, &self.application_name);
            format!("{index}{separator}{application}").to_lowercase()
        });
        Target::Alias {
            base,
            separator: self.index_separator.clone(),
            date: self.index_date_pattern.clone(),
        }
    }

    /// What documents of an output that rolls over are sent to.
    pub(crate) fn alias(&self) -> String {
        if let Some(alias) = &self.deflector_alias {
            return alias.clone();
        }
        if self.logstash_format {
            return self.logstash_name();
        }
        let index = self.index.as_ref().or(self.index_name.as_ref());
        let index = index.map_or("fluentd", String::as_str);
        format!("{index}{}{}", self.index_separator, self.application_name)
    }

    fn lifecycle(&self) -> Option<Lifecycle> {
        let is_stream = self.data_stream_name.is_some();
        let is_wanted = self.enable_ilm.unwrap_or(is_stream);
        let id = self
            .ilm_policy_id
            .clone()
            .or(self.data_stream_ilm_name.clone());
        is_wanted.then(|| Lifecycle {
            id: id.or_else(|| (!is_stream).then(|| POLICY.to_owned())),
            policy: self
                .ilm_policy
                .clone()
                .or(self.data_stream_ilm_policy.clone()),
            others: self.ilm_policies.clone(),
            overwrites: self.ilm_policy_overwrite || self.data_stream_ilm_policy_overwrite,
            is_asked_for: self.enable_ilm.is_some(),
        })
    }

    fn check_templates(&self, errors: &mut ConfigErrors) {
        let needs = |name: &str, other: &str| {
            ConfigError::at(
                format!("/{name}"),
                format!("`{name}` says nothing without `{other}`"),
            )
            .help(format!("add `{other}`"))
        };
        let has_name = self.template_name.is_some() || self.data_stream_template_name.is_some();
        match (&self.template_name, &self.template_file) {
            (Some(_), None) => errors.push(needs("template_name", "template_file")),
            (None, Some(_)) if !has_name => errors.push(needs("template_file", "template_name")),
            _ => {}
        }
        let has_any = self.template_file.is_some()
            || !self.templates.is_empty()
            || !self.component_templates.is_empty();
        if !has_any && !self.customize_template.is_empty() {
            errors.push(needs("customize_template", "template_file"));
        }
        if !has_any && self.use_legacy_template.is_some() && self.data_stream_name.is_none() {
            errors.push(needs("use_legacy_template", "template_file"));
        }
    }

    fn check_rollover(&self, errors: &mut ConfigErrors) {
        if let Some(prefix) = &self.index_prefix {
            let message = "`index_prefix` is obsolete: Fluentd does not take it any more either";
            let help = format!("write index = {prefix:?}");
            errors.push(ConfigError::at("/index_prefix", message).help(help));
        }
        if self.deflector_alias.is_some() && !self.rolls_over() {
            let message = "`deflector_alias` is about an index that rolls over, and there is none";
            let help = "add rollover_index = true, or write the alias as `index`";
            errors.push(ConfigError::at("/deflector_alias", message).help(help));
        }
        if self.rolls_over() && self.target_index_key.is_some() {
            let message = "`target_index_key` names indexes, and here documents go to an alias";
            let help = "remove it, or `rollover_index` and `enable_ilm`";
            errors.push(ConfigError::at("/target_index_key", message).help(help));
        }
        let has_cycle = self.enable_ilm == Some(true)
            || (self.data_stream_name.is_some() && self.enable_ilm.is_none());
        let given = [
            ("ilm_policy_id", self.ilm_policy_id.is_some()),
            ("ilm_policy", self.ilm_policy.is_some()),
            ("ilm_policies", !self.ilm_policies.is_empty()),
            ("ilm_policy_overwrite", self.ilm_policy_overwrite),
        ];
        for (name, _) in given.iter().filter(|(_, is_given)| *is_given && !has_cycle) {
            let message = format!("`{name}` is about the life of indexes, and none is managed");
            errors.push(
                ConfigError::at(format!("/{name}"), message)
                    .help("add enable_ilm = true, or remove this"),
            );
        }
    }

    /// Complains of a type that is about data streams, where none is named.
    pub(crate) fn check_stream_type(&self, type_name: Option<&str>, errors: &mut ConfigErrors) {
        let is_stream = type_name.is_some_and(|name| name.ends_with("_data_stream"));
        if is_stream && self.data_stream_name.is_none() {
            let message = "nothing says to which data stream";
            let help = "add `data_stream_name`, as in \"logs-${tag}\"";
            errors.push(ConfigError::at("/data_stream_name", message).help(help));
        }
    }

    fn check_stream(&self, errors: &mut ConfigErrors) {
        let is_stream = self.data_stream_name.is_some();
        let about_streams = [
            (
                "data_stream_template_name",
                self.data_stream_template_name.is_some(),
            ),
            ("data_stream_ilm_name", self.data_stream_ilm_name.is_some()),
            (
                "data_stream_ilm_policy",
                self.data_stream_ilm_policy.is_some(),
            ),
            (
                "data_stream_ilm_policy_overwrite",
                self.data_stream_ilm_policy_overwrite,
            ),
        ];
        let others = [
            ("index", self.index.is_some()),
            ("index_name", self.index_name.is_some()),
            ("logstash_format", self.logstash_format),
            ("target_index_key", self.target_index_key.is_some()),
            ("rollover_index", self.rollover_index),
            ("deflector_alias", self.deflector_alias.is_some()),
        ];
        let (wrong, message, help) = if is_stream {
            let message = "names indexes, and a data stream has its own";
            (&others[..], message, "remove it, or `data_stream_name`")
        } else {
            let message = "is about a data stream, and there is none";
            (&about_streams[..], message, "add `data_stream_name`")
        };
        for (name, _) in wrong.iter().filter(|(_, is_given)| *is_given) {
            errors.push(
                ConfigError::at(format!("/{name}"), format!("`{name}` {message}")).help(help),
            );
        }
        if !is_stream {
            return;
        }
        let op_type = self.op_type.or(self.write_operation);
        if op_type.is_some_and(|op_type| op_type != OpType::Create) {
            let place = if self.op_type.is_some() {
                "/op_type"
            } else {
                "/write_operation"
            };
            let message = "a data stream takes nothing but op_type = \"create\"";
            errors.push(ConfigError::at(place, message).help("remove it"));
        }
        let has_time = self.include_timestamp && self.timing.timestamp_key == "@timestamp";
        if !has_time {
            let place = if self.include_timestamp {
                "/timestamp_key"
            } else {
                "/include_timestamp"
            };
            let message = "every document of a data stream has its time in `@timestamp`";
            errors.push(ConfigError::at(place, message).help("remove it"));
        }
    }
}

impl Plan {
    /// Compiles the texts.
    pub(crate) fn compiled(&self, errors: &mut ConfigErrors) -> Vec<Text> {
        let mut compiled = Vec::new();
        for (place, text) in self.clone().texts() {
            match text.parse::<Text>() {
                Ok(text) => compiled.push(text),
                Err(error) => errors.push(ConfigError::at(place, format!("{text:?}: {error}"))),
            }
        }
        compiled
    }

    /// The names of a target that is known before the first document, when nothing in the plan depends on events.
    pub(crate) fn names(&self, target: Option<String>) -> Option<Names> {
        let mut plan = self.clone();
        let texts = plan.texts().into_iter();
        let texts: Vec<String> = texts.map(|(_, text)| std::mem::take(text)).collect();
        let is_known = texts.iter().all(|text| !text.contains(['$', '%']));
        target
            .filter(|_| is_known)
            .map(|target| Names { target, texts })
    }
}
