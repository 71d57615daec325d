//! `[service]`: what concerns the process as a whole.

use schemars::JsonSchema;
use sdk::config::{Interval, Listen, Secret, Size};
use serde::{Deserialize, Serialize};

use super::{MemoryMax, memory};

/// Smallest memory budget, in bytes: below it, one large message could not be taken.
const MEMORY_MIN_BYTES: u64 = 32 << 20;

/// What concerns the process as a whole.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Service {
    /// Where buffers and dead letters are kept, unless they say otherwise, and the state of sources.
    pub data_dir: String,
    /// What happens when a component fails: `resume` restarts it alone, with growing pauses; `stop` ends the process
    /// with exit code 75. A component may say otherwise.
    pub failure: OnFailure,
    /// How long to go on accepting after SIGTERM: senders still come until the load balancer knows.
    pub drain_delay: Interval,
    /// How long after that until the process ends, whatever is left. Keep the sum below the grace period of the pod.
    pub shutdown_timeout: Interval,
    /// Worker threads. Without it, as many as there are CPUs, or as the container may use.
    #[schemars(range(min = 1, max = 1024))]
    pub workers: Option<usize>,
    /// Memory for what is in flight: a share of what the container may use, or a size. When it is used up, sources
    /// stop reading.
    pub memory_max: MemoryMax,
    /// What this process is in the cluster, such as `agent` or `aggregator`: a label of `weir_config_info`, for alert
    /// rules that treat them differently.
    pub role: String,
    /// Whether `weir check` warns of outputs that records reach without passing a filter that protects what is
    /// personal, such as `redact`: `warn` or `allow`. Without it, it warns where there is such a filter at all.
    pub unprotected: Option<Unprotected>,
    /// Whether to refuse a configuration that weakens one of the first five promises, such as a buffer in memory;
    /// `--strict` does the same.
    pub strict: bool,
    /// Whether to read the configuration again whenever its file changes, or a file that it names in `${file:PATH}` or
    /// as a secret. `weir run --watch` does the same. Without it, SIGHUP and the admin port ask for it.
    pub watch: bool,
    /// Probes, metrics, and reading the configuration again.
    pub admin: Admin,
    /// Our own log.
    pub log: Log,
}

/// What is said about outputs that nothing protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unprotected {
    /// Nothing.
    Allow,
    /// A warning for each.
    Warn,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            data_dir: "data".to_owned(),
            failure: OnFailure::Resume,
            drain_delay: Interval::secs(5),
            shutdown_timeout: Interval::secs(20),
            workers: None,
            memory_max: MemoryMax::Percent(80),
            role: String::new(),
            unprotected: None,
            strict: false,
            watch: false,
            admin: Admin::default(),
            log: Log::default(),
        }
    }
}

impl Service {
    /// The memory budget in bytes, from what this process may use now.
    pub fn memory_budget_bytes(&self) -> usize {
        let bytes = match self.memory_max {
            MemoryMax::Bytes(size) => size,
            MemoryMax::Percent(percent) => {
                Size(memory::available_bytes() / 100 * u64::from(percent))
            }
        };
        Size(bytes.0.max(MEMORY_MIN_BYTES)).as_usize()
    }
}

/// What happens when a component fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Restart it alone.
    Resume,
    /// End the process with exit code 75.
    Stop,
}

/// Probes, metrics, and reading the configuration again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// The address of `/livez`, `/readyz`, `/startupz` and `/metrics`.
    pub listen: Listen,
    /// Also give the metrics under the names of another router, so that its dashboards and alerts go on working:
    /// `fluentd` for the `fluentd_*` series of fluent-plugin-prometheus.
    pub compat: Vec<Compat>,
    /// What a request must show to change something, such as `POST /api/config/reload`: the header
    /// `Authorization: Bearer` and this token. Without it, such requests are refused.
    #[serde(skip_serializing)]
    #[schemars(length(min = 1))]
    pub token: Option<Secret>,
    /// When `/readyz` is 200.
    pub ready: Ready,
}

/// Whose names metrics have besides our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compat {
    /// The names of fluent-plugin-prometheus.
    Fluentd,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: Listen(([0, 0, 0, 0], 24_231).into()),
            compat: Vec::new(),
            token: None,
            ready: Ready::default(),
        }
    }
}

/// When `/readyz` is 200.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ready {
    /// Not ready while a buffer is full, so that a load balancer sends elsewhere.
    pub fail_on_backpressure: bool,
}

impl Default for Ready {
    fn default() -> Self {
        Self {
            fail_on_backpressure: true,
        }
    }
}

/// Our own log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How lines look: `auto` is text on a terminal and JSON elsewhere.
    pub format: LogFormat,
    /// What is logged at least. `WEIR_LOG` overrides it.
    pub level: LogLevel,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// What is logged at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// And what may be about to.
    Warn,
    /// And what happens once or seldom.
    #[default]
    Info,
    /// And what helps to find a mistake.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Where a secret comes from: `[secrets.NAME]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum SecretSource {
    /// The text of a file, without the line end.
    File {
        /// The file. A relative path counts from the folder of the configuration.
        path: String,
    },
    /// A variable of the environment.
    Env {
        /// The variable.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_budget_is_a_size_or_a_share_and_never_tiny() {
        let budget = |memory_max: &str| {
            let memory_max = memory_max.parse().unwrap();
            Service {
                memory_max,
                ..Service::default()
            }
            .memory_budget_bytes()
        };
        assert_eq!(budget("256MiB"), 256 << 20);
        assert_eq!(budget("1KiB"), 32 << 20);
        let all = memory::available_bytes();
        let share = u64::try_from(budget("50%")).unwrap();
        assert!(
            share.abs_diff(all / 2) <= 100 || all < 64 << 20,
            "{share} of {all}"
        );
    }
}
