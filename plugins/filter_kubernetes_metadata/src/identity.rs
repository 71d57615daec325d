//! Whom a record is of: what it says itself, else what its tag says.

use sdk::{config::Pattern, event::Tag, msgpack::RawValue};

/// The container that wrote a record, as far as the record or its tag tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Identity<'a> {
    pub(crate) uid: Option<&'a [u8]>,
    pub(crate) pod: Option<&'a [u8]>,
    pub(crate) namespace: Option<&'a [u8]>,
    pub(crate) container: Option<&'a [u8]>,
    pub(crate) container_id: Option<&'a [u8]>,
}

/// Top-level keys that may tell something.
const FLAT: [&[u8]; 5] = [
    b"k8s.pod.uid",
    b"k8s.pod.name",
    b"k8s.namespace.name",
    b"k8s.container.name",
    b"container.id",
];

impl<'a> Identity<'a> {
    /// What the record says, in any of the three ways of naming fields.
    pub(crate) fn of_record(record: RawValue<'a>) -> Self {
        let mut found = Self::default();
        for (key, value) in record.pairs().into_iter().flatten() {
            match key.as_bytes() {
                Some(b"kubernetes") => found.nested(value),
                Some(b"docker") => set(&mut found.container_id, value.get(b"container_id")),
                Some(b"container") => set(&mut found.container_id, value.get(b"id")),
                Some(flat) => {
                    let places = [
                        &mut found.uid,
                        &mut found.pod,
                        &mut found.namespace,
                        &mut found.container,
                        &mut found.container_id,
                    ];
                    if let Some((_, place)) =
                        FLAT.iter().zip(places).find(|(name, _)| **name == flat)
                    {
                        set(place, Some(value));
                    }
                }
                None => {}
            }
        }
        found
    }

    fn nested(&mut self, map: RawValue<'a>) {
        for (key, value) in map.pairs().into_iter().flatten() {
            match key.as_bytes() {
                Some(b"pod_id" | b"pod_uid") => set(&mut self.uid, Some(value)),
                Some(b"pod_name") => set(&mut self.pod, Some(value)),
                Some(b"namespace_name" | b"pod_namespace" | b"namespace") => {
                    set(&mut self.namespace, Some(value));
                }
                Some(b"container_name") => set(&mut self.container, Some(value)),
                Some(b"docker_id" | b"container_id") => set(&mut self.container_id, Some(value)),
                Some(b"pod") => {
                    set(&mut self.uid, value.get(b"uid"));
                    set(&mut self.pod, value.get(b"name"));
                }
                Some(b"container") => set(&mut self.container, value.get(b"name")),
                _ => {}
            }
        }
    }

    /// Fills in what the tag tells and the record does not.
    pub(crate) fn or_of_tag(mut self, tag: &'a Tag, pattern: &Pattern) -> Self {
        if self.uid.is_some() || (self.pod.is_some() && self.namespace.is_some()) {
            return self;
        }
        let Some(groups) = pattern.regex().captures(tag.as_str().as_bytes()) else {
            return self;
        };
        let group = |names: [&str; 2]| {
            let mut found = names.into_iter().filter_map(|name| groups.name(name));
            found.next().map(|group| group.as_bytes())
        };
        self.uid = self.uid.or(group(["pod_uuid", "pod_uid"]));
        self.pod = self.pod.or(group(["pod_name", "pod_name2"]));
        self.namespace = self.namespace.or(group(["namespace", "namespace2"]));
        self.container = self
            .container
            .or(group(["container_name", "container_name2"]));
        self.container_id = self.container_id.or(group(["docker_id", "container_id"]));
        self
    }

    /// Whether it can be looked up at all.
    pub(crate) fn is_known(&self) -> bool {
        self.uid.is_some() || (self.pod.is_some() && self.namespace.is_some())
    }
}

fn set<'a>(place: &mut Option<&'a [u8]>, value: Option<RawValue<'a>>) {
    if let Some(bytes) = value
        .and_then(RawValue::as_bytes)
        .filter(|bytes| !bytes.is_empty())
    {
        *place = Some(bytes);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::TAG_PATTERN;

    fn check(tag: &str, record: &Value, expected: [&str; 4]) {
        let mut encoded = Vec::new();
        sdk::msgpack::write::json(&mut encoded, record);
        let tag = Tag::new(tag);
        let pattern = TAG_PATTERN.parse().unwrap();
        let identity =
            Identity::of_record(RawValue::parse(&encoded).unwrap()).or_of_tag(&tag, &pattern);
        let text =
            |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let found = [
            identity.uid,
            identity.pod,
            identity.namespace,
            identity.container,
        ]
        .map(text);
        assert_eq!(found, expected, "{tag} {record}");
    }

    #[test]
    fn the_record_is_read_in_every_way_of_naming() {
        check(
            "a",
            &json!({"kubernetes": {"pod_id": "u", "pod_name": "p", "namespace_name": "n", "container_name": "c"}}),
            ["u", "p", "n", "c"],
        );
        check(
            "a",
            &json!({"kubernetes": {"pod": {"uid": "u", "name": "p"}, "namespace": "n", "container": {"name": "c"}}}),
            ["u", "p", "n", "c"],
        );
        check(
            "a",
            &json!({"k8s.pod.uid": "u", "k8s.pod.name": "p", "k8s.namespace.name": "n", "k8s.container.name": "c"}),
            ["u", "p", "n", "c"],
        );
    }

    #[test]
    fn the_tag_tells_what_the_record_does_not() {
        let id = "a".repeat(64);
        check(
            &format!("kubernetes.var.log.containers.web-7d4b9_shop_nginx-{id}.log"),
            &json!({"log": "x"}),
            ["", "web-7d4b9", "shop", "nginx"],
        );
        check(
            "kubernetes.var.log.pods.shop_web-7d4b9_3f2a1b0c-1111-2222-3333-444455556666.nginx.0.log",
            &json!({"log": "x"}),
            [
                "3f2a1b0c-1111-2222-3333-444455556666",
                "web-7d4b9",
                "shop",
                "nginx",
            ],
        );
        check("app.access", &json!({"log": "x"}), ["", "", "", ""]);
    }
}
