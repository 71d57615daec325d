//! The conformance cases of the bulk API against the strict server: each is a test whose name begins with its number,
//! and a rule of tidy knows which are missing. A case that takes several tries is delivered as the engine does it:
//! what has to be tried again is given to the plugin again, and nothing else.

mod answers;
mod aws;
mod credentials;
mod encoding;
mod hosts;
mod ids;
mod items;
mod life;
mod load;
mod requests;
mod setup;
mod sizes;
mod updates;

use std::time::Duration;

use sdk::metrics::Metrics;

use super::{
    server::{Reply, Request, items, plain, silence},
    *,
};

/// More tries than any case needs.
const TRIES_MAX: u32 = 20;
const BUSY: &str = "es_rejected_execution_exception";
const MAPPING: &str = "document_parsing_exception";
const CONFLICT: &str = "version_conflict_engine_exception";

/// A server, and an output that ships to it.
struct Site {
    server: Server,
    output: Arc<dyn Output>,
    metrics: Metrics,
}

/// What came of the delivery of a chunk.
#[derive(Debug, Default)]
struct End {
    tries: u32,
    /// Records that the destination will never take.
    dead: Vec<(u32, Failure)>,
    /// Why there was another try, and how long the server wanted to be left alone.
    again: Vec<(Option<Duration>, Failure)>,
}

impl Site {
    async fn new(params: Value) -> Self {
        let server = Server::start().await;
        let (output, metrics) = build(&[server.url()], params);
        Self {
            server,
            output,
            metrics,
        }
    }

    async fn write(&self, frames: &[Frame]) -> Outcome {
        write(&self.output, frames).await
    }

    async fn deliver(&self, frames: &[Frame]) -> End {
        deliver(&self.output, frames).await
    }

    /// The value of a series without the prefix of its name: `items_total{result="created"}`.
    fn count(&self, series: &str) -> u64 {
        count(&self.metrics, series)
    }

    /// Items that ended so.
    fn items(&self, result: &str) -> u64 {
        self.count(&format!("items_total{{result=\"{result}\"}}"))
    }

    /// What may be under way to the server at a time.
    fn limit_bytes(&self) -> u64 {
        let text = self.metrics.encode();
        let mut lines = text.lines();
        let name = "weir_elasticsearch_in_flight_limit_bytes{";
        let line = lines.find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// The numbers of the records of each request.
    fn sent(&self) -> Vec<Vec<i64>> {
        self.server
            .look(|requests| requests.iter().map(Request::numbers).collect())
    }
}

/// An output, and its metrics.
fn build(hosts: &[String], more: Value) -> (Arc<dyn Output>, Metrics) {
    let cx = BuildCx::detached("es");
    let mut params = json!({ "hosts": hosts, "index": "logs" });
    let Value::Object(more) = more else {
        panic!("parameters")
    };
    params.as_object_mut().unwrap().extend(more);
    (crate::build(params, &cx).expect("parameters"), cx.metrics)
}

fn count(metrics: &Metrics, series: &str) -> u64 {
    let text = metrics.encode();
    let name = format!("weir_elasticsearch_{series} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&name));
    value
        .unwrap_or_else(|| panic!("no {name} in\n{text}"))
        .parse()
        .unwrap()
}

/// Tries until nothing is left.
async fn deliver(output: &Arc<dyn Output>, frames: &[Frame]) -> End {
    let total = frames.iter().map(|frame| frame.count).sum();
    let mut live = Bitmap::full(total);
    let mut end = End::default();
    while live.alive() > 0 {
        end.tries += 1;
        assert!(end.tries <= TRIES_MAX, "without end: {end:?}");
        match write_live(output, frames, Some(&live)).await {
            Outcome::Delivered => live = Bitmap::empty(total),
            Outcome::Except(exceptions) => {
                let before = std::mem::replace(&mut live, Bitmap::empty(total));
                for (index, verdict) in exceptions {
                    assert!(before.get(index), "{index} was settled before");
                    match verdict {
                        Verdict::Retry(after, failure) => {
                            live.set(index, true);
                            end.again.push((after, failure));
                        }
                        Verdict::Reject(failure) => end.dead.push((index, failure)),
                    }
                }
            }
            Outcome::DestinationDown(failure) => end.again.push((None, failure)),
            Outcome::RetryChunk(after, failure) => end.again.push((after, failure)),
            Outcome::RejectChunk(failure) => panic!("refused as a whole: {failure}"),
        }
    }
    end
}

impl End {
    /// Indexes and classes of what is refused.
    fn dead(&self) -> Vec<(u32, FailureKind)> {
        let dead = self.dead.iter();
        dead.map(|(index, failure)| (*index, failure.kind))
            .collect()
    }

    /// Classes of the reasons for more tries.
    fn again(&self) -> Vec<FailureKind> {
        self.again.iter().map(|(_, failure)| failure.kind).collect()
    }

    #[track_caller]
    fn all_arrived(&self, tries: u32) {
        assert!(
            self.dead.is_empty() && self.tries == tries,
            "not in {tries} tries: {self:?}"
        );
    }
}

/// One item of an answer with an error.
fn failed(action: &str, status: u16, kind: &str, reason: &str) -> Value {
    json!({ action: { "_index": "logs", "status": status, "error": { "type": kind, "reason": reason } } })
}

/// One item of an answer without an error.
fn done(action: &str) -> Value {
    json!({ action: { "_index": "logs", "status": 201 } })
}

/// An answer with these items.
fn answer(items: &[Value]) -> Reply {
    let is_failed = |item: &Value| {
        item.as_object()
            .unwrap()
            .values()
            .any(|inner| inner.get("error").is_some())
    };
    let errors = items.iter().any(is_failed);
    plain(
        200,
        json!({ "errors": errors, "took": 1, "items": items }).to_string(),
    )
}

/// An error of a whole request.
fn refused(status: u16, kind: &str, reason: &str) -> Reply {
    let body =
        json!({ "error": { "root_cause": [], "type": kind, "reason": reason }, "status": status });
    plain(status, body.to_string())
}

/// Takes everything.
fn all(request: &Request) -> Reply {
    items(&vec![(201, ""); request.actions.len()])
}
