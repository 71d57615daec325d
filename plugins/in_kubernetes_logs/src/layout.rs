//! The fields of a record, encoded once for each file: all but the line itself is the same in each.

use sdk::msgpack::write;

use crate::{config::Fields, container::Container};

/// What stands before and behind a line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    /// Pairs of a record.
    pub(crate) pairs: u32,
    /// The key of the line.
    pub(crate) key: Vec<u8>,
    /// What follows the line of standard output.
    pub(crate) stdout: Vec<u8>,
    /// The same for standard error.
    pub(crate) stderr: Vec<u8>,
}

impl Layout {
    pub(crate) fn new(
        fields: Fields,
        key: Option<&str>,
        path: Option<(&str, &str)>,
        container: &Container,
    ) -> Self {
        let default = match fields {
            Fields::Fluentd => "log",
            Fields::Ecs => "message",
            Fields::Otel => "body",
        };
        let mut layout = Self::default();
        write::str(&mut layout.key, key.unwrap_or(default));
        layout.stdout = layout.rest(fields, "stdout", path, container);
        layout.stderr = layout.rest(fields, "stderr", path, container);
        layout
    }

    fn rest(
        &mut self,
        fields: Fields,
        stream: &str,
        path: Option<(&str, &str)>,
        container: &Container,
    ) -> Vec<u8> {
        let mut pairs = Pairs::default();
        match fields {
            Fields::Fluentd => fluentd(&mut pairs, stream, container),
            Fields::Ecs => ecs(&mut pairs, stream, container),
            Fields::Otel => otel(&mut pairs, stream, container),
        }
        if let Some((key, path)) = path {
            pairs.text(key, path);
        }
        self.pairs = pairs.count + 1;
        pairs.bytes
    }
}

fn fluentd(pairs: &mut Pairs, stream: &str, container: &Container) {
    pairs.text("stream", stream);
    let mut kubernetes = Pairs::default();
    kubernetes.text("container_name", &container.name);
    kubernetes.text("namespace_name", &container.namespace);
    kubernetes.text("pod_name", &container.pod);
    kubernetes.text("pod_id", &container.uid);
    kubernetes.number("restart_count", container.restarts);
    pairs.map("kubernetes", &kubernetes);
    let mut docker = Pairs::default();
    docker.text("container_id", container.id.as_deref().unwrap_or_default());
    pairs.map("docker", &docker);
}

fn ecs(pairs: &mut Pairs, stream: &str, container: &Container) {
    pairs.text("stream", stream);
    let mut pod = Pairs::default();
    pod.text("name", &container.pod);
    pod.text("uid", &container.uid);
    let mut own = Pairs::default();
    own.text("name", &container.name);
    own.number("restart_count", container.restarts);
    let mut kubernetes = Pairs::default();
    kubernetes.map("pod", &pod);
    kubernetes.text("namespace", &container.namespace);
    kubernetes.map("container", &own);
    pairs.map("kubernetes", &kubernetes);
    let mut id = Pairs::default();
    id.text("id", container.id.as_deref().unwrap_or_default());
    pairs.map("container", &id);
}

fn otel(pairs: &mut Pairs, stream: &str, container: &Container) {
    pairs.text("log.iostream", stream);
    pairs.text("k8s.namespace.name", &container.namespace);
    pairs.text("k8s.pod.name", &container.pod);
    pairs.text("k8s.pod.uid", &container.uid);
    pairs.text("k8s.container.name", &container.name);
    pairs.number("k8s.container.restart_count", container.restarts);
    pairs.text("container.id", container.id.as_deref().unwrap_or_default());
}

/// Pairs of a map. What is empty is left out.
#[derive(Default)]
struct Pairs {
    count: u32,
    bytes: Vec<u8>,
}

impl Pairs {
    fn text(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            write::str(&mut self.bytes, key);
            write::str(&mut self.bytes, value);
            self.count += 1;
        }
    }

    fn number(&mut self, key: &str, value: Option<u32>) {
        if let Some(value) = value {
            write::str(&mut self.bytes, key);
            write::uint(&mut self.bytes, value.into());
            self.count += 1;
        }
    }

    fn map(&mut self, key: &str, value: &Self) {
        if value.count > 0 {
            write::str(&mut self.bytes, key);
            write::map(&mut self.bytes, value.count);
            self.bytes.extend_from_slice(&value.bytes);
            self.count += 1;
        }
    }
}
