//! The parameters. Their doc comments are the manual.

use std::path::PathBuf;

use schemars::JsonSchema;
use sdk::config::{Interval, OneOrMany, Pattern, Size};
use serde::Deserialize;

/// The parameters.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a parameter of its own, most with Fluentd's name"
)]
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Names of the fields that are written: those of Fluentd's filter, of the Elastic Common Schema, or of
    /// OpenTelemetry.
    pub fields: Fields,
    /// Only the pods of this node are watched. Give it from the pod's own description, as in `"${env:K8S_NODE_NAME}"`.
    /// Without it every pod of the cluster is watched, which costs memory on each node.
    #[schemars(length(min = 1))]
    pub node_name: Option<String>,
    /// Address of the API server. The default is the one that the cluster tells its pods, else what `KUBECONFIG` names.
    pub kubernetes_url: Option<String>,
    /// File with the bearer token. It is read again every minute. Only with `kubernetes_url`.
    pub bearer_token_file: Option<PathBuf>,
    /// File with the certificates that the API server's must come from. Only with `kubernetes_url`.
    pub ca_file: Option<PathBuf>,
    /// Whether the API server's certificate is checked. Only with `kubernetes_url`.
    pub verify_ssl: bool,
    /// How long the first records of a pod wait until it is known. Then they go on with what they have, and are
    /// counted.
    pub wait: Interval,
    /// Bytes that may wait for metadata in all. Beyond it the oldest go on as they are.
    pub wait_limit_size: Size,
    /// How long a pod is remembered after it was deleted, for the last lines of its log.
    pub grace: Interval,
    /// Annotations whose names match one of these are written. None by default.
    pub annotation_match: OneOrMany<Pattern>,
    /// Leaves labels of pods and namespaces out.
    pub skip_labels: bool,
    /// Leaves image and image id of the container out.
    pub skip_container_metadata: bool,
    /// Leaves id, labels and annotations of the namespace out; then namespaces are not watched.
    pub skip_namespace_metadata: bool,
    /// Leaves the address of the API server out.
    pub skip_master_url: bool,
    /// Writes what owns the pod, such as its replica set.
    pub include_ownerrefs_metadata: bool,
    /// Put in place of dots in names of labels and annotations, because Elasticsearch takes a dot for a level. `""`
    /// leaves the dots.
    pub dedot: String,
    /// Drops the records of pods that ask for it by an annotation or label: `logs.weir/exclude`, `fluentbit.io/exclude`
    /// (also for one stream or container), `vector.dev/exclude`, `vector.dev/exclude-containers`,
    /// `co.elastic.logs/enabled` and `io.opentelemetry.discovery.logs/enabled`.
    pub exclude: bool,
    /// Counts records and bytes by namespace, in `weir_namespace_records_total` and `weir_namespace_bytes_total`. 500
    /// namespaces have series of their own; the others share one.
    pub namespace_metrics: bool,
    /// Finds pod, namespace and container in the tag of records that do not say it themselves. It must have the groups
    /// `pod_name`, `namespace` and `container_name`, and may have `docker_id` and `pod_uuid`.
    /// The default reads the paths of `/var/log/containers` and `/var/log/pods` in the tag.
    pub tag_to_kubernetes_name_regexp: Option<Pattern>,
}

/// How fields are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fields {
    /// `kubernetes.pod_name`, `docker.container_id`
    #[default]
    Fluentd,
    /// `kubernetes.pod.name`, `container.id`
    Ecs,
    /// `k8s.pod.name`, `container.id`, as flat keys
    Otel,
}

/// What Fluentd's filter has by default, with the uid of a pod's own directory as a second form.
pub(crate) const TAG_PATTERN: &str = r"var\.log\.containers\.(?P<pod_name>[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)_(?P<namespace>[^_]+)_(?P<container_name>.+)-(?P<docker_id>[a-z0-9]{64})\.log$|var\.log\.pods\.(?P<namespace2>[^_]+)_(?P<pod_name2>[^_]+)_(?P<pod_uuid>[a-f0-9-]{32,36})\.(?P<container_name2>.+)\.[0-9]+\.log$";

impl Default for Config {
    fn default() -> Self {
        Self {
            fields: Fields::default(),
            node_name: None,
            kubernetes_url: None,
            bearer_token_file: None,
            ca_file: None,
            verify_ssl: true,
            wait: Interval(std::time::Duration::from_secs(2)),
            wait_limit_size: Size(16 << 20),
            grace: Interval(std::time::Duration::from_mins(1)),
            annotation_match: OneOrMany::default(),
            skip_labels: false,
            skip_container_metadata: false,
            skip_namespace_metadata: false,
            skip_master_url: true,
            include_ownerrefs_metadata: false,
            dedot: "_".to_owned(),
            exclude: true,
            namespace_metrics: false,
            tag_to_kubernetes_name_regexp: None,
        }
    }
}
