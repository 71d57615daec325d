//! From parameters to assignments, with a complaint for everything that cannot be meant.

use std::sync::Arc;

use sdk::{
    config::{ConfigError, ConfigErrors, Template, TemplateError},
    event::FieldPath,
    msgpack::{DEPTH_MAX, write},
};
use serde_json::Value as Json;

use super::{
    Config, RecordTransformer,
    value::{Assignment, Place, Value},
};

/// Compiles the parameters.
///
/// # Errors
/// Everything that is wrong, each at its place.
pub(super) fn compile(
    config: Config,
    hostname: &Arc<str>,
) -> Result<RecordTransformer, ConfigErrors> {
    let mut errors = Vec::new();
    check_switches(&config, &mut errors);
    let mut assignments = Vec::new();
    for (key, value) in &config.record {
        let at = format!("/record/{}", escape(key));
        let place = place(key, &at, &mut errors);
        let value = Compiler {
            typed: config.auto_typecast,
            errors: &mut errors,
        }
        .value(value, &at);
        let (Some(place), Some(value)) = (place, value) else {
            continue;
        };
        let may_deepen = matches!(
            (&place, &value),
            (_, Value::List(_) | Value::Table(_)) | (Place::Path(_), Value::Field(..))
        );
        let assignment = Assignment {
            place,
            value,
            may_deepen,
        };
        if !assignment.constant_fits() {
            let error = ConfigError::at(
                at,
                format!("a record may have {DEPTH_MAX} levels, this has more"),
            );
            errors.push(error.help("make it flatter"));
        }
        assignments.push(assignment);
    }
    for (index, path) in config.remove_keys.0.iter().enumerate() {
        if path.has_index() {
            let message = format!("{path} is an item of a list, which cannot be removed");
            let error = ConfigError::at(format!("/remove_keys/{index}"), message);
            errors.push(error.help("remove the whole list, or a field of a table"));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(RecordTransformer {
        values_first: config.renew_record || reads_what_is_set(&assignments),
        assignments,
        renew: config.renew_record.then_some(config.keep_keys.0),
        time_key: config.renew_time_key.as_deref().map(FieldPath::key),
        remove_keys: config.remove_keys.0,
        hostname: Arc::clone(hostname),
    })
}

fn check_switches(config: &Config, errors: &mut ConfigErrors) {
    if config.enable_ruby {
        let help = "remove `enable_ruby` and write placeholders: ${record[\"a\"][\"b\"]}, ${record.a:-default}, \
                    ${tag_parts[1]}, ${time}, ${hostname}; for the environment, ${env:NAME}";
        errors.push(ConfigError::at("/enable_ruby", "Ruby is not evaluated here").help(help));
    }
    if !config.keep_keys.0.is_empty() && !config.renew_record {
        let message = "`keep_keys` has no meaning without `renew_record = true`";
        let help = "add `renew_record = true`, or list what has to go in `remove_keys`";
        errors.push(ConfigError::at("/keep_keys", message).help(help));
    }
    let does_nothing = config.record.is_empty()
        && config.remove_keys.0.is_empty()
        && config.renew_time_key.is_none()
        && !config.renew_record;
    if does_nothing && errors.is_empty() {
        let error = ConfigError::at("", "record_transformer has nothing to do");
        errors.push(error.help("write [filter.record] with key = \"value\", or `remove_keys`"));
    }
}

fn place(key: &str, at: &str, errors: &mut ConfigErrors) -> Option<Place> {
    if key.contains("${") {
        return template(key, at, errors).map(Place::Rendered);
    }
    match key.parse::<FieldPath>() {
        Ok(path) if path.has_index() => {
            let error = ConfigError::at(
                at,
                format!("{path} is an item of a list, which cannot be set"),
            );
            errors.push(error.help("set the whole list, or a field of a table"));
            None
        }
        Ok(path) if path.is_top_level() => Some(Place::Key(path.head().to_owned())),
        Ok(path) => Some(Place::Path(path)),
        Err(error) => {
            let error = ConfigError::at(at, format!("{key:?} is not a field: {error}"));
            errors.push(error.help("write a key, or a path such as $.a.b"));
            None
        }
    }
}

fn template(text: &str, at: &str, errors: &mut ConfigErrors) -> Option<Template> {
    match text.parse() {
        Ok(template) => Some(template),
        Err(error) => {
            let help = match &error {
                TemplateError::Unknown(name) => remedy(name),
                TemplateError::Unclosed => "close it with `}`".to_owned(),
                TemplateError::Path(..) => {
                    "write ${record[\"a\"][\"b\"]} or ${record.a.b}".to_owned()
                }
            };
            errors.push(ConfigError::at(at, error.to_string()).help(help));
            None
        }
    }
}

/// What to write instead of a placeholder that there is not.
fn remedy(name: &str) -> String {
    if name.contains(['(', ' ', '+', '|', '?']) {
        return "Ruby is not evaluated here; a placeholder names one value, as in ${record[\"a\"][\"b\"]}".to_owned();
    }
    format!("for a field of the record, write ${{record[\"{name}\"]}}")
}

/// Escapes a key for a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

struct Compiler<'a> {
    typed: bool,
    errors: &'a mut ConfigErrors,
}

impl Compiler<'_> {
    fn value(&mut self, json: &Json, at: &str) -> Option<Value> {
        if !has_placeholder(json) {
            return Some(constant(json));
        }
        match json {
            Json::String(text) => {
                let template = template(text, at, self.errors)?;
                match template.as_field_or_default() {
                    Some((path, default)) if self.typed => {
                        Some(Value::Field(path.clone(), default.map(str::to_owned)))
                    }
                    _ => Some(Value::Text(template)),
                }
            }
            Json::Array(items) => {
                let items: Vec<_> = (0..)
                    .zip(items)
                    .map(|(index, item): (u32, _)| self.value(item, &format!("{at}/{index}")))
                    .collect();
                items.into_iter().collect::<Option<_>>().map(Value::List)
            }
            Json::Object(pairs) => {
                let pairs: Vec<_> = pairs
                    .iter()
                    .map(|(key, value)| {
                        let at = format!("{at}/{}", escape(key));
                        let value = self.value(value, &at);
                        Some((template(key, &at, self.errors)?, value?))
                    })
                    .collect();
                pairs.into_iter().collect::<Option<_>>().map(Value::Table)
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => Some(constant(json)),
        }
    }
}

fn constant(json: &Json) -> Value {
    let mut bytes = Vec::new();
    write::json(&mut bytes, json);
    Value::Constant(bytes)
}

fn has_placeholder(json: &Json) -> bool {
    match json {
        Json::String(text) => text.contains("${"),
        Json::Array(items) => items.iter().any(has_placeholder),
        Json::Object(pairs) => pairs
            .iter()
            .any(|(key, value)| key.contains("${") || has_placeholder(value)),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Whether an assignment reads a field that one before it sets. A key with placeholders may be any field.
fn reads_what_is_set(assignments: &[Assignment]) -> bool {
    let mut set: Vec<&str> = Vec::new();
    assignments.iter().any(|assignment| {
        let mut heads = Vec::new();
        assignment.value.heads(&mut heads);
        let conflict = heads.iter().any(|head| set.contains(head));
        match &assignment.place {
            Place::Key(key) => set.push(key),
            Place::Path(path) => set.push(path.head()),
            Place::Rendered(_) => return true,
        }
        conflict
    })
}

impl Value {
    /// The top-level keys that it reads.
    fn heads<'a>(&'a self, out: &mut Vec<&'a str>) {
        match self {
            Self::Constant(_) => {}
            Self::Field(path, _) => out.push(path.head()),
            Self::Text(template) => out.extend(template.fields().map(FieldPath::head)),
            Self::List(items) => items.iter().for_each(|item| item.heads(out)),
            Self::Table(pairs) => {
                for (key, value) in pairs {
                    out.extend(key.fields().map(FieldPath::head));
                    value.heads(out);
                }
            }
        }
    }
}
