//! The vectors of the decoder, over sockets: whole, and byte by byte.

use std::collections::BTreeMap;

use sdk::testing::Collector;

use super::*;

/// What a connection sends, and what must come of it.
#[derive(Debug, Default, Clone)]
pub(super) struct Vector {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) events: Vec<String>,
    pub(super) answer: Vec<u8>,
    /// Reasons and counts of what is dropped.
    dropped: BTreeMap<String, i64>,
}

/// The time of receipt, as the vectors write it.
pub(super) const NOW: Time = Time {
    secs: 1_800_000_000,
    nanos: 5,
};

pub(super) fn vectors() -> Vec<Vector> {
    let text = include_str!("../../../../forward_protocol/src/tests/vectors.txt");
    let (mut all, mut tag): (Vec<Vector>, _) = (Vec::new(), String::new());
    let lines = text.lines().skip_while(|line| !line.starts_with("# "));
    for line in lines.filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("# ") {
            all.push(Vector {
                name: name.to_owned(),
                ..Vector::default()
            });
            continue;
        }
        let vector = all.last_mut().unwrap();
        let (word, rest) = line.trim_start().split_once(' ').unwrap();
        match word {
            ">" => vector.bytes.extend(unhex(rest)),
            "message" => tag = rest.trim_matches('"').to_owned(),
            "event" => {
                // Metadata stands in front of the record there, and is not looked at here.
                let (time, record) = rest.split_once(' ').unwrap();
                let record = record
                    .rsplit_once("} {")
                    .map_or(record.to_owned(), |(_, record)| format!("{{{record}"));
                vector.events.push(format!("{tag} {time} {record}"));
            }
            "ack" => vector.answer.extend(unhex(rest)),
            "flaw" => {
                let (reason, count) = rest.split_once(' ').unwrap();
                *vector.dropped.entry(reason.to_owned()).or_default() +=
                    count.parse::<i64>().unwrap();
            }
            "strays" => {
                vector
                    .dropped
                    .insert("no_message".to_owned(), rest.parse().unwrap());
            }
            other => panic!("{other}"),
        }
    }
    all
}

fn dropped(running: &Running) -> BTreeMap<String, i64> {
    let text = running.metrics.encode();
    let counts = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("weir_invalid_records_total{reason=\"")?;
        let (reason, count) = rest.split_once("\"} ")?;
        Some((reason.to_owned(), count.parse::<i64>().ok()?))
    });
    counts.filter(|(_, count)| *count > 0).collect()
}

async fn start() -> (Running, Collector) {
    let collector = Collector::default();
    let at_a_time = |ready| {
        let mut cx = collector.cx(ready);
        cx.clock = sdk::clock::Clock::fixed(NOW).0;
        cx
    };
    (Running::start(none(), at_a_time).await, collector)
}

/// C01 to C25, C28, C33, C34 and C41, each on a connection of its own.
#[tokio::test]
async fn every_vector_comes_to_what_is_written() {
    for vector in vectors() {
        let (running, collector) = start().await;
        keeps(&running, vector.bytes.clone(), vector.answer.clone()).await;
        assert_eq!(events(&collector), vector.events, "{}", vector.name);
        assert_eq!(dropped(&running), vector.dropped, "{}", vector.name);
        running.end().await;
    }
}

#[tokio::test]
async fn c31_every_vector_byte_by_byte() {
    for vector in vectors() {
        let (running, collector) = start().await;
        let mut client = Client::connect(&running).await;
        client.0.set_nodelay(true).unwrap();
        for byte in &vector.bytes {
            client.send(&[*byte]).await;
        }
        client.send(&unhex(STILL_THERE)).await;
        let answer = [vector.answer.clone(), unhex(STILL_THERE_ACK)].concat();
        assert_eq!(client.finish().await, answer, "{}", vector.name);
        assert_eq!(events(&collector), vector.events, "{}", vector.name);
        running.end().await;
    }
}
