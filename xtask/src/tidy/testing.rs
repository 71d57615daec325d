//! For the tests of the rules: a small tree in, one line per finding out.

use super::{Repository, Rule};
use crate::tree::Tree;

/// Runs one rule over a small tree and compares every finding.
#[track_caller]
pub(super) fn check(rule: Rule, files: &[(&str, &str)], expected: &[&str]) {
    let repository = Repository::new(Tree::of(files));
    let found: Vec<String> = rule(&repository).iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}
