//! Which files a path with placeholders may name.

use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
use regex::Regex;
use sdk::event::Time;

/// Conversions that make nothing but digits.
const NUMERIC: &str = "CdeGgHIjklMmNQSsUuVWwYyf";

/// A path as literal parts with `%Y` and so on, and placeholders between them.
#[derive(Debug)]
pub(super) struct Shape {
    /// One more than there are placeholders.
    parts: Vec<String>,
}

/// Of which time names are wanted.
#[derive(Debug)]
pub(super) enum Span {
    /// Of any.
    Any,
    /// Of this time.
    At(Time, TimeZone),
}

/// Tells whether a path has the shape.
#[derive(Debug)]
pub(super) struct Names(Option<Regex>);

impl Names {
    pub(super) fn is_match(&self, path: &str) -> bool {
        self.0.as_ref().is_some_and(|regex| regex.is_match(path))
    }
}

impl Shape {
    pub(super) fn new(path: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = path;
        while let Some((literal, behind)) = rest.split_once("${") {
            parts.push(literal.to_owned());
            rest = behind.split_once('}').map_or("", |(_, behind)| behind);
        }
        parts.push(rest.to_owned());
        Self { parts }
    }

    /// Whether a name depends on the time, so that files can be over.
    pub(super) fn has_time(&self) -> bool {
        self.parts
            .iter()
            .any(|part| part.replace("%%", "").contains('%'))
    }

    /// How many folders may stand between the first `base_len` bytes of a name and its last part.
    pub(super) fn depth_below(&self, base_len: usize) -> usize {
        let zoned = Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
        let filled = self
            .parts
            .iter()
            .map(|part| strtime::format(part, &zoned).unwrap_or_default());
        let name: String = filled.collect();
        name.get(base_len..)
            .unwrap_or_default()
            .matches('/')
            .count()
    }

    /// The names that events of this time have.
    pub(super) fn names(&self, span: Span) -> Names {
        let parts: Vec<_> = match span {
            Span::Any => self.parts.iter().map(|part| any_time(part)).collect(),
            Span::At(time, zone) => {
                let Ok(stamp) = Timestamp::from_second(time.secs) else {
                    return Names(None);
                };
                let zoned = stamp.to_zoned_datetime(zone);
                let filled = self.parts.iter().map(|part| strtime::format(part, &zoned));
                filled
                    .map(|part| regex::escape(&part.unwrap_or_default()))
                    .collect()
            }
        };
        Names(Regex::new(&format!("^{}$", parts.join("[^/]*"))).ok())
    }
}

/// A part as an expression that matches it at any time.
fn any_time(part: &str) -> String {
    let mut expression = String::new();
    let mut rest = part;
    while let Some((literal, behind)) = rest.split_once('%') {
        expression.push_str(&regex::escape(literal));
        // Flags, width, colons and a dot may stand before the letter.
        let at = behind.find(|letter: char| letter.is_ascii_alphabetic() || letter == '%');
        let letter = at
            .and_then(|at| behind.get(at..))
            .and_then(|behind| behind.chars().next());
        expression.push_str(match letter {
            Some('%') => "%",
            Some(letter) if NUMERIC.contains(letter) => "[ +-]?[0-9.]+",
            _ => ".+",
        });
        rest = at.and_then(|at| behind.get(at + 1..)).unwrap_or_default();
    }
    expression.push_str(&regex::escape(rest));
    expression
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, name: &str, any: bool, now: bool) {
        let shape = Shape::new(path);
        // 2026-01-02 03:04:05 UTC
        let time = Time::from_secs(1_767_323_045);
        assert_eq!(shape.names(Span::Any).is_match(name), any, "{path} {name}");
        assert_eq!(
            shape.names(Span::At(time, TimeZone::UTC)).is_match(name),
            now,
            "{path} {name}"
        );
    }

    #[test]
    fn names_are_told_apart_by_their_time() {
        check("d/%Y-%m-%d.log", "d/2026-01-02.log", true, true);
        check("d/%Y-%m-%d.log", "d/2026-01-01.log", true, false);
        check("d/%Y-%m-%d.log", "d/2026-01-01xlog", false, false);
        check("d/%Y-%m-%d.log", "d/app.log", false, false);
        check("d/%Y-%m-%d.log", "d/2026-01-02.log.gz", false, false);
        check("d/${tag}/%H.log", "d/a.b/03.log", true, true);
        check("d/${tag}/%H.log", "d/a/b/03.log", false, false);
        check(
            "d/${record[\"a\"]}-%F-100%%.log",
            "d/x-2026-01-02-100%.log",
            true,
            true,
        );
        check("d/%A_%3f.log", "d/Friday_000.log", true, true);
        check("d/%A_%3f.log", "d/Monday_000.log", true, false);
    }

    #[test]
    fn the_depth_is_that_of_the_path() {
        let depth = |path: &str, base: &str| Shape::new(path).depth_below(base.len());
        assert_eq!(depth("%Y.log", ""), 0);
        assert_eq!(depth("/var/log/%Y/${tag}/x.log", "/var/log/"), 2);
        assert_eq!(depth("d/%D.log", "d/"), 2);
    }

    #[test]
    fn only_a_path_with_a_time_has_files_that_are_over() {
        assert!(Shape::new("d/${tag}/%Y.log").has_time());
        assert!(!Shape::new("d/${tag}/100%%.log").has_time());
    }
}
