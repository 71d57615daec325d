//! `[service]`: what concerns the process as a whole.

use schemars::JsonSchema;
use sdk::config::{Interval, Listen, Size};
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
    /// Probes and metrics.
    pub admin: Admin,
    /// Our own log.
    pub log: Log,
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

/// Probes and metrics.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// The address of `/livez`, `/readyz`, `/startupz` and `/metrics`.
    pub listen: Listen,
    /// When `/readyz` is 200.
    pub ready: Ready,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: Listen(([0, 0, 0, 0], 24_231).into()),
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
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
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
