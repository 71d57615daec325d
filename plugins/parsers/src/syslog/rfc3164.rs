//! Messages of RFC 3164, and of what is sent under its name.

use sdk::{event::Time, parser::ParseError};

use super::{Syslog, word};

/// The parts of a message.
#[derive(Debug)]
pub(super) struct Message<'t> {
    time: &'t [u8],
    host: &'t [u8],
    ident: Option<&'t [u8]>,
    pid: Option<&'t [u8]>,
    text: &'t [u8],
    is_iso: bool,
}

impl<'t> Message<'t> {
    /// Takes a message apart that stands behind its priority.
    pub(super) fn read(text: &'t [u8], parser: &Syslog) -> Result<Self, ParseError> {
        // `2026-01-10T...`: what rsyslog calls the forward format.
        let is_iso = text.get(4) == Some(&b'-') && text.get(10) == Some(&b'T');
        let words = if is_iso { 1 } else { parser.time_words };
        let short = || ParseError::new("the message ends before its host");
        let (time, rest) = words_of(text, words).ok_or_else(short)?;
        let (host, rest) = word(rest).ok_or_else(short)?;
        let (ident, pid, text) = content(rest, parser.colonless);
        Ok(Self {
            time,
            host,
            ident,
            pid,
            text,
            is_iso,
        })
    }

    pub(super) fn write(
        &self,
        parser: &Syslog,
        pri: Option<u64>,
        record: &mut Vec<u8>,
    ) -> Result<Option<Time>, ParseError> {
        let rules = &parser.rfc3164;
        let of_time = if self.is_iso { &parser.rfc5424 } else { rules };
        let time = of_time
            .times
            .read(self.time)
            .or_else(|| rules.times.read(self.time))
            .ok_or_else(|| ParseError::new("the time of the message is not as time_format says"))?;
        let columns = &parser.columns;
        let mut fields = columns.begin(rules, record, pri);
        fields.column(&columns.host, self.host)?;
        if let Some(ident) = self.ident {
            fields.column(&columns.ident, ident)?;
        }
        if let Some(pid) = self.pid {
            fields.column(&columns.pid, pid)?;
        }
        fields.column(&columns.message, self.text)?;
        if rules.keeps_time_key() {
            fields.column(&columns.time, self.time)?;
        }
        fields.end();
        Ok(Some(time))
    }
}

/// The first words, which more than one blank may stand between (`Jan  9`), and what is behind them.
fn words_of(text: &[u8], count: usize) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    for index in 0..count {
        let rest = text.get(at..)?;
        let blanks = match index {
            0 => 0,
            _ => rest.iter().take_while(|byte| **byte == b' ').count(),
        };
        at += blanks + memchr::memchr(b' ', rest.get(blanks..)?)?;
        if index + 1 < count {
            at += 1;
        }
    }
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The program, its process and the text of `program[7]: text`.
fn content(text: &[u8], colonless: bool) -> (Option<&[u8]>, Option<&[u8]>, &[u8]) {
    let end = text
        .iter()
        .position(|byte| matches!(byte, b' ' | b':' | b'['));
    let (ident, rest) = text
        .split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or_default();
    let (pid, behind) = match process(rest) {
        Some((pid, behind)) => (Some(pid), behind),
        None => (None, rest),
    };
    match behind.split_first() {
        Some((b':', message)) => {
            let message = message.strip_prefix(b" ").unwrap_or(message);
            (Some(ident).filter(|ident| !ident.is_empty()), pid, message)
        }
        Some((b' ', message)) if colonless && !ident.is_empty() => (Some(ident), pid, message),
        _ => (None, None, text),
    }
}

/// `[7]` and what is behind it.
fn process(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = text.strip_prefix(b"[")?;
    let end = rest.iter().position(|byte| matches!(byte, b']' | b' '))?;
    let (pid, rest) = rest.split_at_checked(end)?;
    Some((pid, rest.strip_prefix(b"]")?))
}
