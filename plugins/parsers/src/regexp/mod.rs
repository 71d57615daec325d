//! Parser `regexp`: the named groups of an expression become fields.

mod expression;
mod ruby;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigError, ConfigErrors},
    event::Time,
    parser::{ParseError, Parser},
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::{
    fields::Fields,
    rules::{Column, Common, Defaults, Rules},
};
pub(crate) use expression::Expression;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "regexp",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Makes fields of the named groups of a regular expression",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Parser(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The regular expression as Ruby reads it, plain or as `/expression/imx`, with named groups such as
    /// `(?<host>[^ ]*)`. A group that takes no part in a match makes no field.
    pub expression: String,
    /// Those of every parser. `time_key` is `time` by default.
    #[serde(flatten)]
    pub common: Common,
}

/// What an expression has by default.
pub(crate) const DEFAULTS: Defaults = Defaults {
    time_key: Some("time"),
    ..Defaults::NONE
};

/// An expression and what becomes of each of its groups.
#[derive(Debug)]
pub(crate) struct Groups {
    expression: Expression,
    columns: Vec<(usize, Column)>,
    rules: Rules,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Parser>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let rules = Rules::compile(&config.common, &DEFAULTS, cx);
    let expression = Expression::compile(&config.expression)
        .map_err(|error| ConfigError::at("/expression", error))
        .and_then(|expression| named("/expression", expression));
    match (rules, expression) {
        (Ok(rules), Ok(expression)) => Ok(Arc::new(Groups::new(expression, rules))),
        (rules, expression) => {
            let mut errors = rules.err().unwrap_or_default();
            errors.extend(expression.err());
            Err(errors)
        }
    }
}

/// # Errors
/// The expression has no named group, so it would make no field.
pub(crate) fn named(path: &str, expression: Expression) -> Result<Expression, ConfigError> {
    if expression.names().next().is_none() {
        let error = ConfigError::at(
            path,
            "the expression has no named group, so it makes no field",
        );
        return Err(error.help("write (?<name>...) around what becomes a field"));
    }
    Ok(expression)
}

impl Groups {
    /// The parser of a fixed expression, which the code knows to be one.
    ///
    /// # Errors
    /// What is wrong with the common parameters.
    pub(crate) fn fixed(
        expression: &str,
        common: &Common,
        defaults: &Defaults,
        cx: &BuildCx,
    ) -> Result<Arc<dyn Parser>, ConfigErrors> {
        let rules = Rules::compile(common, defaults, cx)?;
        let expression =
            Expression::compile(expression).map_err(|error| vec![ConfigError::at("", error)])?;
        Ok(Arc::new(Self::new(expression, rules)))
    }

    pub(crate) fn new(expression: Expression, rules: Rules) -> Self {
        let columns = expression
            .names()
            .map(|(index, name)| (index, rules.column(name)))
            .collect();
        Self {
            expression,
            columns,
            rules,
        }
    }
}

impl Parser for Groups {
    fn parse(&self, text: &[u8], record: &mut Vec<u8>) -> Result<Option<Time>, ParseError> {
        let mut fields = Fields::begin(&self.rules, record);
        self.expression.captures(text, |group| {
            self.columns
                .iter()
                .try_for_each(|(index, column)| match group(*index) {
                    Some(part) => fields.column(column, part),
                    None => Ok(()),
                })
        })?;
        Ok(fields.end())
    }
}
