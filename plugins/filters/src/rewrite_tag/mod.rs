//! Filter `rewrite_tag`: gives events another tag by what their fields say.

mod config;
mod template;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Instant};

pub use config::{Config, EmitMode, Rule, Unmatched};
use sdk::{
    config::{ConfigError, ConfigErrors, Pattern},
    event::{Batch, FieldPath, RawEvent, TAG_LEN_MAX, Tag},
    json,
    msgpack::{RawValue, Token, write_text},
    plugin::{Build, BuildCx, Descriptor, Stability},
    stateful::{Outbox, StatefulFilter},
};
use template::{NewTag, Values};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "rewrite_tag",
    aliases: &["rewrite_tag_filter"],
    stability: Stability::Stable,
    summary: "Gives events another tag by what their fields say",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Stateful(build),
};

struct RewriteTag {
    rules: Vec<Compiled>,
    unmatched: Unmatched,
    capitalizes: bool,
    remove_prefix: Option<String>,
    remove_pattern: Option<Pattern>,
    hostname: Arc<str>,
    rendered: String,
    /// The tag that was made last: the next event often has the same.
    last: Tag,
}

struct Compiled {
    key: FieldPath,
    pattern: Pattern,
    tag: NewTag,
    invert: bool,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Box<dyn StatefulFilter>, ConfigErrors> {
    let config: Config = sdk::config::parse(params)?;
    let mut errors = Vec::new();
    if config.rule.0.is_empty() {
        let error = ConfigError::at("", "rewrite_tag has no rule, so it changes nothing");
        let help = "write one, as in [[filter.rule]] with `key`, `pattern` and `tag`";
        errors.push(error.help(help));
    }
    if config.hostname_command.is_some() {
        let error = ConfigError::at(
            "/hostname_command",
            "no command is run to learn the name of this host",
        );
        errors.push(error.help(
            "leave it out; ${hostname} is the name of this host, and ${env:NAME} is what you set",
        ));
    }
    let mut rules = Vec::new();
    for (index, rule) in config.rule.0.into_iter().enumerate() {
        rules.extend(compile(&format!("/rule/{index}"), rule, &mut errors));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Box::new(RewriteTag {
        rules,
        unmatched: config.unmatched,
        capitalizes: config.capitalize_regex_backreference,
        remove_prefix: config.remove_tag_prefix.filter(|prefix| !prefix.is_empty()),
        remove_pattern: config.remove_tag_regexp,
        hostname: Arc::clone(&cx.hostname),
        rendered: String::new(),
        last: Tag::new(""),
    }))
}

fn compile(at: &str, rule: Rule, errors: &mut ConfigErrors) -> Option<Compiled> {
    if rule.label.is_some() {
        let error = ConfigError::at(
            format!("{at}/label"),
            "a filter cannot move an event to another label",
        );
        errors.push(
            error.help("leave it out, and write a match of type \"relabel\" for the new tag"),
        );
    }
    let tag = match NewTag::new(&rule.tag) {
        Ok(tag) => tag,
        Err(message) => {
            let (message, help) = message.split_once("; ").unwrap_or((&message, ""));
            errors.push(ConfigError::at(format!("{at}/tag"), message).help(help));
            return None;
        }
    };
    let captures = rule.pattern.regex().captures_len() - 1;
    let asked = tag.captures();
    if asked > 0 && (rule.invert || asked > captures) {
        let message = if rule.invert {
            format!("`${asked}` is always empty: with `invert` nothing is captured")
        } else {
            format!("`${asked}` is always empty: the pattern captures {captures}")
        };
        let error = ConfigError::at(format!("{at}/tag"), message);
        errors.push(error.help("put parentheses around what the tag shall hold"));
    }
    Some(Compiled {
        key: rule.key,
        pattern: rule.pattern,
        tag,
        invert: rule.invert,
    })
}

/// A tag that cannot be.
struct TooLong;

impl RewriteTag {
    /// The old tag as `${tag}` shows it.
    fn shown(&self, tag: &Tag) -> String {
        let mut text = tag.as_str();
        if let Some(rest) = self
            .remove_prefix
            .as_deref()
            .and_then(|prefix| text.strip_prefix(prefix))
        {
            text = rest.strip_prefix('.').unwrap_or(rest);
        }
        match &self.remove_pattern {
            Some(pattern) => {
                let rest = pattern.regex().replace_all(text.as_bytes(), &b""[..]);
                String::from_utf8_lossy(&rest).into_owned()
            }
            None => text.to_owned(),
        }
    }

    /// The new tag; `None` when no rule matches.
    fn tag(
        &mut self,
        record: RawValue<'_>,
        shown: &str,
        parts: &[&str],
    ) -> Option<Result<Tag, TooLong>> {
        let mut text = Vec::new();
        for rule in &self.rules {
            text.clear();
            let text = text_of(rule.key.find(record), &mut text);
            if text.is_empty() && !rule.invert {
                continue;
            }
            let captures = if rule.tag.captures() > 0 {
                rule.pattern.regex().captures(text)
            } else {
                None
            };
            let matches = captures.is_some() || rule.pattern.is_match(text);
            if matches == rule.invert {
                continue;
            }
            self.rendered.clear();
            let values = Values {
                tag: shown,
                parts,
                hostname: &self.hostname,
                captures,
                capitalizes: self.capitalizes,
            };
            rule.tag.render(&values, &mut self.rendered);
            if self.rendered.len() > TAG_LEN_MAX {
                return Some(Err(TooLong));
            }
            if self.last.as_str() != self.rendered {
                self.last = Tag::new(&self.rendered);
            }
            return Some(Ok(self.last.clone()));
        }
        None
    }

    fn one(
        &mut self,
        batch: &Batch,
        index: u32,
        event: &RawEvent<'_>,
        (shown, parts): (&str, &[&str]),
        out: &mut Outbox,
    ) {
        match self.tag(event.record, shown, parts) {
            Some(Ok(tag)) => out.retag(batch, index, event, &tag),
            Some(Err(TooLong)) => {
                let reason = format!("the new tag would be longer than {TAG_LEN_MAX} bytes");
                out.fail(batch, index, event, reason);
            }
            None if self.unmatched == Unmatched::Drop => out.drop_event(),
            None => out.pass(batch, index, event),
        }
    }
}

impl StatefulFilter for RewriteTag {
    fn filter(&mut self, batch: &Batch, _: Instant, out: &mut Outbox) {
        let shown = self.shown(&batch.tag);
        let parts: Vec<&str> = batch.tag.parts().collect();
        for (index, event) in (0..).zip(batch.entries().map_while(Result::ok)) {
            self.one(batch, index, &event, (&shown, &parts), out);
        }
    }
}

/// The text of a field, as Ruby writes it; of a list or table, its JSON.
fn text_of<'t>(value: Option<RawValue<'t>>, space: &'t mut Vec<u8>) -> &'t [u8] {
    let Some(value) = value else { return b"" };
    match value.token() {
        Token::Str(text) | Token::Bin(text) => text,
        Token::Nil => b"",
        Token::Array(_) | Token::Map(_) => {
            json::write_value(space, value);
            space
        }
        _ => {
            let mut text = String::new();
            // Writing to memory cannot fail.
            let _infallible = write_text(value, &mut text);
            space.extend_from_slice(text.as_bytes());
            space
        }
    }
}
