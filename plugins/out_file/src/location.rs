//! Where an event goes: the path with its placeholders filled in, held below its literal folder.

use std::path::PathBuf;

use jiff::tz::TimeZone;
use sdk::config::{EventView, Template, Zone};

/// Longest name of a file or folder, in bytes; leaves room for the endings that rotation adds.
const NAME_BYTES_MAX: usize = 200;

/// A path with placeholders.
#[derive(Debug)]
pub(crate) struct Location {
    template: Template,
    /// Bytes of the folder before the first placeholder, with the slash at its end.
    base_len: usize,
    zone: Zone,
    hostname: String,
    /// Endings that a filled-in path may not have, because rotation gives them a meaning.
    reserved_endings: &'static [&'static str],
}

/// What a path depends on, so that it need not be filled in for every event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The tag.
    Frame,
    /// The tag and the second.
    Second,
    /// The event.
    Event,
}

impl Location {
    pub(crate) fn new(
        template: Template,
        zone: Zone,
        hostname: &str,
        reserved_endings: &'static [&'static str],
    ) -> Self {
        let base_len = template
            .literal_prefix()
            .rfind('/')
            .map_or(0, |slash| slash + 1);
        Self {
            template,
            base_len,
            zone,
            hostname: hostname.to_owned(),
            reserved_endings,
        }
    }

    /// The folder that no event leaves, with the slash at its end; empty for the working directory.
    pub(crate) fn base(&self) -> &str {
        self.template
            .literal_prefix()
            .get(..self.base_len)
            .unwrap_or_default()
    }

    pub(crate) fn scope(&self) -> Scope {
        if self.template.reads_records() {
            Scope::Event
        } else if self.template.reads_time() {
            Scope::Second
        } else {
            Scope::Frame
        }
    }

    /// The zone, looked up once per chunk.
    pub(crate) fn zone(&self) -> TimeZone {
        self.zone.get()
    }

    /// The path of an event.
    pub(crate) fn path(&self, event: &impl EventView, zone: &TimeZone) -> PathBuf {
        let mut filled = String::new();
        self.template
            .render_time(event, &self.hostname, zone, &mut filled, clean);
        let (base, rest) = filled
            .split_at_checked(self.base_len)
            .unwrap_or(("", &filled));
        let mut path = base.to_owned();
        for (index, name) in rest.split('/').enumerate() {
            if index > 0 {
                path.push('/');
            }
            push_name(name, &mut path);
        }
        if self
            .reserved_endings
            .iter()
            .any(|ending| path.ends_with(ending))
        {
            path.push('_');
        }
        path.into()
    }
}

/// Writes a filled-in value without what could lead elsewhere.
fn clean(value: &str, out: &mut String) {
    for (index, letter) in value.chars().enumerate() {
        let is_bad =
            matches!(letter, '/' | '\\') || letter.is_control() || (index == 0 && letter == '.');
        out.push(if is_bad { '_' } else { letter });
    }
}

/// Writes the name of a file or folder; what is no name becomes `_`, and a long one is cut and gets a hash, so that
/// different names stay different.
fn push_name(name: &str, out: &mut String) {
    match name {
        "" | "." | ".." => out.push('_'),
        _ if name.len() <= NAME_BYTES_MAX => out.push_str(name),
        _ => {
            let hash = format!("-{:016x}", fnv1a(name.as_bytes()));
            let room = NAME_BYTES_MAX - hash.len();
            let end = (0..=room).rev().find(|end| name.is_char_boundary(*end));
            out.push_str(name.get(..end.unwrap_or_default()).unwrap_or_default());
            out.push_str(&hash);
        }
    }
}

/// The 64-bit FNV-1a hash; it must be the same in every version, since it names files.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sdk::{
        event::{Entries, Tag},
        testing::events,
    };
    use serde_json::json;

    use super::*;

    fn fill(template: &str, tag: &str, value: &str) -> String {
        let location = Location::new(template.parse().unwrap(), Zone::UTC, "host", &[".gz"]);
        let events = events(&[json!({ "a": value })]);
        let event = Entries::new(&events).next().unwrap().unwrap();
        let path = location.path(&(&Tag::new(tag), event), &TimeZone::UTC);
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn placeholders_and_times_are_filled_in() {
        assert_eq!(
            fill("./d/%Y-%m-%d/${tag}.log", "app.web", ""),
            "./d/1970-01-01/app.web.log"
        );
        assert_eq!(
            fill("/var/${hostname}-${record.a:-none}", "t", ""),
            "/var/host-none"
        );
        assert_eq!(fill("plain.log", "t", ""), "plain.log");
    }

    #[test]
    fn no_value_leaves_the_folder() {
        let cases = [
            ("d/${record.a}", "../../etc/passwd", "d/_._.._etc_passwd"),
            ("d/${record.a}/f", "..", "d/_./f"),
            ("d/${record.a}/f", "", "d/_/f"),
            ("d/.${record.a}/f", ".", "d/._/f"),
            ("d/.${record.a}./f", "", "d/_/f"),
            ("d/${record.a}", "/abs", "d/_abs"),
            ("d/${record.a}", "a\0b\nc\\d", "d/a_b_c_d"),
            ("d/${record.a}", "x.gz", "d/x.gz_"),
            ("${record.a}/f", "..", "_./f"),
        ];
        for (template, value, expected) in cases {
            assert_eq!(fill(template, "t", value), expected, "{template} {value:?}");
        }
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        let long = |last: &str| {
            fill(
                "d/${record.a}",
                "t",
                &format!("{}{last}", "\u{e9}".repeat(300)),
            )
        };
        assert!(long("a").len() <= NAME_BYTES_MAX + 2, "{}", long("a"));
        assert_ne!(long("a"), long("b"));
        assert_eq!(long("a"), long("a"));
    }

    proptest! {
        #[test]
        fn nothing_leaves_the_folder(value in ".{0,20}|[./]{0,8}", tag in "[./a]{0,8}") {
            let template = "base/x/.${tag}${record.a}./${tag}/${record.a}";
            let path = fill(template, &tag, &value);
            let names: Vec<_> = path.split('/').collect();
            prop_assert_eq!(names.len(), 5);
            prop_assert_eq!(&names[..2], ["base", "x"]);
            for name in names {
                prop_assert!(!name.is_empty() && name != "." && name != ".." && !name.contains('\0'));
            }
        }
    }
}
