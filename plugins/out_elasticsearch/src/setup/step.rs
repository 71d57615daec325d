//! One thing that has to be at the server before documents come: how to see whether it is there, and how to make it.

use reqwest::Method;
use sdk::output::FailureKind;
use serde_json::Value;

use crate::{
    bulk::item_error::refusal,
    hosts::{Hosts, NoHost},
    http::{Question, Reply},
};

/// What is said when two do the same at once.
const ALREADY: [&str; 2] = [
    "resource_already_exists_exception",
    "version_conflict_engine_exception",
];

/// A thing that has to be there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// For people: `the index template "logs"`.
    pub(crate) what: String,
    /// Where it is, once it is there.
    pub(crate) at: String,
    /// Where it is made.
    pub(crate) made_at: String,
    pub(crate) body: Value,
    /// Whether one that is there is replaced.
    pub(crate) overwrites: bool,
    /// Whether nothing is amiss where the server does not take it.
    pub(crate) is_optional: bool,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It was there.
    There,
    /// It is there now.
    Made,
    /// The server does not want it, for this reason.
    Refused(String),
}

impl Step {
    /// A step that makes a thing where it is looked for.
    pub(crate) fn new(what: String, at: String, body: Value) -> Self {
        Self {
            what,
            made_at: at.clone(),
            at,
            body,
            overwrites: false,
            is_optional: false,
        }
    }

    /// Sees to it that the thing is there. Does the same when it is done twice, also by two at once.
    ///
    /// # Errors
    /// [`NoHost`] when it is not known whether the thing is there.
    pub(crate) async fn carry_out(&self, hosts: &Hosts) -> Result<End, NoHost> {
        let found = self.look(hosts).await?;
        if found.status == 200 && !self.overwrites {
            return Ok(End::There);
        }
        let path = format!("{}{}", self.made_at, version_of(&found));
        let made = ask(hosts, Method::PUT, &path, Some(self.body.to_string())).await?;
        let error = refusal(&made.body);
        Ok(match made.status {
            200..300 => End::Made,
            400 | 409 if ALREADY.contains(&error.kind.as_str()) => End::There,
            status => End::Refused(
                format!("{status} {}", error.summary())
                    .trim_end()
                    .to_owned(),
            ),
        })
    }

    /// Whether the thing is there.
    ///
    /// # Errors
    /// [`NoHost`] when nobody says.
    pub(crate) async fn is_there(&self, hosts: &Hosts) -> Result<bool, NoHost> {
        Ok(self.look(hosts).await?.status == 200)
    }

    async fn look(&self, hosts: &Hosts) -> Result<Reply, NoHost> {
        ask(hosts, Method::GET, &self.at, None).await
    }
}

/// What says which version is replaced, where there are versions: policies of OpenSearch.
fn version_of(found: &Reply) -> String {
    let page: Value = serde_json::from_slice(&found.body).unwrap_or_default();
    let number = |name: &str| page.get(name).and_then(Value::as_u64);
    match (number("_seq_no"), number("_primary_term")) {
        (Some(number), Some(term)) => format!("?if_seq_no={number}&if_primary_term={term}"),
        _ => String::new(),
    }
}

async fn ask(
    hosts: &Hosts,
    method: Method,
    path: &str,
    body: Option<String>,
) -> Result<Reply, NoHost> {
    let reply = hosts.ask_any(&Question { method, path, body }).await?;
    // The same would be said of documents: it passes, or somebody mends it.
    let kind = match reply.status {
        401 => FailureKind::Auth,
        429 => FailureKind::Http429,
        _ => return Ok(reply),
    };
    let said = format!("{path}: the server answered");
    Err(NoHost::answered(&reply, kind, &said))
}
