//! What the kernel says of a process in a container, whatever options it was started with.

use anyhow::{Context as _, Result, ensure};
use std::fs;

/// What a process without rights shows in its status: no capability of any kind, and a filter of system calls.
const NOTHING: [(&str, &str); 7] = [
    ("CapInh", "0000000000000000"),
    ("CapPrm", "0000000000000000"),
    ("CapEff", "0000000000000000"),
    ("CapBnd", "0000000000000000"),
    ("CapAmb", "0000000000000000"),
    ("NoNewPrivs", "1"),
    ("Seccomp", "2"),
];

/// An error unless a process is this user, may nothing, and has a root that it cannot write.
pub(crate) fn has_no_rights(pid: &str, user: &str) -> Result<()> {
    let status = read(pid, "status")?;
    let ids = [("Uid", user), ("Gid", user)];
    for (name, expected) in NOTHING.into_iter().chain(ids) {
        let found = field(&status, name);
        ensure!(
            found == Some(expected),
            "{name} is {found:?} instead of {expected}"
        );
    }
    ensure!(
        has_read_only_root(&read(pid, "mountinfo")?),
        "the root file system can be written"
    );
    Ok(())
}

/// How many bytes of memory the control group of a process may have.
pub(crate) fn memory_limit(pid: &str) -> Result<u64> {
    let groups = read(pid, "cgroup")?;
    let file = limit_file(&groups).context("the process has no control group")?;
    let text = fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
    text.trim()
        .parse()
        .with_context(|| format!("{file} has no number: {text}"))
}

fn read(pid: &str, name: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{name}");
    fs::read_to_string(&path).with_context(|| format!("read {path}"))
}

/// The first value of a line of `/proc/PID/status`.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()
}

/// Fields 5 and 6 of a mount are its place and its options (proc(5)).
fn has_read_only_root(mounts: &str) -> bool {
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(4);
        fields.next() == Some("/")
            && fields
                .next()
                .is_some_and(|options| options.split(',').any(|option| option == "ro"))
    })
}

/// The file of the limit, in control groups of the first version or of the second (cgroups(7)).
fn limit_file(groups: &str) -> Option<String> {
    let path = |start: &str| {
        let mut lines = groups.lines();
        lines.find_map(|line| line.split_once(':')?.1.strip_prefix(start))
    };
    if let Some(path) = path("memory:") {
        return Some(format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"));
    }
    Some(format!("/sys/fs/cgroup{}/memory.max", path(":")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_process_is_read() {
        let status = "Name:\tweir\nUid:\t65532\t65532\t65532\t65532\nCapEff:\t0000000000000000\n";
        assert_eq!(field(status, "Uid"), Some("65532"));
        assert_eq!(field(status, "CapEff"), Some("0000000000000000"));
        assert_eq!(field(status, "Cap"), None);
    }

    #[test]
    fn a_root_that_can_be_written_is_seen() {
        let mount = |options: &str| {
            format!(
                "1 2 0:3 / / {options} - overlay overlay rw\n4 1 0:5 / /proc ro - proc proc rw\n"
            )
        };
        assert!(has_read_only_root(&mount("ro,relatime")));
        assert!(!has_read_only_root(&mount("rw,relatime")));
    }

    #[test]
    fn the_limit_of_memory_is_found_in_both_versions() {
        let first = limit_file("8:pids:/a\n4:memory:/a/b\n0::/a/b\n");
        let expected = "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes";
        assert_eq!(first.as_deref(), Some(expected));
        let second = limit_file("0::/a/b\n");
        assert_eq!(second.as_deref(), Some("/sys/fs/cgroup/a/b/memory.max"));
        assert_eq!(limit_file(""), None);
    }
}
