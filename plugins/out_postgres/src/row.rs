//! A record as a row in the text format of COPY.

use sdk::{
    event::{RawEvent, Tag},
    json::{Clash, Lead, Writer, write_time},
    msgpack::{RawValue, Token, write_text},
    output::{Failure, FailureKind},
};

use crate::settings::{Settings, Source};

/// What stands for NUL, which no text of `PostgreSQL` can hold.
const REPLACEMENT: &str = "\u{fffd}";
/// The same inside of JSON, in place of the six characters `\u0000`.
const NUL_IN_JSON: &[u8] = b"\\u0000";

/// Writes rows. Keeps its working space.
pub(crate) struct Rows<'a> {
    settings: &'a Settings,
    writer: Writer,
    lead: Lead,
    scratch: Vec<u8>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            writer: Writer::default(),
            lead: Lead::new(),
            scratch: Vec::new(),
        }
    }

    /// Appends a row.
    ///
    /// # Errors
    /// The record cannot be written; `out` is then as it was.
    pub(crate) fn write(
        &mut self,
        tag: &Tag,
        event: &RawEvent<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let start = out.len();
        let settings = self.settings;
        let mut replaced = false;
        for (index, source) in settings.sources.iter().enumerate() {
            if index > 0 {
                out.push(b'\t');
            }
            self.scratch.clear();
            match source {
                Source::Time => {
                    write_time(&mut self.scratch, event.time);
                    out.extend_from_slice(&self.scratch);
                }
                Source::Tag => replaced |= text(tag.as_str().as_bytes(), out),
                Source::Record => {
                    let mut clash = |_: &str, _: RawValue<'_>| Clash::Lead;
                    let written =
                        self.writer
                            .record(&mut self.scratch, &self.lead, event.record, &mut clash);
                    if let Err(error) = written {
                        out.truncate(start);
                        return Err(Failure::new(FailureKind::Serialize, error.to_string()));
                    }
                    replaced |= json(&self.scratch, out);
                }
                Source::Field(path) => {
                    let value = path.find(event.record);
                    replaced |= self.field(value, out);
                }
            }
        }
        out.push(b'\n');
        if replaced {
            settings.replaced.inc();
        }
        Ok(())
    }

    /// Returns whether NUL was replaced.
    fn field(&mut self, value: Option<RawValue<'_>>, out: &mut Vec<u8>) -> bool {
        let Some(value) = value.filter(|value| value.token() != Token::Nil) else {
            out.extend_from_slice(b"\\N");
            return false;
        };
        match value.token() {
            Token::Array(_) | Token::Map(_) => {
                self.writer.value(&mut self.scratch, value);
                json(&self.scratch, out)
            }
            // `EventTime` in the words of a timestamp.
            Token::Ext(..) => {
                self.writer.value(&mut self.scratch, value);
                let quoted = self.scratch.strip_prefix(b"\"");
                let inner = quoted.and_then(|inner| inner.strip_suffix(b"\""));
                text(inner.unwrap_or(&self.scratch), out)
            }
            _ => {
                let mut written = String::new();
                // Writing to memory cannot fail.
                let _infallible = write_text(value, &mut written);
                text(written.as_bytes(), out)
            }
        }
    }
}

/// Appends text, escaped for COPY. Returns whether NUL was replaced.
fn text(text: &[u8], out: &mut Vec<u8>) -> bool {
    let mut replaced = false;
    for byte in text {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0 => {
                replaced = true;
                out.extend_from_slice(REPLACEMENT.as_bytes());
            }
            other => out.push(*other),
        }
    }
    replaced
}

/// Appends JSON, escaped for COPY. JSON has no line feeds and tabs of its own, so only backslashes are doubled.
fn json(json: &[u8], out: &mut Vec<u8>) -> bool {
    let mut replaced = false;
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before);
        if escape.starts_with(NUL_IN_JSON) {
            replaced = true;
            out.extend_from_slice(REPLACEMENT.as_bytes());
            rest = escape.get(NUL_IN_JSON.len()..).unwrap_or_default();
            continue;
        }
        // An escape has two characters at least; the second may be a backslash, which then begins no escape.
        for byte in escape.iter().take(2) {
            if *byte == b'\\' {
                out.extend_from_slice(b"\\\\");
            } else {
                out.push(*byte);
            }
        }
        rest = escape.get(2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(write: fn(&[u8], &mut Vec<u8>) -> bool, from: &str) -> (String, bool) {
        let mut out = Vec::new();
        let replaced = write(from.as_bytes(), &mut out);
        (String::from_utf8(out).unwrap(), replaced)
    }

    #[test]
    fn text_is_escaped_for_copy_and_nul_is_replaced() {
        assert_eq!(
            escaped(text, "a\tb\\\n\r"),
            ("a\\tb\\\\\\n\\r".into(), false)
        );
        assert_eq!(escaped(text, "a\0"), ("a\u{fffd}".into(), true));
        assert_eq!(escaped(text, "\\N"), ("\\\\N".into(), false));
    }

    #[test]
    fn only_true_nul_of_json_is_replaced() {
        let same = |from: &str| (from.replace('\\', "\\\\"), false);
        for from in [
            r#"{"a":"b\n\"c"}"#,
            r#"{"a":"\\u0000"}"#,
            r#"{"a":"\\"}"#,
            r#"{"a":"\u001f"}"#,
        ] {
            assert_eq!(escaped(json, from), same(from), "{from}");
        }
        assert_eq!(
            escaped(json, r#"{"a":"x\u0000y"}"#),
            ("{\"a\":\"x\u{fffd}y\"}".into(), true)
        );
        assert_eq!(
            escaped(json, r#""\\\u0000""#),
            ("\"\\\\\\\\\u{fffd}\"".into(), true)
        );
    }
}
