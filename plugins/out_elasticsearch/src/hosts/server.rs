//! Who answers at a host: Elasticsearch or OpenSearch, and which version.

use reqwest::Method;
use serde_json::Value;

use crate::{
    hosts::{Hosts, NoHost},
    http::{Question, Reply},
};

/// Tells the version where the root does not: it may be answered by a proxy, or by nobody.
pub(crate) const NODES: &str = "/_nodes/_local?filter_path=nodes.*.version";

/// Who answers at a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) is_opensearch: bool,
    pub(crate) version: String,
}

/// Who answers at any host; `None` when nobody says. Who may write need not be allowed to ask, and some proxies only
/// let bulk requests pass.
///
/// # Errors
/// [`NoHost`] when nobody answers.
pub(crate) async fn of_any(hosts: &Hosts) -> Result<Option<Server>, NoHost> {
    for path in ["/", NODES] {
        let method = Method::GET;
        let body = None;
        let reply = hosts.ask_any(&Question { method, path, body }).await?;
        if let Some(server) = Server::of_root(&reply).or_else(|| Server::of_node(&reply)) {
            return Ok(Some(server));
        }
    }
    Ok(None)
}

impl Server {
    /// What the root says.
    pub(crate) fn of_root(reply: &Reply) -> Option<Self> {
        let page: Value = serde_json::from_slice(&reply.body).ok()?;
        Some(Self {
            is_opensearch: text(&page, "/version/distribution") == Some("opensearch"),
            version: text(&page, "/version/number")?.to_owned(),
        })
    }

    /// What the list of nodes says.
    pub(crate) fn of_node(reply: &Reply) -> Option<Self> {
        let page: Value = serde_json::from_slice(&reply.body).ok()?;
        let nodes = page.get("nodes")?.as_object()?;
        let version = text(nodes.values().next()?, "/version")?;
        Some(Self {
            // Only OpenSearch begins so low again, and its root is there.
            is_opensearch: version.starts_with(['1', '2', '3', '4']),
            version: version.to_owned(),
        })
    }
}

/// The text at a place of a page.
pub(crate) fn text<'a>(page: &'a Value, place: &str) -> Option<&'a str> {
    page.pointer(place)?.as_str()
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = if self.is_opensearch {
            "OpenSearch"
        } else {
            "Elasticsearch"
        };
        write!(f, "{name} {}", self.version)
    }
}
