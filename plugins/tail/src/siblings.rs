//! Names that rotation gives: `app.log.1`, `app.log.2.gz`, `0.log.20260131-120000`, `app.log-20260131.gz`.

use std::{cmp::Ordering, ffi::OsStr, path::Path};

/// Digits of a suffix that counts; one with more is a date or a time.
const COUNTER_DIGITS_MAX: usize = 5;

/// The age of a rotated file, from what stands behind the name of the live one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Age {
    /// A date or a time: the smaller, the older.
    Dated(String),
    /// A counter: the larger, the older.
    Counted(u32),
}

impl Age {
    /// Oldest first. Of a counter and a date in one folder, the dates are taken to be older.
    pub(crate) fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Dated(one), Self::Dated(two)) => one.cmp(two),
            (Self::Counted(one), Self::Counted(two)) => two.cmp(one),
            (Self::Dated(_), Self::Counted(_)) => Ordering::Less,
            (Self::Counted(_), Self::Dated(_)) => Ordering::Greater,
        }
    }
}

/// Reads the name of a file beside `live`: its age and whether it is compressed. `None` when rotation did not make it.
pub(crate) fn rotated(live: &str, name: &str) -> Option<(Age, bool)> {
    let rest = name.strip_prefix(live)?;
    let suffix = rest.strip_prefix(['.', '-', '_'])?;
    let (suffix, is_gzip) = match suffix.strip_suffix(".gz") {
        Some(suffix) => (suffix, true),
        None => (suffix, false),
    };
    is_suffix(suffix).then(|| (age(suffix), is_gzip))
}

fn is_suffix(suffix: &str) -> bool {
    let mark = |c: char| matches!(c, '-' | '.' | '_' | ':' | 'T' | 'Z' | '+');
    suffix.starts_with(|c: char| c.is_ascii_digit())
        && suffix.chars().all(|c| c.is_ascii_digit() || mark(c))
}

fn age(suffix: &str) -> Age {
    match suffix.parse() {
        Ok(number) if suffix.len() <= COUNTER_DIGITS_MAX => Age::Counted(number),
        _ => Age::Dated(suffix.to_owned()),
    }
}

/// Whether `path` is a rotated file of a path that `is_watched`.
pub(crate) fn belongs_to_another(path: &Path, is_watched: impl Fn(&Path) -> bool) -> bool {
    let Some(name) = path.file_name().and_then(OsStr::to_str) else {
        return false;
    };
    let ends = name.match_indices(['.', '-', '_']).map(|(at, _)| at);
    ends.filter_map(|at| name.get(..at))
        .filter(|live| !live.is_empty() && rotated(live, name).is_some())
        .any(|live| is_watched(&path.with_file_name(live)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_oldest_first() {
        let mut names = [
            "a.log.1",
            "a.log.10.gz",
            "a.log.2.gz",
            "a.log.20260131-120000",
            "a.log.20260131-110000.gz",
            "a.log",
            "a.log.tmp",
            "a.log.1.tmp",
            "a.log.20260131-110000.gz.tmp",
            "a.log.gz",
            "b.log.1",
        ];
        names.sort_unstable();
        let mut found: Vec<_> = names
            .iter()
            .filter_map(|name| Some((rotated("a.log", name)?, *name)))
            .collect();
        found.sort_by(|((one, _), _), ((two, _), _)| one.cmp(two));
        let names: Vec<_> = found.iter().map(|(_, name)| *name).collect();
        let expected = [
            "a.log.20260131-110000.gz",
            "a.log.20260131-120000",
            "a.log.10.gz",
            "a.log.2.gz",
            "a.log.1",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_glob_that_names_rotated_files_too_gives_one_stream() {
        let watched = |path: &Path| path == Path::new("/l/app.log");
        for (path, belongs) in [
            ("/l/app.log.1", true),
            ("/l/app.log-20260131.gz", true),
            ("/l/app.log", false),
            ("/l/app.log.old", false),
            ("/m/app.log.1", false),
        ] {
            assert_eq!(
                belongs_to_another(Path::new(path), watched),
                belongs,
                "{path}"
            );
        }
    }
}
