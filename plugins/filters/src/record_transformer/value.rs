//! A value to be set, compiled: constant bytes where possible, templates where not.

use sdk::{
    config::Template,
    event::{FieldPath, Fields, Time},
    msgpack::{DEPTH_MAX, RawValue, write},
};

/// The head of a list of one item.
const ONE_ITEM: u8 = 0x91;

/// Sets one field.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) place: Place,
    pub(super) value: Value,
    /// Whether the record may become too deep by it, which is then checked for each event.
    pub(super) may_deepen: bool,
}

/// Where a value goes.
#[derive(Debug)]
pub(super) enum Place {
    /// A top-level key.
    Key(String),
    /// A field below the top level.
    Path(FieldPath),
    /// A top-level key with placeholders.
    Rendered(Template),
}

/// What is set.
#[derive(Debug)]
pub(super) enum Value {
    /// The same bytes for every event.
    Constant(Vec<u8>),
    /// A field with its type, and the text that stands for a missing one.
    Field(FieldPath, Option<String>),
    /// Text with placeholders.
    Text(Template),
    /// A list with placeholders inside.
    List(Vec<Value>),
    /// A table with placeholders inside.
    Table(Vec<(Template, Value)>),
}

/// The record would be nested deeper than a record may be.
#[derive(Debug, thiserror::Error)]
#[error("the record would be nested deeper than {DEPTH_MAX} levels")]
pub(super) struct TooDeep;

impl Assignment {
    /// Appends the value. Reads the fields as they are now.
    ///
    /// # Errors
    /// [`TooDeep`]; nil is appended then.
    pub(super) fn write(
        &self,
        fields: &Fields<'_>,
        hostname: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), TooDeep> {
        if !self.may_deepen {
            self.value.write(fields, hostname, out);
            return Ok(());
        }
        // The levels above the value are written as lists of one item, so that one pass checks the whole depth.
        let start = out.len();
        let behind = start + self.levels_above();
        out.resize(behind, ONE_ITEM);
        self.value.write(fields, hostname, out);
        if RawValue::parse(out.get(start..).unwrap_or_default()).is_ok() {
            out.drain(start..behind);
            return Ok(());
        }
        out.truncate(start);
        write::nil(out);
        Err(TooDeep)
    }

    /// Whether the value, when it is constant, fits in a record.
    pub(super) fn constant_fits(&self) -> bool {
        let Value::Constant(bytes) = &self.value else {
            return true;
        };
        let mut nested = vec![ONE_ITEM; self.levels_above()];
        nested.extend_from_slice(bytes);
        RawValue::parse(&nested).is_ok()
    }

    /// The maps around the value, with the record itself.
    fn levels_above(&self) -> usize {
        match &self.place {
            Place::Path(path) => path.depth(),
            Place::Key(_) | Place::Rendered(_) => 1,
        }
    }

    /// The key, where it has placeholders.
    pub(super) fn rendered_key(&self, fields: &Fields<'_>, hostname: &str) -> Option<String> {
        let Place::Rendered(template) = &self.place else {
            return None;
        };
        let mut key = String::new();
        template.render(fields, hostname, &mut key);
        Some(key)
    }
}

impl Value {
    fn write(&self, fields: &Fields<'_>, hostname: &str, out: &mut Vec<u8>) {
        match self {
            Self::Constant(bytes) => out.extend_from_slice(bytes),
            Self::Field(path, default) => match (fields.get(path), default) {
                (Some(value), _) => out.extend_from_slice(value.bytes()),
                (None, Some(default)) => write::str(out, default),
                // Fluentd sets nil.
                (None, None) => write::nil(out),
            },
            Self::Text(template) => write_text(template, fields, hostname, out),
            Self::List(items) => {
                write::array(out, count(items.len()));
                for item in items {
                    item.write(fields, hostname, out);
                }
            }
            Self::Table(pairs) => {
                write::map(out, count(pairs.len()));
                for (key, value) in pairs {
                    write_text(key, fields, hostname, out);
                    value.write(fields, hostname, out);
                }
            }
        }
    }
}

/// Renders in place and then makes room for the head of the str, whose length is known only now.
fn write_text(template: &Template, fields: &Fields<'_>, hostname: &str, out: &mut Vec<u8>) {
    let start = out.len();
    template.render_bytes(fields, hostname, out);
    let (head, len) = str_head(out.len() - start);
    let head = head.get(..len).unwrap_or_default();
    out.splice(start..start, head.iter().copied());
}

/// The head of a str of `len` bytes, in the shortest form, and its length.
fn str_head(len: usize) -> ([u8; 5], usize) {
    let [a, b, c, d] = count(len).to_be_bytes();
    match len {
        0..=31 => ([0xa0 | d, 0, 0, 0, 0], 1),
        32..=0xff => ([0xd9, d, 0, 0, 0], 2),
        0x100..=0xffff => ([0xda, c, d, 0, 0], 3),
        _ => ([0xdb, a, b, c, d], 5),
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Seconds with up to nine digits of a fraction, exactly; other numbers as floats.
pub(super) fn time_of_text(text: &str) -> Option<Time> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let exact = !whole.starts_with('-') && fraction.len() <= 9;
    if let (true, Ok(secs), true) = (
        exact,
        whole.parse(),
        fraction.bytes().all(|b| b.is_ascii_digit()),
    ) {
        let nanos = format!("{fraction:0<9}").parse().unwrap_or_default();
        return Some(Time { secs, nanos });
    }
    Time::from_f64(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_seconds() {
        let time = |secs, nanos| Some(Time { secs, nanos });
        assert_eq!(time_of_text("1700000000"), time(1_700_000_000, 0));
        assert_eq!(
            time_of_text(" 1700000000.123456789 "),
            time(1_700_000_000, 123_456_789)
        );
        assert_eq!(time_of_text("1.5"), time(1, 500_000_000));
        assert_eq!(time_of_text("-1.5"), time(-2, 500_000_000));
        assert_eq!(time_of_text("1e3"), time(1_000, 0));
        for text in ["", "soon", "1.2.3", "NaN", "1e300"] {
            assert_eq!(time_of_text(text), None, "{text}");
        }
    }

    #[test]
    fn the_head_of_a_str_has_the_shortest_form() {
        for len in [0, 31, 32, 255, 256, 65_535, 65_536] {
            let mut whole = Vec::new();
            write::str(&mut whole, &"x".repeat(len));
            let (head, head_len) = str_head(len);
            assert_eq!(head[..head_len], whole[..whole.len() - len], "{len}");
        }
    }
}
