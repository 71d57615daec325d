//! Rules about `Cargo.lock`: where every package comes from, and rivals that stay out.

use super::{Finding, Repository, contract::line_of};
use toml::{Table, Value};

/// The lock file.
const LOCK: &str = "Cargo.lock";
/// What may come in, and what may not.
pub(crate) const DENY: &str = "deny.toml";
/// The only registry. In two parts, so that the rule about registries does not find it here.
const REGISTRY: [&str; 2] = ["registry+https://github.com/rust-lang/crates", ".io-index"];

/// Every package comes from the registry or stands in this repository, and none is banned.
pub(super) fn sources(repository: &Repository) -> Vec<Finding> {
    let text = repository.tree.text(LOCK).unwrap_or_default();
    let deny = repository.tree.text(DENY).unwrap_or_default();
    let Ok(deny) = deny.parse::<Table>() else {
        return vec![Finding::new(DENY, 1, "is not TOML")];
    };
    let Ok(lock) = text.parse::<Table>() else {
        return vec![Finding::new(LOCK, 1, "is not TOML")];
    };
    let banned = crates(&deny, "deny");
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
        if banned.contains(&name) {
            let message =
                format!("`{name}` is banned in {DENY}: `cargo tree -i {name}` shows who brings it");
            findings.push(Finding::new(LOCK, line, message));
        }
    }
    findings
}

/// The crates of a list under `[bans]`: each a text, or a table with `crate`.
pub(crate) fn crates<'a>(deny: &'a Table, list: &str) -> Vec<&'a str> {
    let entries = deny.get("bans").and_then(|bans| bans.get(list));
    entries
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.as_str().or_else(|| entry.get("crate")?.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::testing::check, *};

    #[test]
    fn packages_from_elsewhere_and_banned_ones_are_found() {
        let lock = format!(
            "[[package]]\nname = \"weir\"\n\n[[package]]\nname = \"bytes\"\nsource = \"{}\"\n\n\
             [[package]]\nname = \"forked\"\nsource = \"git+https://example.org/forked\"\n\n\
             [[package]]\nname = \"openssl\"\nsource = \"{0}\"\n",
            REGISTRY.concat()
        );
        let deny =
            "[bans]\ndeny = [\"native-tls\", { crate = \"openssl\", reason = \"rustls\" }]\n";
        let expected = [
            "Cargo.lock:9: `forked` comes from `git+https://example.org/forked`: only the registry is a source",
            "Cargo.lock:13: `openssl` is banned in deny.toml: `cargo tree -i openssl` shows who brings it",
        ];
        check(sources, &[(LOCK, &lock), (DENY, deny)], &expected);
    }
}
