//! Values that may be one of several things: listed values, tagged tables, or one value or many.

use serde_json::Value;

use super::{Code, Content, Diagnostic, Node, Schema, Validator, nearest, value::fits};

impl<'s> Validator<'s, '_> {
    /// Checks a value that may be one of several things.
    pub(super) fn choice(&mut self, node: &mut Node, schema: Schema<'s>, name: &str) {
        if let Some(choices) = schema.choices() {
            return self.listed(node, &choices, name);
        }
        let branches = schema.branches();
        if let Some(tag) =
            common_tag(&branches).filter(|_| matches!(node.content, Content::Table(_)))
        {
            return self.tagged(node, &branches, tag, name);
        }
        if let [only] = branches.as_slice() {
            return self.value(node, *only, name);
        }
        let mut fitting: Vec<_> = branches
            .into_iter()
            .filter(|branch| fits(node, *branch))
            .collect();
        match (fitting.pop(), fitting.is_empty()) {
            (None, _) => self.wrong_type(node, schema, name),
            (Some(only), true) => self.value(node, only, name),
            (Some(last), false) => {
                fitting.push(last);
                self.best(node, &fitting, name);
            }
        }
    }

    fn listed(&mut self, node: &Node, choices: &[&Value], name: &str) {
        let value = node.to_json();
        if choices.contains(&&value) {
            return;
        }
        let all: Vec<String> = choices.iter().map(ToString::to_string).collect();
        let texts = choices.iter().filter_map(|choice| choice.as_str());
        let help = match node.text().and_then(|text| nearest(text, texts)) {
            Some(near) => format!("write {near:?}"),
            None => format!("write {}", one_of(&all)),
        };
        let shown = match &node.content {
            Content::Scalar(value) => value.to_string(),
            _ => node.kind().to_owned(),
        };
        let message = format!("`{name}` cannot be {shown}");
        self.push(node, Code::NotAllowed, message, help);
    }

    /// A table whose key `tag` says which of the branches it is.
    fn tagged(&mut self, node: &mut Node, branches: &[Schema<'s>], tag: &str, name: &str) {
        let value_of = |branch: &Schema<'s>| branch.property(tag)?.schema.text("const");
        let all: Vec<&str> = branches.iter().filter_map(value_of).collect();
        let wanted = node.get(tag).map(|entry| &entry.node);
        let text = wanted.and_then(Node::text);
        let chosen = branches
            .iter()
            .find(|branch| text.is_some() && value_of(branch) == text);
        let listed: Vec<String> = all.iter().map(|value| format!("{value:?}")).collect();
        let write = format!("write {tag} = {}", one_of(&listed));
        match (chosen, wanted) {
            (Some(branch), _) => self.value(node, *branch, name),
            (None, None) => {
                let message = format!("`{tag}` is missing in `{name}`");
                self.push(node, Code::MissingKey, message, write);
            }
            (None, Some(wanted)) => {
                let help = match text.and_then(|text| nearest(text, all.iter().copied())) {
                    Some(near) => format!("write {near:?}"),
                    None => write,
                };
                let message = format!(
                    "`{tag}` cannot be {:?} in `{name}`",
                    text.unwrap_or_default()
                );
                let finding = Diagnostic::new(Code::NotAllowed, wanted.span.clone(), message);
                self.findings.push(finding.help(help));
            }
        }
    }

    /// Tries every branch; when none fits, the one with the fewest complaints speaks.
    fn best(&mut self, node: &mut Node, branches: &[Schema<'s>], name: &str) {
        let mut best: Option<(Vec<Diagnostic>, Node)> = None;
        for branch in branches {
            let mut trial = node.clone();
            let before = self.findings.len();
            self.value(&mut trial, *branch, name);
            let complaints = self.findings.split_off(before);
            if best
                .as_ref()
                .is_none_or(|(least, _)| complaints.len() < least.len())
            {
                best = Some((complaints, trial));
            }
        }
        if let Some((complaints, trial)) = best {
            self.findings.extend(complaints);
            *node = trial;
        }
    }
}

/// `a, b or c`, for messages.
pub(super) fn one_of(choices: &[String]) -> String {
    match choices.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => choices.concat(),
    }
}

/// The key that tells the branches apart: each has it, with one value.
fn common_tag<'s>(branches: &[Schema<'s>]) -> Option<&'s str> {
    let first = branches.first().filter(|_| branches.len() > 1)?;
    first.properties().map(|(name, _)| name).find(|name| {
        let is_tag = |branch: &Schema<'s>| branch.property(name)?.schema.text("const");
        branches.iter().all(|branch| is_tag(branch).is_some())
    })
}
