//! A started router: its ports, log, metrics, memory and end.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    http,
    metrics::Samples,
    wait::{eventually, holds},
};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_weir");

/// Runs a command of the binary in this folder to its end.
pub(crate) fn command(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Said {
    let output = Command::new(BINARY)
        .args(args)
        .envs(env.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("weir runs");
    Said {
        code: output.status.code().expect("an exit code"),
        out: output.stdout,
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Said {
    /// Standard output of a command that ended well.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        assert_eq!(self.code, 0, "{}", self.err);
        std::str::from_utf8(&self.out).expect("text")
    }

    /// Standard output as JSON, whatever the exit code.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.out).expect("JSON on standard output")
    }

    /// Each line of standard output as JSON.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.text().lines();
        lines
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect()
    }
}

/// Unit of the times in `/proc/PID/stat`, in milliseconds (100 ticks a second on Linux).
const TICK_MS: u64 = 10;

/// A configuration in a folder of its own, which is also where the router runs and keeps its data.
pub(crate) struct Home(TempDir);

/// A running router. Killed when dropped.
pub(crate) struct Weir {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
}

impl Home {
    /// A folder with this configuration.
    pub(crate) fn new(config: &str) -> Self {
        let home = Self(TempDir::with_prefix("weir-").expect("a folder"));
        fs::write(home.config(), config).expect("a file");
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("weir.toml")
    }

    /// Starts the router and waits until it is ready.
    pub(crate) fn start(&self) -> Weir {
        let weir = self.spawn(&[]);
        weir.wait_ready();
        weir
    }

    /// Starts the router with more environment, without waiting.
    pub(crate) fn spawn(&self, env: &[(&str, &str)]) -> Weir {
        let mut command = Command::new(BINARY);
        command
            .args(["run", "-c"])
            .arg(self.config())
            .envs(env.iter().copied());
        Weir::spawn(command, self.path())
    }

    /// The lines of every file below `folder`, as JSON.
    pub(crate) fn records(&self, folder: &str) -> Vec<Value> {
        let mut paths = vec![self.path().join(folder)];
        let mut records = Vec::new();
        while let Some(path) = paths.pop() {
            if let Ok(entries) = fs::read_dir(&path) {
                paths.extend(entries.flatten().map(|entry| entry.path()));
            } else if let Ok(text) = fs::read_to_string(&path) {
                // A line that is being written is not whole yet; the caller looks again.
                records.extend(
                    text.lines()
                        .filter_map(|line| serde_json::from_str(line).ok()),
                );
            }
        }
        records
    }
}

impl Weir {
    /// Starts a command in `dir` and reads its log.
    pub(crate) fn spawn(mut command: Command, dir: &Path) -> Self {
        command
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the router starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (pipe, lines) = (child.stderr.take().expect("a pipe"), Arc::clone(&log));
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                lines.lock().expect("the log").push(line);
            }
        });
        Self { child, log }
    }

    pub(crate) fn wait_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.is_ready() {
            let log = self.log_text();
            assert!(
                Instant::now() < deadline,
                "not ready in 20 s; its log: {log}"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the router says that it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.try_admin()
            .is_some_and(|admin| http::get(&format!("http://{admin}/readyz")).0 == 200)
    }

    /// Whether the process is gone.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The log so far; lines that are not JSON are strings.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.lock().expect("the log").clone()
    }

    pub(crate) fn log_text(&self) -> String {
        let lines: Vec<String> = self.log().iter().map(Value::to_string).collect();
        lines.join("\n")
    }

    /// The address in the first log line whose message is `prefix` and an address.
    fn address(&self, source: Option<&str>, prefix: &str) -> Option<SocketAddr> {
        self.log().iter().find_map(|line| {
            if source.is_some_and(|id| line["source"] != id) {
                return None;
            }
            line["message"].as_str()?.strip_prefix(prefix)?.parse().ok()
        })
    }

    fn try_admin(&self) -> Option<SocketAddr> {
        self.address(None, "admin port listening on ")
    }

    /// Where the admin port is.
    #[track_caller]
    pub(crate) fn admin(&self) -> SocketAddr {
        eventually("the admin port is bound", 20, || self.try_admin())
    }

    /// Where the source with this id listens.
    #[track_caller]
    pub(crate) fn listens(&self, source: &str) -> SocketAddr {
        eventually("the source is bound", 20, || {
            self.address(Some(source), "listening on ")
        })
    }

    /// Status and body of a path of the admin port.
    pub(crate) fn probe(&self, path: &str) -> (u16, String) {
        http::get(&format!("http://{}{path}", self.admin()))
    }

    pub(crate) fn metrics(&self) -> Samples {
        Samples::parse(&self.probe("/metrics").1)
    }

    /// Waits until nothing is held and every page of the ledger balances.
    #[track_caller]
    pub(crate) fn settles(&self, patience_secs: u64) {
        holds(
            "nothing to look through, nothing held, no page unbalanced",
            patience_secs,
            &(0.0, 0.0, Vec::new()),
            || {
                let samples = self.metrics();
                (
                    samples.sum("weir_buffer_recovery_left_bytes", &[]),
                    samples.sum("weir_held_records", &[]),
                    unbalanced(&samples),
                )
            },
        );
    }

    /// A figure of `/proc/PID/status` in KiB, such as `VmRSS` or `VmHWM`.
    pub(crate) fn memory_kib(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("/proc");
        let line = status
            .lines()
            .find(|line| line.starts_with(name))
            .expect("the figure");
        line.split_whitespace()
            .nth(1)
            .and_then(|number| number.parse().ok())
            .expect("a number")
    }

    /// CPU time so far, user and system, all threads.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("/proc");
        let (_, fields) = stat.rsplit_once(')').expect("the name of the program");
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|n| n.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * TICK_MS)
    }

    /// Open descriptors: of sockets, and of all kinds.
    pub(crate) fn descriptors(&self) -> (usize, usize) {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("/proc");
        // One that is closed meanwhile has no target any more.
        let targets: Vec<_> = entries
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .collect();
        let is_socket = |path: &&PathBuf| path.to_string_lossy().starts_with("socket:");
        (targets.iter().filter(is_socket).count(), targets.len())
    }

    /// Sends a signal by name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status();
        assert!(status.expect("kill").success());
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Asks it to drain and waits for the end.
    #[track_caller]
    pub(crate) fn stop(self) -> ExitStatus {
        self.signal("TERM");
        self.wait_end(40)
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn wait_end(mut self, patience_secs: u64) -> ExitStatus {
        eventually("the router ends", patience_secs, || {
            self.child.try_wait().expect("a child")
        })
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking() {
            eprintln!("the log of the router:\n{}", self.log_text());
        }
    }
}

/// The pages of the ledger that do not balance.
pub(crate) fn unbalanced(samples: &Samples) -> Vec<String> {
    let pages = samples.matching("weir_ledger_imbalance_records", &[]);
    let off = pages.filter(|(_, value)| *value != 0.0);
    off.map(|(page, value)| format!("{page} {value}")).collect()
}
