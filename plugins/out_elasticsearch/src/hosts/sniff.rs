//! Asking the cluster for its nodes, and which of them take part.

use schemars::JsonSchema;
use sdk::config::{ConfigError, ConfigErrors};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::hosts::address::Address;

/// What the nodes are asked for.
pub(crate) const NODES: &str = "_nodes/http?filter_path=nodes.*.roles,nodes.*.http.publish_address";
/// Requests after which nodes are asked for again.
const RELOAD_AFTER: u32 = 10_000;

/// Whether requests go to nodes that the cluster names.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sniffing {
    /// Ask the cluster for its nodes, at first and after `reload_after` requests, and send to those; the hosts that are
    /// written here stay for when no node answers. Not for hosts behind a proxy, a load balancer or a service of
    /// Kubernetes, whose nodes have addresses that cannot be reached.
    pub reload_connections: bool,
    /// Ask for the nodes after a host has failed.
    pub reload_on_failure: bool,
    /// With `reload_connections`: requests until the nodes are asked for again. Default: 10000.
    #[schemars(range(min = -1))]
    pub reload_after: Option<i64>,
    /// Fluentd's way to keep the hosts as they are written: a class whose name ends with `SimpleSniffer`.
    pub sniffer_class_name: Option<String>,
    /// Whose turn it is: that of each host (`round_robin`), or always that of the first that answers (`priority`).
    pub selector: Option<Selector>,
    /// Fluentd's way to choose the selector: a class whose name ends with `FallbackSelector` or `RoundRobin`.
    pub selector_class_name: Option<String>,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// They take turns.
    #[default]
    RoundRobin,
    /// The first that answers.
    Priority,
}

/// When nodes are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reload {
    /// At first, and after so many requests.
    pub(crate) after: Option<u32>,
    pub(crate) on_failure: bool,
}

impl Sniffing {
    /// When nodes are asked for, and whose turn it is.
    pub(crate) fn settle(&self, errors: &mut ConfigErrors) -> (Reload, Selector) {
        let mut complain = |name: &str, message: String, help: &str| {
            errors.push(ConfigError::at(format!("/{name}"), message).help(help));
        };
        let keeps = match self.sniffer_class_name.as_deref() {
            None => false,
            Some(name) if name.ends_with("SimpleSniffer") => true,
            Some(name) => {
                let message = format!("{name} is a class of Ruby, which cannot be used here");
                let help = "remove it, and set `reload_connections` as it is wanted";
                complain("sniffer_class_name", message, help);
                false
            }
        };
        let named = match self.selector_class_name.as_deref() {
            None => None,
            Some(name) if name.ends_with("FallbackSelector") => Some(Selector::Priority),
            Some(name) if name.ends_with("RoundRobin") => Some(Selector::RoundRobin),
            Some(name) => {
                let message = format!("{name} is a class of Ruby, which cannot be used here");
                let help = "write selector = \"round_robin\" or \"priority\"";
                complain("selector_class_name", message, help);
                None
            }
        };
        if self.selector.is_some() && named.is_some() {
            let message = "`selector` and `selector_class_name` are both given".to_owned();
            complain("selector_class_name", message, "remove one of the two");
        }
        if self.reload_after == Some(0) {
            let message = "nodes cannot be asked for after no request".to_owned();
            complain(
                "reload_after",
                message,
                "write a number of requests, or remove it",
            );
        }
        let after = self
            .reload_after
            .and_then(|after| u32::try_from(after).ok());
        let asks = !keeps;
        let reload = Reload {
            after: (asks && self.reload_connections).then_some(after.unwrap_or(RELOAD_AFTER)),
            on_failure: asks && self.reload_on_failure,
        };
        (reload, self.selector.or(named).unwrap_or_default())
    }
}

/// The addresses of the nodes that take documents, with the scheme and the path of the host that was asked. Empty when
/// the answer names none.
pub(crate) fn nodes(answer: &[u8], asked: &Address) -> Vec<Address> {
    let Ok(page) = serde_json::from_slice::<Value>(answer) else {
        return Vec::new();
    };
    let nodes = page.get("nodes").and_then(Value::as_object);
    let nodes = nodes.into_iter().flat_map(|nodes| nodes.values());
    nodes.filter_map(|node| address(node, asked)).collect()
}

fn address(node: &Value, asked: &Address) -> Option<Address> {
    let roles = node.get("roles").and_then(Value::as_array);
    // One that only manages the cluster is to be left alone.
    let is_master = |role: &Value| {
        ["master", "cluster_manager", "voting_only"]
            .iter()
            .any(|name| role == name)
    };
    if roles.is_some_and(|roles| !roles.is_empty() && roles.iter().all(is_master)) {
        return None;
    }
    let published = node.pointer("/http/publish_address")?.as_str()?;
    // `name/10.0.0.1:9200`: the name is what a certificate is for.
    let text = match published.split_once('/') {
        Some((name, socket)) => {
            let (_, port) = socket.rsplit_once(':')?;
            format!("{name}:{port}")
        }
        None => published.to_owned(),
    };
    let url = Url::parse(&format!(
        "{}://{text}{}",
        asked.url.scheme(),
        asked.url.path()
    ))
    .ok()?;
    url.host_str()?;
    Some(Address {
        url,
        login: asked.login.clone(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Scheme;

    #[track_caller]
    fn check(host: &str, page: &Value, expected: &[&str]) {
        let asked = Address::parse(host, Scheme::Http, 9200, None).unwrap();
        let found = nodes(page.to_string().as_bytes(), &asked);
        let urls: Vec<&str> = found.iter().map(|node| node.url.as_str()).collect();
        assert_eq!(urls, expected, "{page}");
        let logins = found.iter().map(|node| node.login.is_some());
        assert!(logins.eq(found.iter().map(|_| asked.login.is_some())));
    }

    fn node(address: &str, roles: &[&str]) -> Value {
        json!({ "roles": roles, "http": { "publish_address": address } })
    }

    #[test]
    fn nodes_keep_scheme_path_and_user_of_the_host_that_named_them() {
        let page = json!({ "nodes": {
            "a": node("10.0.0.1:9200", &["data", "ingest", "master"]),
            "b": node("es-1.local/10.0.0.2:9201", &["ingest"]),
            "c": node("[fe80::1]:9200", &[]),
        } });
        check(
            "https://u:p@es-0:9200/prefix",
            &page,
            &[
                "https://10.0.0.1:9200/prefix",
                "https://es-1.local:9201/prefix",
                "https://[fe80::1]:9200/prefix",
            ],
        );
    }

    #[test]
    fn nodes_that_only_manage_are_left_alone_and_what_is_no_node_is_passed_over() {
        let page = json!({ "nodes": {
            "a": node("10.0.0.1:9200", &["master"]),
            "b": node("10.0.0.2:9200", &["cluster_manager"]),
            "c": node("10.0.0.3:9200", &["master", "voting_only"]),
            "d": { "roles": ["data"] },
            "e": { "roles": ["data"], "http": { "publish_address": "a b" } },
            "f": { "roles": ["data"], "http": { "publish_address": 7 } },
            "g": { "http": { "publish_address": "10.0.0.7:9200" } },
        } });
        check("es", &page, &["http://10.0.0.7:9200/"]);
        for page in [json!({}), json!([]), json!({ "nodes": 1 }), json!("<html>")] {
            check("es", &page, &[]);
        }
        assert!(
            nodes(
                b"<html>",
                &Address::parse("es", Scheme::Http, 1, None).unwrap()
            )
            .is_empty()
        );
    }
}
