//! Names without dots: Elasticsearch takes `app.kubernetes.io/name` for an object inside `app`.

use crate::pod::Words;

/// The same values under names in which every dot is `separator`. Names that fall together are told apart by a number;
/// a name that had no dot keeps its own. With an empty separator nothing changes.
pub(crate) fn dedot(words: &Words, separator: &str) -> Words {
    if separator.is_empty() || !words.keys().any(|name| name.contains('.')) {
        return words.clone();
    }
    let (dotted, mut all): (Words, Words) = words
        .clone()
        .into_iter()
        .partition(|(name, _)| name.contains('.'));
    for (name, value) in dotted {
        let plain = name.replace('.', separator);
        let numbered = (2..all.len() + 3).map(|number| format!("{plain}{separator}{number}"));
        let free = std::iter::once(plain.clone())
            .chain(numbered)
            .find(|name| !all.contains_key(name));
        all.insert(free.unwrap_or(plain), value);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pairs: &[(&str, &str)]) -> Words {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn no_value_is_lost_when_names_fall_together() {
        let labels = words(&[("app", "1"), ("a.b", "2"), ("a_b", "3"), ("a.b.c", "4")]);
        let expected = words(&[("app", "1"), ("a_b_2", "2"), ("a_b", "3"), ("a_b_c", "4")]);
        assert_eq!(dedot(&labels, "_"), expected);
        assert_eq!(dedot(&labels, ""), labels);
    }
}
