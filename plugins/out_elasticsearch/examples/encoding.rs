//! What a document costs: `encoding ENTRIES PORT RUNS` reads entries from a file, encodes them, does the same by a tree of
//! values in turns, compresses the bodies, and ships them to a bulk server on loopback. Prints the bytes of a document with
//! its action line, CPU microseconds per record of the three, how many times that of the encoding the tree takes, all as
//! medians of the rounds, and then for each level of gzip its microseconds per record and the share that is left of the
//! bytes.
//! `cargo xtask bench encoding` runs it.

#![expect(clippy::print_stdout, reason = "a command")]
use std::{error::Error, io::Write as _, time::Duration};

use bytes::Bytes;
use out_elasticsearch::bench::Encoder;
use rustix::time::{ClockId, clock_gettime};
use sdk::{
    event::{Entries, Tag},
    output::{ChunkView, Frame, Outcome},
    plugin::{Build, BuildCx},
};
use serde_json::{Value, json};

/// The levels of gzip that the parameters `compression` and `compression_level` can mean.
const LEVELS: [u32; 3] = [1, 6, 9];

/// That of the router.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [entries, port, runs] = args.as_slice() else {
        return Err("usage: encoding ENTRIES PORT RUNS".into());
    };
    let frames = [frame(std::fs::read(entries)?.into())?];
    let params = json!({ "hosts": [format!("http://127.0.0.1:{port}")], "index": "logs-%Y.%m.%d" });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let encoder = Encoder::new(params.clone()).map_err(|errors| format!("{errors:?}"))?;
    let Build::Output(make, _) = out_elasticsearch::PLUGIN.build else {
        return Err("it is an output".into());
    };
    let output =
        make(params, &BuildCx::detached("bench")).map_err(|errors| format!("{errors:?}"))?;
    let chunk = ChunkView {
        buffer: 3,
        frames: &frames,
        live: None,
        attempt: 0,
    };
    let mut bytes = 0;
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut ratios = Vec::new();
    let mut packed: [Vec<f64>; 3] = Default::default();
    let mut shares = [0.0; 3];
    let per_record = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(frames[0].count);
    let runs: usize = runs.parse()?;
    for _ in 0..runs {
        let (ours, body) = timed(|| Ok(runtime.block_on(encoder.encode(chunk))))?;
        let (tree, same) = timed(|| by_tree(&frames[0]))?;
        let (whole, outcome) = timed(|| Ok(runtime.block_on(output.write(chunk))))?;
        if outcome != Outcome::Delivered || body.len() < same.len() {
            return Err(format!("{outcome:?}, {} and {} bytes", body.len(), same.len()).into());
        }
        bytes = body.len() / frames[0].count as usize;
        ratios.push(tree.as_secs_f64() / ours.as_secs_f64());
        for (list, time) in times.iter_mut().zip([ours, tree, whole]) {
            list.push(per_record(time));
        }
    }
    let body = runtime.block_on(encoder.encode(chunk));
    for ((list, share), level) in packed.iter_mut().zip(&mut shares).zip(LEVELS) {
        for _ in 0..runs {
            let (time, wire) = timed(|| Ok(Encoder::gzip(&body, level)?))?;
            list.push(per_record(time));
            *share = f64::from(u32::try_from(wire.len())?) / f64::from(u32::try_from(body.len())?);
        }
    }
    let [ours, tree, whole] = times.map(median);
    let ratio = median(ratios);
    print!("{bytes} {ours:.3} {tree:.3} {ratio:.3} {whole:.3}");
    for (time, share) in packed.map(median).iter().zip(shares) {
        print!(" {time:.3} {share:.3}");
    }
    println!();
    Ok(())
}

fn frame(events: Bytes) -> Result<Frame> {
    let count = u32::try_from(Entries::new(&events).count())?;
    Ok(Frame {
        sequence: 7,
        tag: Tag::new("app"),
        events,
        count,
        origin: None,
    })
}

/// The same bodies from trees of values, as `serde_json` prints them.
fn by_tree(frame: &Frame) -> Result<Vec<u8>> {
    let mut body = Vec::with_capacity(frame.events.len() * 2);
    let mut reader = &frame.events[..];
    for number in 0..frame.count {
        let entry = rmpv::decode::read_value(&mut reader)?;
        let record = entry.as_array().and_then(|parts| parts.get(1));
        let mut document = to_json(record.ok_or("an entry has two parts")?);
        if let Value::Object(map) = &mut document {
            map.insert("@timestamp".into(), json!("2026-11-30T00:00:00.000000000Z"));
        }
        let id = format!("AAAAAAAAAAAAAAAAAA{number:05}");
        let action = json!({ "create": { "_index": "logs-2026.11.30", "_id": id } });
        serde_json::to_writer(&mut body, &action)?;
        body.write_all(b"\n")?;
        serde_json::to_writer(&mut body, &document)?;
        body.write_all(b"\n")?;
    }
    Ok(body)
}

fn to_json(value: &rmpv::Value) -> Value {
    match value {
        rmpv::Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), to_json(value)))
            .collect(),
        rmpv::Value::Array(items) => items.iter().map(to_json).collect(),
        rmpv::Value::String(text) => text.as_str().unwrap_or_default().into(),
        rmpv::Value::Integer(number) => number.as_u64().into(),
        rmpv::Value::Boolean(flag) => (*flag).into(),
        rmpv::Value::F64(number) => (*number).into(),
        _ => Value::Null,
    }
}

/// CPU time of this thread while `work` ran, and what it came to.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(Duration, T)> {
    let before = thread_cpu()?;
    let came = work()?;
    Ok((thread_cpu()?.saturating_sub(before), came))
}

/// The clock of the thread, to the nanosecond; what `/proc` says of it may be a tick of the kernel old.
fn thread_cpu() -> Result<Duration> {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (secs, nanos) = (time.tv_sec.try_into()?, time.tv_nsec.try_into()?);
    Ok(Duration::new(secs, nanos))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
