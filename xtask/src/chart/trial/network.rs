//! The network of a cluster: each pod has an address of its own, behind one bridge.

use super::names::Names;
use crate::process;
use anyhow::{Context as _, Result};
use std::{net::Ipv4Addr, process::Command};

/// Where names and Elasticsearch are.
pub(super) const GATEWAY: &str = "10.99.0.1";
/// The pods of a trial and the last number of their addresses.
const PODS: [(&str, u8); 6] = [
    ("weir-0", 10),
    ("weir-1", 11),
    ("weir-agent-x1", 20),
    ("weir-test", 30),
    ("weir-check", 40),
    ("weir-check-node", 41),
];

/// The bridge, in a network and with mounts that go with the process.
pub(super) struct Network;

impl Network {
    pub(super) fn make() -> Result<Self> {
        // Names of networks are files there; nobody else must see them.
        process::run(Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]))?;
        ip("link set lo up")?;
        ip("link add weir type bridge")?;
        ip(&format!("addr add {GATEWAY}/24 dev weir"))?;
        ip("link set weir up")?;
        for (index, (name, number)) in PODS.iter().enumerate() {
            ip(&format!("netns add {name}"))?;
            ip(&format!(
                "link add pod{index} type veth peer name eth0 netns {name}"
            ))?;
            ip(&format!("link set pod{index} master weir"))?;
            ip(&format!("link set pod{index} up"))?;
            ip(&format!("-n {name} addr add 10.99.0.{number}/24 dev eth0"))?;
            ip(&format!("-n {name} link set eth0 up"))?;
            ip(&format!("-n {name} link set lo up"))?;
        }
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "names are there when the network is")]
    pub(super) fn names(&self) -> Names {
        PODS.iter()
            .map(|(name, number)| ((*name).to_owned(), Ipv4Addr::new(10, 99, 0, *number)))
            .collect()
    }

    pub(super) fn address(&self, pod: &str) -> Result<Ipv4Addr> {
        let mut names = self.names().into_iter();
        let found = names.find(|(name, _)| name == pod);
        Ok(found.with_context(|| format!("{pod} has no address"))?.1)
    }
}

fn ip(line: &str) -> Result<()> {
    process::run(Command::new("ip").args(line.split(' ')))
}
