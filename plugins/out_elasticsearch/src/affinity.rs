//! Changes to documents of yesterday: which index each is in is asked before anything is sent, so that none is added to the
//! index of today beside it.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use sdk::{
    config::{ConfigError, ConfigErrors},
    output::{Failure, FailureKind},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    config::{Config, OpType},
    document::{Documents, index::IndexName},
    hosts::{Hosts, NoHost},
    http::{Question, uri},
};

/// Ids of one search.
const IDS_MAX: usize = 1000;
/// Documents that one search may find: `index.max_result_window` of a server as it comes.
const HITS_MAX: usize = 10_000;
/// What is read of an answer.
const QUERY: &str = "filter_path=hits.hits._id,hits.hits._index";

/// Finds documents in all indexes that documents may go to.
#[derive(Debug)]
pub(crate) struct Affinity {
    /// The search, as a path.
    path: String,
}

/// The answer to a search.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Found {
    hits: Hits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Hits {
    hits: Vec<Hit>,
}

/// A document that was found.
#[derive(Debug, Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_index")]
    index: String,
}

impl Config {
    /// Where documents are looked for, if they are.
    pub(crate) fn affinity(
        &self,
        op_type: OpType,
        index: Option<&IndexName>,
        errors: &mut ConfigErrors,
    ) -> Option<Affinity> {
        let index = index.filter(|_| self.target_index_affinity)?;
        let refusals = [
            (
                !op_type.needs_id(),
                "is about `update`, `upsert` and `delete`, and `op_type` is none of them",
            ),
            (
                index.literal().is_some(),
                "finds one of several indexes, and there is one only",
            ),
            (
                self.target_index_key.is_some(),
                "and `target_index_key` both say which index a document is in",
            ),
            (
                self.include_index_in_url,
                "and `include_index_in_url` do not go together",
            ),
        ];
        if let Some((_, message)) = refusals.iter().find(|(is_wrong, _)| *is_wrong) {
            let message = format!("`target_index_affinity` {message}");
            let error = ConfigError::at("/target_index_affinity", message);
            errors.push(error.help("remove it"));
        }
        let pattern = index.pattern();
        let path = format!("{}/_search?{QUERY}", uri::part(&pattern));
        Some(Affinity { path })
    }
}

impl Affinity {
    /// Sends each document to the oldest index that has one with its id, if there is any.
    ///
    /// # Errors
    /// [`NoHost`] when nobody says where they are.
    pub(crate) async fn follow(
        &self,
        hosts: &Hosts,
        documents: &mut Documents,
    ) -> Result<(), NoHost> {
        let actions: Vec<_> = (0..documents.slots.len())
            .map(|position| Action::read(documents.part(position)))
            .collect();
        let ids: BTreeSet<&str> = actions.iter().flatten().filter_map(Action::id).collect();
        let found = self.find(hosts, ids.into_iter().collect()).await?;
        let lines = actions.into_iter().map(|action| {
            let mut action = action?;
            let index = found.get(action.id()?)?;
            action.go_to(index)
        });
        let lines: Vec<_> = lines.collect();
        documents.replace_actions(&lines);
        Ok(())
    }

    /// The oldest index of each id that is anywhere, by the order of their names.
    async fn find(
        &self,
        hosts: &Hosts,
        ids: Vec<&str>,
    ) -> Result<BTreeMap<String, String>, NoHost> {
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        let mut searches: Vec<&[&str]> = ids.chunks(IDS_MAX).collect();
        while let Some(ids) = searches.pop() {
            let hits = self.search(hosts, ids).await?;
            if hits.len() >= HITS_MAX && ids.len() > 1 {
                let (first, second) = ids.split_at(ids.len() / 2);
                searches.extend([first, second]);
                continue;
            }
            for hit in hits {
                found.entry(hit.id).or_insert(hit.index);
            }
        }
        Ok(found)
    }

    async fn search(&self, hosts: &Hosts, ids: &[&str]) -> Result<Vec<Hit>, NoHost> {
        let body = json!({
            "query": { "ids": { "values": ids } }, "size": HITS_MAX, "sort": [{ "_index": "asc" }],
            "_source": false, "track_total_hits": false,
        });
        let question = Question {
            method: Method::POST,
            path: &self.path,
            body: Some(body.to_string()),
        };
        let reply = hosts.ask_any(&question).await?;
        let kind = match reply.status {
            200 => return hits(&reply.body),
            401 | 403 => FailureKind::Auth,
            429 => FailureKind::Http429,
            _ => FailureKind::Http4xx,
        };
        let said = "the search of `target_index_affinity` was answered with";
        Err(NoHost::answered(&reply, kind, said))
    }
}

/// What a search has found, the oldest index first. Nothing is left of an answer that has no hits.
fn hits(body: &[u8]) -> Result<Vec<Hit>, NoHost> {
    let found: Found = serde_json::from_slice(body).map_err(|error| {
        let failure = Failure::new(FailureKind::Protocol, format!("the search: {error}"));
        NoHost::here(failure)
    })?;
    Ok(found.hits.hits)
}

/// The action of a document, as it stands in its line.
struct Action(Map<String, Value>);

impl Action {
    fn read(part: &[u8]) -> Option<Self> {
        let line = part.split(|byte| *byte == b'\n').next()?;
        serde_json::from_slice(line).ok().map(Self)
    }

    fn id(&self) -> Option<&str> {
        self.0.values().next()?.get("_id")?.as_str()
    }

    /// The line for another index; `None` when it is the same.
    fn go_to(&mut self, index: &str) -> Option<Vec<u8>> {
        let place = self.0.values_mut().next()?.get_mut("_index")?;
        if place == index {
            return None;
        }
        *place = index.into();
        let mut line = serde_json::to_vec(&self.0).ok()?;
        line.push(b'\n');
        Some(line)
    }
}
