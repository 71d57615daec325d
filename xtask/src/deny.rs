//! `cargo xtask deny`: licences, rivals and duplicate versions of everything that is built, as `deny.toml` allows them.
//!
//! The same file serves cargo-deny, which knows more but takes minutes to install.

use crate::{process, tree};
use anyhow::{Context as _, Result, bail};
use std::{collections::BTreeMap, fs, path::Path};
use toml::{Table, Value};

/// What may come in, and what may not.
const DENY: &str = "deny.toml";

/// A crate that is built.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    /// An SPDX expression; empty when the crate names none.
    licence: String,
}

/// Runs the command.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    if let Some(arg) = args.first() {
        bail!("deny takes no argument, so not `{arg}`");
    }
    let root = tree::root()?;
    let text = fs::read_to_string(root.join(DENY)).with_context(|| format!("read {DENY}"))?;
    let deny: Table = text.parse().with_context(|| format!("read {DENY}"))?;
    let crates = built(&root, &deny)?;
    let problems = [
        licences(&crates, &deny),
        rivals(&crates, &deny),
        duplicates(&crates, &deny),
    ]
    .concat();
    for problem in &problems {
        println!("{DENY}: {problem}");
    }
    if problems.is_empty() {
        Ok(())
    } else {
        bail!("what is built is not as {DENY} allows, see above")
    }
}

/// Every crate that the targets named in `deny.toml` need, with all features.
fn built(root: &Path, deny: &Table) -> Result<Vec<Crate>> {
    let mut command = process::cargo();
    command.current_dir(root).args([
        "tree",
        "--workspace",
        "--all-features",
        "--locked",
        "--edges=normal,build,dev",
        "--prefix=none",
        "--format={p}|{l}",
    ]);
    for target in texts(deny, "graph", "targets") {
        command.args(["--target", target]);
    }
    Ok(parse(&process::output(&mut command)?))
}

/// Reads lines such as `bytes v1.2.3|MIT` and `weir v0.1.0 (path)|Apache-2.0 (*)`.
fn parse(listing: &str) -> Vec<Crate> {
    let mut crates: Vec<Crate> = listing
        .lines()
        .filter_map(|line| {
            let (package, licence) = line.split_once('|')?;
            let mut words = package.split(' ');
            Some(Crate {
                name: words.next()?.to_owned(),
                version: words.next()?.trim_start_matches('v').to_owned(),
                licence: licence.trim_end_matches(" (*)").to_owned(),
            })
        })
        .collect();
    crates.sort();
    crates.dedup();
    crates
}

fn texts<'a>(deny: &'a Table, section: &str, list: &str) -> Vec<&'a str> {
    let entries = deny.get(section).and_then(|section| section.get(list));
    let entries = entries.and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(Value::as_str).collect()
}

/// Crates whose licence is not allowed, and allowed licences that nobody needs.
fn licences(crates: &[Crate], deny: &Table) -> Vec<String> {
    let allowed = texts(deny, "licenses", "allow");
    let refused = |one: &&Crate| !is_allowed(&one.licence, &allowed);
    let mut problems: Vec<String> = crates
        .iter()
        .filter(refused)
        .map(|one| {
            format!(
                "{} {} has the licence `{}`",
                one.name, one.version, one.licence
            )
        })
        .collect();
    for licence in &allowed {
        let others: Vec<&str> = allowed
            .iter()
            .copied()
            .filter(|other| other != licence)
            .collect();
        let needed = crates
            .iter()
            .any(|one| is_allowed(&one.licence, &allowed) && !is_allowed(&one.licence, &others));
        if !needed {
            problems.push(format!(
                "no crate needs the licence `{licence}`: take it out"
            ));
        }
    }
    problems
}

/// Whether an SPDX expression can be satisfied. `AND` binds stronger than `OR`, as SPDX says; `/` is an old `OR`.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    either(&words, &mut at, allowed) && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut fine = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        fine |= both(words, at, allowed);
    }
    fine
}

fn both(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut fine = single(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        fine &= single(words, at, allowed);
    }
    fine
}

fn single(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let Some(word) = words.get(*at) else {
        return false;
    };
    *at += 1;
    if *word == "(" {
        let fine = either(words, at, allowed);
        *at += 1;
        return fine;
    }
    let exception = words
        .get(*at + 1)
        .filter(|_| words.get(*at) == Some(&"WITH"));
    let Some(exception) = exception else {
        return allowed.contains(word);
    };
    *at += 2;
    allowed.contains(&format!("{word} WITH {exception}").as_str())
}

