//! The quick start in a container without rights: a record goes in over the forward port and comes out in a day file.

use super::{IMAGE, kernel, store::Store};
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
/// The user of the image.
const USER: &str = "65532";

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
    kernel::has_no_rights(&container.inspect("{{.State.Pid}}")?, USER)?;
    let message = format!("a record of trial {}", std::process::id());
    send(&message).context("send a record with an acknowledgement")?;
    let logs = container.volume()?.join("data/logs");
    until("the record is in a day file", || Ok(holds(&logs, &message)))?;
    let mut stop = container.podman(&["stop", "--time", "40"]);
    process::run(stop.stdout(Stdio::null()))?;
    let code = container.inspect("{{.State.ExitCode}}")?;
    ensure!(code == "0", "the container ended with {code} instead of 0");
    println!(
        "the quick start ran read-only, as user {USER}, without capabilities: one record in, acknowledged, one out"
    );
    Ok(())
}

impl<'a> Container<'a> {
    fn start(store: &'a Store) -> Result<Self> {
        let container = Self {
            store,
            name: format!("weir-trial-{}", std::process::id()),
        };
        let mut run = store.run(&container.name);
        run.args(["--detach", "--network", "host"]);
        run.args(["--log-driver", "k8s-file"]);
        run.args([
            "--read-only",
            "--read-only-tmpfs=false",
            "--cap-drop",
            "ALL",
        ]);
        run.args(["--security-opt", "no-new-privileges"]);
        run.args(["--volume", &format!("{}:/var/lib/weir", container.name)]);
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
