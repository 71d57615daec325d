//! Rules about pages: decisions are numbered, paths exist, and nothing tells of one machine.

use super::{Finding, Repository};
use crate::tree::has_ending;

/// Where the decision records stand.
const DECISIONS: &str = "docs/decisions";
/// Pages that record history, so what they name may be gone.
const HISTORY: [&str; 2] = ["docs/decisions/", "CHANGELOG.md"];
/// Signs that a word is a pattern or an example, not a path.
const PLACEHOLDERS: [&str; 9] = ["*", "<", ">", "{", "}", "$", "...", "NAME", "NNNN"];
/// Folders of one machine; each between slashes.
const MACHINE_FOLDERS: [&str; 4] = ["root", "home", "work", "Users"];
/// Package registries, split before their last part so that this list is not found by its own rule.
const REGISTRIES: [(&str, &str); 9] = [
    ("registry.npmjs", "org"),
    ("registry.yarnpkg", "com"),
    ("index.crates", "io"),
    ("static.crates", "io"),
    ("files.pythonhosted", "org"),
    ("pypi", "org"),
    ("proxy.golang", "org"),
    ("repo.maven.apache", "org"),
    ("repo1.maven", "org"),
];

/// Decision records are numbered from 1 without gaps, in the file name and in the heading.
pub(super) fn decisions(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let records = repository.tree.names(DECISIONS);
    for (number, name) in (1..).zip(records) {
        let path = format!("{DECISIONS}/{name}");
        let numbered = name.strip_prefix(&format!("{number:04}-"));
        if numbered
            .and_then(|title| title.strip_suffix(".md"))
            .is_none()
        {
            let message =
                format!("is not {number:04}-title.md: decisions are numbered without gaps");
            findings.push(Finding::new(&path, 1, message));
            continue;
        }
        let text = repository.tree.text(&path).unwrap_or_default();
        if !text.starts_with(&format!("# {number}. ")) {
            findings.push(Finding::new(
                &path,
                1,
                format!("does not begin with `# {number}. Title`"),
            ));
        }
    }
    findings
}

/// Every path that a page names exists.
pub(super) fn paths(repository: &Repository) -> Vec<Finding> {
    let tree = &repository.tree;
    let mut findings = Vec::new();
    for (page, text) in tree.texts().filter(|(path, _)| has_ending(path, "md")) {
        if HISTORY.iter().any(|history| page.starts_with(history)) {
            continue;
        }
        let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut fenced = false;
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            let mut named: Vec<String> = Vec::new();
            if !fenced {
                named.extend(between(line, "](", ")").filter_map(|link| linked(folder, link)));
                named.extend(between(line, "`", "`").filter_map(|word| quoted(repository, word)));
            }
            for path in named.iter().filter(|path| !tree.exists(path)) {
                findings.push(Finding::new(
                    page,
                    number,
                    format!("names `{path}`, which does not exist"),
                ));
            }
        }
    }
    findings
}

/// What stands between each pair of `open` and `close`.
pub(super) fn between<'a>(
    line: &'a str,
    open: &'a str,
    close: &'a str,
) -> impl Iterator<Item = &'a str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(open)?;
        let (inside, behind) = behind.split_once(close)?;
        rest = behind;
        Some(inside)
    })
}

