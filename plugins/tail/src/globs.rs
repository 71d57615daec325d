//! Which paths are watched: globs with dates in them, and what is left out.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use glob::{MatchOptions, Pattern};
use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};
use sdk::config::Zone;

/// Alternatives that the braces of one path make, at most.
const BRANCHES_MAX: usize = 256;

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Which paths are watched.
#[derive(Debug, Clone)]
pub struct Globs {
    paths: Vec<String>,
    exclude: Vec<String>,
    zone: Zone,
}

/// Why a path cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum GlobsError {
    /// The glob itself.
    #[error(
        "{glob:?} is not a path with wildcards: {why}; write `*`, `?`, `[a-z]`, `{{a,b}}` or `**`"
    )]
    Glob {
        /// As it was written.
        glob: String,
        /// In a few words.
        why: String,
    },
    /// A `%` that is no date.
    #[error(
        "{path:?} is not a path with a date: {why}; write `%Y`, `%m`, `%d`, and `%%` for a percent sign"
    )]
    Date {
        /// As it was written.
        path: String,
        /// In a few words.
        why: String,
    },
}

impl Globs {
    /// Paths and what is left out of them. Both may have `*`, `?`, `[...]`, `{a,b}`, `**` and `%Y` and so on, which is
    /// taken in `zone`.
    ///
    /// # Errors
    /// [`GlobsError`], for the first that cannot be watched.
    pub fn new(paths: Vec<String>, exclude: Vec<String>, zone: Zone) -> Result<Self, GlobsError> {
        let globs = Self {
            paths,
            exclude,
            zone,
        };
        for path in globs.paths.iter().chain(&globs.exclude) {
            patterns(
                path,
                &Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC),
            )?;
        }
        Ok(globs)
    }

    /// As they were written.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Lists the paths that are there now, sorted.
    pub(crate) fn list(&self) -> BTreeSet<PathBuf> {
        let now = Timestamp::now().to_zoned_datetime(self.zone.get());
        let all = |texts: &[String]| -> Vec<String> {
            texts
                .iter()
                .filter_map(|text| patterns(text, &now).ok())
                .flatten()
                .collect()
        };
        let exclude = self.exclusion(&now);
        all(&self.paths)
            .iter()
            .filter_map(|text| glob::glob_with(text, OPTIONS).ok())
            .flat_map(|paths| paths.filter_map(Result::ok))
            .filter(|path| !is_excluded(&exclude, path))
            .collect()
    }

    /// Whether a path is left out.
    pub(crate) fn is_excluded(&self, path: &Path) -> bool {
        let now = Timestamp::now().to_zoned_datetime(self.zone.get());
        is_excluded(&self.exclusion(&now), path)
    }

    fn exclusion(&self, at: &ZonedDateTime) -> Vec<Pattern> {
        let texts = self
            .exclude
            .iter()
            .filter_map(|text| patterns(text, at).ok());
        texts
            .flatten()
            .filter_map(|text| Pattern::new(&text).ok())
            .collect()
    }
}

fn is_excluded(exclude: &[Pattern], path: &Path) -> bool {
    exclude
        .iter()
        .any(|pattern| pattern.matches_path_with(path, OPTIONS))
}

/// The globs that a path stands for at this time.
fn patterns(path: &str, at: &ZonedDateTime) -> Result<Vec<String>, GlobsError> {
    let dated = if path.contains('%') {
        jiff::fmt::strtime::format(path, at).map_err(|error| GlobsError::Date {
            path: path.into(),
            why: error.to_string(),
        })?
    } else {
        path.to_owned()
    };
    let bad = |why: String| GlobsError::Glob {
        glob: path.into(),
        why,
    };
    let branches =
        branches(&dated).ok_or_else(|| bad(format!("more than {BRANCHES_MAX} alternatives")))?;
    for branch in &branches {
        Pattern::new(branch).map_err(|error| bad(error.msg.into()))?;
    }
    Ok(branches)
}

/// Writes `a{b,c}` out as `ab` and `ac`. Braces may nest. `None` when these are too many.
fn branches(text: &str) -> Option<Vec<String>> {
    let (mut waiting, mut done) = (vec![text.to_owned()], Vec::new());
    while let Some(text) = waiting.pop() {
        if waiting.len() + done.len() >= BRANCHES_MAX {
            return None;
        }
        match first_braces(&text) {
            None => done.push(text),
            Some((before, choices, after)) => waiting.extend(
                choices
                    .iter()
                    .rev()
                    .map(|choice| format!("{before}{choice}{after}")),
            ),
        }
    }
    Some(done)
}

/// Text before the first pair of braces, what stands in it between commas, and the text after.
fn first_braces(text: &str) -> Option<(&str, Vec<&str>, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (mut depth, mut from, mut choices) = (0_usize, 0, Vec::new());
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            ',' if depth == 0 => {
                choices.push(rest.get(from..at)?);
                from = at + 1;
            }
            '}' if depth == 0 => {
                choices.push(rest.get(from..at)?);
                return Some((before, choices, rest.get(at + 1..)?));
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_written_out() {
        let all = branches("/a/{b,c{1,2}}/*.{log,txt}").unwrap().join(" ");
        let expected = "/a/b/*.log /a/b/*.txt /a/c1/*.log /a/c1/*.txt /a/c2/*.log /a/c2/*.txt";
        assert_eq!(all, expected);
        assert_eq!(branches("/a/{b").unwrap(), ["/a/{b"]);
        assert_eq!(branches(&"{a,b}".repeat(20)), None);
    }

    #[test]
    fn paths_are_listed_without_what_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        for name in [
            "p/a/0.log",
            "p/b/0.log",
            "q/a/1.log",
            ".hidden.log",
            "today-1970.log",
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let globs = |paths: &[&str], exclude: &[&str]| {
            let full = |texts: &[&str]| texts.iter().map(|t| format!("{root}/{t}")).collect();
            let list = Globs::new(full(paths), full(exclude), Zone::UTC)
                .unwrap()
                .list();
            let relative = list
                .iter()
                .map(|p| p.strip_prefix(root).unwrap().to_str().unwrap());
            relative.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(globs(&["*/*/*.log"], &[]), "p/a/0.log p/b/0.log q/a/1.log");
        assert_eq!(globs(&["*/*/*.log"], &["p/**"]), "q/a/1.log");
        assert_eq!(globs(&["*.log", "nothing.log"], &["p/*"]), "today-1970.log");
        assert_eq!(globs(&["today-%Y.log"], &[]), "");
        assert_eq!(globs(&["{p,q}/a/*"], &["*/a/1.*"]), "p/a/0.log");
    }

    #[test]
    fn what_cannot_be_watched_is_refused() {
        let bad = |path: &str| Globs::new(vec![path.into()], vec![], Zone::UTC).unwrap_err();
        assert!(matches!(bad("/a/***/b"), GlobsError::Glob { .. }));
        assert!(matches!(bad("/a/%!"), GlobsError::Date { .. }));
    }
}
