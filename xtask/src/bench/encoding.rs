//! CPU time per document: encoding alone beside a tree of values in the same run, the whole output, and what gzip adds.

use std::process::Command;

use anyhow::{Context as _, ensure};

use super::{
    arrivals::Arrivals,
    bulk_server, measure,
    records::{self, Shape},
};
use crate::process;

/// How much faster than a tree of values encoding must be.
const LEAST_RATIO: f64 = 3.0;
/// Size of the entries of one chunk, in bytes.
const CHUNK_BYTES: usize = 4 << 20;
/// What does the work.
const PROGRAM: &str = "target/release/examples/encoding";

/// Runs it.
pub(super) fn run(runs: usize) -> anyhow::Result<()> {
    let build = "build --release --quiet --package out_elasticsearch --example encoding";
    process::run(process::cargo().args(build.split(' ')))?;
    println!("CPU us/document on one core, median of {runs} rounds of a chunk of 4 MiB\n");
    println!("bytes   encoding   tree + serde_json   ratio   whole output");
    let (mut slow, mut packed) = (Vec::new(), Vec::new());
    for shape in [Shape::Short, Shape::Usual, Shape::Long] {
        let sample = records::entries(shape, 1_000, 42);
        let mean = sample.iter().map(Vec::len).sum::<usize>() / sample.len();
        let entries = records::entries(shape, CHUNK_BYTES / mean, 42);
        let [bytes, encoding, tree, ratio, whole, gzip @ ..] = measured(&entries.concat(), runs)?;
        println!("{bytes:>5} {encoding:>10.3} {tree:>19.3} {ratio:>6.1}x {whole:>14.3}");
        if ratio < LEAST_RATIO {
            slow.push(bytes);
        }
        packed.push((bytes, gzip));
    }
    println!(
        "\nbytes   gzip level 1         level 6         level 9   (microseconds, and what is left)"
    );
    for (bytes, gzip) in packed {
        print!("{bytes:>5}");
        for pair in gzip.chunks(2) {
            if let [time, share] = pair {
                print!(" {time:>8.3} {:>4.1} %", share * 100.0);
            }
        }
        println!();
    }
    println!();
    ensure!(
        slow.is_empty(),
        "encoding documents of {slow:?} bytes is less than {LEAST_RATIO} times as fast as a tree of values"
    );
    Ok(())
}

/// Bytes of a document with its action line; encoding and the tree in microseconds per document, and how many times the one
/// the other takes; the whole output; and gzip at each level, with the share of the bytes that is left.
fn measured(entries: &[u8], runs: usize) -> anyhow::Result<[f64; 11]> {
    let home = measure::scratch_dir("bench-encoding")?;
    let file = home.join("entries");
    std::fs::write(&file, entries)?;
    let server = Arrivals::start(bulk_server::serve)?;
    let mut command = Command::new("taskset");
    command.args(["-c", "0", PROGRAM]).arg(&file);
    command.args([server.port().to_string(), runs.to_string()]);
    let said = process::output(&mut command)?;
    std::fs::remove_dir_all(&home)?;
    let times: Result<Vec<f64>, _> = said.split_whitespace().map(str::parse).collect();
    let times = times.with_context(|| format!("read {said:?}"))?;
    <[f64; 11]>::try_from(times).ok().context("eleven figures")
}
