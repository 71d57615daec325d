//! Writing the figures of a campaign into the page of results.

use super::{Line, Order};
use crate::{process, tree};
use anyhow::{Context as _, Result};
use std::{fs, process::Command};

/// The page.
pub(super) const PAGE: &str = "docs/RESULTS.md";
/// What stands behind the last row of the table of campaigns.
const END: &str = "<!-- /campaigns -->";

/// What a row says besides the line itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Circumstances {
    date: String,
    commit: String,
    kernel: String,
    command: String,
}

/// The version of a kernel without what a distribution puts behind it.
fn version(release: &str) -> String {
    let end = release.find('-').unwrap_or(release.len());
    release.get(..end).unwrap_or(release).to_owned()
}

/// Adds one row for each line.
pub(super) fn add(order: &Order, lines: &[Line]) -> Result<()> {
    let root = tree::root()?;
    let path = root.join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("read {PAGE}"))?;
    let said = |program: &str, args: &[&str]| -> Result<String> {
        let text = process::output(Command::new(program).args(args).current_dir(&root))?;
        Ok(text.trim().to_owned())
    };
    // What is measured is the commit only when nothing else was built.
    let changed = said("git", &["status", "--porcelain", "--untracked-files=no"])?;
    let circumstances = Circumstances {
        date: said("date", &["-u", "+%Y-%m-%d"])?,
        commit: said("git", &["rev-parse", "--short", "HEAD"])?
            + if changed.is_empty() { "" } else { " + changes" },
        kernel: version(&said("uname", &["-r"])?),
        command: order.command(),
    };
    let page = with_rows(&page, &circumstances, lines)?;
    fs::write(&path, page).with_context(|| format!("write {PAGE}"))?;
    println!("{} rows added to {PAGE}", lines.len());
    Ok(())
}

/// The page with the rows behind those that are there.
fn with_rows(page: &str, circumstances: &Circumstances, lines: &[Line]) -> Result<String> {
    let (before, behind) = page
        .split_once(END)
        .with_context(|| format!("{PAGE} has no line `{END}`"))?;
    let rows: String = lines
        .iter()
        .map(|line| row(circumstances, line) + "\n")
        .collect();
    Ok([before, &rows, END, behind].concat())
}

fn row(circumstances: &Circumstances, line: &Line) -> String {
    let Circumstances {
        date,
        commit,
        kernel,
        command,
    } = circumstances;
    let verdict = match &line.failure {
        None => "ok".to_owned(),
        Some(failure) => {
            let first = failure.lines().next().unwrap_or_default();
            format!("FAILED: {}", first.replace('|', "\\|"))
        }
    };
    format!(
        "| {date} | {commit} | {kernel} | `{command}` | {} | {} | {verdict} |",
        line.what,
        line.text()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_behind_those_that_are_there() {
        let circumstances = Circumstances {
            date: "2026-01-02".into(),
            commit: "abc".into(),
            kernel: "6.1".into(),
            command: "cargo xtask campaign fuzz --seed 1".into(),
        };
        let lines = [
            Line::new("packed").with("runs", 3),
            Line::new("b").failed("x | y\nmore"),
        ];
        let page = format!("# R\n\n| date |\n| old |\n{END}\nbehind\n");
        let expected = format!(
            "# R\n\n| date |\n| old |\n\
             | 2026-01-02 | abc | 6.1 | `cargo xtask campaign fuzz --seed 1` | packed | runs=3 | ok |\n\
             | 2026-01-02 | abc | 6.1 | `cargo xtask campaign fuzz --seed 1` | b |  | FAILED: x \\| y |\n\
             {END}\nbehind\n"
        );
        assert_eq!(with_rows(&page, &circumstances, &lines).unwrap(), expected);
        assert!(with_rows("# R\n", &circumstances, &lines).is_err());
    }
}
