//! The router as a measured process, and the decoded tree as a measured loop.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::time::{ClockId, clock_gettime};

use super::load::Load;

/// Unit of the times in `/proc/PID/stat`, in milliseconds (100 ticks a second on Linux).
const TICK_MS: u64 = 10;

/// A running router on the first core. Ends when dropped.
pub(super) struct Router(Child);

impl Router {
    pub(super) fn start(binary: &Path, config: &Path, admin: u16) -> anyhow::Result<Self> {
        let log = std::fs::File::create(config.with_extension("log"))?;
        let child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(binary)
            .args(["run", "-c"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("start the router under taskset (package util-linux)")?;
        let router = Self(child);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_ready(admin) {
            if Instant::now() > deadline {
                bail!(
                    "the router is not ready: {}",
                    std::fs::read_to_string(config.with_extension("log"))?
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(router)
    }

    /// CPU time so far, user and system, all threads.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        let (_, fields) = stat.rsplit_once(')').context("read /proc/PID/stat")?;
        let mut fields = fields.split_whitespace().skip(11);
        let mut next = || {
            fields
                .next()
                .and_then(|field| field.parse::<u64>().ok())
                .context("read /proc/PID/stat")
        };
        Ok(Duration::from_millis((next()? + next()?) * TICK_MS))
    }

    /// A memory figure of `/proc/PID/status`, in MiB.
    pub(super) fn resident_mib(&self, name: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status
            .lines()
            .find(|line| line.starts_with(name))
            .context("read /proc/PID/status")?;
        let kib: f64 = line
            .split_whitespace()
            .nth(1)
            .context("read /proc/PID/status")?
            .parse()?;
        Ok(kib / 1024.0)
    }

    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.0.id().to_string();
        ensure!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()?
                .success(),
            "send SIGTERM"
        );
        let status = self.0.wait()?;
        ensure!(status.success(), "the router ended with {status}");
        Ok(())
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn is_ready(admin: u16) -> bool {
    get(admin, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// The sum of a metric over its series.
pub(super) fn metric(admin: u16, name: &str) -> anyhow::Result<u64> {
    let text = get(admin, "/metrics")?;
    let series = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' '])
            .then(|| line.rsplit(' ').next())?
    });
    let mut sum = 0;
    for value in series {
        sum += value
            .parse::<u64>()
            .with_context(|| format!("{name} is {value}"))?;
    }
    Ok(sum)
}

/// What the admin port answers.
fn get(admin: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", admin))?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// An empty folder under `target/`.
pub(super) fn scratch_dir(name: &str) -> anyhow::Result<PathBuf> {
    let dir = std::env::current_dir()?.join("target").join(name);
    if dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Leaves the first core to the router.
pub(super) fn pin_self_to_other_cores() -> anyhow::Result<()> {
    let cores = thread::available_parallelism()?.get();
    if cores < 2 {
        return Ok(());
    }
    let pid = std::process::id().to_string();
    let status = Command::new("taskset")
        .args(["-a", "-p", "-c", &format!("1-{}", cores - 1), &pid])
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "taskset failed");
    Ok(())
}

/// CPU microseconds per record for the encoding alone: a decoded tree printed by `serde_json`.
pub(super) fn tree_us_per_record(load: &Load) -> anyhow::Result<f64> {
    let mut body = String::new();
    let before = thread_cpu()?;
    for entry in &load.entries {
        let value = rmpv::decode::read_value(&mut entry.as_slice())?;
        let record = value
            .as_array()
            .and_then(|parts| parts.get(1))
            .context("an entry has two parts")?;
        body.clear();
        writeln!(
            body,
            "{}",
            serde_json::json!({ "create": { "_index": "logs", "_id": "x" } })
        )?;
        writeln!(body, "{}", serde_json::to_string(&to_json(record))?)?;
    }
    let took = thread_cpu()?.saturating_sub(before);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of records in a float for a ratio"
    )]
    Ok(took.as_secs_f64() * 1e6 / load.entries.len() as f64)
}

fn to_json(value: &rmpv::Value) -> serde_json::Value {
    match value {
        rmpv::Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), to_json(value)))
            .collect(),
        rmpv::Value::String(text) => text.as_str().unwrap_or_default().into(),
        rmpv::Value::Integer(number) => number.as_u64().into(),
        _ => serde_json::Value::Null,
    }
}

/// CPU time of this thread, by its clock; what `/proc` says of it may be a tick of the kernel old.
fn thread_cpu() -> anyhow::Result<Duration> {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Ok(Duration::new(
        time.tv_sec.try_into()?,
        time.tv_nsec.try_into()?,
    ))
}

/// The middle value.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
