//! A server of a test's own, started like one of those that run: it may be killed, stopped and started again.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    eventually, http,
    servers::{Server, entry},
};

/// Ports to choose from: below those that the system hands out, so that none is taken while the server is away.
const PORTS: std::ops::Range<u16> = 29_400..29_500;
/// What this process holds of those that it has chosen, so that another test command takes others.
static CHOSEN: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A server with data of its own.
pub(crate) struct Node {
    home: TempDir,
    /// What the state file says of the one that it is like.
    recipe: Value,
    ports: [u16; 2],
    version: String,
    name: String,
    child: Option<Child>,
}

impl Node {
    /// Starts a server like this one, which must be open to everybody, and waits until it answers.
    pub(crate) fn like(server: &Server) -> Self {
        assert!(server.login.is_none(), "{} is guarded", server.name);
        let recipe = entry(&server.name)["node"].clone();
        let home = TempDir::with_prefix("weir-node-").expect("a folder");
        for folder in ["data", "logs", "temporary"] {
            fs::create_dir(home.path().join(folder)).expect("a folder");
        }
        let from = Path::new(text(&recipe["folder"])).join("config");
        let mut copy = Command::new("cp");
        run(copy.arg("-r").arg(from).arg(home.path()));
        if let Some(account) = Account::of(&recipe) {
            let owner = format!("{}:{}", account.user, account.group);
            run(Command::new("chown").args(["-R", &owner]).arg(home.path()));
        }
        let mut node = Self {
            home,
            recipe,
            ports: [free(), free()],
            version: server.version.clone(),
            name: server.name.clone(),
            child: None,
        };
        node.resume();
        node
    }

    /// What runs here, for asking it.
    pub(crate) fn server(&self) -> Server {
        Server {
            name: self.name.clone(),
            url: format!("http://127.0.0.1:{}", self.ports[0]),
            version: self.version.clone(),
            login: None,
        }
    }

    /// Starts it with the data that it has, and waits until it answers.
    pub(crate) fn resume(&mut self) {
        let mut command = Command::new(text(&self.recipe["program"]));
        let arguments = self.recipe["arguments"].as_array().expect("arguments");
        for argument in arguments {
            command.arg(self.own(text(argument)));
        }
        command.env_clear();
        for pair in self.recipe["environment"].as_array().expect("variables") {
            command.env(text(&pair[0]), self.own(text(&pair[1])));
        }
        if let Some(Account { user, group }) = Account::of(&self.recipe) {
            command.uid(user).gid(group);
        }
        let log = File::create(self.log()).expect("a file");
        command
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a handle"))
            .stderr(log)
            .process_group(0);
        self.child = Some(command.spawn().expect("the server starts"));
        let url = format!("{}/_cluster/health", self.server().url);
        eventually("the server answers", 180, || {
            assert!(!self.has_ended(), "it ended: {}", self.said());
            (http::get(&url).0 == 200).then_some(())
        });
    }

    /// A text of the recipe, with the folder and the ports of this server.
    fn own(&self, text_of_recipe: &str) -> String {
        let [http, transport] = self.ports;
        if text_of_recipe.starts_with("http.port=") {
            return format!("http.port={http}");
        }
        if text_of_recipe.starts_with("transport.port=") {
            return format!("transport.port={transport}");
        }
        let here = self.home.path().to_str().expect("UTF-8");
        text_of_recipe.replace(text(&self.recipe["folder"]), here)
    }

    /// Whether it ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut().expect("it was started");
        child.try_wait().expect("a child").is_some()
    }

    /// Ends it at once, with everything that it started.
    pub(crate) fn kill(&mut self) {
        if self.child.is_some() {
            self.signal("KILL");
        }
        if let Some(mut child) = self.child.take() {
            child.wait().expect("it ends");
        }
    }

    /// Sends a signal to all of its processes, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id();
        let mut kill = Command::new("kill");
        kill.args([&format!("-{name}"), "--", &format!("-{pid}")]);
        // It may have ended already.
        drop(kill.stderr(Stdio::null()).status());
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("output.log")
    }

    /// What it printed.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let said = self.said();
            let lines: Vec<&str> = said.lines().rev().take(20).collect();
            eprintln!("the last lines of the server:\n{lines:#?}");
        }
    }
}

/// Under whom the servers run, where root started them.
struct Account {
    user: u32,
    group: u32,
}

impl Account {
    fn of(recipe: &Value) -> Option<Self> {
        let number = |name: &str| u32::try_from(recipe["account"][name].as_u64()?).ok();
        Some(Self {
            user: number("user")?,
            group: number("group")?,
        })
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn run(command: &mut Command) {
    assert!(command.status().expect("it starts").success());
}

/// A port of the range that nobody has.
fn free() -> u16 {
    let locks = std::env::temp_dir().join("weir-ports");
    fs::create_dir_all(&locks).expect("a folder");
    let mut ports = PORTS.clone();
    let found = ports.find_map(|port| {
        let lock = File::create(locks.join(port.to_string())).expect("a file");
        let is_mine = lock.try_lock().is_ok();
        let is_free = is_mine && TcpListener::bind(("127.0.0.1", port)).is_ok();
        is_free.then_some((port, lock))
    });
    let (port, lock) = found.expect("a free port for a server");
    CHOSEN.lock().expect("the ports").push(lock);
    port
}
