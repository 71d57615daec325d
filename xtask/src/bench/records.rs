//! Kubernetes-shaped records, distinct and the same in every run.

use rmpv::Value;

/// A small generator of numbers; the same sequence for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn pick(&mut self, words: &[&str]) -> String {
        let index = usize::try_from(self.next() % words.len() as u64).unwrap_or(0);
        words.get(index).copied().unwrap_or_default().to_owned()
    }
}

fn map(pairs: Vec<(&str, Value)>) -> Value {
    Value::Map(
        pairs
            .into_iter()
            .map(|(key, value)| (key.into(), value))
            .collect(),
    )
}

/// What records look like.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// About 250 bytes: a line with few words about where it comes from.
    Short,
    /// About 470 bytes: what the agent of a node sends.
    Usual,
    /// About 1,500 bytes: the same with a stack trace.
    Long,
}

/// Entries `[EventTime, record]`, `count` of them, each encoded.
pub(super) fn entries(shape: Shape, count: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut random = Random(seed | 1);
    (0..count)
        .map(|number| entry(shape, &mut random, number))
        .collect()
}

fn entry(shape: Shape, random: &mut Random, number: usize) -> Vec<u8> {
    let secs = 1_764_000_000_u32 + u32::try_from(number / 1000).unwrap_or(0);
    let nanos = u32::try_from(random.next() % 1_000_000_000).unwrap_or(0);
    let mut time = secs.to_be_bytes().to_vec();
    time.extend_from_slice(&nanos.to_be_bytes());
    let mut out = Vec::with_capacity(512);
    let value = Value::Array(vec![Value::Ext(0, time), record(shape, random)]);
    // Writing to a vector cannot fail.
    drop(rmpv::encode::write_value(&mut out, &value));
    out
}

fn record(shape: Shape, random: &mut Random) -> Value {
    let app = random.pick(&["checkout", "payments", "catalogue", "search", "identity"]);
    let level = random.pick(&["info", "warn", "debug", "error"]);
    let text = random.pick(&[
        "request served",
        "cache miss, asking the database",
        "slow query",
        "retrying upstream",
    ]);
    let log = if random.next().is_multiple_of(3) {
        format!(
            r#"{{"level":"{level}","msg":"{text}","took_ms":{},"id":"{:016x}"}}"#,
            random.next() % 900,
            random.next()
        )
    } else {
        format!(
            "{level} {text} path=/api/v1/{app}/{} status=200 id={:016x}",
            random.next() % 10_000,
            random.next()
        )
    };
    let pod = format!(
        "{app}-{:08x}-{:05x}",
        random.next() & 0xffff_ffff,
        random.next() & 0xf_ffff
    );
    if matches!(shape, Shape::Short) {
        return map(vec![
            ("log", log.into()),
            ("stream", "stdout".into()),
            ("pod_name", pod.into()),
            ("app", app.into()),
            ("took_ms", (random.next() % 900).into()),
        ]);
    }
    let log = match shape {
        Shape::Long => log + &stack_trace(random, &app),
        Shape::Short | Shape::Usual => log,
    };
    map(vec![
        ("log", log.into()),
        ("stream", random.pick(&["stdout", "stderr"]).into()),
        ("seq", random.next().into()),
        ("kubernetes", kubernetes(random, app, pod)),
    ])
}

fn stack_trace(random: &mut Random, app: &str) -> String {
    let line = |depth| {
        let line = random.next() % 2_000;
        format!(
            "\n\tat com.example.{app}.handler.Step{depth}.handle(Step{depth}.java:{line}) ~[{app}.jar:na]"
        )
    };
    (0..12).map(line).collect()
}

fn kubernetes(random: &mut Random, app: String, pod: String) -> Value {
    map(vec![
        (
            "namespace_name",
            random.pick(&["shop", "billing", "platform"]).into(),
        ),
        ("pod_name", pod.into()),
        ("container_name", app.clone().into()),
        ("host", format!("node-{}", random.next() % 40).into()),
        (
            "pod_id",
            format!(
                "{:08x}-{:04x}-4{:03x}",
                random.next() & 0xffff_ffff,
                random.next() & 0xffff,
                random.next() & 0xfff
            )
            .into(),
        ),
        (
            "labels",
            map(vec![
                ("app", app.into()),
                ("tier", "backend".into()),
                ("version", format!("1.{}", random.next() % 30).into()),
            ]),
        ),
    ])
}
