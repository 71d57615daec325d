//! What is written into each record: who sent it, and the metadata beside it.

use std::sync::Arc;

use sdk::{
    event::{Batch, Chain, Edit},
    filter::Filter,
    msgpack::write,
};

use crate::{peer::Peer, source::Source};

/// Writes into the records of one connection.
#[derive(Debug)]
pub(crate) struct Additions(Chain);

impl Additions {
    /// For the connections of this sender; `None` when nothing is to be written.
    pub(crate) async fn new(source: &Source, peer: &Peer) -> Option<Self> {
        let keys = &source.settings.keys;
        if keys.is_empty() {
            return None;
        }
        let mut pairs = Vec::new();
        if let (Some(key), Some(ip)) = (&keys.address, peer.ip) {
            pairs.push((key.clone(), text(&ip.to_string())));
        }
        if let (Some(key), Some(ip)) = (&keys.hostname, peer.ip) {
            pairs.push((key.clone(), text(&source.names.of(ip).await)));
        }
        let each = Each {
            pairs,
            metadata: keys.metadata.clone(),
        };
        Some(Self(Chain::new(vec![Arc::new(each)])))
    }

    /// Writes into each record of a batch.
    pub(crate) fn add(&self, batch: Batch) -> Batch {
        self.0.apply(batch).batch
    }
}

/// What is written into each record.
struct Each {
    /// Keys and encoded values.
    pairs: Vec<(String, Vec<u8>)>,
    metadata: Option<String>,
}

impl Filter for Each {
    fn filter(&self, edit: &mut Edit<'_>) {
        for (key, value) in &self.pairs {
            edit.set(key, |_, out| out.extend_from_slice(value));
        }
        if let Some(key) = &self.metadata
            && edit.fields().metadata().is_some()
        {
            edit.set(key, |fields, out| {
                out.extend_from_slice(fields.metadata().map_or(&[0xc0], |value| value.bytes()));
            });
        }
    }
}

fn text(value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write::str(&mut out, value);
    out
}
