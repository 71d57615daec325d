//! How many connections there may be: the parameter, and what the limit on open files leaves.

use rustix::process::{Resource, getrlimit};

/// The part of the descriptors of the process that connections leave to buffers, outputs and the admin port.
const KEPT_PART: usize = 4;
/// Descriptors that are kept for those at most.
const KEPT_MAX: usize = 1024;

/// A number of connections, and what to do for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// Connections at a time.
    pub(crate) max: usize,
    /// How to have more of them.
    pub(crate) remedy: &'static str,
}

impl Capacity {
    /// For this process: `max_connections`, unless there are too few descriptors for them. A process without free
    /// descriptors could not open a file for what the connections bring.
    pub(crate) fn new(max_connections: usize) -> Self {
        let descriptors = getrlimit(Resource::Nofile).current;
        Self::of(max_connections, descriptors)
    }

    /// `descriptors` is the limit of the process, if it has one.
    fn of(max_connections: usize, descriptors: Option<u64>) -> Self {
        let descriptors = descriptors.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        let kept = (descriptors / KEPT_PART).min(KEPT_MAX);
        let room = (descriptors - kept).max(1);
        if room < max_connections {
            Self {
                max: room,
                remedy: "raise the limit on open files",
            }
        } else {
            Self {
                max: max_connections,
                remedy: "raise max_connections",
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(max_connections: usize, descriptors: Option<u64>, max: usize, remedy: &str) {
        let capacity = Capacity::of(max_connections, descriptors);
        assert_eq!((capacity.max, capacity.remedy), (max, remedy));
    }

    #[test]
    fn descriptors_are_left_for_others() {
        check(10_000, None, 10_000, "raise max_connections");
        check(10_000, Some(1 << 20), 10_000, "raise max_connections");
        check(10_000, Some(11_024), 10_000, "raise max_connections");
        check(10_000, Some(11_023), 9_999, "raise the limit on open files");
        check(10_000, Some(512), 384, "raise the limit on open files");
        check(300, Some(512), 300, "raise max_connections");
        check(1, Some(0), 1, "raise max_connections");
    }
}
