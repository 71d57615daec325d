//! `${env:NAME}`, `${file:PATH}`, `${secret:NAME}`: filled in once, after parsing, inside one string. They
//! can never add keys, lines or tables. `${tag}` and other placeholders have no scheme and stay.

use std::path::Path;

use super::{
    diagnostic::{Code, Diagnostic, Span},
    nearest::nearest,
    surroundings::Surroundings,
    tree::{Content, Node},
};

/// Values shorter than this are not hidden: their letters occur in ordinary words.
const SHORT_BYTES: usize = 4;

/// Fills in the variables of a document.
pub(super) struct Variables<'a> {
    surroundings: &'a dyn Surroundings,
    secrets: Node,
    findings: Vec<Diagnostic>,
    hidden: Hidden,
}

/// What must not appear in messages.
#[derive(Debug, Default)]
pub(super) struct Hidden {
    /// Values of files and secrets.
    values: Vec<String>,
    /// Whole texts into which something was filled, with their places.
    texts: Vec<(Span, String)>,
}

/// A value, or `None` when a finding says why there is none.
type Value = Option<String>;

impl<'a> Variables<'a> {
    /// Fills in all of `tree`, whose `[secrets]` say what secrets are.
    pub(super) fn fill_in(
        tree: &mut Node,
        surroundings: &'a dyn Surroundings,
        findings: &mut Vec<Diagnostic>,
    ) -> Hidden {
        let mut variables = Self {
            surroundings,
            secrets: Node::default(),
            findings: Vec::new(),
            hidden: Hidden::default(),
        };
        // The table of secrets first: it may hold variables, but no secrets.
        if let Some(secrets) = tree
            .entries_mut()
            .iter_mut()
            .find(|entry| entry.key == "secrets")
        {
            variables.walk(&mut secrets.node);
            variables.secrets = secrets.node.clone();
        }
        for entry in tree.entries_mut() {
            if entry.key != "secrets" {
                variables.walk(&mut entry.node);
            }
        }
        findings.append(&mut variables.findings);
        variables.hidden
    }

    fn walk(&mut self, node: &mut Node) {
        match &mut node.content {
            Content::Array(items) => items.iter_mut().for_each(|item| self.walk(item)),
            Content::Table(entries) => {
                for entry in entries {
                    self.walk(&mut entry.node);
                }
            }
            Content::Scalar(value) => {
                let Some(text) = value.as_str().filter(|text| text.contains("${")) else {
                    return;
                };
                let before = self.findings.len();
                if let Some(filled) = self.text(text, &node.span) {
                    self.hidden.texts.push((node.span.clone(), filled.clone()));
                    *value = filled.into();
                    node.is_filled_in = true;
                }
                node.is_bad = self.findings.len() > before;
            }
        }
    }

    /// The text with its variables filled in; `None` when it has none or one is wrong.
    fn text(&mut self, text: &str, span: &Span) -> Value {
        let mut filled = String::new();
        let mut rest = text;
        let mut count = 0;
        let mut is_whole = true;
        while let Some((before, after)) = rest.split_once("${") {
            filled.push_str(before);
            let scheme = scheme(after);
            let Some((inside, behind)) = after.split_once('}') else {
                if scheme.is_some() {
                    let message = format!("`${{{after}` is never closed");
                    self.bad(span, message, "write a } behind the name");
                    return None;
                }
                rest = after;
                filled.push_str("${");
                continue;
            };
            match scheme {
                None => filled.extend(["${", inside, "}"]),
                Some(scheme) => {
                    count += 1;
                    match self.variable(scheme, inside, span) {
                        Some(value) => filled.push_str(&value),
                        None => is_whole = false,
                    }
                }
            }
            rest = behind;
        }
        filled.push_str(rest);
        (count > 0 && is_whole).then_some(filled)
    }

    /// The value of `scheme:name`, perhaps with `:-default` or `:?message`.
    fn variable(&mut self, scheme: &str, inside: &str, span: &Span) -> Value {
        let body = inside.get(scheme.len() + 1..).unwrap_or_default();
        if body.contains("${") {
            let message = format!("`${{{inside}}}` holds another variable");
            self.bad(span, message, "a default is plain text");
            return None;
        }
        let (name, default, demand) = match (body.split_once(":-"), body.split_once(":?")) {
            (Some((name, default)), _) => (name, Some(default), None),
            (None, Some((name, demand))) => (name, None, Some(demand)),
            (None, None) => (body, None, None),
        };
        if name.is_empty() {
            let message = format!("`${{{inside}}}` names nothing");
            self.bad(
                span,
                message,
                format!("write a name, as in ${{{scheme}:NAME}}"),
            );
            return None;
        }
        match scheme {
            "env" => self.env(name, default, demand, span),
            "file" => self.file(name, default, span),
            "secret" => self.secret(name, default, span),
            _ => {
                let message = format!("`${{{inside}}}`: there is no variable `{scheme}:`");
                let known = ["env", "file", "secret"];
                let help = match nearest(scheme, known) {
                    Some(near) => format!("write ${{{near}:{body}}}"),
                    None => "there are ${env:NAME}, ${file:PATH} and ${secret:NAME}".to_owned(),
                };
                self.bad(span, message, help);
                None
            }
        }
    }

