//! The quick start in a container without rights: a record goes in over the forward port and comes out in a day file.

use super::{IMAGE, store::Store};
use crate::process;
use anyhow::{Context as _, Result, bail, ensure};
use rmpv::Value;
use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// The port of the quick start for the forward protocol.
const FORWARD: &str = "127.0.0.1:24224";
/// What a process without rights shows in its status: user and group of the image, no capability of any kind.
const STATUS: [(&str, &str); 7] = [
    ("Uid", "65532"),
    ("Gid", "65532"),
    ("CapPrm", "0000000000000000"),
    ("CapEff", "0000000000000000"),
    ("CapBnd", "0000000000000000"),
    ("CapAmb", "0000000000000000"),
    ("NoNewPrivs", "1"),
];

/// A running container with a volume. Both go with it.
struct Container<'a> {
    store: &'a Store,
    name: String,
}

/// Tries the image; meant for a network namespace of its own.
pub(super) fn run(store: &Store) -> Result<()> {
    process::run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    let container = Container::start(store)?;
    let result = trial(&container);
    if result.is_err() {
        // Shown for whoever must find out why; that it cannot be shown is not the failure.
        drop(container.podman(&["logs"]).status());
    }
    result
}

fn trial(container: &Container<'_>) -> Result<()> {
    until(
        "the health check of the image says that it is healthy",
        || {
            let mut check = container.podman(&["healthcheck", "run"]);
            Ok(check.stdout(Stdio::null()).status()?.success())
        },
    )?;
    container.has_no_rights()?;
    let message = format!("a record of trial {}", std::process::id());
    send(&message).context("send a record with an acknowledgement")?;
    let logs = container.volume()?.join("data/logs");
    until("the record is in a day file", || Ok(holds(&logs, &message)))?;
    let mut stop = container.podman(&["stop", "--time", "40"]);
    process::run(stop.stdout(Stdio::null()))?;
    let code = container.inspect("{{.State.ExitCode}}")?;
    ensure!(code == "0", "the container ended with {code} instead of 0");
    println!(
        "the quick start ran read-only, as user 65532, without capabilities: one record in, acknowledged, one out"
    );
    Ok(())
}

impl<'a> Container<'a> {
    fn start(store: &'a Store) -> Result<Self> {
        let container = Self {
            store,
            name: format!("weir-trial-{}", std::process::id()),
        };
        let mut run = store.podman();
        run.args(["run", "--detach", "--name", &container.name]);
        run.args(["--network", "host", "--log-driver", "k8s-file"]);
        run.args([
            "--read-only",
            "--read-only-tmpfs=false",
            "--cap-drop",
            "ALL",
        ]);
        run.args(["--security-opt", "no-new-privileges"]);
        run.args(["--volume", &format!("{}:/var/lib/weir", container.name)]);
        // Limits that every machine grants.
        run.args([
            "--ulimit",
            "nofile=1024:1024",
            "--ulimit",
            "nproc=1024:1024",
        ]);
        process::run(run.arg(IMAGE).stdout(Stdio::null()))?;
        Ok(container)
    }

    /// A command of podman about this container.
    fn podman(&self, words: &[&str]) -> Command {
        let mut command = self.store.podman();
        command.args(words).arg(&self.name);
        command
    }

    fn inspect(&self, format: &str) -> Result<String> {
        let text = process::output(&mut self.podman(&["inspect", "--format", format]))?;
        Ok(text.trim().to_owned())
    }

    /// Where the volume is on this machine.
    fn volume(&self) -> Result<PathBuf> {
        let mounts = self.inspect("{{range .Mounts}}{{.Source}}{{end}}")?;
        Ok(mounts.into())
    }

    /// The kernel says so, not the options that were given.
    fn has_no_rights(&self) -> Result<()> {
        let pid = self.inspect("{{.State.Pid}}")?;
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).with_context(|| format!("read {path}"))
        };
        let status = read("status")?;
        for (name, expected) in STATUS {
            let found = field(&status, name);
            ensure!(
                found == Some(expected),
                "{name} is {found:?} instead of {expected}"
            );
        }
        ensure!(
            has_read_only_root(&read("mountinfo")?),
            "the root file system can be written"
        );
        Ok(())
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        for words in [
            &["rm", "--force", "--volumes"][..],
            &["volume", "rm", "--force"],
        ] {
            let mut command = self.podman(words);
            // A failure here would hide the one that matters; the next run has other names.
            drop(command.stdout(Stdio::null()).stderr(Stdio::null()).status());
        }
    }
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

/// Sends one record and waits for the acknowledgement.
fn send(message: &str) -> Result<()> {
    let mut stream = TcpStream::connect(FORWARD)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let chunk = "trial";
    let text = |text: &str| Value::from(text);
    let event = Value::Array(vec![
        text("trial.image"),
        Value::from(1_700_000_000_u32),
        Value::Map(vec![(text("message"), text(message))]),
        Value::Map(vec![(text("chunk"), text(chunk))]),
    ]);
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &event)?;
    stream.write_all(&bytes)?;
    let answer = rmpv::decode::read_value(&mut stream)?;
    ensure!(
        answer == Value::Map(vec![(text("ack"), text(chunk))]),
        "the answer is {answer}"
    );
    Ok(())
}

fn holds(folder: &Path, text: &str) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .any(|file| file.contains(text))
}

fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so()? {
        if Instant::now() > deadline {
            bail!("not within {} s: {what}", PATIENCE.as_secs());
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    Ok(())
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
}
