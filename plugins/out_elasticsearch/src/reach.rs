//! `weir check --connect`: who answers, with which licence, and whether it lets us write.

use reqwest::Method;
use sdk::output::{Failure, FailureKind};
use serde_json::{Value, json};

use crate::{
    affinity::Affinity,
    bulk::item_error::refusal,
    config::OpType,
    document::Recipe,
    hosts::{
        Host, Hosts,
        server::{NODES, Server, text},
    },
    http::{Question, Reply},
    setup::Setup,
};

/// Asks every host who it is, and the first one what we may do there. Changes nothing.
///
/// # Errors
/// A host that does not answer, that does not know us, or that would not take our documents.
pub(crate) async fn reach(
    hosts: &Hosts,
    recipe: &Recipe,
    affinity: Option<&Affinity>,
    setup: Option<&Setup>,
) -> Result<Vec<String>, Failure> {
    let mut said = Vec::new();
    let mut first = None;
    for host in hosts.all() {
        let name = host.name();
        let server = server_at(hosts, host).await?;
        said.push(match &server {
            Ok(server) => format!("{name}: {server}"),
            Err(status) => format!("{name}: answers {status}, so its version is not known"),
        });
        first.get_or_insert((host, server.is_ok_and(|server| server.is_opensearch)));
    }
    // OpenSearch has neither licence nor this question about privileges.
    if let Some((host, false)) = first {
        let page = ask(hosts, host, "/_license", None).await;
        said.extend(page.ok().and_then(|page| licence(&page)));
        said.extend(privileges(hosts, host, recipe, affinity).await?);
    }
    if let Some(setup) = setup {
        let lines = setup.describe(hosts).await;
        said.extend(lines.map_err(|stopped| stopped.failure)?);
    }
    Ok(said)
}

async fn ask(
    hosts: &Hosts,
    host: &Host,
    path: &str,
    body: Option<Value>,
) -> Result<Reply, Failure> {
    let method = if body.is_some() {
        Method::POST
    } else {
        Method::GET
    };
    let body = body.map(|body| body.to_string());
    let answer = hosts.ask(host, &Question { method, path, body }).await;
    answer.map_err(|failure| at(host, &failure))
}

/// Who answers at a host, or with which status somebody does who does not say. Who may write need not be allowed to
/// ask, and some proxies only let bulk requests pass.
async fn server_at(hosts: &Hosts, host: &Host) -> Result<Result<Server, u16>, Failure> {
    let root = ask(hosts, host, "/", None).await?;
    if let Some(server) = Server::of_root(&root) {
        return Ok(Ok(server));
    }
    if root.status == 401 {
        return Err(at(host, &refused(&root)));
    }
    let nodes = ask(hosts, host, NODES, None).await.ok();
    let server = nodes.as_ref().and_then(Server::of_node);
    Ok(server.ok_or(root.status))
}

/// Whether the user may write; nothing is said where nobody asks who one is.
async fn privileges(
    hosts: &Hosts,
    host: &Host,
    recipe: &Recipe,
    affinity: Option<&Affinity>,
) -> Result<Option<String>, Failure> {
    let (pattern, mut wanted) = (recipe.index.pattern(), wanted(recipe.operation.op_type));
    wanted.extend(affinity.map(|_| "read"));
    let body = json!({ "index": [{ "names": [pattern], "privileges": wanted }] });
    let path = "/_security/user/_has_privileges";
    let Ok(reply) = ask(hosts, host, path, Some(body)).await else {
        return Ok(None);
    };
    match serde_json::from_slice::<Value>(&reply.body) {
        Ok(answer) if reply.status == 200 => {
            let missing = missing(&answer, &wanted);
            if missing.is_empty() {
                let user = text(&answer, "/username").unwrap_or("the user");
                return Ok(Some(format!("{user} may write to {pattern}")));
            }
            let message = format!("may not write to {pattern}: {} missing", missing.join(", "));
            Err(at(host, &Failure::new(FailureKind::Auth, message)))
        }
        _ if matches!(reply.status, 401 | 403) => Err(at(host, &refused(&reply))),
        _ => Ok(None),
    }
}

/// What a role must allow on the indexes. Source: "Security privileges" of the reference of Elasticsearch.
fn wanted(op_type: OpType) -> Vec<&'static str> {
    let write = match op_type {
        OpType::Create => "create_doc",
        OpType::Index | OpType::Update | OpType::Upsert => "index",
        OpType::Delete => "delete",
    };
    vec![write, "auto_configure"]
}

/// The privileges that an answer denies.
fn missing(answer: &Value, wanted: &[&'static str]) -> Vec<&'static str> {
    let indexes = answer.get("index").and_then(Value::as_object);
    let denies = |name: &&str| {
        let mut indexes = indexes.into_iter().flat_map(|indexes| indexes.values());
        indexes.any(|index| index.get(*name) == Some(&Value::Bool(false)))
    };
    wanted.iter().copied().filter(denies).collect()
}

fn licence(reply: &Reply) -> Option<String> {
    let page: Value = serde_json::from_slice(&reply.body).ok()?;
    let (kind, status) = (
        text(&page, "/license/type")?,
        text(&page, "/license/status")?,
    );
    Some(format!("licence {kind}, {status}"))
}

fn refused(reply: &Reply) -> Failure {
    let message = format!(
        "answers {} {}",
        reply.status,
        refusal(&reply.body).summary()
    );
    Failure::new(FailureKind::Auth, message.trim_end())
}

fn at(host: &Host, failure: &Failure) -> Failure {
    Failure::new(
        failure.kind,
        format!("{}: {}", host.name(), failure.message),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &Value) -> Reply {
        Reply {
            status,
            retry_after: None,
            elsewhere: None,
            body: body.to_string().into(),
        }
    }

    #[test]
    fn servers_say_who_they_are() {
        let say =
            |body: Value| Server::of_root(&reply(200, &body)).map(|server| server.to_string());
        let elastic = json!({ "version": { "number": "9.5.3", "build_flavor": "default" } });
        assert_eq!(say(elastic).as_deref(), Some("Elasticsearch 9.5.3"));
        let open = json!({ "version": { "number": "3.8.0", "distribution": "opensearch" } });
        assert_eq!(say(open).as_deref(), Some("OpenSearch 3.8.0"));
        assert_eq!(say(json!({ "error": "no handler" })), None);
        let nodes = json!({ "nodes": { "x": { "version": "8.19.21" } } });
        let said = Server::of_node(&reply(200, &nodes)).map(|server| server.to_string());
        assert_eq!(said.as_deref(), Some("Elasticsearch 8.19.21"));
        let page = json!({ "license": { "type": "basic", "status": "active" } });
        let said = licence(&reply(200, &page));
        assert_eq!(said.as_deref(), Some("licence basic, active"));
        assert_eq!(licence(&reply(404, &json!({}))), None);
    }

    #[test]
    fn what_is_denied_on_any_index_is_missing() {
        let wanted = wanted(OpType::Create);
        let answer =
            json!({ "index": { "logs-*": { "create_doc": true, "auto_configure": false } } });
        assert_eq!(missing(&answer, &wanted), ["auto_configure"]);
        let answer =
            json!({ "index": { "logs-*": { "create_doc": true, "auto_configure": true } } });
        assert!(missing(&answer, &wanted).is_empty());
    }
}
