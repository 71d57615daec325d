//! One process that searches, and what it says at its end.

use super::End;
use anyhow::{Context as _, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Longest input, in bytes: enough for several messages, little enough for thousands of executions a second.
const INPUT_BYTES_MAX: u32 = 2048;
/// An input that takes longer is a finding, in seconds. A busy machine must not look like one.
const INPUT_SECONDS_MAX: u32 = 10;
/// Memory of the process, libFuzzer's own included; more is a finding.
const MEMORY_MIB_MAX: u32 = 512;
/// Lines of the log that a finding is shown with.
const LINES_SHOWN: usize = 40;

/// A search that runs.
pub(super) struct Process {
    child: Child,
    /// Its folder below the root of the repository.
    name: String,
    log: PathBuf,
}

/// What came of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) executions: u64,
    /// Edges of the program that some input reached.
    pub(super) covered: u64,
    /// The last line of libFuzzer.
    pub(super) closing: String,
    pub(super) failure: Option<String>,
}

impl Process {
    /// Begins to search. It starts from the corpus in the repository and from nothing that was found before.
    pub(super) fn start(
        root: &Path,
        programs: &Path,
        purpose: &str,
        target: &str,
        end: End,
        seed: u64,
    ) -> Result<Self> {
        let name = format!("target/fuzz/{purpose}/{target}-{seed}");
        let work = root.join(&name);
        if work.exists() {
            fs::remove_dir_all(&work).with_context(|| format!("empty {}", work.display()))?;
        }
        let (corpus, found) = (work.join("corpus"), work.join("found"));
        for folder in [&corpus, &found] {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        let log = work.join("log");
        let said = fs::File::create(&log).with_context(|| format!("write {}", log.display()))?;
        let mut command = Command::new(programs.join(target));
        match end {
            End::Seconds(seconds) => command.arg(format!("-max_total_time={seconds}")),
            End::Runs(runs) => command.arg(format!("-runs={runs}")),
        };
        command
            .arg(format!("-seed={seed}"))
            .arg(format!("-max_len={INPUT_BYTES_MAX}"))
            .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
            .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
            .arg(format!("-artifact_prefix={}/", found.display()))
            .args(["-reload=0", "-print_final_stats=1"])
            .arg(&corpus)
            .arg(root.join("fuzz/corpus").join(target))
            // What the engine does around the panic says nothing.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said);
        let child = command
            .spawn()
            .with_context(|| format!("start the fuzz target {target}"))?;
        Ok(Self { child, name, log })
    }

    /// Waits for its end.
    pub(super) fn wait(mut self) -> Result<Found> {
        let status = self.child.wait().context("wait for a fuzz target")?;
        let said = fs::read(&self.log).with_context(|| format!("read {}", self.log.display()))?;
        let mut found = read(&String::from_utf8_lossy(&said));
        if !status.success() {
            let shown = finding(&String::from_utf8_lossy(&said));
            found.failure = Some(format!("ended with {status}, see {}:\n{shown}", self.name));
        }
        Ok(found)
    }
}

/// What a log says about its finding: from the panic on, or from the error of libFuzzer, if there was none.
fn finding(log: &str) -> String {
    let begins = |line: &str| line.contains("panicked at ") || line.contains("ERROR: libFuzzer");
    let lines = log.lines().skip_while(|line| !begins(line));
    lines.take(LINES_SHOWN).collect::<Vec<_>>().join("\n")
}

/// Reads the log of libFuzzer.
fn read(log: &str) -> Found {
    let number = |line: &str, behind: &str| -> Option<u64> {
        line.split_once(behind)?
            .1
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    };
    let last = |behind: &str| log.lines().rev().find_map(|line| number(line, behind));
    let closing = log.lines().rev().find(|line| line.starts_with("Done "));
    Found {
        executions: last("stat::number_of_executed_units:").unwrap_or_default(),
        covered: last(" cov: ").unwrap_or_default(),
        closing: closing.unwrap_or("it did not come to its end").to_owned(),
        failure: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_the_engine_is_read() {
        let log = "#2\tINITED cov: 20 ft: 21 corp: 1/1b\n#9\tDONE   cov: 57 ft: 60 corp: 3/9b lim: 4 exec/s: 0\n\
            Done 9 runs in 1 second(s)\nstat::number_of_executed_units: 9\nstat::average_exec_per_sec:     9\n";
        let expected = Found {
            executions: 9,
            covered: 57,
            closing: "Done 9 runs in 1 second(s)".into(),
            failure: None,
        };
        assert_eq!(read(log), expected);
        assert_eq!(
            finding("#2 x\n==1== ERROR: libFuzzer: timeout\nunit"),
            "==1== ERROR: libFuzzer: timeout\nunit"
        );
        assert_eq!(read("==1== ERROR").closing, "it did not come to its end");
    }
}
