//! What it costs that an acknowledgement means synced: CPU time with `commit` beside that with `os`, in the same run.

use std::path::Path;

use anyhow::ensure;

use super::trial::{CONNECTIONS, Setup, Way, one_run, print_row};

const MESSAGE_BYTES: usize = 256 << 10;
/// `commit` may cost at most so many times what `os` costs.
const RATIO_MAX: f64 = 1.5;

/// Runs it.
pub(super) fn run(binary: &Path, runs: usize) -> anyhow::Result<()> {
    println!(
        "forward -> disk buffer -> forward; {CONNECTIONS} acking connections, median of {runs} runs\n"
    );
    println!(
        "message    durability      CPU us/record   tree + serde_json   ratio   records/s   idle MiB   peak MiB"
    );
    let (mut commit, mut os) = (Vec::new(), Vec::new());
    let setup = |durability| Setup {
        message_bytes: MESSAGE_BYTES,
        way: Way::Forward,
        durability,
    };
    for _ in 0..runs {
        commit.push(one_run(binary, setup("commit"))?);
        os.push(one_run(binary, setup("os"))?);
    }
    let commit = print_row(MESSAGE_BYTES, "commit", &commit);
    let os = print_row(MESSAGE_BYTES, "os", &os);
    let ratio = commit / os;
    println!("commit costs {ratio:.2} of os; at most {RATIO_MAX}\n");
    ensure!(ratio <= RATIO_MAX, "commit costs {ratio:.2} of os");
    Ok(())
}