    fn env(
        &mut self,
        name: &str,
        default: Option<&str>,
        demand: Option<&str>,
        span: &Span,
    ) -> Value {
        // As in a shell, an empty value counts as none where there is a default.
        let value = self.surroundings.env(name);
        let value = value.filter(|value| !value.is_empty() || default.is_none());
        if let Some(value) = value.or_else(|| default.map(str::to_owned)) {
            return Some(value);
        }
        let message = format!("the environment variable `{name}` is not set");
        let help = match demand.filter(|demand| !demand.is_empty()) {
            Some(demand) => demand.to_owned(),
            None => format!("set it, or give a default: ${{env:{name}:-DEFAULT}}"),
        };
        let finding = Diagnostic::new(Code::UnsetVariable, span.clone(), message);
        self.findings.push(finding.help(help));
        None
    }

    fn file(&mut self, path: &str, default: Option<&str>, span: &Span) -> Value {
        match self.surroundings.read(Path::new(path)) {
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let text = text.strip_suffix('\r').unwrap_or(text).to_owned();
                self.hidden.values.push(text.clone());
                Some(text)
            }
            Err(error) if default.is_some() && error.kind() == std::io::ErrorKind::NotFound => {
                default.map(str::to_owned)
            }
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.split(" (os error").next().unwrap_or_default();
                let message = format!("cannot read the file \"{path}\": {reason}");
                let finding = Diagnostic::new(Code::UnreadableFile, span.clone(), message);
                let help = "a relative path counts from the folder of the configuration";
                self.findings.push(finding.help(help));
                None
            }
        }
    }

    /// What `[secrets.NAME]` says: `{ type = "file", path = "..." }` or `{ type = "env", name = "..." }`.
    fn secret(&mut self, name: &str, default: Option<&str>, span: &Span) -> Value {
        let Some(entry) = self.secrets.get(name) else {
            let message = format!("there is no secret `{name}`");
            let finding = Diagnostic::new(Code::UnknownSecret, span.clone(), message);
            let known = self
                .secrets
                .entries()
                .iter()
                .map(|entry| entry.key.as_str());
            let help = match nearest(name, known) {
                Some(near) => format!("write ${{secret:{near}}}"),
                None => format!(
                    "add [secrets.{name}] with type = \"file\" and path = \"...\", or type = \"env\" and name = \"...\""
                ),
            };
            self.findings.push(finding.help(help));
            return None;
        };
        let part = |key: &str| entry.node.get(key)?.node.text().map(str::to_owned);
        let (kind, path, variable) = (part("type"), part("path"), part("name"));
        // A table that is wrong in itself is complained about where it stands.
        let value = match kind.as_deref()? {
            "file" => self.file(&path?, default, span),
            "env" => self.env(&variable?, default, None, span),
            _ => None,
        }?;
        self.hidden.values.push(value.clone());
        Some(value)
    }

    fn bad(&mut self, span: &Span, message: String, help: impl Into<String>) {
        let finding = Diagnostic::new(Code::BadVariable, span.clone(), message);
        self.findings.push(finding.help(help));
    }
}

/// The word before a colon that makes a variable of a placeholder. `:-` gives a placeholder a default.
fn scheme(after: &str) -> Option<&str> {
    let (word, behind) = after.split_once(':')?;
    let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    (is_word && !behind.starts_with('-')).then_some(word)
}

impl Hidden {
    /// Replaces what must not be shown by `***`.
    pub(super) fn clean(&self, finding: &mut Diagnostic) {
        let place = finding.span();
        for (span, text) in &self.texts {
            if span.start < place.end.max(place.start + 1) && place.start < span.end {
                replace(finding, &format!("{text:?}"), "\"***\"");
                replace(finding, text, "***");
                // A message may quote one word of it, such as one of several patterns.
                for word in text.split_whitespace() {
                    replace(finding, word, "***");
                }
            }
        }
        for value in &self.values {
            replace(finding, value, "***");
        }
    }
}

fn replace(finding: &mut Diagnostic, value: &str, by: &str) {
    if value.len() >= SHORT_BYTES {
        for text in finding.texts_mut() {
            if text.contains(value) {
                *text = text.replace(value, by);
            }
        }
    }
}

#[cfg(test)]
mod tests;
