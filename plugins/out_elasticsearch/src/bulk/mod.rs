//! What all bulk requests of an output share, and one request.

pub(crate) mod answer;
pub(crate) mod counters;
pub(crate) mod delivery;
pub(crate) mod gzip;
pub(crate) mod item_error;
pub(crate) mod judge;
pub(crate) mod repair;
pub(crate) mod report;
pub(crate) mod settling;
pub(crate) mod size;

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use sdk::output::{Failure, FailureKind};

use crate::{
    config::policy::Policy,
    hosts::{Answered, Body, Hosts, NoHost},
    http::Encoding,
};
use counters::Counters;
use gzip::compress;
use item_error::ItemError;
use report::Report;
use size::Sizes;

/// Bodies up to this size are sent as they are, in bytes.
const SMALL: usize = 1 << 10;

/// What all bulk requests of an output have in common.
#[derive(Debug)]
pub(crate) struct Bulk {
    pub(crate) hosts: Hosts,
    pub(crate) policy: Policy,
    /// Kinds of errors after which a record is not sent again.
    pub(crate) unrecoverable: Vec<String>,
    pub(crate) gzip_level: Option<u32>,
    pub(crate) sizes: Sizes,
    /// Set when the server does not know the content type of bulk requests.
    pub(crate) plain_json: AtomicBool,
    pub(crate) counters: Counters,
    pub(crate) report: Report,
}

impl Bulk {
    /// The server found a body of this size too large.
    pub(crate) fn learn(&self, len: usize) {
        self.sizes.too_large(len);
        self.show_limit();
    }

    /// Shows how large bodies may be.
    pub(crate) fn show_limit(&self) {
        let max = i64::try_from(self.sizes.now()).unwrap_or(i64::MAX);
        self.counters.body_limit.set(max);
    }

    /// Whether the operator gives up records with this error.
    pub(crate) fn gives_up(&self, error: &ItemError) -> bool {
        self.unrecoverable.contains(&error.kind)
    }

    /// Sends one body, for this index where it stands in the address.
    ///
    /// # Errors
    /// [`NoHost`] when no host took it.
    pub(crate) async fn post(&self, body: &Bytes, index: Option<&str>) -> Result<Answered, NoHost> {
        let wire = match self.gzip_level.filter(|_| body.len() > SMALL) {
            Some(level) => Some(compress(body.clone(), level).await.map_err(|error| {
                let message = format!("the request could not be compressed: {error}");
                NoHost::here(Failure::new(FailureKind::Io, message))
            })?),
            None => None,
        };
        let encoding = Encoding {
            is_gzip: wire.is_some(),
            content_type: if self.plain_json.load(Ordering::Relaxed) {
                "application/json"
            } else {
                "application/x-ndjson"
            },
            index,
        };
        let body = Body {
            len: body.len(),
            wire: wire.unwrap_or_else(|| body.clone()),
        };
        self.counters.body.inc_by(body.len as u64);
        self.counters.wire.inc_by(body.wire.len() as u64);
        let posted = self.hosts.post(&body, encoding, self.policy.has_ids).await;
        match &posted {
            Ok(answered) if answered.reply.status == 200 => self.sizes.timely(body.len),
            Err(none) if none.is_late => self.sizes.late(body.len),
            _ => {}
        }
        self.show_limit();
        posted
    }
}