/// The path that a link leads to, from the root; `None` when it leads elsewhere.
fn linked(folder: &str, link: &str) -> Option<String> {
    let target = link.split(['#', ' ']).next().unwrap_or_default();
    if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The path that a quoted word names: its first part is a folder of the root, or it looks like a file there.
fn quoted(repository: &Repository, word: &str) -> Option<String> {
    let odd = |letter: char| letter.is_whitespace() || "()[]=,;\"'".contains(letter);
    if word.contains(odd) || PLACEHOLDERS.iter().any(|sign| word.contains(sign)) {
        return None;
    }
    let path = word.split([':', '#']).next().unwrap_or_default();
    let (first, _) = path.split_once('/')?;
    let known = repository.tree.exists(first) && !first.is_empty();
    let built = matches!(first, "target" | "data");
    (known && !built).then(|| path.trim_end_matches('/').to_owned())
}

/// Nothing names a folder of one machine or the registry it happens to use.
pub(super) fn machine(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.tree.texts() {
        let is_npm_lock = path.ends_with("package-lock.json");
        for (number, line) in (1..).zip(text.lines()) {
            let mut find = |message| findings.push(Finding::new(path, number, message));
            for folder in MACHINE_FOLDERS
                .iter()
                .filter(|folder| has_folder(line, folder))
            {
                find(format!(
                    "`/{folder}/...` is a folder of one machine: name a path from the root of the repository"
                ));
            }
            for (host, end) in REGISTRIES {
                let host = format!("{host}.{end}");
                if line.contains(&host) {
                    find(format!(
                        "`{host}`: which registry is asked is the machine's affair"
                    ));
                }
            }
            if is_npm_lock && line.trim_start().starts_with("\"resolved\": \"http") {
                find("names a registry: write the lock with `npm install --omit-lockfile-registry-resolved`".into());
            }
        }
    }
    findings
}

/// Whether a path in `line` begins with this folder.
fn has_folder(line: &str, folder: &str) -> bool {
    line.match_indices(&format!("/{folder}/")).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|letter| letter.is_alphanumeric() || "/_-.$}~*".contains(letter))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::testing::check, *};

    #[test]
    fn decisions_are_numbered_without_gaps() {
        let files = [
            ("docs/decisions/0001-first.md", "# 1. First\n"),
            ("docs/decisions/0003-third.md", "# 3. Third\n"),
            ("docs/decisions/0003-thord.md", "# Third\n"),
        ];
        let expected = [
            "docs/decisions/0003-third.md:1: is not 0002-title.md: decisions are numbered without gaps",
            "docs/decisions/0003-thord.md:1: does not begin with `# 3. Title`",
        ];
        check(decisions, &files, &expected);
    }

    #[test]
    fn a_path_that_does_not_exist_is_found() {
        let page = "See `src/a.rs:12`, `src/`, [b](../src/b.rs#top) and `src/gone.rs`.\n\
            [gone](gone.md) [web](https://example.org/src/x) [here](#a)\n\
            `src/*.rs` `src/{a,b}.rs` `a/b` `target/x` `use src/a b` `plugins/NAME`\n\
            ```sh\n`src/fenced.rs`\n```\n";
        let files = [
            ("docs/PAGE.md", page),
            ("docs/decisions/0001-old.md", "`src/removed.rs`\n"),
            ("src/a.rs", ""),
            ("src/b.rs", ""),
        ];
        let expected = [
            "docs/PAGE.md:1: names `src/gone.rs`, which does not exist",
            "docs/PAGE.md:2: names `docs/gone.md`, which does not exist",
        ];
        check(paths, &files, &expected);
    }

    #[test]
    fn nothing_tells_of_one_machine() {
        let text = ["root", "work"]
            .map(|folder| format!("open /{folder}/x\n"))
            .concat()
            + "target/work/x ~/home/x $HOME/work/ /var/x\n"
            + &["https://registry.npmjs", "org/a\n"].join(".");
        let lock = "{\n  \"resolved\": \"https://example.org/a.tgz\"\n}\n";
        let rest = "is a folder of one machine: name a path from the root of the repository";
        let host = ["registry.npmjs", "org"].join(".");
        let expected = [
            format!("a.md:1: `/{}/...` {rest}", "root"),
            format!("a.md:2: `/{}/...` {rest}", "work"),
            format!("a.md:4: `{host}`: which registry is asked is the machine's affair"),
            "b/package-lock.json:2: names a registry: write the lock with `npm install --omit-lockfile-registry-resolved`".into(),
        ];
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(
            machine,
            &[("a.md", &text), ("b/package-lock.json", lock)],
            &expected,
        );
    }
}
