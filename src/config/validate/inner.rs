//! Tables that choose a parser or a formatter: they are checked against the schema of the plugin that they name.

use sdk::plugin::Kind;

use super::{Layers, Node, Schema, Validator, fluentd};
use crate::config::{keys::InnerKeys, kinds::find_plugin, schema};

impl Validator<'_, '_> {
    /// Checks the table `name`, which chooses a plugin of this kind.
    pub(super) fn inner(&mut self, node: &mut Node, kind: Kind, name: &str) {
        fluentd::without_at(node, self.findings);
        let written = node
            .get("type")
            .map(|entry| (entry.node.text(), entry.node.span.clone()));
        let plugin = match find_plugin(self.registry, kind, node, written) {
            Ok(plugin) => Some(plugin),
            Err(finding) => {
                self.findings.extend(finding);
                None
            }
        };
        let own = schema::of::<InnerKeys>();
        let params = plugin.map(|plugin| (plugin.schema)());
        let mut schemas = vec![Schema::new(&own)];
        schemas.extend(params.as_ref().map(Schema::new));
        let layers = Layers::new(schemas);
        // Nobody knows the keys of an unknown plugin.
        let (layers, owner) = match plugin {
            Some(plugin) => (layers, format!("{} `{}`", kind.as_str(), plugin.name)),
            None => (layers.open(), format!("`{name}`")),
        };
        let mut validator = Validator {
            findings: &mut *self.findings,
            registry: self.registry,
            around: self.around.clone(),
        };
        validator.table(node, &layers, &owner);
    }
}

/// The kind of plugin that a table with this schema chooses.
pub(in crate::config) fn kind_of(schema: Schema<'_>) -> Option<Kind> {
    let kind = schema.text("plugin")?;
    [Kind::Parser, Kind::Formatter]
        .into_iter()
        .find(|own| own.as_str() == kind)
}
