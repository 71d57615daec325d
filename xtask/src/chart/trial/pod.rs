//! A pod: containers that share a network, started, looked at and ended as the kubelet would.

use super::{
    Cluster,
    container::{Writer, limit},
    plan::Plan,
    running::Running,
    until,
    volumes::Volumes,
};
use crate::{
    chart::objects::{list, name_of, pod},
    http,
};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    net::Ipv4Addr,
    path::Path,
    time::Duration,
};

/// What a pod may take to end when it says nothing.
const GRACE_SECONDS: u64 = 30;
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A pod that runs.
pub(super) struct Pod<'a> {
    name: &'a str,
    description: &'a Value,
    address: Ipv4Addr,
    containers: Vec<Running<'a>>,
    /// Holds the processes of a pod whose containers see each other, so it goes after them.
    pause: Option<Running<'a>>,
}

impl<'a> Pod<'a> {
    /// Starts what an object describes: init containers one after the other, then what runs.
    pub(super) fn start(
        plan: &Plan,
        object: &'a Value,
        name: &'a str,
        cluster: &'a Cluster,
    ) -> Result<Self> {
        let folder = plan.folder.join("pods").join(name);
        fs::create_dir_all(&folder)?;
        let description = pod(object).with_context(|| format!("{name} has no containers"))?;
        let volumes = folder.join("volumes");
        let writer = Writer {
            plan,
            pod: description,
            instance: name,
            volumes: &Volumes::fill(plan, &cluster.node, object, description, &volumes)?,
            hosts: &folder.join("hosts"),
            account: cluster.api.account(),
        };
        let address = cluster.network.address(name)?;
        let hosts = format!("127.0.0.1\tlocalhost\n{address}\t{name}\n");
        fs::write(writer.hosts, hosts)?;
        let log = File::create(folder.join("pod.log"))?;
        let run = |container: &str, words: &[String]| {
            let container = format!("{name}-{container}");
            Running::start(&cluster.containers, container, words, &log)
        };
        let mut pod = Self {
            name,
            description,
            address,
            containers: Vec::new(),
            pause: None,
        };
        for container in list(description, "/initContainers") {
            run(name_of(&container), &writer.words(&container)?)?.wait()?;
        }
        let mut shared = Vec::new();
        if description.get("shareProcessNamespace") == Some(&json!(true)) {
            let words = [
                "--detach",
                "--network=none",
                &plan.pause,
                "sleep",
                "infinity",
            ];
            let mut pause = run("pause", &words.map(str::to_owned))?;
            // The command ends when the container has begun.
            pause.wait()?;
            shared.push(format!("--pid=container:{}", pause.name()));
            pod.pause = Some(pause);
        }
        for container in list(description, "/containers") {
            let words = [shared.clone(), writer.words(&container)?].concat();
            pod.containers.push(run(name_of(&container), &words)?);
        }
        Ok(pod)
    }

    /// Waits until it says that it is ready.
    pub(super) fn ready(&mut self) -> Result<()> {
        let url = format!("http://{}:24231/readyz", self.address);
        until(&format!("{} is ready", self.name), || {
            for container in &mut self.containers {
                container.is_running()?;
            }
            let answer = http::get(&url, ANSWER_WITHIN);
            Ok(answer.is_ok_and(|answer| answer.status == 200))
        })
    }

    /// Waits for the end of a pod that ends by itself.
    pub(super) fn wait(&mut self) -> Result<()> {
        self.containers.iter_mut().try_for_each(Running::wait)
    }

    /// What the kubelet does: TERM, and as long to end as the pod says.
    pub(super) fn end(&mut self) -> Result<()> {
        let grace = self.description.get("terminationGracePeriodSeconds");
        let grace = grace.and_then(Value::as_u64).unwrap_or(GRACE_SECONDS);
        let mut containers = self.containers.iter_mut();
        containers.try_for_each(|container| container.stop(grace))
    }

    /// The kernel says so, not the settings that were given.
    pub(super) fn is_confined(&self, user: &str) -> Result<()> {
        let described = list(self.description, "/containers");
        for (running, container) in self.containers.iter().zip(&described) {
            running.is_confined(user, limit(container)?)?;
        }
        Ok(())
    }
}

/// Shows what pods said, for whoever must find out why.
pub(super) fn show_logs(folder: &Path) {
    let pods = fs::read_dir(folder.join("pods"))
        .into_iter()
        .flatten()
        .flatten();
    for pod in pods {
        let text = fs::read_to_string(pod.path().join("pod.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines
            .get(lines.len().saturating_sub(15)..)
            .unwrap_or_default();
        println!(
            "--- {}\n{}",
            pod.file_name().to_string_lossy(),
            last.join("\n")
        );
    }
}
