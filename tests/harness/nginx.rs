//! A real nginx in front of a server, which `cargo xtask clients` unpacked.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{clients::installed, eventually, free_port};

/// What it does with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Passes them on.
    Open,
    /// The server behind it is away: 502.
    Away,
    /// The server behind it does not answer: 504 after a second.
    Silent,
    /// Takes none above so many KiB: 413.
    Narrow(u32),
}

/// The running proxy. Ended when dropped.
pub(crate) struct Nginx {
    home: TempDir,
    port: u16,
    target: SocketAddr,
    /// Takes connections and never answers.
    silent: TcpListener,
    /// A port that nobody listens at.
    away: u16,
    child: Child,
}

impl Nginx {
    pub(crate) fn start(target: SocketAddr) -> Self {
        let home = TempDir::with_prefix("weir-nginx-").expect("a folder");
        let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (port, away) = (free_port(), free_port());
        let mut command = Command::new(installed("nginx/root/usr/sbin/nginx"));
        command.arg("-p").arg(home.path());
        command.args(["-c", "nginx.conf", "-e", "stderr"]);
        let log = fs::File::create(home.path().join("log")).expect("a file");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let text = config(port, &target.to_string(), "100m");
        fs::write(home.path().join("nginx.conf"), text).expect("a file");
        let this = Self {
            home,
            port,
            target,
            silent,
            away,
            child: command.stderr(log).spawn().expect("nginx starts"),
        };
        this.wait_listening();
        this
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn wait_listening(&self) {
        eventually("nginx listens", 20, || {
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
    }

    /// Does something else, from the next connection on.
    pub(crate) fn behave(&self, passage: Passage) {
        let silent = self.silent.local_addr().expect("a bound socket");
        let target = match passage {
            Passage::Open | Passage::Narrow(_) => self.target,
            Passage::Away => SocketAddr::from(([127, 0, 0, 1], self.away)),
            Passage::Silent => silent,
        };
        let size = match passage {
            Passage::Narrow(kib) => format!("{kib}k"),
            _ => "100m".to_owned(),
        };
        let text = config(self.port, &target.to_string(), &size);
        fs::write(self.home.path().join("nginx.conf"), text).expect("a file");
        self.signal("HUP");
    }

    fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        kill.args([&format!("-{name}"), &self.child.id().to_string()]);
        assert!(kill.status().expect("kill").success());
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The main process ends its workers.
        self.signal("TERM");
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            eprintln!("the log of nginx:\n{log}");
        }
    }
}

/// Workers stay who the main process is, so that they may use its folder.
fn config(port: u16, target: &str, size: &str) -> String {
    format!(
        r"
daemon off;
pid nginx.pid;
user root root;
error_log stderr;
worker_processes 1;
worker_shutdown_timeout 2s;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_max_body_size {size};
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://{target};
            proxy_http_version 1.1;
            proxy_connect_timeout 1s;
            proxy_read_timeout 1s;
        }}
    }}
}}
"
    )
}
