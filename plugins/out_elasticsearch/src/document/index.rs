//! Names of indexes: from placeholders to what Elasticsearch takes.

use sdk::{
    config::{EventView, Template, Zone},
    event::{FieldPath, Tag, Time},
    msgpack::RawValue,
};

/// Longest name, in bytes. Source: Elasticsearch, "index name ... is too long".
const NAME_LEN_MAX: usize = 255;
/// What a name cannot have; control characters and upper case neither.
const FORBIDDEN: [char; 13] = [
    '\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':', '\u{7f}',
];
/// What a name cannot begin with; a dot in front belongs to the server's own indexes.
const FORBIDDEN_FIRST: [char; 4] = ['-', '_', '+', '.'];
/// Conversions of strftime that stay the same all day long.
const DAILY: &str = "YyCGgmbBhdeDFjUWVuwaAZz-_0^#%";
/// Those that stay the same for a minute.
const MINUTELY: &str = "HIklMpPRnt:";

/// What names are made from: tag, time and, where the name asks for them, fields of the record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) tag: &'a Tag,
    pub(crate) time: Time,
    pub(crate) record: Option<RawValue<'a>>,
}

impl EventView for View<'_> {
    fn tag(&self) -> &Tag {
        self.tag
    }
    fn time(&self) -> Time {
        self.time
    }
    fn field(&self, path: &FieldPath) -> Option<RawValue<'_>> {
        path.find(self.record?)
    }
}

/// The name of the index with its placeholders.
#[derive(Debug, Clone)]
pub(crate) struct IndexName {
    template: Template,
    zone: Zone,
    /// Length of what the operator wrote in front of everything that is filled in.
    prefix_len: usize,
    /// Nothing is filled in.
    is_literal: bool,
    /// Names are the same within so many seconds; `None`: never known.
    period_secs: Option<i64>,
}

impl IndexName {
    /// Compiles a name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(text: &str, zone: Zone) -> Result<Self, String> {
        let template: Template = text
            .parse()
            .map_err(|error| format!("index name {text:?}: {error}"))?;
        let prefix = template.literal_prefix();
        if prefix.starts_with(['-', '_', '+']) {
            return Err(format!(
                "an index name cannot begin as {text:?} does: not with `-`, `_` or `+`"
            ));
        }
        let name = Self {
            prefix_len: prefix.len(),
            is_literal: prefix.len() == text.len(),
            period_secs: period_secs(&template, text, &zone),
            template,
            zone,
        };
        let tag = Tag::new("a");
        let sample = View {
            tag: &tag,
            time: Time::default(),
            record: None,
        };
        // Not in the zone of this host, which would have to be looked up.
        let rendered = name.fill_in(&sample, "a", &Zone::UTC);
        if let Some(wrong) = rendered.chars().find(|c| is_forbidden(*c)) {
            return Err(format!(
                "an index name cannot have {wrong:?}, as {text:?} does"
            ));
        }
        if text.is_empty() {
            return Err("the index name is empty".into());
        }
        Ok(name)
    }

    /// A pattern for all names that it can make.
    pub(crate) fn pattern(&self) -> String {
        let prefix = self.template.literal_prefix().to_lowercase();
        let end = if self.is_literal { "" } else { "*" };
        format!("{prefix}{end}")
    }

    /// The one name, when nothing is filled in.
    pub(crate) fn literal(&self) -> Option<String> {
        let name = self.template.literal_prefix().to_lowercase();
        self.is_literal.then_some(name)
    }

    /// Whether names depend on fields of the record.
    pub(crate) fn reads_records(&self) -> bool {
        self.template.reads_records()
    }

    /// The same number means the same name, for events with the same tag. `None`: ask each time.
    #[inline]
    pub(crate) fn period(&self, time: Time) -> Option<i64> {
        self.period_secs.map(|secs| time.secs.div_euclid(secs))
    }

    /// The name for one event.
    ///
    /// # Errors
    /// Why there is no such index, without content.
    pub(crate) fn render(&self, event: &View<'_>, hostname: &str) -> Result<String, String> {
        let mut name = self.fill_in(event, hostname, &self.zone);
        if name.chars().any(|c| is_forbidden(c) || c.is_uppercase()) {
            name = name.to_lowercase().replace(is_forbidden, "_");
        }
        if self.prefix_len == 0 {
            let cut = name.len() - name.trim_start_matches(FORBIDDEN_FIRST).len();
            name.drain(..cut);
        }
        fits(name)
    }

    fn fill_in(&self, event: &View<'_>, hostname: &str, zone: &Zone) -> String {
        let mut name = String::new();
        self.template
            .render_time(event, hostname, &zone.get(), &mut name, |value, out| {
                out.push_str(value);
            });
        name
    }
}

fn fits(name: String) -> Result<String, String> {
    match name.len() {
        0 => Err("the index name is empty once it is filled in".into()),
        1..=NAME_LEN_MAX if name != "." && name != ".." => Ok(name),
        len => Err(format!(
            "the index name has {len} bytes; it can have {NAME_LEN_MAX}, and cannot be `.` or `..`"
        )),
    }
}

