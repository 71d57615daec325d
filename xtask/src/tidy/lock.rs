//! The rule about `Cargo.lock`: where every package comes from.

use super::{Finding, Repository, contract::line_of};
use toml::{Table, Value};

/// The lock file.
const LOCK: &str = "Cargo.lock";
/// The only registry. In two parts, so that the rule about registries does not find it here.
const REGISTRY: [&str; 2] = ["registry+https://github.com/rust-lang/crates", ".io-index"];

/// Every package comes from the registry or stands in this repository.
pub(super) fn sources(repository: &Repository) -> Vec<Finding> {
    let text = repository.tree.text(LOCK).unwrap_or_default();
    let Ok(lock) = text.parse::<Table>() else {
        return vec![Finding::new(LOCK, 1, "is not TOML")];
    };
    let packages = lock.get("package").and_then(Value::as_array);
    let mut findings = Vec::new();
    for package in packages.into_iter().flatten() {
        let field = |key| package.get(key).and_then(Value::as_str).unwrap_or_default();
        let (name, source) = (field("name"), field("source"));
        let line = line_of(text, |line| line == format!("name = {name:?}"));
        if !source.is_empty() && source != REGISTRY.concat() {
            let message = format!("`{name}` comes from `{source}`: only the registry is a source");
            findings.push(Finding::new(LOCK, line, message));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::testing::check, *};

    #[test]
    fn packages_from_elsewhere_are_found() {
        let lock = format!(
            "[[package]]\nname = \"weir\"\n\n[[package]]\nname = \"bytes\"\nsource = \"{}\"\n\n\
             [[package]]\nname = \"forked\"\nsource = \"git+https://example.org/forked\"\n",
            REGISTRY.concat()
        );
        let message = "Cargo.lock:9: `forked` comes from `git+https://example.org/forked`: only the registry is a source";
        check(sources, &[(LOCK, &lock)], &[message]);
        check(sources, &[(LOCK, "a = ")], &["Cargo.lock:1: is not TOML"]);
    }
}
