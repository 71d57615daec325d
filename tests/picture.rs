//! The whole picture: three node agents, two aggregators behind TLS and a shared key, a real Elasticsearch. One
//! aggregator is killed and comes back, and Elasticsearch stands still for a minute.
//!
//! The oracle is the list of lines that the writers wrote; the index is compared with it.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    delivery::ROUTER,
    harness::{
        Weir, clients, free_port, holds,
        proxy::Door,
        servers::Server,
        weir::{Home, unbalanced},
    },
};

const AGENTS: usize = 3;
const AGGREGATORS: usize = 2;
/// Containers of one node.
const CONTAINERS: usize = 4;
/// How long Elasticsearch stands still.
const STILL: Duration = Duration::from_mins(1);
/// Between two lines of one container.
const LINE_EVERY: Duration = Duration::from_millis(10);
const AGENT_MAX_KIB: u64 = 64 * 1024;
const AGGREGATOR_MAX_KIB: u64 = 128 * 1024;
const KEY: &str = "a key of some length 0123";

/// An agent that reads the pods below `pods`, hides personal data, and sends to both aggregators.
fn agent(number: usize, ports: &[u16]) -> Home {
    let certs = clients::certificates();
    let authority = certs.join("authority.pem");
    let servers = ports
        .iter()
        .map(|port| format!("[[match.server]]\nhost = \"localhost\"\nport = {port}\n"))
        .collect::<Vec<_>>()
        .concat();
    let home = Home::new(&format!(
        r#"{ROUTER}
[[source]]
id = "pods"
type = "kubernetes_logs"
path = "pods/*/*/*.log"
read_from_head = true

[[filter]]
id = "privacy"
tag = "**"
type = "redact"

[[match]]
id = "aggregators"
tag = "**"
type = "forward"
ack_response_timeout = "10s"
[match.tls]
ca_cert_path = "{}"
[match.security]
self_hostname = "agent-{number}"
shared_key = "{KEY}"
{servers}
[match.buffer]
type = "none"
flush_interval = "200ms"
retry_wait = "200ms"
retry_max_interval = "1s"
"#,
        authority.display()
    ));
    fs::create_dir_all(home.path().join("pods")).expect("a folder");
    home
}

/// An aggregator on this port that ships to Elasticsearch behind the door.
fn aggregator(port: u16, door: u16, index: &str) -> Home {
    let certs = clients::certificates();
    let certs = certs.display();
    Home::new(&format!(
        r#"{ROUTER}
[[source]]
id = "in"
type = "forward"
listen = "127.0.0.1:{port}"
identity = "origin"
[source.tls]
cert_path = "{certs}/server.pem"
private_key_path = "{certs}/server.key"
[source.security]
self_hostname = "aggregator"
shared_key = "{KEY}"

[[match]]
id = "es"
tag = "**"
type = "elasticsearch"
hosts = ["http://127.0.0.1:{door}"]
index = "{index}"
request_timeout = "20s"
[match.buffer]
chunk_limit_size = "1MiB"
flush_interval = "500ms"
retry_wait = "200ms"
retry_max_interval = "1s"
"#
    ))
}

/// Writes lines into the files of one node as a container runtime does, until it is told to end. Returns how many lines
/// each container wrote.
fn write(node: usize, pods: PathBuf, stop: Arc<AtomicBool>) -> thread::JoinHandle<Vec<u64>> {
    thread::spawn(move || {
        let mut files: Vec<File> = (0..CONTAINERS)
            .map(|container| open(&pods, node, container))
            .collect();
        let mut written = vec![0; CONTAINERS];
        while !stop.load(Ordering::Relaxed) {
            for (container, file) in files.iter_mut().enumerate() {
                let number = written[container];
                let line = format!(
                    "2026-01-02T03:04:05.{number:09}Z stdout F {{\"node\":{node},\"container\":{container},\"n\":{number}}}\n"
                );
                file.write_all(line.as_bytes()).expect("the disk takes it");
                written[container] += 1;
            }
            thread::sleep(LINE_EVERY);
        }
        written
    })
}