/// The crates of a list under `[bans]`: each a text, or a table with `crate`.
fn listed<'a>(deny: &'a Table, list: &str) -> Vec<&'a str> {
    let entries = deny.get("bans").and_then(|bans| bans.get(list));
    let entries = entries.and_then(Value::as_array).into_iter().flatten();
    entries
        .filter_map(|entry| entry.as_str().or_else(|| entry.get("crate")?.as_str()))
        .collect()
}

/// Crates that stay out because the house has another of their kind.
fn rivals(crates: &[Crate], deny: &Table) -> Vec<String> {
    let banned = listed(deny, "deny");
    let came_in = crates
        .iter()
        .filter(|one| banned.contains(&one.name.as_str()));
    came_in
        .map(|Crate { name, .. }| {
            format!("{name} is banned: `cargo tree -i {name}` shows who brings it")
        })
        .collect()
}

/// Crates in several versions of which more than one is not on the list, and entries that are not needed.
fn duplicates(crates: &[Crate], deny: &Table) -> Vec<String> {
    let skipped = listed(deny, "skip");
    let mut versions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Crate { name, version, .. } in crates {
        versions
            .entry(name)
            .or_default()
            .push(format!("{name}@{version}"));
    }
    versions.retain(|_, versions| versions.len() > 1);
    let mut problems = Vec::new();
    for versions in versions.values() {
        let open = versions
            .iter()
            .filter(|one| !skipped.contains(&one.as_str()));
        if open.count() > 1 {
            let versions = versions.join(" and ");
            problems.push(format!(
                "{versions} are both built: unify them, or skip the older with a reason"
            ));
        }
    }
    for entry in skipped {
        if !versions.values().flatten().any(|one| one == entry) {
            problems.push(format!("{entry} is no duplicate any more: take it out"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_licence(expression: &str, fine: bool) {
        let allowed = ["MIT", "Apache-2.0", "ISC", "Apache-2.0 WITH LLVM-exception"];
        assert_eq!(is_allowed(expression, &allowed), fine, "{expression}");
    }

    #[test]
    fn licences_are_read_as_spdx_says() {
        check_licence("MIT", true);
        check_licence("MIT/GPL-3.0", true);
        check_licence("GPL-3.0 OR Apache-2.0 AND ISC", true);
        check_licence("(GPL-3.0 OR MIT) AND ISC", true);
        check_licence("Apache-2.0 WITH LLVM-exception", true);
        check_licence("GPL-3.0", false);
        check_licence("MIT AND GPL-3.0", false);
        check_licence("(MIT OR ISC) AND GPL-3.0", false);
        check_licence("GPL-3.0 WITH LLVM-exception", false);
        check_licence("MIT OR (", false);
        check_licence("", false);
    }

    #[test]
    fn a_listing_is_read_once_per_crate() {
        let listing = "weir v0.1.0 (place)|Apache-2.0\nbytes v1.2.3|MIT\n\nbytes v1.2.3|MIT (*)\n";
        let crates = parse(listing);
        let names: Vec<_> = crates
            .iter()
            .map(|one| (&*one.name, &*one.version, &*one.licence))
            .collect();
        assert_eq!(
            names,
            [("bytes", "1.2.3", "MIT"), ("weir", "0.1.0", "Apache-2.0")]
        );
    }

    #[test]
    fn refused_and_needless_licences_are_named() {
        let crates = parse("a v1.0.0|MIT\nb v1.0.0|GPL-3.0\n");
        let deny = "[licenses]\nallow = [\"MIT\", \"ISC\"]\n".parse().unwrap();
        assert_eq!(
            licences(&crates, &deny),
            [
                "b 1.0.0 has the licence `GPL-3.0`",
                "no crate needs the licence `ISC`: take it out"
            ]
        );
    }

    #[test]
    fn rivals_are_named() {
        let crates = parse("a v1.0.0|MIT\nb v1.0.0|MIT\n");
        let deny = "[bans]\ndeny = [{ crate = \"b\", reason = \"a\" }, \"c\"]\n";
        assert_eq!(
            rivals(&crates, &deny.parse().unwrap()),
            ["b is banned: `cargo tree -i b` shows who brings it"]
        );
    }

    #[test]
    fn duplicates_are_named_unless_they_are_on_the_list() {
        let crates = parse("a v1.0.0|MIT\na v2.0.0|MIT\nb v1.0.0|MIT\nb v2.0.0|MIT\n");
        let deny = "[bans]\nskip = [{ crate = \"a@1.0.0\" }, \"c@1.0.0\"]\n";
        assert_eq!(
            duplicates(&crates, &deny.parse().unwrap()),
            [
                "b@1.0.0 and b@2.0.0 are both built: unify them, or skip the older with a reason",
                "c@1.0.0 is no duplicate any more: take it out",
            ]
        );
    }
}
