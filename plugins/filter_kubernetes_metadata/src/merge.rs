//! Writing metadata into a record: keys that it has already are replaced, maps are joined, the rest stays as it is.

use sdk::msgpack::{RawValue, Token, write};

/// Appends `record` with `additions` (top-level keys and encoded values) in it. A key that stands in the record keeps
/// its place.
pub(crate) fn record(record: RawValue<'_>, additions: &[(String, Vec<u8>)], out: &mut Vec<u8>) {
    join(
        record,
        additions
            .iter()
            .map(|(key, value)| (key.as_bytes(), RawValue::parse(value).ok())),
        out,
    );
}

/// Appends the map `old` with `new` pairs in it; where both have a map, these are joined as well.
fn join<'a>(
    old: RawValue<'_>,
    new: impl Iterator<Item = (&'a [u8], Option<RawValue<'a>>)> + Clone,
    out: &mut Vec<u8>,
) {
    let Some(pairs) = old.pairs() else {
        return out.extend_from_slice(old.bytes());
    };
    let has = |key: &[u8]| pairs.clone().any(|(name, _)| name.as_bytes() == Some(key));
    let added = new.clone().filter(|(key, _)| !has(key)).count();
    let count = u32::try_from(pairs.clone().count() + added).unwrap_or(u32::MAX);
    write::map(out, count);
    for (name, value) in pairs.clone() {
        out.extend_from_slice(name.bytes());
        let mut replacements = new.clone();
        let found = name
            .as_bytes()
            .and_then(|name| replacements.find(|(key, _)| *key == name));
        match found.and_then(|(_, value)| value) {
            Some(replacement) => both(value, replacement, out),
            None => out.extend_from_slice(value.bytes()),
        }
    }
    for (key, value) in new.filter(|(key, _)| !has(key)) {
        write::str_bytes(out, key);
        out.extend_from_slice(value.map_or(&[0xc0], RawValue::bytes));
    }
}

fn both(old: RawValue<'_>, new: RawValue<'_>, out: &mut Vec<u8>) {
    match (old.token(), new.pairs()) {
        (Token::Map(_), Some(pairs)) => join(
            old,
            pairs.map(|(key, value)| (key.as_bytes().unwrap_or_default(), Some(value))),
            out,
        ),
        _ => out.extend_from_slice(new.bytes()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use sdk::testing::to_json;

    fn check(old: &Value, additions: &[(&str, Value)], expected: &Value) {
        let encode = |value: &Value| {
            let mut out = Vec::new();
            write::json(&mut out, value);
            out
        };
        let additions: Vec<_> = additions
            .iter()
            .map(|(key, value)| ((*key).to_owned(), encode(value)))
            .collect();
        let mut out = Vec::new();
        record(RawValue::parse(&encode(old)).unwrap(), &additions, &mut out);
        assert_eq!(to_json(RawValue::parse(&out).unwrap()), *expected);
    }

    #[test]
    fn maps_are_joined_and_the_rest_stays() {
        check(
            &json!({"log": "x", "kubernetes": {"pod_name": "old", "mine": 1}, "n": 1}),
            &[
                (
                    "kubernetes",
                    json!({"pod_name": "new", "labels": {"a": "b"}}),
                ),
                ("docker", json!({"container_id": "c"})),
            ],
            &json!({"log": "x", "kubernetes": {"pod_name": "new", "mine": 1, "labels": {"a": "b"}}, "n": 1, "docker": {"container_id": "c"}}),
        );
    }

    #[test]
    fn what_is_no_map_is_replaced() {
        check(
            &json!({"kubernetes": "text"}),
            &[("kubernetes", json!({"a": 1}))],
            &json!({"kubernetes": {"a": 1}}),
        );
    }
}
