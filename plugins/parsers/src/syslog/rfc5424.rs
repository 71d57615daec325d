//! Messages of RFC 5424.

use sdk::{event::Time, parser::ParseError};

use super::{Syslog, word};

/// The parts of a message.
#[derive(Debug)]
pub(super) struct Message<'t> {
    time: &'t [u8],
    host: &'t [u8],
    ident: &'t [u8],
    pid: &'t [u8],
    msgid: &'t [u8],
    extradata: &'t [u8],
    text: Option<&'t [u8]>,
}

/// What is behind the version and its blank, when a version comes next: a number of at most three digits.
pub(super) fn behind_version(text: &[u8]) -> Option<&[u8]> {
    let (version, rest) = word(text)?;
    let is_version = matches!(version, [b'1'..=b'9', more @ ..] if more.len() < 3 && more.iter().all(u8::is_ascii_digit));
    is_version.then_some(rest)
}

impl<'t> Message<'t> {
    /// Takes a message apart that stands behind its version.
    pub(super) fn read(text: &'t [u8]) -> Result<Self, ParseError> {
        let mut rest = text;
        let mut next = |what: &str| {
            let (part, behind) = word(rest)
                .filter(|(part, _)| !part.is_empty())
                .ok_or_else(|| ParseError::new(format!("the message ends before its {what}")))?;
            rest = behind;
            Ok(part)
        };
        let time = next("host")?;
        let host = next("program")?;
        let ident = next("process")?;
        let pid = next("message id")?;
        let msgid = next("structured data")?;
        let end = data_end(rest).ok_or_else(|| {
            ParseError::new("the structured data of the message is not as in RFC 5424")
        })?;
        let (extradata, behind) = rest.split_at_checked(end).unwrap_or_default();
        let message = match behind.split_first() {
            None => None,
            Some((b' ', message)) => Some(
                message
                    .strip_prefix("\u{feff}".as_bytes())
                    .unwrap_or(message),
            ),
            Some(_) => return Err(ParseError::new("more text follows the structured data")),
        };
        Ok(Self {
            time,
            host,
            ident,
            pid,
            msgid,
            extradata,
            text: message.filter(|message| !message.is_empty()),
        })
    }

    pub(super) fn write(
        &self,
        parser: &Syslog,
        pri: Option<u64>,
        record: &mut Vec<u8>,
    ) -> Result<Option<Time>, ParseError> {
        let rules = &parser.rfc5424;
        let time = match self.time {
            b"-" => None,
            text => Some(rules.times.read(text).ok_or_else(|| {
                ParseError::new("the time of the message is not as rfc5424_time_format says")
            })?),
        };
        let columns = &parser.columns;
        let mut fields = columns.begin(rules, record, pri);
        fields.column(&columns.host, self.host)?;
        fields.column(&columns.ident, self.ident)?;
        fields.column(&columns.pid, self.pid)?;
        fields.column(&columns.msgid, self.msgid)?;
        fields.column(&columns.extradata, self.extradata)?;
        if let Some(message) = self.text {
            fields.column(&columns.message, message)?;
        }
        if rules.keeps_time_key() {
            fields.column(&columns.time, self.time)?;
        }
        fields.end();
        Ok(time)
    }
}

/// Where the structured data ends: `-`, or elements such as `[id a="b\]"]` side by side.
fn data_end(text: &[u8]) -> Option<usize> {
    if text.first() == Some(&b'-') {
        return Some(1);
    }
    let mut at = 0;
    while text.get(at) == Some(&b'[') {
        at += element_end(text.get(at..)?)?;
    }
    (at > 0).then_some(at)
}

fn element_end(text: &[u8]) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (index, byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b']' if !is_quoted => return Some(index + 1),
            _ => {}
        }
    }
    None
}
