//! The parameters.

use schemars::JsonSchema;
use sdk::config::{Interval, OneOrMany, Size};
use serde::{Deserialize, Serialize};

/// The parameters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The log files: below `/var/log/pods`, or the links of `/var/log/containers`. Rotated files are found beside them.
    #[serde(default = "default_path")]
    pub path: OneOrMany<String>,
    /// Paths to leave out, with the same wildcards.
    #[serde(default)]
    pub exclude_path: OneOrMany<String>,
    /// Namespaces to read; all by default. Here and below, `*` and `?` are wildcards.
    #[serde(default)]
    pub namespaces: OneOrMany<String>,
    /// Namespaces to leave out.
    #[serde(default)]
    pub exclude_namespaces: OneOrMany<String>,
    /// Pods to leave out, by their names.
    #[serde(default)]
    pub exclude_pods: OneOrMany<String>,
    /// Containers to leave out, by their names.
    #[serde(default)]
    pub exclude_containers: OneOrMany<String>,
    /// Leave out the pod that this program runs in, as told by `POD_UID`, else by `POD_NAME` or `HOSTNAME` and
    /// `POD_NAMESPACE` in the environment.
    #[serde(default = "yes")]
    pub exclude_self: bool,
    /// The tag. What `*` becomes says `tag_style`. By default `kube.*`, and `kubernetes.*` with `tag_style = "containers"`.
    pub tag: Option<String>,
    /// What `*` in the tag becomes.
    #[serde(default)]
    pub tag_style: TagStyle,
    /// Names of the fields that are written: those of Fluentd's filter, of the Elastic Common Schema, or of
    /// OpenTelemetry.
    #[serde(default)]
    pub fields: Fields,
    /// The field for the line. By default `log`, `message` or `body`, as `fields` says.
    pub message_key: Option<String>,
    /// A field for the path.
    pub path_key: Option<String>,
    /// Begin files that have no position at their head, with what rotation has moved away. Else at their end.
    #[serde(default = "yes")]
    pub read_from_head: bool,
    /// Fluentd's files with positions. They are read where this source has no position of its own yet, and never written.
    #[serde(default)]
    #[schemars(extend("aliases" = ["import_positions"]))]
    pub pos_file: OneOrMany<String>,
    /// How often the paths are listed.
    #[serde(default = "default_refresh_interval")]
    pub refresh_interval: Interval,
    /// How often a file is looked at. One that was quiet for 10 s is looked at once a second at most.
    #[serde(default = "default_poll_interval")]
    pub poll_interval: Interval,
    /// How long a file is watched for late lines after it was moved away.
    #[serde(default = "default_rotate_wait")]
    pub rotate_wait: Interval,
    /// Bytes of a record, joined from its parts, at most.
    #[serde(default = "default_max_line_size")]
    pub max_line_size: Size,
    /// What becomes of a longer one. It is counted in `tail_oversize_lines`.
    #[serde(default)]
    pub max_line_size_action: OversizeAction,
    /// Write a record whose last part has not come for this long as far as it is there.
    #[serde(default = "default_partial_flush_interval")]
    pub partial_flush_interval: Interval,
    /// A limit for each container.
    pub rate_limit: Option<RateLimit>,
    /// The kubelet's `containerLogMaxSize`. Used to tell how long it will be until unread lines are removed.
    #[serde(default = "default_container_log_max_size")]
    pub container_log_max_size: Size,
    /// The kubelet's `containerLogMaxFiles`. Used for the same.
    #[serde(default = "default_container_log_max_files")]
    #[schemars(range(min = 2, max = 1000))]
    pub container_log_max_files: u32,
}

/// A limit for each container.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Records per second; of a runtime's parts, where the limit blocks.
    #[schemars(range(min = 1))]
    pub lines: u64,
    /// As much as comes in this time may come at once.
    #[serde(default = "default_burst")]
    pub burst: Interval,
    /// What becomes of what is over it.
    #[serde(default)]
    pub over: Over,
}

/// What becomes of what is over a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// It is left out, and counted in `tail_throttled_records`.
    #[default]
    Drop,
    /// It stays in the file and is read later. Rotation may remove it first, which is counted in `tail_lost_bytes`.
    Block,
}

/// What `*` in a tag becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TagStyle {
    /// `NAMESPACE.POD.CONTAINER`
    #[default]
    Names,
    /// `var.log.containers.POD_NAMESPACE_CONTAINER-ID.log`, as Fluentd has it
    Containers,
}

/// How fields are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
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

/// What becomes of a record that is too long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OversizeAction {
    /// It is cut.
    #[default]
    Truncate,
    /// It is left out.
    Drop,
}

fn yes() -> bool {
    true
}

fn default_path() -> OneOrMany<String> {
    OneOrMany(vec!["/var/log/pods/*/*/*.log".into()])
}

fn default_refresh_interval() -> Interval {
    Interval::secs(2)
}

fn default_poll_interval() -> Interval {
    Interval::millis(200)
}

fn default_rotate_wait() -> Interval {
    Interval::secs(5)
}

fn default_max_line_size() -> Size {
    Size::mib(1)
}

fn default_partial_flush_interval() -> Interval {
    Interval::secs(5)
}

fn default_container_log_max_size() -> Size {
    Size::mib(10)
}

fn default_container_log_max_files() -> u32 {
    5
}

fn default_burst() -> Interval {
    Interval::secs(10)
}
