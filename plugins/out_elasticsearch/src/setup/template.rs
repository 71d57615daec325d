//! Templates: what new indexes look like. Read from a file, fitted to where documents go.

use std::{collections::BTreeMap, path::PathBuf};

use sdk::output::{Failure, FailureKind};
use serde_json::{Map, Value, json};

use super::step::Step;
use crate::http::uri;

/// The least order or priority of a template with a life cycle, so that it wins against those that come with the server.
const ORDER_MIN: u64 = 51;
const PRIORITY_MIN: u64 = 101;

/// A template that an operator wants to be there.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    pub(crate) form: Form,
}

/// The forms of templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `settings` and `mappings` at the top, with an `order`. Source: "Create or update index template" (legacy).
    Legacy,
    /// They are in a `template`, with a `priority`.
    Composable,
    /// A part that composable ones refer to.
    Component,
    /// Legacy or composable, as the file looks.
    AsWritten,
}

/// What is done to the text of every file, and to templates that are there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handling {
    /// What stands for what. Values become lower case, as with Fluentd.
    pub(crate) replacements: BTreeMap<String, String>,
    pub(crate) overwrites: bool,
}

/// What a template has to say of the indexes that it is for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fitting {
    /// Which indexes it is for; `None`: as written.
    pub(crate) pattern: Option<String>,
    /// Settings of a life cycle.
    pub(crate) settings: Map<String, Value>,
    pub(crate) is_stream: bool,
}

impl Template {
    /// The step that puts it there.
    ///
    /// # Errors
    /// The file cannot be read, or holds no template.
    pub(crate) async fn step(
        &self,
        handling: &Handling,
        fitting: &Fitting,
    ) -> Result<Step, Failure> {
        let path = self.file.display();
        let failed = |message: String| Failure::new(FailureKind::Io, message);
        let text = tokio::fs::read_to_string(&self.file).await;
        let mut text =
            text.map_err(|error| failed(format!("the template {path} cannot be read: {error}")))?;
        for (from, to) in &handling.replacements {
            text = text.replace(from, &to.to_lowercase());
        }
        let body = serde_json::from_str::<Map<String, Value>>(&text)
            .map_err(|error| failed(format!("the template {path} is no JSON object: {error}")))?;
        Ok(self.put(body, handling, fitting))
    }

    fn put(&self, mut body: Map<String, Value>, handling: &Handling, fitting: &Fitting) -> Step {
        let form = self.form.of(&body, fitting.is_stream);
        fitting.apply(&mut body, form);
        let mut step = step(&self.name, form, body.into());
        step.overwrites = handling.overwrites;
        step
    }
}

/// A template with nothing but what a target needs.
pub(crate) fn built_in(name: &str, fitting: &Fitting) -> Step {
    let mut body = Map::new();
    fitting.apply(&mut body, Form::Composable);
    step(name, Form::Composable, body.into())
}

fn step(name: &str, form: Form, body: Value) -> Step {
    let (what, place) = match form {
        Form::Legacy => ("legacy template", "_template"),
        Form::Component => ("component template", "_component_template"),
        Form::Composable | Form::AsWritten => ("index template", "_index_template"),
    };
    let at = format!("/{place}/{}", uri::part(name));
    Step::new(format!("the {what} {name:?}"), at, body)
}

impl Form {
    fn of(self, body: &Map<String, Value>, is_stream: bool) -> Self {
        let has = |name: &str| body.contains_key(name);
        match self {
            Self::AsWritten if is_stream => Self::Composable,
            Self::AsWritten if has("settings") || has("mappings") || has("order") => Self::Legacy,
            Self::AsWritten => Self::Composable,
            form => form,
        }
    }
}

impl Fitting {
    /// Whether a template is needed for it.
    pub(crate) fn says_something(&self) -> bool {
        self.is_stream || !self.settings.is_empty()
    }

    fn apply(&self, body: &mut Map<String, Value>, form: Form) {
        if let Some(pattern) = &self.pattern {
            body.insert("index_patterns".into(), json!([pattern]));
        }
        if self.is_stream && form == Form::Composable {
            body.entry("data_stream").or_insert_with(|| json!({}));
        }
        if !self.says_something() || form == Form::Component {
            return;
        }
        let (rank, least) = if form == Form::Legacy {
            ("order", ORDER_MIN)
        } else {
            ("priority", PRIORITY_MIN)
        };
        // Of two patterns for one index the longer is the more special one; with equal ranks the server takes neither.
        let len = self.pattern.as_ref().map_or(0, String::len) as u64;
        let given = body.get(rank).and_then(Value::as_u64);
        let given = given.map_or(least + len, |given| given.max(least));
        body.insert(rank.into(), given.into());
        if self.settings.is_empty() {
            return;
        }
        let inner = if form == Form::Legacy {
            Some(body)
        } else {
            body.entry("template")
                .or_insert_with(|| json!({}))
                .as_object_mut()
        };
        let settings = inner.map(|inner| inner.entry("settings").or_insert_with(|| json!({})));
        if let Some(settings) = settings.and_then(Value::as_object_mut) {
            settings.extend(self.settings.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(form: Form) -> Template {
        Template {
            name: "logs template".into(),
            file: PathBuf::new(),
            form,
        }
    }

    fn put(form: Form, body: Value, fitting: &Fitting) -> (String, Value) {
        let Value::Object(body) = body else {
            panic!("an object")
        };
        let step = template(form).put(body, &Handling::default(), fitting);
        (step.at, step.body)
    }

    fn cycle() -> Fitting {
        let settings = json!({ "index.lifecycle.name": "p" });
        Fitting {
            pattern: Some("a-*".into()),
            settings: settings.as_object().cloned().unwrap(),
            is_stream: false,
        }
    }

    #[test]
    fn the_form_is_that_of_the_file_unless_it_is_given() {
        let none = Fitting::default();
        let legacy = json!({ "index_patterns": ["a*"], "settings": {} });
        let composable = json!({ "index_patterns": ["a*"], "template": {} });
        let at = |form, body: &Value| put(form, body.clone(), &none).0;
        assert_eq!(at(Form::AsWritten, &legacy), "/_template/logs%20template");
        let new = "/_index_template/logs%20template";
        assert_eq!(at(Form::AsWritten, &composable), new);
        assert_eq!(at(Form::Composable, &legacy), new);
        let part = "/_component_template/logs%20template";
        assert_eq!(at(Form::Component, &composable), part);
    }

    #[test]
    fn a_life_cycle_goes_where_settings_are() {
        let (_, body) = put(
            Form::Legacy,
            json!({ "order": 60, "settings": { "a": 1 } }),
            &cycle(),
        );
        let expected = json!({
            "index_patterns": ["a-*"], "order": 60, "settings": { "a": 1, "index.lifecycle.name": "p" }
        });
        assert_eq!(body, expected);
        let (_, body) = put(
            Form::Composable,
            json!({ "index_patterns": ["b"] }),
            &cycle(),
        );
        let expected = json!({
            "index_patterns": ["a-*"], "priority": 104,
            "template": { "settings": { "index.lifecycle.name": "p" } }
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_template_of_a_stream_says_so() {
        let fitting = Fitting {
            is_stream: true,
            ..Fitting::default()
        };
        let (at, body) = put(Form::AsWritten, json!({ "settings": {} }), &fitting);
        assert!(at.starts_with("/_index_template/"));
        assert_eq!(body["data_stream"], json!({}));
        let hidden = json!({ "data_stream": { "hidden": true } });
        let (_, body) = put(Form::AsWritten, hidden, &fitting);
        assert_eq!(body["data_stream"], json!({ "hidden": true }));
    }
}
