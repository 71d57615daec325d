//! What the chart renders, run: checks, aggregators, `helm test` and agents as containers, and a real Elasticsearch
//! behind them.
//!
//! There is no kubelet and no registry here: podman and runc make the containers, of the image that `cargo xtask image`
//! builds. They have what is rendered: commands, variables, configurations, secrets, mounts, users, capabilities, the
//! filter of system calls, a read-only root, and limits of memory. Not seen are requests and shares of a processor,
//! sizes of volumes, probes but for the question whether a pod is ready, policies of the network, and the rights of a
//! token, which a scripted API knows.

mod api;
mod container;
mod course;
mod elastic;
mod names;
mod network;
mod node;
mod plan;
mod pod;
mod relay;
mod running;
mod volumes;

use self::{api::Api, elastic::Elastic, network::Network, node::Node, plan::Plan};
use super::{Chart, objects};
use crate::{image, packages, process, servers};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Programs, and the packages that bring them; the image needs others.
const PROGRAMS: [(&str, &str); 3] = [
    ("curl", "curl"),
    ("openssl", "openssl"),
    ("python3", "python3"),
];
const PATIENCE: Duration = Duration::from_mins(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// A person's address in every line, which must not be stored.
const PERSONAL: &str = "jane.doe@example.org";

/// Renders, and starts the trial with a network, mounts and processes of its own.
pub(super) fn run(chart: &Chart) -> Result<()> {
    for (program, package) in PROGRAMS {
        packages::ensure_program(program, package)?;
    }
    let tools = image::ensure()?;
    servers::ensure(servers::Set::Daily)?;
    let folder = chart.root.join("target/chart/trial");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;
    let plan = Plan::make(chart, folder, &tools)?;
    let server = server(&chart.root)?;
    relay::from_socket(&plan.socket(), &server)?;
    let mut trial = Command::new("unshare");
    trial.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
    ]);
    trial.arg(std::env::current_exe()?);
    trial.args(["chart", "--trial"]).arg(&plan.folder);
    let result = process::run(&mut trial);
    for index in plan.indexes() {
        let mut delete = Command::new("curl");
        delete.args(["--silent", "--output", "/dev/null", "--request", "DELETE"]);
        // It is not there when the trial failed early.
        drop(delete.arg(format!("http://{server}/{index}")).status());
    }
    result
}

/// Host and port of the real Elasticsearch.
fn server(root: &Path) -> Result<String> {
    let path = root.join("target/servers/state.json");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let state: Value = serde_json::from_str(&text)?;
    let url = objects::text(&state, "/elasticsearch/url");
    let address = url
        .strip_prefix("http://")
        .context("Elasticsearch has no address")?;
    Ok(address.trim_end_matches('/').to_owned())
}

/// What is around the pods.
struct Cluster {
    network: Network,
    node: Node,
    api: Api,
    containers: image::Store,
}

/// The trial itself, in a network of its own.
pub(super) fn inside(folder: &Path) -> Result<()> {
    let plan = Plan::load(folder)?;
    let network = Network::make()?;
    names::serve(network.names())?;
    relay::to_socket(network::GATEWAY, 9200, &plan.socket())?;
    let elastic = Elastic::new(format!("http://{}:9200", network::GATEWAY));
    let cluster = Cluster {
        network,
        node: Node::new(&folder.join("node"), &plan.token),
        api: Api::start(&made(folder.join("api"))?, &plan.token)?,
        containers: image::store()?.beside(folder.join("containers"))?,
    };
    let result = course::run(&plan, &cluster, &elastic);
    if result.is_err() {
        pod::show_logs(folder);
    }
    result
}

/// A folder, made.
fn made(folder: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so()? {
        if Instant::now() > deadline {
            bail!("not within {} s: {what}", PATIENCE.as_secs());
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    Ok(())
}