fn open(pods: &Path, node: usize, container: usize) -> File {
    let pod = format!("shop_web-{node}-{container}_00000000-0000-0000-{node:04}-{container:012}");
    let folder = pods.join(pod).join("app");
    fs::create_dir_all(&folder).expect("a folder");
    File::create(folder.join("0.log")).expect("a file")
}

/// How often each line, as it was written, is in the index.
fn seen(server: &Server, index: &str) -> HashMap<String, u32> {
    let mut seen = HashMap::new();
    for hit in server.documents(index) {
        let source = &hit["_source"];
        let line = source["log"].as_str().or(source["message"].as_str());
        let line = line.expect("a line").trim_end().to_owned();
        *seen.entry(line).or_default() += 1;
    }
    seen
}

fn wrong(written: &[Vec<u64>], seen: &HashMap<String, u32>) -> (u64, u64) {
    let (mut missing, mut twice) = (0, 0);
    for (node, containers) in written.iter().enumerate() {
        for (container, lines) in containers.iter().enumerate() {
            for number in 0..*lines {
                let line = format!("{{\"node\":{node},\"container\":{container},\"n\":{number}}}");
                match seen.get(&line) {
                    None => missing += 1,
                    Some(1) => {}
                    Some(_) => twice += 1,
                }
            }
        }
    }
    (missing, twice)
}

#[test]
fn every_line_of_three_nodes_is_in_the_index_exactly_once() {
    let server = Server::elasticsearch();
    let index = server.fresh_index("picture");
    let mut door = Door::new(server.address());
    door.open();
    let ports: Vec<u16> = (0..AGGREGATORS).map(|_| free_port()).collect();
    let homes: Vec<Home> = ports
        .iter()
        .map(|port| aggregator(*port, door.port(), &index))
        .collect();
    let mut aggregators: Vec<Weir> = homes.iter().map(Home::start).collect();
    let nodes: Vec<Home> = (0..AGENTS).map(|number| agent(number, &ports)).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = nodes
        .iter()
        .enumerate()
        .map(|(number, home)| write(number, home.path().join("pods"), Arc::clone(&stop)))
        .collect();
    let agents: Vec<Weir> = nodes.iter().map(Home::start).collect();
    holds("lines arrive", 60, &true, || server.count(&index) > 500);

    aggregators.remove(0).kill();
    let more = server.count(&index) + 1_000;
    holds("the other one goes on", 60, &true, || {
        server.count(&index) > more
    });
    aggregators.insert(0, homes[0].start());

    let still_since = Instant::now();
    door.freeze(true);
    holds("Elasticsearch stood still long enough", 90, &true, || {
        still_since.elapsed() >= STILL
    });
    door.freeze(false);
    let more = server.count(&index) + 1_000;
    holds("it goes on after that", 60, &true, || {
        server.count(&index) > more
    });

    stop.store(true, Ordering::Relaxed);
    let written: Vec<Vec<u64>> = writers
        .into_iter()
        .map(|writer| writer.join().expect("the writer ends"))
        .collect();
    let total: u64 = written.iter().flatten().sum();
    holds("every line is in the index", 120, &true, || {
        server.count(&index) >= total
    });
    for weir in agents.iter().chain(&aggregators) {
        weir.settles(60);
        assert_eq!(unbalanced(&weir.metrics()), Vec::<String>::new());
    }
    let seen = seen(&server, &index);
    assert_eq!(wrong(&written, &seen), (0, 0), "lines missing, lines twice");
    assert_eq!(seen.len() as u64, total, "nothing else is there");

    let peak = |weirs: &[Weir]| weirs.iter().map(|weir| weir.memory_kib("VmHWM")).max();
    let (agent, aggregator) = (peak(&agents).unwrap_or(0), peak(&aggregators).unwrap_or(0));
    println!("{total} lines, each once; peaks: agents {agent} KiB, aggregators {aggregator} KiB");
    assert!(agent < AGENT_MAX_KIB, "an agent took {agent} KiB");
    assert!(
        aggregator < AGGREGATOR_MAX_KIB,
        "an aggregator took {aggregator} KiB"
    );
}