/// The index that a record names as a whole. Only upper case is mended: another character would make it another
/// index, and one of the system is none of a sender's business.
///
/// # Errors
/// It is no name of an index, or one of the system. Without content.
pub(crate) fn given(text: &str) -> Result<String, String> {
    if text.starts_with(FORBIDDEN_FIRST) || text.contains(is_forbidden) {
        let message =
            "the field `target_index_key` holds what no index can be called, or one of the system";
        return Err(message.into());
    }
    fits(text.to_lowercase())
}

fn is_forbidden(c: char) -> bool {
    FORBIDDEN.contains(&c) || c.is_control()
}

/// How long a name stays the same.
fn period_secs(template: &Template, text: &str, zone: &Zone) -> Option<i64> {
    if template.reads_records() {
        return None;
    }
    let mut only_days = *zone == Zone::UTC;
    for conversion in text.split('%').skip(1) {
        // Flags stand before the letter; both lists have them.
        let flags = conversion
            .find(|c: char| !"-_0^#:".contains(c))
            .unwrap_or(0);
        let letter = conversion
            .get(flags..)
            .and_then(|rest| rest.chars().next())
            .unwrap_or('%');
        if !DAILY.contains(letter) {
            only_days = false;
            if !MINUTELY.contains(letter) {
                return None;
            }
        }
    }
    // Offsets of zones are whole minutes.
    Some(if only_days { 86_400 } else { 60 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn render(template: &str, tag: &str, secs: i64) -> Result<String, String> {
        let tag = Tag::new(tag);
        let view = View {
            tag: &tag,
            time: Time { secs, nanos: 7 },
            record: None,
        };
        IndexName::new(template, Zone::UTC)
            .unwrap()
            .render(&view, "Host_1")
    }

    #[test]
    fn placeholders_are_filled_in_and_cleaned() {
        let check = |template, tag, expected: &str| {
            assert_eq!(
                render(template, tag, 1_764_000_000),
                Ok(expected.to_owned()),
                "{template} {tag}"
            );
        };
        check("logs-${tag}-%Y.%m.%d", "app.Web", "logs-app.web-2025.11.24");
        check("logs-${tag}", "../etc", "logs-.._etc");
        check("Logs-${tag}", "<a-{now/d}>", "logs-_a-{now_d}_");
        check("logs-${tag}", "a b\n*?\"|,#:\\", "logs-a_b_________");
        check("logs-%b", "", "logs-nov");
        check("${tag}-x", ".security", "security-x");
        check("${tag}x", "+-_..", "x");
        check(".ds-${tag}", "a", ".ds-a");
        check("${hostname}-${tag_parts[1]:-none}", "a", "host_1-none");
        check("한글-${tag}", "É", "한글-é");
    }

    #[test]
    fn what_is_left_empty_or_too_long_is_no_name() {
        assert!(render("${tag}", "...", 0).unwrap_err().contains("empty"));
        assert!(
            render("l-${tag}", &"x".repeat(254), 0)
                .unwrap_err()
                .contains("256 bytes")
        );
        assert_eq!(render("l-${tag}", &"x".repeat(253), 0).unwrap().len(), 255);
    }

    #[test]
    fn a_whole_name_is_taken_as_it_is_or_not_at_all() {
        assert_eq!(given("App-2026.11").as_deref(), Ok("app-2026.11"));
        assert_eq!(given("\u{130}").as_deref(), Ok("i\u{307}"));
        let cases = [
            "",
            ".security",
            "..",
            "_all",
            "-a",
            "+a",
            "a b",
            "a/b",
            "a*",
            "a,b",
            "<a-{now/d}>",
            "a:b",
            "a#b",
            "a\nb",
            "a\\b",
            "../etc",
        ];
        for text in cases {
            let message = given(text).unwrap_err();
            assert!(
                text.is_empty() || !message.contains(text),
                "{text:?}: {message}"
            );
        }
        assert!(given(&"x".repeat(255)).is_ok());
        assert!(given(&"x".repeat(256)).unwrap_err().contains("256 bytes"));
    }

    #[test]
    fn literal_text_must_be_right_before_it_runs() {
        for text in [
            "",
            "-a",
            "_a",
            "+a",
            "a b",
            "a/b",
            "logs-%H:%M",
            "a-${tag",
            "a-${what}",
        ] {
            assert!(IndexName::new(text, Zone::UTC).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_name_is_kept_as_long_as_it_cannot_change() {
        let period = |text: &str, zone| IndexName::new(text, zone).unwrap().period_secs;
        let seoul = "Asia/Seoul".parse().unwrap();
        assert_eq!(period("a-${tag}", Zone::UTC), Some(86_400));
        assert_eq!(period("a-%Y.%m.%-d", Zone::UTC), Some(86_400));
        assert_eq!(period("a-%Y.%m.%d", seoul), Some(60));
        assert_eq!(period("a-%Y.%m.%d.%H", Zone::UTC), Some(60));
        assert_eq!(period("a-%s", Zone::UTC), None);
        assert_eq!(period("a-${record.a}", Zone::UTC), None);
    }
}
