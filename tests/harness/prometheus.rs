//! The real Prometheus that `cargo xtask assets` unpacked: it scrapes what a test starts, and is asked.

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{free_port, http, wait::eventually};

/// Where it was unpacked.
const PROGRAMS: &str = "target/prometheus/root/usr/bin";

/// What it scrapes: the address, and labels of the target.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) labels: Vec<(&'static str, &'static str)>,
}

/// A running server. Killed when dropped.
pub(crate) struct Prometheus {
    child: Child,
    url: String,
    _home: TempDir,
}

/// A sample of an answer.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) value: f64,
}

/// A program of the package.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(PROGRAMS)
        .join(name);
    assert!(
        path.is_file(),
        "unpack Prometheus with `cargo xtask assets`"
    );
    path
}

impl Prometheus {
    /// Starts it over these targets, with a scrape every half second.
    pub(crate) fn start(targets: &[Target]) -> Self {
        let home = TempDir::with_prefix("prometheus-").expect("a folder");
        let mut config = String::from(
            "global: { scrape_interval: 500ms, evaluation_interval: 1s }\nscrape_configs:\n\
             \x20 - job_name: weir\n    honor_labels: true\n    static_configs:\n",
        );
        for Target { address, labels } in targets {
            let labels: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}: {value}"))
                .collect();
            let labels = labels.join(", ");
            writeln!(
                config,
                "      - {{ targets: ['{address}'], labels: {{ {labels} }} }}"
            )
            .expect("writing to a string");
        }
        let file = home.path().join("prometheus.yml");
        fs::write(&file, config).expect("a file");
        let port = free_port();
        let child = Command::new(program("prometheus"))
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                home.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("Prometheus starts");
        let url = format!("http://127.0.0.1:{port}");
        let prometheus = Self {
            child,
            url,
            _home: home,
        };
        eventually("Prometheus is ready", 30, || {
            (http::get(&format!("{}/-/ready", prometheus.url)).0 == 200).then_some(())
        });
        prometheus
    }

    /// What an expression gives now.
    ///
    /// # Panics
    /// When it is no expression.
    pub(crate) fn ask(&self, expression: &str) -> Vec<Sample> {
        let query: String = expression.bytes().fold(String::new(), |mut out, byte| {
            write!(out, "%{byte:02X}").expect("writing to a string");
            out
        });
        let (status, text) = http::get(&format!("{}/api/v1/query?query={query}", self.url));
        assert_eq!(status, 200, "{expression}: {text}");
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        let samples = answer["data"]["result"].as_array().expect("a list").iter();
        let sample = |sample: &Value| Sample {
            value: sample["value"][1]
                .as_str()
                .and_then(|text| text.parse().ok())
                .unwrap_or(f64::NAN),
        };
        samples.map(sample).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Gives the same exposition to everybody who asks, until the test ends.
pub(crate) fn fixed(exposition: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            // Whatever was asked, the answer is the same.
            drop(stream.read(&mut request));
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n";
            let length = exposition.len();
            drop(write!(
                stream,
                "{head}Content-Length: {length}\r\n\r\n{exposition}"
            ));
        }
    });
    address
}
