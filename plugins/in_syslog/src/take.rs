//! From a message to an event: priority, parser, tag.

use std::sync::Arc;

use lines::{Gather, Keys, Message, Report, Take, set_fields, take_number, unmatched};
use sdk::{event::Tag, parser::Parser};

use crate::{Config, priority::Priority};

/// Makes events of messages.
pub(crate) struct Messages {
    parser: Arc<dyn Parser>,
    /// Whether the parser wants the priority too, and may write it into the record.
    takes_priority: bool,
    with_priority: bool,
    emit_unmatched_lines: bool,
    /// The tag for each priority.
    tags: Vec<Tag>,
    unmatched_tag: Tag,
    severity_key: Option<String>,
    facility_key: Option<String>,
    keys: Keys,
}

impl Messages {
    pub(crate) fn new(
        config: &Config,
        parser: Arc<dyn Parser>,
        takes_priority: bool,
        keys: Keys,
    ) -> Self {
        let tag = |priority: Priority| {
            let (facility, severity) = (priority.facility(), priority.severity());
            Tag::new(&format!("{}.{facility}.{severity}", config.tag))
        };
        Self {
            parser,
            takes_priority,
            with_priority: config.with_priority,
            emit_unmatched_lines: config.emit_unmatched_lines,
            tags: (0..Priority::COUNT)
                .filter_map(Priority::new)
                .map(tag)
                .collect(),
            unmatched_tag: Tag::new(&format!("{}.unmatched", config.tag)),
            severity_key: config.severity_key.clone(),
            facility_key: config.facility_key.clone(),
            keys,
        }
    }

    fn unmatched(&self, message: &Message<'_>, why: &str, report: &Report, gather: &mut Gather) {
        report.warn("unmatched", &format!("a message could not be read: {why}"));
        if self.emit_unmatched_lines {
            let mut record = unmatched(message.bytes);
            self.keys.set(&mut record, message.peer);
            gather.add(&self.unmatched_tag, message.now, &record);
        }
    }
}

impl Take for Messages {
    fn take(&self, message: &Message<'_>, report: &Report, gather: &mut Gather) {
        // Some senders end a message with a zero byte, or with a line feed besides its length.
        let mut text = message.bytes;
        while let [rest @ .., b'\n' | b'\r' | 0] = text {
            text = rest;
        }
        if text.is_empty() {
            return;
        }
        let (priority, behind) = match Priority::read(text) {
            Some(found) => found,
            None if self.with_priority => {
                let why = "it has no priority such as <34> in front";
                return self.unmatched(message, why, report, gather);
            }
            None => (Priority::NONE, text),
        };
        let mut record = Vec::with_capacity(text.len() + 128);
        let parsed = if self.takes_priority { text } else { behind };
        let time = match self.parser.parse(parsed, &mut record) {
            Ok(time) => time.unwrap_or(message.now),
            Err(error) => return self.unmatched(message, &error.to_string(), report, gather),
        };
        if self.takes_priority {
            let _in_the_tag_already = take_number(&mut record, "pri");
        }
        self.keys.set(&mut record, message.peer);
        if let Some(key) = &self.severity_key {
            set_fields(&mut record, &[(key, priority.severity())]);
        }
        if let Some(key) = &self.facility_key {
            set_fields(&mut record, &[(key, priority.facility())]);
        }
        if let Some(tag) = self.tags.get(usize::from(priority.number())) {
            gather.add(tag, time, &record);
        }
    }
}
