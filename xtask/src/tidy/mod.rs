//! `cargo xtask tidy`: the rules of the house that neither the compiler nor clippy holds.
//!
//! A rule looks at the whole repository in memory and returns what it finds. To add one, write a
//! function, name it in [`RULES`], and give it a small tree in its tests that makes it speak.

mod alerts;
mod arrows;
mod budgets;
mod contract;
mod lock;
mod names;
mod paper;
mod promises;
mod proofs;
mod source;

use crate::tree::{self, Tree};
use anyhow::{Result, bail};
use std::{collections::HashMap, fmt};

pub(crate) use self::contract::{LIST, Plugin, plugins, section};

/// One departure from a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    pub(crate) path: String,
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// What a rule looks at: the repository, and every Rust file of it split once.
#[derive(Debug)]
struct Repository {
    tree: Tree,
    sources: HashMap<String, source::Source>,
    /// Paths of Rust files that are tests as a whole.
    test_files: Vec<String>,
}

impl Repository {
    fn new(tree: Tree) -> Self {
        let sources: HashMap<_, _> = tree
            .rust()
            .map(|(path, text)| (path.to_owned(), source::Source::new(text)))
            .collect();
        let test_files = budgets::test_files(&tree, &sources);
        Self {
            tree,
            sources,
            test_files,
        }
    }

    /// Every Rust file, split, in the order of the paths.
    fn rust(&self) -> impl Iterator<Item = (&str, &source::Source)> {
        self.tree
            .rust()
            .filter_map(|(path, _)| Some((path, self.sources.get(path)?)))
    }

    fn is_test_file(&self, path: &str) -> bool {
        self.test_files.iter().any(|file| file == path)
    }
}

type Rule = fn(&Repository) -> Vec<Finding>;

const RULES: &[Rule] = &[
    alerts::explained,
    arrows::manifests,
    arrows::imports,
    arrows::plugin_names,
    budgets::lengths,
    budgets::headers,
    budgets::letters,
    budgets::open_ends,
    contract::packages,
    contract::shelves,
    contract::list,
    lock::sources,
    names::words,
    names::modules,
    paper::decisions,
    paper::paths,
    paper::machine,
    promises::learned,
    promises::noticed,
    promises::proven,
    proofs::named,
    proofs::cases,
    proofs::bulk_cases,
];

/// Everything that departs from a rule, sorted by place.
pub(crate) fn findings(tree: Tree) -> Vec<Finding> {
    let repository = Repository::new(tree);
    let mut findings: Vec<_> = RULES.iter().flat_map(|rule| rule(&repository)).collect();
    findings.sort();
    findings.dedup();
    findings
}

/// Runs the command.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    if let Some(arg) = args.first() {
        bail!("tidy takes no argument, so not `{arg}`");
    }
    report(Tree::load(&tree::root()?)?)
}

/// Prints every finding; an error when there is one.
pub(crate) fn report(tree: Tree) -> Result<()> {
    for line in promises::open(&Repository::new(tree.clone())) {
        println!("{line}");
    }
    let findings = findings(tree);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => bail!("1 place departs from the rules of CONTRIBUTING.md"),
        count => bail!("{count} places depart from the rules of CONTRIBUTING.md"),
    }
}

#[cfg(test)]
mod testing;
