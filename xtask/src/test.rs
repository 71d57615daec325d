//! `cargo xtask test`: everything a change must pass, in order, from a fresh machine on.

mod steps;

use self::steps::{STEPS, Step};
use crate::{servers, tree};
use anyhow::{Result, bail};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// What became of a step.
struct Done {
    name: &'static str,
    passed: bool,
    took: Duration,
}

/// Runs the command.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    match args {
        [] => run_all(STEPS),
        ["--list"] => {
            for Step { name, about, .. } in STEPS {
                println!("{name:<12} {about}");
            }
            Ok(())
        }
        ["--only", names @ ..] if !names.is_empty() => run_all(&chosen(names)?),
        _ => bail!("usage: cargo xtask test [--list | --only STEP...]"),
    }
}

/// The named steps, in the order in which they always run.
fn chosen(names: &[&str]) -> Result<Vec<Step>> {
    if let Some(name) = names
        .iter()
        .find(|name| !STEPS.iter().any(|step| step.name == **name))
    {
        bail!("no step `{name}`; `cargo xtask test --list` shows them");
    }
    Ok(STEPS
        .iter()
        .filter(|step| names.contains(&step.name))
        .copied()
        .collect())
}

/// Runs steps one after the other, also after one failed, and sums up.
fn run_all(steps: &[Step]) -> Result<()> {
    let root = tree::root()?;
    let start = Instant::now();
    let before = steps::changes(&root);
    let servers = servers::running()?;
    let mut done: Vec<Done> = steps.iter().map(|step| run_step(step, &root)).collect();
    done.push(settle(
        "stop",
        "servers that this run started are ended",
        || servers::stop_others(&servers),
    ));
    done.push(settle(
        "clean",
        "the run left nothing in the checkout",
        || steps::unchanged(&before, &root),
    ));
    println!("\n=== summary");
    for Done { name, passed, took } in &done {
        let verdict = if *passed { "ok" } else { "FAILED" };
        println!("{name:<12} {verdict:<7} {}", seconds(*took));
    }
    println!("{:<12} {:<7} {}", "all", "", seconds(start.elapsed()));
    close(&done)
}

/// Prints the closing line; an error when a step failed.
fn close(done: &[Done]) -> Result<()> {
    let failed: Vec<&str> = done
        .iter()
        .filter(|step| !step.passed)
        .map(|step| step.name)
        .collect();
    println!(
        "\n{} passed, {} failed",
        done.len() - failed.len(),
        failed.len()
    );
    if failed.is_empty() {
        return Ok(());
    }
    bail!(
        "failed: {}; run one alone with `cargo xtask test --only STEP`",
        failed.join(", ")
    )
}

fn run_step(step: &Step, root: &Path) -> Done {
    settle(step.name, step.about, || (step.run)(root))
}

fn settle(name: &'static str, about: &str, work: impl FnOnce() -> Result<()>) -> Done {
    println!("\n=== {name}: {about}");
    let start = Instant::now();
    let result = work();
    let took = start.elapsed();
    match &result {
        Ok(()) => println!("=== {name} ok in {}", seconds(took)),
        Err(error) => println!("=== {name} FAILED in {}: {error:#}", seconds(took)),
    }
    Done {
        name,
        passed: result.is_ok(),
        took,
    }
}

fn seconds(took: Duration) -> String {
    format!("{:>7.1} s", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_is_counted_and_the_end_is_an_error() {
        let done = [
            settle("good", "passes", || Ok(())),
            settle("bad", "fails", || bail!("no")),
        ];
        assert!(done[0].passed && !done[1].passed);
        assert!(close(&done[..1]).is_ok());
        let error = close(&done).unwrap_err().to_string();
        assert!(error.starts_with("failed: bad;"), "{error}");
    }

    #[test]
    fn chosen_steps_keep_their_order() {
        let names: Vec<&str> = chosen(&["tidy", "fmt"])
            .unwrap()
            .iter()
            .map(|step| step.name)
            .collect();
        assert_eq!(names, ["fmt", "tidy"]);
        assert!(chosen(&["tidy", "nothing"]).is_err());
    }
}
