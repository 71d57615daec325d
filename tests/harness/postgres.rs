//! A real database server that `cargo xtask clients` unpacked: one cluster per test, which may be killed and started again.

use std::{
    fs,
    io::Write as _,
    os::unix::{fs::chown, process::CommandExt as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{clients::installed, eventually, free_port};

/// The password of the one role, `weir`.
pub(crate) const PASSWORD: &str = "a password";
/// Whom root becomes, since the server refuses root: `nobody`, who owns nothing else.
const NOBODY: u32 = 65_534;

/// A cluster and, while it runs, its server.
pub(crate) struct Postgres {
    home: TempDir,
    pub(crate) port: u16,
    server: Option<Child>,
}

impl Postgres {
    /// Makes a cluster and starts its server.
    pub(crate) fn start() -> Self {
        let home = TempDir::with_prefix("weir-postgres-").expect("a folder");
        let mut this = Self {
            home,
            port: free_port(),
            server: None,
        };
        fs::write(this.file("password"), PASSWORD).expect("a file");
        if is_root() {
            for path in [this.home.path().to_owned(), this.file("password")] {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give files away");
            }
        }
        let mut init = this.program("initdb");
        init.arg("-D").arg(this.file("data"));
        init.args([
            "-U",
            "weir",
            "-A",
            "scram-sha-256",
            "--no-locale",
            "-E",
            "UTF8",
            "--no-sync",
        ]);
        init.arg("--pwfile").arg(this.file("password"));
        let made = init.output().expect("initdb starts");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "initdb failed: {said}");
        this.resume();
        this
    }

    /// Starts the server of the cluster, and waits until it answers.
    pub(crate) fn resume(&mut self) {
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.file("data"));
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.home.path().display()),
            // A killed server must keep what it promised; the machine itself does not lose power here.
            "fsync=on".to_owned(),
            "shared_buffers=16MB".to_owned(),
            "jit=off".to_owned(),
        ] {
            command.arg("-c").arg(setting);
        }
        let log = fs::File::create(self.file("log")).expect("a file");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.server = Some(command.spawn().expect("the server starts"));
        eventually("PostgreSQL answers", 30, || self.try_query("SELECT 1").ok());
    }

    /// Ends the server as `kill -9` of all of it would: at once, without writing anything down.
    pub(crate) fn kill(&mut self) {
        let mut server = self.server.take().expect("it runs");
        let pid = server.id().to_string();
        // The processes of its connections first, so that none of them ends a statement in peace.
        let children = Command::new("ps")
            .args(["-o", "pid=", "--ppid", &pid])
            .output();
        let children = children.expect("ps").stdout;
        let children = String::from_utf8(children).expect("numbers");
        server.kill().expect("it runs");
        let mut kill = Command::new("kill");
        kill.arg("-9")
            .args(children.split_whitespace())
            .stderr(Stdio::null());
        drop(kill.status());
        server.wait().expect("it ends");
        let gone = |pid: &str| !PathBuf::from(format!("/proc/{pid}")).exists();
        eventually("every process of the server is gone", 20, || {
            children.split_whitespace().all(gone).then_some(())
        });
    }

    /// The rows of a query as text, columns with tabs between them.
    #[track_caller]
    pub(crate) fn query(&self, sql: &str) -> Vec<String> {
        self.try_query(sql).expect(sql)
    }

    pub(crate) fn try_query(&self, sql: &str) -> Result<Vec<String>, String> {
        let mut command = Command::new(bin("psql"));
        command.args(["-X", "-q", "-A", "-t", "-F", "\t", "-f", "-"]);
        command.args(["-v", "ON_ERROR_STOP=1"]);
        command.args(["-h", "127.0.0.1", "-U", "weir", "-d", "postgres"]);
        command.args(["-p", &self.port.to_string()]);
        command
            .env("PGPASSWORD", PASSWORD)
            .env("PGCONNECT_TIMEOUT", "5");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut running = command.spawn().expect("psql starts");
        // An argument has a limit that a long list is beyond. A psql without a server reads nothing.
        let mut pipe = running.stdin.take().expect("a pipe");
        drop(pipe.write_all(sql.as_bytes()));
        drop(pipe);
        let done = running.wait_with_output().expect("psql ends");
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned());
        }
        let text = String::from_utf8(done.stdout).expect("UTF-8");
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(bin(name));
        command.current_dir(self.home.path());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // SIGQUIT ends it at once, with all processes of its connections.
            let mut quit = Command::new("kill");
            drop(quit.args(["-QUIT", &server.id().to_string()]).status());
            drop(server.wait());
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.file("log")).unwrap_or_default();
            eprintln!("the log of PostgreSQL:\n{log}");
        }
    }
}

fn bin(name: &str) -> PathBuf {
    installed("postgres/root/usr/lib/postgresql/15/bin").join(name)
}

fn is_root() -> bool {
    let id = Command::new("id").arg("--user").output().expect("id");
    id.stdout == b"0\n"
}
