//! CPU time per record from socket to bulk request, and from socket to socket, beside a decoded tree in the same run.

use std::path::Path;

use anyhow::ensure;

use super::trial::{CONNECTIONS, RECORDS, Setup, Way, one_run, print_row};

/// Aims of this row: CPU microseconds per record, and memory in MiB.
const AIM_US: f64 = 1.5;
const AIM_IDLE_MIB: f64 = 30.0;
const AIM_PEAK_MIB: f64 = 100.0;

/// Runs it.
pub(super) fn run(binary: &Path, runs: usize) -> anyhow::Result<()> {
    println!("forward -> disk buffer (commit) -> server; {CONNECTIONS} acking connections;");
    println!(
        "{RECORDS} Kubernetes-shaped records a run, Weir on one core, median of {runs} runs\n"
    );
    println!(
        "message    to              CPU us/record   tree + serde_json   ratio   records/s   idle MiB   peak MiB"
    );
    let mut dearer = Vec::new();
    for message_bytes in [64 << 10, 256 << 10] {
        let (mut bulk, mut passed) = (Vec::new(), Vec::new());
        let setup = |way| Setup {
            message_bytes,
            way,
            durability: "commit",
        };
        // Turn by turn, so that what else the machine does meets both.
        for _ in 0..runs {
            bulk.push(one_run(binary, setup(Way::Bulk))?);
            passed.push(one_run(binary, setup(Way::Forward))?);
        }
        let bulk = print_row(message_bytes, "Elasticsearch", &bulk);
        let passed = print_row(message_bytes, "forward", &passed);
        println!("passing through costs {:.2} of it\n", passed / bulk);
        if passed >= bulk {
            dearer.push(message_bytes >> 10);
        }
    }
    println!(
        "aims: {AIM_US} us/record, idle under {AIM_IDLE_MIB} MiB, peak under {AIM_PEAK_MIB} MiB"
    );
    println!(
        "tree + serde_json is the encoding alone: MessagePack decoded to a tree, printed as bulk lines"
    );
    ensure!(
        dearer.is_empty(),
        "passing through costs more than Elasticsearch with messages of {dearer:?} KiB"
    );
    Ok(())
}
