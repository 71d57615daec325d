//! Log lines for people: what would end a line or command a terminal is written as an escape, so that no sender can
//! write lines of its own. JSON does so by itself.

use std::fmt::{self, Write};

use tracing::field::Field;
use tracing_subscriber::fmt::format::Writer;

/// Writes one field of a line.
///
/// # Errors
/// Those of the writer.
pub(super) fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let mut escaping = Escaping(writer);
    match field.name() {
        "message" => write!(escaping, "{value:?}"),
        name => write!(escaping, "{name}={value:?}"),
    }
}

/// Passes text on, harmless.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(is_harmful) {
            match piece.chars().next_back().filter(|last| is_harmful(*last)) {
                None => self.0.write_str(piece)?,
                Some(last) => {
                    let len = piece.len() - last.len_utf8();
                    self.0.write_str(piece.get(..len).unwrap_or_default())?;
                    write!(self.0, "{}", last.escape_default())?;
                }
            }
        }
        Ok(())
    }
}

/// Control characters of both kinds, separators of lines, and what turns the direction of writing.
fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_harmful_is_left_and_the_rest_is_as_it_was() {
        let escaped = |text: &str| {
            let mut out = String::new();
            Escaping(&mut out).write_str(text).unwrap();
            out
        };
        assert_eq!(escaped("caf\u{e9} \\ \"x\""), "caf\u{e9} \\ \"x\"");
        assert_eq!(
            escaped("a\u{1b}[31m\r\nb\u{9b}1m\u{2028}\u{202e}c\0"),
            "a\\u{1b}[31m\\r\\nb\\u{9b}1m\\u{2028}\\u{202e}c\\u{0}"
        );
        assert_eq!(escaped("\n\n"), "\\n\\n");
        assert_eq!(escaped(""), "");
    }
}
