//! The real fluent loggers that `cargo xtask clients` installed; `tests/clients/README.md` has their command line.

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use super::eventually;

/// A logger that is sending. Killed when dropped.
pub(crate) struct Client {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// An installed program; a missing one fails the test.
fn installed(path: &str) -> PathBuf {
    let path = root().join("target/clients").join(path);
    assert!(
        path.exists(),
        "{} is missing; run `cargo xtask clients`",
        path.display()
    );
    path
}

/// The Python logger. It cannot ask for acknowledgements.
pub(crate) fn python(port: u16, tag: &str, records: &str, count: u64) -> Client {
    let mut command = Command::new(installed("python/bin/python"));
    command.arg(root().join("tests/clients/python/send.py"));
    start(
        command,
        port,
        tag,
        &["--records", records, "--count", &count.to_string()],
    )
}

/// The Go logger, asking for acknowledgements: each record is a message of its own.
pub(crate) fn go(port: u16, tag: &str, count: u64) -> Client {
    let command = Command::new(installed("go/send"));
    start(
        command,
        port,
        tag,
        &["--ack", "--patience", "240", "--count", &count.to_string()],
    )
}

/// One of the Node loggers, `fluent-logger` or `@fluent-org/logger`.
pub(crate) fn node(name: &str, port: u16, tag: &str, count: u64, more: &[&str]) -> Client {
    installed("node/node_modules");
    let mut command = Command::new("node");
    command
        .arg(root().join("tests/clients/node/send.js"))
        .args(["--client", name])
        .args(more);
    start(command, port, tag, &["--count", &count.to_string()])
}

fn start(mut command: Command, port: u16, tag: &str, args: &[&str]) -> Client {
    command
        .args(["--port", &port.to_string(), "--tag", tag])
        .args(args);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let (pipe, lines) = (child.stdout.take().expect("a pipe"), Arc::default());
    let seen: Arc<Mutex<Vec<String>>> = Arc::clone(&lines);
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            seen.lock().expect("the lines").push(line);
        }
    });
    Client { child, lines }
}

impl Client {
    /// Acknowledgements so far.
    pub(crate) fn acked(&self) -> usize {
        self.acked_ids().len()
    }

    /// Waits for its end, which must be good; the ids that were acknowledged.
    #[track_caller]
    pub(crate) fn finish(mut self, patience_secs: u64) -> HashSet<u64> {
        let status = eventually("the client ends", patience_secs, || {
            self.child.try_wait().expect("a child")
        });
        assert!(status.success(), "the client ended with {status}");
        eventually("its closing line", 5, || {
            let lines = self.lines.lock().expect("the lines");
            lines
                .last()
                .filter(|line| line.starts_with("sent "))
                .map(drop)
        });
        self.acked_ids()
    }

    fn acked_ids(&self) -> HashSet<u64> {
        let lines = self.lines.lock().expect("the lines");
        lines
            .iter()
            .filter_map(|line| line.strip_prefix("acked ")?.parse().ok())
            .collect()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
