//! A server that goes away under load, in every way: killed and started again, stopped, cut off in the middle of its answers,
//! hidden behind a proxy that fails, and overloaded. Afterwards exactly what was acknowledged is there, once.
//!
//! Each outage takes `WEIR_OUTAGE_SECS`; `cargo xtask campaign outage` runs this with two minutes. The time itself is what is
//! tried, so here it passes and nothing is waited for.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    crash::{
        asked,
        load::{Acked, Load, Pace},
    },
    delivery::SERVICE,
    harness::{
        Weir,
        bulk::Overloaded,
        eventually, holds,
        meddler::{Harm, Meddler},
        nginx::{Nginx, Passage},
        node::Node,
        servers::{Server, output},
        weir::Home,
    },
};

/// Records of all senders in a second.
const RATE: u64 = 1_500;
/// Of an outage in parts, each part at least.
const PART_MIN: Duration = Duration::from_secs(2);

/// How long an outage takes.
fn span() -> Duration {
    Duration::from_secs(asked("WEIR_OUTAGE_SECS", 8))
}

/// A router under load.
struct Drill {
    what: &'static str,
    _home: Home,
    weir: Weir,
    load: Load,
    began: Instant,
}

impl Drill {
    /// Begins to send through an output to `url`.
    fn begin(what: &'static str, url: &str, index: &str) -> Self {
        let parameters =
            format!("hosts = [\"{url}\"]\nindex = \"{index}\"\nrequest_timeout = \"2s\"");
        let home = Home::new(&format!("{SERVICE}{}", output("es", "**", &parameters)));
        let weir = home.start();
        let pace = Pace {
            rate: Some(RATE),
            reconnects: false,
        };
        let seed = asked("WEIR_SEED", 1);
        let load = Load::start(weir.listens("in"), &std::sync::Arc::default(), seed, pace);
        let drill = Self {
            what,
            _home: home,
            weir,
            load,
            began: Instant::now(),
        };
        drill.flows();
        drill
    }

    /// Deliveries that went well so far.
    fn delivered(&self) -> f64 {
        let created = ["result=\"created\""];
        self.weir
            .metrics()
            .sum("weir_elasticsearch_items_total", &created)
    }

    fn errors(&self) -> f64 {
        self.weir.metrics().sum("weir_output_errors_total", &[])
    }

    /// Waits until more is delivered.
    #[track_caller]
    fn flows(&self) {
        let before = self.delivered();
        eventually("records are delivered", 120, || {
            (self.delivered() > before).then_some(())
        });
    }

    /// Lets everything arrive, and compares what was acknowledged with the `n` of what is there.
    #[track_caller]
    fn end(self, seen: impl FnOnce() -> Vec<u64>) {
        self.flows();
        assert!(self.load.senders_are_well(), "a sender lost its connection");
        let errors = self.errors();
        let acked: Vec<Acked> = self.load.finish();
        let sent: BTreeSet<u64> = acked
            .iter()
            .flat_map(|acked| acked.first..acked.first + acked.count)
            .collect();
        self.weir.settles(180);
        let seen = seen();
        let distinct: BTreeSet<u64> = seen.iter().copied().collect();
        let (lost, twice) = (
            sent.difference(&distinct).count(),
            seen.len() - distinct.len(),
        );
        println!(
            "result outage, {}: acknowledged={} lost={lost} twice={twice} errors={errors} repeated={} took_s={:.0}",
            self.what,
            sent.len(),
            self.weir
                .metrics()
                .sum("weir_elasticsearch_items_total", &["result=\"conflict\""]),
            self.began.elapsed().as_secs_f64(),
        );
        assert!(errors > 0.0, "there was no outage");
        assert_eq!((lost, twice), (0, 0));
        assert_eq!(distinct, sent, "there is what nobody sent");
        let dead = self
            .weir
            .metrics()
            .sum("weir_dead_letter_records_total", &[]);
        assert_eq!(dead, 0.0);
        assert!(self.weir.stop().success());
    }
}

/// An index in which only the number matters.
fn index(server: &Server, name: &str) -> String {
    let index = server.fresh_index(name);
    server.create(&index, &json!({ "mappings": { "dynamic": false } }));
    index
}

/// The `n` of every document.
fn numbers(server: &Server, index: &str) -> Vec<u64> {
    let number = |hit: &serde_json::Value| hit["_source"]["n"].as_u64().expect("a number");
    server.documents(index).iter().map(number).collect()
}

/// One server of its own for both, since a start takes long.
#[test]
fn a_server_is_killed_and_another_time_stopped() {
    let mut node = Node::like(&Server::elasticsearch());
    let server = node.server();
    let killed = index(&server, "killed");
    let drill = Drill::begin("killed", &server.url, &killed);
    let gone = Instant::now();
    node.kill();
    thread::sleep(span().saturating_sub(gone.elapsed()));
    node.resume();
    drill.end(|| numbers(&server, &killed));

    let stopped = index(&server, "stopped");
    let drill = Drill::begin("stopped", &server.url, &stopped);
    node.signal("STOP");
    thread::sleep(span());
    node.signal("CONT");
    drill.end(|| numbers(&server, &stopped));
}

#[test]
fn answers_are_cut_in_the_middle() {
    let server = Server::elasticsearch();
    let index = index(&server, "cut-answers");
    let meddler = Meddler::start(server.address(), Harm::Nothing);
    let drill = Drill::begin("cut answers", &meddler.url(), &index);
    meddler.behave(Harm::CutsAnswers);
    thread::sleep(span());
    meddler.behave(Harm::Nothing);
    drill.end(|| numbers(&server, &index));
    let stored = |seen: &crate::harness::meddler::Seen| seen.is_harmed && seen.status == 200;
    let cut = meddler.seen().iter().filter(|seen| stored(seen)).count();
    assert!(cut > 0, "no answer was cut");
}

#[test]
fn a_proxy_in_front_answers_502_and_504_and_413() {
    let server = Server::opensearch();
    let index = index(&server, "proxy");
    let nginx = Nginx::start(server.address());
    let drill = Drill::begin("nginx 502, 504, 413", &nginx.url(), &index);
    let part = (span() / 3).max(PART_MIN);
    for passage in [Passage::Away, Passage::Silent] {
        let before = drill.errors();
        nginx.behave(passage);
        thread::sleep(part);
        assert!(drill.errors() > before, "{passage:?} hurts nobody");
        nginx.behave(Passage::Open);
        drill.flows();
    }
    nginx.behave(Passage::Narrow(16));
    let divided = || {
        let metrics = drill.weir.metrics();
        metrics.sum("weir_elasticsearch_splits_total", &["reason=\"size\""]) > 0.0
    };
    holds("requests are divided", 60, &true, divided);
    drill.flows();
    thread::sleep(part);
    drill.end(|| numbers(&server, &index));
}

#[test]
fn half_of_the_documents_are_answered_429() {
    let server = Overloaded::default();
    let url = format!("http://{}", server.start());
    let drill = Drill::begin("429 on half", &url, "any");
    server.be_busy(true);
    thread::sleep(span());
    server.be_busy(false);
    assert!(server.refused() > 100, "{} were refused", server.refused());
    drill.end(|| server.stored());
}
