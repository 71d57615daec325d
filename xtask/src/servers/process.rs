//! A process that was started earlier, perhaps by another run: known by its number and its time of start, so that
//! a number that the system has given away again is never taken for it.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// How long a server may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// The leader of a process group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pid: u32,
    /// Clock ticks from the start of the system to the start of the process.
    started_ticks: u64,
}

impl Process {
    /// The process that has this number now.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let started_ticks = started_ticks(pid).with_context(|| format!("no process {pid}"))?;
        Ok(Self { pid, started_ticks })
    }

    /// Whether it still runs.
    pub(super) fn is_alive(&self) -> bool {
        started_ticks(self.pid) == Some(self.started_ticks)
    }

    /// Ends the process: asks, waits, and after half a minute insists, with all that it started.
    pub(super) fn stop(&self) -> Result<()> {
        if self.is_alive() {
            self.signal("-TERM", "")?;
        }
        if self.is_gone_within(PATIENCE) {
            return Ok(());
        }
        self.signal("-KILL", "-")?;
        if self.is_gone_within(PATIENCE) {
            return Ok(());
        }
        bail!("process {} does not end", self.pid)
    }

    fn signal(&self, signal: &str, group: &str) -> Result<()> {
        // That it ended between the look and the signal is what was wanted.
        let whom = format!("{group}{}", self.pid);
        Command::new("kill")
            .args([signal, "--", &whom])
            .status()
            .with_context(|| format!("start `kill` for process {}", self.pid))?;
        Ok(())
    }

    fn is_gone_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.is_alive() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(BETWEEN_LOOKS);
        }
        true
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "pid": self.pid, "started_ticks": self.started_ticks })
    }

    pub(super) fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            pid: value.get("pid")?.as_u64()?.try_into().ok()?,
            started_ticks: value.get("started_ticks")?.as_u64()?,
        })
    }
}

/// The time of start of a process; `None` when there is none, or only what is left of one that ended.
fn started_ticks(pid: u32) -> Option<u64> {
    start_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 3 is the state and field 22 the time of start (proc(5)). The name, field 2, may hold anything, so the count
/// begins behind its closing parenthesis.
fn start_in(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt as _;

    #[test]
    fn the_start_is_field_22() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start_in(&format!("7 (a) b) S {rest}")), Some(4711));
        assert_eq!(start_in(&format!("7 (a) Z {rest}")), None);
        assert_eq!(start_in("7 (a) S 1 2"), None);
    }

    #[test]
    fn a_process_is_ended_and_another_with_its_number_is_not() {
        let mut child = Command::new("sleep")
            .arg("60")
            .process_group(0)
            .spawn()
            .unwrap();
        let process = Process::of(child.id()).unwrap();
        assert_eq!(
            Process::from_json(&process.to_json()),
            Some(process.clone())
        );
        let other = Process {
            started_ticks: process.started_ticks + 1,
            ..process.clone()
        };
        other.stop().unwrap();
        assert!(process.is_alive() && !other.is_alive());
        process.stop().unwrap();
        assert!(!process.is_alive());
        child.wait().unwrap();
        assert!(Process::of(child.id()).is_err());
    }
}
