//! The names of OpenTelemetry's semantic conventions, as flat keys: `k8s.pod.name`, `container.image.name`.

use sdk::msgpack::write;

use super::{Additions, Facts, workload};
use crate::pod::Words;

pub(super) fn write(facts: &Facts<'_>) -> Additions {
    let pod = &facts.known.pod;
    let own = facts.container;
    let mut all = Additions::new();
    let mut text = |key: String, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let mut out = Vec::new();
            write::str(&mut out, value);
            all.push((key, out));
        }
    };
    text("k8s.pod.name".into(), Some(&pod.name));
    text("k8s.pod.uid".into(), Some(&pod.uid));
    text("k8s.pod.ip".into(), pod.ip.as_deref());
    text("k8s.namespace.name".into(), Some(&pod.namespace));
    text("k8s.container.name".into(), Some(facts.container_name));
    text("k8s.node.name".into(), pod.node.as_deref());
    text("container.id".into(), own.and_then(|own| own.id.as_deref()));
    text(
        "container.image.name".into(),
        own.and_then(|own| own.image.as_deref()),
    );
    if let Some((kind, name)) = workload(&pod.owners, &pod.labels) {
        text(format!("k8s.{kind}.name"), Some(&name));
    }
    let mut words = |prefix: &str, words: &Words| {
        for (name, value) in words {
            text(format!("{prefix}.{name}"), Some(value));
        }
    };
    words("k8s.pod.label", &facts.labels);
    words("k8s.pod.annotation", &facts.annotations);
    words("k8s.namespace.label", &facts.namespace_labels);
    words("k8s.namespace.annotation", &facts.namespace_annotations);
    all
}
