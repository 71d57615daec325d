//! How much memory this process may use: the limit of its control group, or what the machine has.

use std::{fs, path::Path};

/// Where control groups are mounted.
const CGROUP_ROOT: &str = "/sys/fs/cgroup";
/// What is assumed where nothing can be found out, in bytes.
const UNKNOWN_BYTES: u64 = 1 << 30;

/// The bytes this process may use.
pub(super) fn available_bytes() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let info = rustix::system::sysinfo();
    let unit = u64::from(info.mem_unit).max(1);
    #[expect(
        clippy::useless_conversion,
        reason = "the field is narrower on 32-bit machines"
    )]
    let total = u64::try_from(info.totalram)
        .unwrap_or(UNKNOWN_BYTES)
        .saturating_mul(unit);
    let total = if total == 0 { UNKNOWN_BYTES } else { total };
    group_limit(Path::new(CGROUP_ROOT), &groups).map_or(total, |limit| limit.min(total))
}

/// The smallest limit of the groups that `/proc/self/cgroup` names, and of those around them.
fn group_limit(root: &Path, groups: &str) -> Option<u64> {
    let mut least: Option<u64> = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (base, file) = if controllers.is_empty() {
            (root.to_path_buf(), "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        // Inside a container the path may be that of the host; then the root itself is the group.
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let text = fs::read_to_string(base.join(group).join(file)).unwrap_or_default();
            if let Ok(limit) = text.trim().parse::<u64>() {
                least = Some(least.map_or(limit, |least| least.min(limit)));
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(files: &[(&str, &str)], groups: &str, expected: Option<u64>) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(group_limit(root.path(), groups), expected);
    }

    #[test]
    fn the_tightest_limit_on_the_way_up_counts() {
        let files = [
            ("pod/memory.max", "1000\n"),
            ("pod/box/memory.max", "2000\n"),
        ];
        check(&files, "0::/pod/box\n", Some(1000));
        check(&files, "0::/elsewhere\n", None);
    }

    #[test]
    fn no_limit_is_no_limit() {
        check(&[("pod/memory.max", "max\n")], "0::/pod\n", None);
        check(&[], "", None);
    }

    #[test]
    fn inside_a_container_the_root_is_the_group() {
        check(&[("memory.max", "500")], "0::/host/path/box\n", Some(500));
    }

    #[test]
    fn the_older_kind_of_groups_is_read_too() {
        let files = [("memory/box/memory.limit_in_bytes", "700\n")];
        check(&files, "5:cpu:/box\n4:memory:/box\n", Some(700));
    }
}
