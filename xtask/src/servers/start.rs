//! Starts a node with an empty data folder, and waits until it answers.

use super::{
    Places,
    account::{self, Account},
    guard::{self, Login},
    list::Server,
    make,
    process::Process,
    state::{Entry, State},
};
use crate::{http, process};
use anyhow::{Context as _, Result, bail};
use serde_json::json;
use std::{
    fs::{self, File},
    net::TcpListener,
    ops::Range,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A cold start takes half a minute on two idle cores.
const PATIENCE: Duration = Duration::from_mins(4);
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Small heaps, and no second compiler: tests are short, so a quick start wins.
const JAVA_OPTIONS: &str = "-Xms512m -Xmx512m -XX:TieredStopAtLevel=1";
/// A full disk of the developer is not what the tests are about, and they remove their indices by pattern.
const SETTINGS: [&str; 5] = [
    "discovery.type=single-node",
    "network.host=127.0.0.1",
    "node.name=test",
    "cluster.routing.allocation.disk.threshold_enabled=false",
    "action.destructive_requires_name=false",
];
/// Lines of the log that a failure shows.
const SHOWN_LINES: usize = 20;

/// Starts a server. It runs in a process group of its own and outlives this program.
pub(super) fn start(server: &Server, places: &Places) -> Result<Entry> {
    let account = account::ensure()?;
    let node = places.node(server);
    let distribution = places.distribution(server);
    prepare(&node, &distribution)?;
    let login = guard::prepare(server, &node, places, account)?;
    if let Some(account) = account {
        account.own(&node)?;
    }
    let [port, transport] = free_ports(&server.ports)?;
    let log = node.join("output.log");
    let file = File::create(&log).with_context(|| format!("make {}", log.display()))?;
    let program = distribution.join("bin").join(server.product.name());
    let arguments = arguments(server, &node, port, transport);
    let environment = environment(server, &node, &places.java(server.java)?);
    let mut command = Command::new(&program);
    command
        .args(&arguments)
        .env_clear()
        .envs(environment.iter().cloned())
        .current_dir(&node)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0);
    if let Some(account) = account {
        account.run(&mut command);
    }
    println!("starting {} {}", server.name, server.version);
    let child = command
        .spawn()
        .with_context(|| format!("start {}", server.name))?;
    let scheme = if login.is_some() { "https" } else { "http" };
    Ok(Entry {
        url: format!("{scheme}://127.0.0.1:{port}"),
        version: server.version.to_owned(),
        log,
        login,
        node: json!({
            "program": program,
            "arguments": arguments,
            "environment": environment,
            "folder": node,
            "account": account.map(Account::to_json),
        }),
        process: Process::of(child.id())?,
    })
}

/// Every start begins with nothing indexed and the configuration as it was delivered.
fn prepare(node: &Path, distribution: &Path) -> Result<()> {
    if node.exists() {
        fs::remove_dir_all(node).with_context(|| format!("remove {}", node.display()))?;
    }
    for folder in ["data", "logs", "temporary"] {
        make(&node.join(folder))?;
    }
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(distribution.join("config"));
    process::run(copy.arg(node.join("config")))
}

fn arguments(server: &Server, node: &Path, port: u16, transport: u16) -> Vec<String> {
    let settings = SETTINGS
        .iter()
        .copied()
        .chain(server.settings())
        .map(String::from);
    let own = [
        format!("cluster.name=weir-{}", server.name),
        format!("http.port={port}"),
        format!("transport.port={transport}"),
        format!("path.data={}", node.join("data").display()),
        format!("path.logs={}", node.join("logs").display()),
    ];
    settings
        .chain(own)
        .flat_map(|setting| ["-E".to_owned(), setting])
        .collect()
}

/// The whole environment of a node, and of the tools of its distribution.
pub(super) fn environment(server: &Server, node: &Path, java: &Path) -> Vec<(String, String)> {
    let text = |path: &Path| path.display().to_string();
    let own = |name: &str, value| (format!("{}_{name}", server.product.prefix()), value);
    vec![
        ("HOME".into(), text(node)),
        ("PATH".into(), "/usr/bin:/bin".into()),
        own("JAVA_HOME", text(java)),
        own("PATH_CONF", text(&node.join("config"))),
        own("TMPDIR", text(&node.join("temporary"))),
        own("JAVA_OPTS", JAVA_OPTIONS.into()),
    ]
}

/// Two free ports. A server that was just started has not bound its own yet, so each chooses from a range of its own.
fn free_ports(range: &Range<u16>) -> Result<[u16; 2]> {
    let mut free = range
        .clone()
        .filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    match (free.next(), free.next()) {
        (Some(one), Some(other)) => Ok([one, other]),
        _ => bail!("ports {} to {} are in use", range.start, range.end),
    }
}

/// Waits until a server that was started answers.
pub(super) fn wait_until_healthy(server: &Server, state: &State, places: &Places) -> Result<()> {
    let entry = state
        .entry(server.name)
        .context("the server was not started")?;
    let start = Instant::now();
    while !is_healthy(entry) {
        if !entry.process.is_alive() {
            bail!(
                "{} ended instead of starting:\n{}",
                server.name,
                last_lines(&entry.log)
            );
        }
        if start.elapsed() > PATIENCE {
            bail!(
                "{} does not answer after {} s (logs in {}):\n{}",
                server.name,
                PATIENCE.as_secs(),
                places.node(server).display(),
                last_lines(&entry.log)
            );
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    Ok(())
}

/// Whether the server answers that its cluster works.
pub(super) fn is_healthy(entry: &Entry) -> bool {
    let url = format!("{}/_cluster/health", entry.url);
    let body = match &entry.login {
        None => http::get(&url, ANSWER_WITHIN)
            .ok()
            .filter(|answer| answer.status == 200)
            .map(|answer| answer.body),
        Some(login) => get_guarded(&url, login),
    };
    body.is_some_and(|body| body.contains("\"status\"") && !body.contains("\"red\""))
}

/// What a guarded server answers with 200.
fn get_guarded(url: &str, login: &Login) -> Option<String> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--fail", "--max-time"]);
    command.arg(ANSWER_WITHIN.as_secs().to_string());
    command.arg("--cacert").arg(&login.ca_file);
    command.args(["--user", &format!("{}:{}", login.user, login.password)]);
    let output = command.arg(url).stdin(Stdio::null()).output().ok()?;
    let body = output.status.success().then_some(output.stdout)?;
    String::from_utf8(body).ok()
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(SHOWN_LINES)..)
        .unwrap_or_default()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::{super::list::SERVERS, *};

    #[test]
    fn a_node_keeps_to_itself() {
        let server = &SERVERS[0];
        let arguments = arguments(server, Path::new("/n"), 29200, 29201);
        for setting in [
            "network.host=127.0.0.1",
            "http.port=29200",
            "transport.port=29201",
            "path.data=/n/data",
            "xpack.security.enabled=false",
        ] {
            assert!(
                arguments.windows(2).any(|pair| pair == ["-E", setting]),
                "{setting}"
            );
        }
        let environment = environment(server, Path::new("/n"), Path::new("/j"));
        assert!(environment.contains(&("ES_JAVA_HOME".into(), "/j".into())));
        assert!(environment.contains(&("ES_PATH_CONF".into(), "/n/config".into())));
    }

    #[test]
    fn ports_differ_and_lie_in_the_range() {
        let [one, other] = free_ports(&SERVERS[0].ports).unwrap();
        assert!(
            one != other && SERVERS[0].ports.contains(&one) && SERVERS[0].ports.contains(&other)
        );
    }
}
