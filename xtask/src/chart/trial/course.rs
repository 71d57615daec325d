//! What happens in a trial: checks, an installation, `helm test`, and lines on their way while an aggregator goes away.

use super::{Cluster, PERSONAL, elastic::Elastic, plan::Plan, pod::Pod, until};
use anyhow::{Result, ensure};

/// Lines that containers write before an aggregator goes away, and after.
const LINES: [u64; 2] = [500, 500];
/// What the kernel says of what runs.
const CONFINED: &str =
    "read-only, without capabilities, with filtered system calls and limited memory";

pub(super) fn run(plan: &Plan, cluster: &Cluster, elastic: &Elastic) -> Result<()> {
    let start = |(kind, name): (&str, &str), instance: &'static str| {
        Pod::start(plan, plan.objects.named(kind, name)?, instance, cluster)
    };
    let node = &cluster.node;
    for check in ["weir-check", "weir-check-node"] {
        start(("Job", check), check)?.wait()?;
    }
    println!("both configurations were checked before anything was installed");

    let mut first = start(("StatefulSet", "weir"), "weir-0")?;
    let mut second = start(("StatefulSet", "weir"), "weir-1")?;
    for pod in [&mut first, &mut second] {
        pod.ready()?;
        pod.is_confined("65532")?;
    }
    println!("two aggregators run as user 65532: {CONFINED}");

    start(("Pod", "weir-test"), "weir-test")?.wait()?;
    ensure!(
        elastic.count(&plan.index("helmtest"), "message:sent")? == 1,
        "the record of helm test is not there"
    );
    println!("helm test sent a record and found it");

    let [before, after] = LINES;
    node.write(0..before)?;
    let mut agent = start(("DaemonSet", "weir-agent"), "weir-agent-x1")?;
    agent.ready()?;
    agent.is_confined("0")?;
    println!("an agent runs as user 0: {CONFINED}");
    let index = plan.index("kubernetes");
    let found = |wanted: u64| {
        until(&format!("{wanted} lines are in Elasticsearch"), || {
            Ok(elastic.count(&index, &format!("log:{}", plan.token))? == wanted)
        })
    };
    found(before)?;
    second.end()?;
    node.rotate()?;
    node.write(before..before + after)?;
    found(before + after)?;
    ensure!(
        elastic.count(&index, &format!("log:\"{PERSONAL}\""))? == 0,
        "an address that must not be stored is stored"
    );
    for field in [
        "namespace_name:shop",
        "pod_name:web-0",
        "container_name:app",
    ] {
        let count = elastic.count(&index, &format!("kubernetes.{field}"))?;
        ensure!(
            count == before + after,
            "{field} stands in {count} documents"
        );
    }
    println!(
        "{} lines went from files through agent and aggregators, one of which went away, to Elasticsearch, each once",
        before + after
    );

    agent.end()?;
    first.end()
}
