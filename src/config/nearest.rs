//! "Did you mean": the known name that is nearest to one that is not known.

/// The nearest of `known`, if one is near enough to be meant.
pub(super) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |name: &str| {
        name.trim_start_matches('@')
            .to_ascii_lowercase()
            .replace('-', "_")
    };
    let wanted = plain(name);
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let distance = strsim::damerau_levenshtein(&wanted, &plain(candidate));
        // A third of the letters may differ: three in `elasticsearch`, one in `path`.
        let limit = (candidate.len().max(wanted.len()) / 3).max(1);
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `a`, `b` and `c`, in order, for messages.
pub(super) fn list<'k>(names: impl IntoIterator<Item = &'k str>) -> String {
    let mut names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.pop() {
        Some(last) if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        last => last.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let known = ["elasticsearch", "file", "path", "flush_interval", "id"];
        let cases = [
            ("elastcsearch", Some("elasticsearch")),
            ("@id", Some("id")),
            ("flush-interval", Some("flush_interval")),
            ("paht", Some("path")),
            ("kafka", None),
            ("x", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }

    #[test]
    fn lists_read_well() {
        assert_eq!(list([]), "");
        assert_eq!(list(["a"]), "`a`");
        assert_eq!(list(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
