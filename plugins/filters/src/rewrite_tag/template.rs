//! The new tag: text with the old tag, its parts, the host and what the expression captured.

use std::sync::LazyLock;

use regex::{Regex, bytes::Captures};

/// A compiled `tag` of a rule.
#[derive(Debug)]
pub(super) struct NewTag(Vec<Segment>);

#[derive(Debug)]
enum Segment {
    Literal(String),
    Tag,
    TagPart(isize),
    Hostname,
    Capture(usize),
}

/// What the placeholders stand for.
pub(super) struct Values<'v> {
    /// The old tag, without what is to be removed.
    pub(super) tag: &'v str,
    /// The parts of the whole old tag.
    pub(super) parts: &'v [&'v str],
    pub(super) hostname: &'v str,
    pub(super) captures: Option<Captures<'v>>,
    pub(super) capitalizes: bool,
}

/// `${name}`, `__NAME__` and `$1`. `None` where the expression is wrong, which a test excludes.
static PLACEHOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"\$\{(?<name>[^}]*)\}|__(?<old>TAG|HOSTNAME|TAG_PARTS\[[^\]]*\])__|\$(?<number>\d+)",
    )
    .ok()
});

impl NewTag {
    /// # Errors
    /// What is wrong with the text, and what to write.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut segments = Vec::new();
        let mut end = 0;
        let placeholders = PLACEHOLDER
            .iter()
            .flat_map(|regex| regex.captures_iter(text));
        for found in placeholders {
            let Some(whole) = found.get(0) else { continue };
            segments.extend(literal(text.get(end..whole.start())));
            end = whole.end();
            let name = found.name("name").or_else(|| found.name("old"));
            segments.push(match (name, found.name("number")) {
                (Some(name), _) => placeholder(&name.as_str().to_ascii_lowercase())
                    .ok_or_else(|| unknown(whole.as_str()))?,
                (None, Some(number)) => {
                    let number = number.as_str().parse();
                    Segment::Capture(number.map_err(|_| unknown(whole.as_str()))?)
                }
                (None, None) => return Err(unknown(whole.as_str())),
            });
        }
        segments.extend(literal(text.get(end..)));
        Ok(Self(segments))
    }

    /// The highest capture that it asks for.
    pub(super) fn captures(&self) -> usize {
        let captures = self.0.iter().map(|segment| match segment {
            Segment::Capture(number) => *number,
            _ => 0,
        });
        captures.max().unwrap_or(0)
    }

    /// Appends the new tag.
    pub(super) fn render(&self, values: &Values<'_>, out: &mut String) {
        for segment in &self.0 {
            match segment {
                Segment::Literal(text) => out.push_str(text),
                Segment::Tag => out.push_str(values.tag),
                Segment::Hostname => out.push_str(values.hostname),
                Segment::TagPart(index) => {
                    let count = values.parts.len();
                    let at = usize::try_from(*index).ok();
                    let at = at.or_else(|| count.checked_sub(index.unsigned_abs()));
                    let part = at.and_then(|at| values.parts.get(at));
                    out.push_str(part.copied().unwrap_or_default());
                }
                Segment::Capture(number) => {
                    let captured = values.captures.as_ref().and_then(|all| all.get(*number));
                    let text = captured.map(|found| String::from_utf8_lossy(found.as_bytes()));
                    let text = text.unwrap_or_default();
                    if values.capitalizes {
                        capitalize(&text, out);
                    } else {
                        out.push_str(&text);
                    }
                }
            }
        }
    }
}

fn literal(text: Option<&str>) -> Option<Segment> {
    let text = text.filter(|text| !text.is_empty())?;
    Some(Segment::Literal(text.to_owned()))
}

fn placeholder(name: &str) -> Option<Segment> {
    match name {
        "tag" => Some(Segment::Tag),
        "hostname" => Some(Segment::Hostname),
        _ => {
            let index = name.strip_prefix("tag_parts[")?.strip_suffix(']')?;
            index.parse().ok().map(Segment::TagPart)
        }
    }
}

fn unknown(text: &str) -> String {
    format!(
        "there is no placeholder `{text}`; use ${{tag}}, ${{tag_parts[N]}}, ${{hostname}} or $1, $2 and so on"
    )
}

/// The first letter large, the others small, as Ruby does it.
fn capitalize(text: &str, out: &mut String) {
    let mut letters = text.chars();
    if let Some(first) = letters.next() {
        out.extend(first.to_uppercase());
        out.push_str(&letters.as_str().to_lowercase());
    }
}
