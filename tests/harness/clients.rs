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
pub(super) fn installed(path: &str) -> PathBuf {
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
    start(
        program("python"),
        port,
        tag,
        &["--records", records, "--count", &count.to_string()],
    )
}

/// The Go logger, asking for acknowledgements: each record is a message of its own.
pub(crate) fn go(port: u16, tag: &str, count: u64) -> Client {
    start(
        program("go"),
        port,
        tag,
        &["--ack", "--patience", "240", "--count", &count.to_string()],
    )
}

/// The key, the user and the password that the senders use where they are asked to.
pub(crate) const KEY: &str = "a key of some length 0123";
pub(crate) const USER: &str = "sender";
pub(crate) const PASSWORD: &str = "a password";

/// What a logger is asked for besides sending. Each can do some of it; `tests/clients/README.md` says which.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    /// The event mode, or the one that the program begins with.
    pub(crate) mode: Option<&'a str>,
    pub(crate) acks: bool,
    pub(crate) tls: bool,
    /// Shared key, user and password.
    pub(crate) key: bool,
}

/// The folder of the certificates: `server.pem` is for `localhost` and signed by `authority.pem`.
pub(crate) fn certificates() -> PathBuf {
    root().join("plugins/out_forward/src/tests/tls")
}

/// Any of the loggers, by its name.
pub(crate) fn logger(name: &str, port: u16, tag: &str, count: u64, asked: Asked<'_>) -> Client {
    let (count, authority) = (count.to_string(), certificates().join("authority.pem"));
    let mut command = program(name);
    command.args(["--count", &count]);
    if let Some(mode) = asked.mode {
        command.args(["--mode", mode]);
    }
    if asked.acks {
        command.arg("--ack");
    }
    if asked.tls {
        command.args(["--host", "localhost", "--tls", "--ca"]);
        command.arg(authority);
    }
    if asked.key {
        command.args(["--shared-key", KEY, "--user", USER, "--password", PASSWORD]);
    }
    start(command, port, tag, &[])
}

/// The command that starts a logger.
fn program(name: &str) -> Command {
    match name {
        "python" => {
            let mut command = Command::new(installed("python/bin/python"));
            command.arg(root().join("tests/clients/python/send.py"));
            command
        }
        "go" => Command::new(installed("go/send")),
        "fluency" => {
            let classes = [installed("java/classes"), installed("java/lib").join("*")];
            let path = std::env::join_paths(classes).expect("a path without a colon");
            let mut command = Command::new("java");
            command.arg("-cp").arg(path).arg("Send");
            command
        }
        _ => {
            let mut command = node("send.js");
            command.args(["--client", name]);
            command
        }
    }
}

/// One of the programs for Node.
pub(crate) fn node(program: &str) -> Command {
    installed("node/node_modules");
    let mut command = Command::new("node");
    command.arg(root().join("tests/clients/node").join(program));
    command
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
