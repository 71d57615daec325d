//! Pods that ask for their log to be left out, by every convention that is in use.

#[cfg(test)]
mod tests;

use crate::pod::{Known, Words};

/// Whether lines of this container and stream are to be dropped.
pub(crate) fn is_excluded(known: &Known, container: &str, stream: Option<&str>) -> bool {
    let annotations = &known.pod.annotations;
    let empty = Words::new();
    let namespace_labels = known
        .namespace
        .as_ref()
        .map_or(&empty, |namespace| &namespace.labels);
    by_weir(annotations, container, stream)
        || by_fluent_bit(annotations, container, stream)
        || says(&known.pod.labels, "vector.dev/exclude", "true")
        || says(namespace_labels, "vector.dev/exclude", "true")
        || lists(annotations, "vector.dev/exclude-containers", container)
        || switched_off(annotations, "co.elastic.logs", container)
        || switched_off(annotations, "io.opentelemetry.discovery.logs", container)
}

fn says(words: &Words, name: &str, wanted: &str) -> bool {
    words
        .get(name)
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(wanted))
}

fn lists(words: &Words, name: &str, container: &str) -> bool {
    words
        .get(name)
        .is_some_and(|list| list.split(',').any(|item| item.trim() == container))
}

/// `logs.weir/exclude: "true"`, or a list of containers or streams.
fn by_weir(annotations: &Words, container: &str, stream: Option<&str>) -> bool {
    let name = "logs.weir/exclude";
    says(annotations, name, "true")
        || lists(annotations, name, container)
        || stream.is_some_and(|stream| lists(annotations, name, stream))
}

/// `fluentbit.io/exclude[_stdout|_stderr][-CONTAINER]: "true"`
fn by_fluent_bit(annotations: &Words, container: &str, stream: Option<&str>) -> bool {
    let base = "fluentbit.io/exclude";
    let streams =
        std::iter::once(base.to_owned()).chain(stream.map(|stream| format!("{base}_{stream}")));
    streams
        .flat_map(|name| [format!("{name}-{container}"), name])
        .any(|name| says(annotations, &name, "true"))
}

/// `PREFIX/enabled: "false"`, or `PREFIX.CONTAINER/enabled` for one container, which wins.
fn switched_off(annotations: &Words, prefix: &str, container: &str) -> bool {
    let own = annotations.get(&format!("{prefix}.{container}/enabled"));
    let all = annotations.get(&format!("{prefix}/enabled"));
    own.or(all)
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("false"))
}
