//! Servers in SRV records of the DNS.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::{RData, rdata::SRV},
};

use super::Mistake;
use crate::config::{Server, ServiceDiscovery};

/// The port of name servers.
const DNS_PORT: u16 = 53;
/// The shortest time between two questions.
const EVERY_MIN: Duration = Duration::from_millis(10);

/// A name with SRV records.
#[derive(Debug)]
pub(crate) struct Srv {
    name: String,
    name_server: Option<SocketAddr>,
    table: ServiceDiscovery,
}

impl Srv {
    pub(super) fn new(table: &ServiceDiscovery) -> Result<Self, Mistake> {
        let missing = |key: &str| {
            let help = "servers are looked up as `_service._proto.hostname`";
            ("", format!("`{key}` is missing"), help)
        };
        let service = table.service.as_ref().ok_or_else(|| missing("service"))?;
        let hostname = table.hostname.as_ref().ok_or_else(|| missing("hostname"))?;
        let name_server = match table.dns_server_host.as_deref() {
            None => None,
            Some(text) => Some(address(text).ok_or_else(|| {
                let message = format!("{text:?} is not an address");
                (
                    "/dns_server_host",
                    message,
                    "write an IP address, with or without a port",
                )
            })?),
        };
        if table.interval.0 < EVERY_MIN {
            let message = format!("{} is too short for `interval`", table.interval);
            return Err(("/interval", message, "write at least 10ms"));
        }
        // The dot at the end keeps search domains away.
        let hostname = hostname.trim_end_matches('.');
        Ok(Self {
            name: format!("_{service}._{}.{hostname}.", table.proto),
            name_server,
            table: table.clone(),
        })
    }

    pub(super) fn every(&self) -> Duration {
        self.table.interval.0
    }

    /// The servers.
    pub(super) async fn look(&self) -> Result<Vec<Server>, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", self.name);
        let mut builder = match self.name_server {
            None => TokioResolver::builder_tokio().map_err(|error| failed(&error))?,
            Some(address) => {
                let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                for connection in &mut connections {
                    connection.port = address.port();
                }
                let server = NameServerConfig::new(address.ip(), true, connections);
                let config = ResolverConfig::from_name_servers(vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        // What is asked for is how things are now.
        builder.options_mut().cache_size = 0;
        let resolver = builder.build().map_err(|error| failed(&error))?;
        let answer = resolver.srv_lookup(self.name.as_str()).await;
        let answer = answer.map_err(|error| failed(&error))?;
        let records: Vec<&SRV> = answer
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(record) => Some(record),
                _ => None,
            })
            .collect();
        Ok(self.servers(&records))
    }

    /// Records of the smallest priority take part, the others stand by.
    fn servers(&self, records: &[&SRV]) -> Vec<Server> {
        let first = records.iter().map(|record| record.priority).min();
        let mut servers: Vec<Server> = records
            .iter()
            .map(|record| Server {
                name: None,
                host: record.target.to_utf8().trim_end_matches('.').to_owned(),
                port: record.port,
                // Records without a preference have weight 0 (RFC 2782), which here would take nothing.
                weight: u32::from(record.weight).max(1),
                standby: Some(record.priority) != first,
                shared_key: self.table.shared_key.clone(),
                username: self.table.username.clone(),
                password: self.table.password.clone(),
            })
            .collect();
        // Name servers answer in any order.
        servers.sort_by(|left, right| (&left.host, left.port).cmp(&(&right.host, right.port)));
        servers
    }
}

fn address(text: &str) -> Option<SocketAddr> {
    let with_port = text.parse().ok();
    with_port.or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, DNS_PORT)))
}
