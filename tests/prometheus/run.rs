//! Routers of every role to which things happen, and a Prometheus that watches.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use serde_json::json;

use super::expressions::{Kind, file};
use crate::harness::{
    Weir, bulk, forward, free_port,
    prometheus::{Prometheus, Target, fixed},
    weir::Home,
};

/// What kube-state-metrics would say of a cluster with two nodes, one of them without an agent.
const CLUSTER: &str = "kube_node_info{node=\"with\"} 1\nkube_node_info{node=\"without\"} 1\n\
    kube_pod_info{namespace=\"logging\",pod=\"agent\",node=\"with\"} 1\n";

/// The folder in which the agent reads, and the name of a file in it as the kubelet gives them.
const LOGS: &str = "var/log/containers";
const LOG: &str =
    "web-1_shop_app-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.log";

/// Everything that runs.
pub(super) struct Run {
    pub(super) prometheus: Prometheus,
    aggregator: Weir,
    behind: Weir,
    agent: Weir,
    /// Where the agent reads.
    agent_home: Home,
    homes: [Home; 3],
    _taken: TcpListener,
}

impl Run {
    pub(super) fn start() -> Self {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let taken_at = taken.local_addr().expect("a bound socket");
        let behind_at = free_port();
        let behind_home = Home::new(&behind(behind_at));
        let behind = behind_home.start();
        let aggregator_home = Home::new(&aggregator(taken_at, bulk::start(), behind_at));
        // It never becomes ready, because one of its sources cannot be bound.
        let aggregator = aggregator_home.spawn(&[]);
        let agent_home = Home::new(&agent(aggregator.listens("in")));
        fs::create_dir_all(agent_home.path().join(LOGS)).expect("a folder");
        let agent = agent_home.start();
        let gone_home = Home::new(&behind_only_in_memory());
        let gone = gone_home.start();
        let target = |weir: &Weir, pod| Target {
            address: weir.admin(),
            labels: vec![("namespace", "logging"), ("pod", pod)],
        };
        let prometheus = Prometheus::start(&[
            target(&aggregator, "aggregator"),
            target(&behind, "behind"),
            target(&agent, "agent"),
            target(&gone, "gone"),
            Target {
                address: fixed(CLUSTER),
                labels: Vec::new(),
            },
        ]);
        let run = Self {
            prometheus,
            aggregator,
            behind,
            agent,
            agent_home,
            homes: [aggregator_home, behind_home, gone_home],
            _taken: taken,
        };
        run.once(gone);
        run
    }

    /// Routers that still run.
    pub(super) fn routers(&self) -> [&Weir; 3] {
        [&self.aggregator, &self.behind, &self.agent]
    }

    /// What happens a single time: a process ends after it was scraped, a configuration is refused, a document meets an
    /// overloaded server.
    fn once(&self, gone: Weir) {
        crate::harness::eventually("all were scraped", 30, || {
            (self.prometheus.ask("weir_build_info").len() == 4).then_some(())
        });
        gone.kill();
        let config = self.homes[0].config();
        fs::write(&config, "this is no configuration").expect("a file");
        self.aggregator.signal("HUP");
        self.send("app.x", &[json!({ "text": bulk::UNWELCOME })]);
        let at = self.aggregator.listens("in");
        thread::spawn(move || fill(at));
    }

    /// What happens again and again.
    pub(super) fn provoke(&self) {
        self.send(
            "app.x",
            &[json!({ "n": 1 }), json!({ "text": bulk::MISFIT })],
        );
        self.send("nobody.x", &[json!({ "n": 1 })]);
        self.send("next.x", &[json!({ "n": 1 })]);
        self.send("huge.x", &[json!({ "n": 1 })]);
        // Not what the protocol begins with where a key is wanted.
        if let Ok(mut stream) = TcpStream::connect(self.aggregator.listens("secure")) {
            drop(stream.write_all(&forward::packed("a", &forward::numbered(0, 1), None)));
            // Closing at once would be a connection that broke. This ends when the other side has refused it.
            drop(stream.set_read_timeout(Some(Duration::from_secs(1))));
            drop(stream.read_to_end(&mut Vec::new()));
        }
        let log = self.agent_home.path().join(LOGS).join(LOG);
        let mut log = fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("a file");
        // More than is read at once, so that something is unread when it is looked at.
        let lines = "a line\n".repeat(100_000);
        log.write_all(lines.as_bytes()).expect("it is written");
        thread::sleep(Duration::from_millis(500));
    }

    /// Sends to the aggregator, and does not wait.
    fn send(&self, tag: &str, records: &[serde_json::Value]) {
        let entries: Vec<u8> = records
            .iter()
            .flat_map(|record| forward::entry(1_764_000_000, record))
            .collect();
        let stream = TcpStream::connect(self.aggregator.listens("in"));
        let mut stream = stream.expect("the forward port answers");
        stream
            .write_all(&forward::packed(tag, &entries, None))
            .expect("the router reads");
    }
}

