//! A Docker engine of its own, for as long as a test needs it: `cargo xtask clients` unpacked it.
//!
//! It runs in a mount and a process namespace of its own and with a network of its own making turned off. When it ends,
//! nothing of it is left: no process, no mount, no folder outside its own, no bridge and no rule of a firewall.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{clients::installed, eventually};

/// The only image there is: one program and nothing else.
const IMAGE: &str = "busybox";
/// Folders where the engine and its parts write, whatever they are told. They are hidden behind empty ones.
const HIDDEN: &str = r#"
mount -t tmpfs weir /run && mount -t tmpfs weir /opt && mount --bind "$1" /etc && shift && exec "$@"
"#;
/// What the engine needs of `/etc`. It finds no configuration and no credentials of this machine there.
const SETTINGS: [&str; 3] = ["hosts", "passwd", "group"];
/// How long what was killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running engine. Killed when dropped, with everything in it.
pub(crate) struct Engine {
    child: Child,
    home: TempDir,
    cgroup: String,
}

impl Engine {
    /// Starts an engine and gives it its image. Needs root.
    pub(crate) fn start() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cgroup = format!("weir-tests-{}-{number}", std::process::id());
        let home = TempDir::with_prefix("weir-docker-").expect("a folder");
        let place = |name: &str| home.path().join(name);
        fs::create_dir(place("etc")).expect("a folder");
        for name in SETTINGS {
            fs::copy(format!("/etc/{name}"), place("etc").join(name)).expect("a copy");
        }
        let log = fs::File::create(place("log")).expect("a file");
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sh", "-c", HIDDEN, "sh"])
            .arg(place("etc"))
            .arg(installed("docker/root/usr/sbin/dockerd"))
            .args(["--bridge=none", "--iptables=false", "--ip-forward=false"])
            .args(["--ip-masq=false", "--userland-proxy=false"])
            .args([
                "--storage-driver=vfs",
                "--exec-opt=native.cgroupdriver=cgroupfs",
            ])
            .arg(format!("--cgroup-parent={cgroup}"))
            .arg(flag("--data-root=", &place("data")))
            .arg(flag("--exec-root=", &place("exec")))
            .arg(flag("--pidfile=", &place("pid")))
            .arg(flag("--host=unix://", &place("socket")))
            .env("PATH", programs())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().expect("`unshare` starts");
        let mut engine = Self {
            child,
            home,
            cgroup,
        };
        engine.wait_ready();
        engine
    }

    fn wait_ready(&mut self) {
        eventually("the Docker engine is ready", 60, || {
            let ended = self.child.try_wait().expect("a child");
            assert!(
                ended.is_none(),
                "the Docker engine needs root and has ended: {}",
                self.log()
            );
            self.docker(&["version"]).status.success().then_some(())
        });
        let archive = self.home.path().join("image.tar");
        let mut pack = Command::new("tar");
        pack.arg("-C").arg(installed("docker/root/bin"));
        let packed = pack.arg("-cf").arg(&archive).arg("busybox").status();
        assert!(packed.expect("tar").success());
        let archive = archive.to_string_lossy();
        let imported = self.docker(&["import", &archive, IMAGE]);
        assert!(imported.status.success(), "{imported:?}");
    }

    /// Runs a container that logs to `address`, and waits for its end. `awk` are the words for this program.
    #[track_caller]
    pub(crate) fn run(&self, address: &str, acks: bool, awk: &[&str]) {
        let address = format!("--log-opt=fluentd-address={address}");
        let acks = format!("--log-opt=fluentd-request-ack={acks}");
        let run = [
            "run",
            "--detach",
            "--network=none",
            "--log-driver=fluentd",
            "--log-opt=tag=docker.test",
            &address,
            &acks,
            IMAGE,
            "/busybox",
            "awk",
        ];
        let started = self.docker(&[&run, awk].concat());
        assert!(started.status.success(), "{started:?}");
        let id = String::from_utf8_lossy(&started.stdout);
        // It ends when all that the container has written is sent.
        let ended = self.docker(&["wait", id.trim()]);
        assert_eq!(ended.stdout, b"0\n", "{ended:?}");
    }

    fn docker(&self, words: &[&str]) -> Output {
        let mut command = Command::new(installed("docker/root/usr/bin/docker"));
        command
            .arg("--host")
            .arg(flag("unix://", &self.home.path().join("socket")))
            .args(words)
            .env("DOCKER_CONFIG", self.home.path())
            .stdin(Stdio::null());
        command.output().expect("the client of the engine starts")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// Its control groups, one in each hierarchy or one in all, each after those of containers that were killed.
    fn cgroups(&self) -> Vec<PathBuf> {
        let top = PathBuf::from("/sys/fs/cgroup");
        let places = folders(&top).into_iter().chain([top]);
        places
            .map(|place| place.join(&self.cgroup))
            .filter(|group| group.is_dir())
            .flat_map(|group| folders(&group).into_iter().chain([group]))
            .collect()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The first process of the namespace goes with its parent, and all others with it.
        drop(self.child.kill());
        drop(self.child.wait());
        let deadline = Instant::now() + PATIENCE;
        // A control group stays as long as a process is in it.
        while Instant::now() < deadline {
            let groups = self.cgroups();
            if groups.is_empty() {
                break;
            }
            for group in groups {
                drop(fs::remove_dir(group));
            }
            thread::yield_now();
        }
        if thread::panicking() {
            eprintln!("the log of the Docker engine:\n{}", self.log());
        }
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

/// Where the engine finds its other programs, before those of the machine.
fn programs() -> OsString {
    let own = ["docker/root/usr/sbin", "docker/root/usr/bin"].map(installed);
    let machine = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    std::env::join_paths(own.into_iter().chain(machine)).expect("a path without a colon")
}

fn flag(name: &str, value: &Path) -> OsString {
    let mut flag = OsString::from(name);
    flag.push(value);
    flag
}
