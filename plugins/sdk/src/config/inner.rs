//! Tables that choose a plugin inside another plugin: `[source.parse]` and `[match.format]`.

use std::{borrow::Cow, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    config::{ConfigError, ConfigErrors},
    formatter::Formatter,
    parser::Parser,
    plugin::{Build, BuildCx, Descriptor, Kind},
};

macro_rules! inner_table {
    ($(#[$about:meta])* $name:ident, $title:literal, $kind:literal) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Map<String, Value>);

        impl $name {
            /// The table `type = "name"`, for defaults.
            pub fn of(name: &str) -> Self {
                Self(Map::from_iter([("type".to_owned(), name.into())]))
            }

            /// What `type` says.
            pub fn type_name(&self) -> &str {
                self.0.get("type").and_then(Value::as_str).unwrap_or_default()
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $title.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "object", "plugin": $kind })
            }
        }
    };
}

inner_table! {
    /// A parser with its parameters. In the schema it is an object with the extension `"plugin": "parser"`, so that the
    /// checker looks into it.
    ParserTable, "ParserTable", "parser"
}

inner_table! {
    /// A formatter with its parameters. In the schema it is an object with the extension `"plugin": "formatter"`.
    FormatterTable, "FormatterTable", "formatter"
}

impl BuildCx {
    /// Builds the parser that the table at `path` names.
    ///
    /// # Errors
    /// [`ConfigErrors`] with their places below `path`.
    pub fn parser(&self, path: &str, table: &ParserTable) -> Result<Arc<dyn Parser>, ConfigErrors> {
        let (descriptor, params) = self.inner(Kind::Parser, path, &table.0)?;
        let Build::Parser(build) = descriptor.build else {
            return Err(unknown(Kind::Parser, path, descriptor.name));
        };
        build(params, self).map_err(|errors| below(path, errors))
    }

    /// Builds the formatter that the table at `path` names.
    ///
    /// # Errors
    /// [`ConfigErrors`] with their places below `path`.
    pub fn formatter(
        &self,
        path: &str,
        table: &FormatterTable,
    ) -> Result<Arc<dyn Formatter>, ConfigErrors> {
        let (descriptor, params) = self.inner(Kind::Formatter, path, &table.0)?;
        let Build::Formatter(build) = descriptor.build else {
            return Err(unknown(Kind::Formatter, path, descriptor.name));
        };
        build(params, self).map_err(|errors| below(path, errors))
    }

    fn inner(
        &self,
        kind: Kind,
        path: &str,
        table: &Map<String, Value>,
    ) -> Result<(&'static Descriptor, Value), ConfigErrors> {
        let mut params = table.clone();
        let Some(Value::String(name)) = params.shift_remove("type") else {
            let message = format!(
                "`type` is missing; write type = \"...\", the {}",
                kind.as_str()
            );
            return Err(vec![ConfigError::at(path, message)]);
        };
        self.plugins
            .iter()
            .find(|descriptor| descriptor.kind() == kind && descriptor.answers_to(&name))
            .map(|descriptor| (*descriptor, Value::Object(params)))
            .ok_or_else(|| unknown(kind, path, &name))
    }
}

fn unknown(kind: Kind, path: &str, name: &str) -> ConfigErrors {
    let message = format!("there is no {} `{name}`", kind.as_str());
    vec![ConfigError::at(format!("{path}/type"), message)]
}

fn below(path: &str, errors: ConfigErrors) -> ConfigErrors {
    errors
        .into_iter()
        .map(|error| ConfigError {
            path: format!("{path}{}", error.path),
            ..error
        })
        .collect()
}