/// Fills the buffer of the output that is down, and stands there until the router ends.
fn fill(at: SocketAddr) {
    let Ok(mut stream) = TcpStream::connect(at) else {
        return;
    };
    let message = forward::packed("down.x", &forward::numbered(0, 500), None);
    while stream.write_all(&message).is_ok() {}
}

/// The page of the metrics: names, types, and who exposes them.
pub(super) fn page() -> BTreeMap<String, (String, Kind)> {
    let (mut found, mut kind) = (BTreeMap::new(), Kind::Engine);
    for line in file("docs/METRICS.md").lines() {
        if line.starts_with("## ") {
            kind = if line.starts_with("## Plugins") {
                Kind::Plugin
            } else {
                Kind::Engine
            };
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let [_, name, metric_type, ..] = cells[..]
            && let Some(name) = name
                .strip_prefix('`')
                .and_then(|name| name.strip_suffix('`'))
        {
            let before = found.insert(name.to_owned(), (metric_type.to_owned(), kind));
            assert!(before.is_none(), "{name} is on the page twice");
        }
    }
    assert!(found.len() > 50, "a page of metrics");
    found
}

fn service(role: &str) -> String {
    format!(
        "[service]\ndata_dir = \"data\"\ndrain_delay = \"0s\"\nrole = \"{role}\"\n\
         [service.admin]\nlisten = \"127.0.0.1:0\"\ncompat = [\"fluentd\"]\n"
    )
}

fn aggregator(taken: SocketAddr, bulk: SocketAddr, behind: u16) -> String {
    let (outputs, service) = (outputs(bulk, behind), service("aggregator"));
    let certs = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/plugins/in_forward/src/tests/certs"
    );
    format!(
        r#"{service}
[[source]]
id = "in"
type = "forward"
listen = "127.0.0.1:0"
[[source]]
id = "secure"
type = "forward"
listen = "127.0.0.1:0"
[source.security]
self_hostname = "aggregator"
shared_key = "a key"
[[source]]
id = "private"
type = "forward"
listen = "127.0.0.1:0"
[source.tls]
cert_path = "{certs}/server.pem"
private_key_path = "{certs}/server.key"
[[source]]
id = "taken"
type = "forward"
listen = "{taken}"
[[filter]]
id = "some"
type = "grep"
tag = "app.**"
exclude = [{{ key = "level", pattern = "debug" }}]
{outputs}"#
    )
}

/// The outputs of the aggregator: one that refuses some, one that is down, one with two servers, one without room.
fn outputs(bulk: SocketAddr, behind: u16) -> String {
    let dead = free_port();
    let retry = "flush_interval = \"0s\"\nretry_wait = \"100ms\"\nretry_max_interval = \"200ms\"\n";
    format!(
        r#"[[match]]
id = "es"
tag = "app.**"
type = "elasticsearch"
hosts = ["http://{bulk}"]
index = "logs"
compression = "none"
[match.buffer]
flush_thread_count = 4
{retry}
[[match]]
id = "down"
tag = "down.**"
type = "elasticsearch"
hosts = ["http://127.0.0.1:{dead}"]
index = "logs"
[match.buffer]
chunk_limit_size = "64KiB"
total_limit_size = "512KiB"
{retry}
[[match]]
id = "next"
tag = "next.**"
type = "forward"
heartbeat_interval = "200ms"
hard_timeout = "1s"
[[match.server]]
name = "here"
host = "127.0.0.1"
port = {behind}
[[match.server]]
name = "gone"
host = "127.0.0.1"
port = {dead}
[match.buffer]
{retry}
[[match]]
id = "huge"
tag = "huge.**"
type = "file"
path = "out/huge.log"
[match.buffer]
total_limit_size = "900TiB"
flush_interval = "0s"
"#
    )
}

fn behind(port: u16) -> String {
    let service = service("aggregator");
    format!(
        "{service}\n[[source]]\nid = \"in\"\ntype = \"forward\"\nlisten = \"127.0.0.1:{port}\"\n\
         [[match]]\nid = \"null\"\ntag = \"**\"\ntype = \"null\"\n"
    )
}

fn behind_only_in_memory() -> String {
    let service = service("other");
    format!(
        "{service}\n[[source]]\ntype = \"sample\"\ntag = \"a\"\n\
         [[match]]\ntag = \"**\"\ntype = \"null\"\n"
    )
}

fn agent(aggregator: SocketAddr) -> String {
    let service = service("agent");
    let (host, port) = (aggregator.ip(), aggregator.port());
    format!(
        r#"{service}
[[source]]
id = "pods"
type = "tail"
path = "{LOGS}/*.log"
tag = "next.*"
read_from_head = true
[source.parse]
type = "none"
[[filter]]
id = "metadata"
type = "kubernetes_metadata"
tag = "**"
kubernetes_url = "http://127.0.0.1:1"
wait = "100ms"
namespace_metrics = true
[[match]]
id = "aggregator"
tag = "**"
type = "forward"
[[match.server]]
host = "{host}"
port = {port}
[match.buffer]
flush_interval = "0s"
"#
    )
}
