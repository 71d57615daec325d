//! Rules about single Rust files: their length, their header, their letters, and nothing left open.

use super::{Finding, Repository, source::Source};
use crate::tree::Tree;
use std::collections::HashMap;

/// Lines of a file without its tests.
const FILE_LINES_MAX: usize = 400;
/// Lines of a `lib.rs` or `mod.rs` without its tests.
const ENTRY_LINES_MAX: usize = 300;
/// Words that mark unfinished work; sought in code and comments, not in literals.
const OPEN_ENDS: [&str; 5] = ["TODO", "FIXME", "XXX", "todo!", "unimplemented!"];
/// Other languages in which unfinished work could hide.
const OTHER_SOURCES: [&str; 10] = [
    ".py", ".js", ".mjs", ".ts", ".go", ".java", ".sh", ".toml", ".yaml", ".tmpl",
];

/// Files that are tests as a whole: below `tests/`, named `tests.rs`, or modules under `#[cfg(test)]`.
pub(super) fn test_files(tree: &Tree, sources: &HashMap<String, Source>) -> Vec<String> {
    let mut found: Vec<String> = tree
        .rust()
        .map(|(path, _)| path)
        .filter(|path| is_test_path(path))
        .map(String::from)
        .collect();
    for (path, source) in sources {
        let folder = module_folder(path);
        for [keyword, name, end] in triples(source) {
            if keyword.text == "mod" && end.text == ";" && source.is_test(name.line) {
                found.push(format!("{folder}/{}.rs", name.text));
                found.push(format!("{folder}/{}/mod.rs", name.text));
            }
        }
    }
    found
}

fn triples(source: &Source) -> impl Iterator<Item = &[super::source::Token; 3]> {
    source
        .tokens
        .windows(3)
        .filter_map(|window| window.try_into().ok())
}

fn is_test_path(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.starts_with("tests/") || path.contains("/tests/")
}

/// Where the modules declared in a file stand.
fn module_folder(path: &str) -> String {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    match file {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        _ => path.trim_end_matches(".rs").to_owned(),
    }
}

/// Files are short, and long tests stand beside the code instead of in it.
pub(super) fn lengths(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in repository.rust() {
        if repository.is_test_file(path) {
            continue;
        }
        let total = source.test_lines.len();
        let tests = source.test_lines.iter().filter(|test| **test).count();
        let entry = path.ends_with("/lib.rs") || path.ends_with("/mod.rs");
        let max = if entry {
            ENTRY_LINES_MAX
        } else {
            FILE_LINES_MAX
        };
        if total - tests > max {
            let message = format!(
                "{} lines without tests, at most {max}: is it two things?",
                total - tests
            );
            findings.push(Finding::new(path, max + 1, message));
        }
        if tests * 2 > total {
            let first = source.test_lines.iter().position(|test| *test).unwrap_or(0);
            let message = format!(
                "{tests} of {total} lines are tests, more than half: move them to tests.rs beside it"
            );
            findings.push(Finding::new(path, first + 1, message));
        }
    }
    findings
}

/// Every file begins with a sentence that says what it owns.
pub(super) fn headers(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.tree.rust() {
        let paragraph: Vec<&str> = text
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(str::trim)
            .take_while(|line| !line.is_empty())
            .collect();
        let problem = match paragraph.last() {
            None => "begins without a `//!` sentence that says what the file owns",
            Some(last) if !last.ends_with(['.', ':', '!', '?']) => {
                "the first paragraph of the `//!` header is not a sentence: end it with a full stop"
            }
            Some(_) => continue,
        };
        findings.push(Finding::new(path, 1, problem));
    }
    findings
}

/// Rust is written in ASCII; only literals of tests may hold anything else.
pub(super) fn letters(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in repository.rust() {
        let whole = repository.tree.text(path).unwrap_or_default();
        let test_file = repository.is_test_file(path);
        for (number, (text, unquoted)) in (1..).zip(whole.lines().zip(source.unquoted.lines())) {
            let literals_are_free = test_file || source.is_test(number);
            let looked_at = if literals_are_free { unquoted } else { text };
            if let Some(letter) = looked_at.chars().find(|letter| !letter.is_ascii()) {
                let message = format!(
                    "non-ASCII {:?}: write it as {}",
                    letter,
                    letter.escape_unicode()
                );
                findings.push(Finding::new(path, number, message));
            }
        }
    }
    findings
}

/// Nothing is left for later, and no test is switched off.
pub(super) fn open_ends(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.tree.texts() {
        let source = repository.sources.get(path);
        let other = OTHER_SOURCES.iter().any(|ending| path.ends_with(ending));
        if source.is_none() && !other {
            continue;
        }
        let looked_at = source.map_or(text, |source| &source.unquoted);
        for (number, line) in (1..).zip(looked_at.lines()) {
            for word in OPEN_ENDS.iter().filter(|word| has_word(line, word)) {
                findings.push(Finding::new(
                    path,
                    number,
                    format!("`{word}`: finish it or leave it out"),
                ));
            }
        }
        for [hash, bracket, name] in source.into_iter().flat_map(triples) {
            if (hash.text == "#" && bracket.text == "[") && name.text == "ignore" {
                let message = "`#[ignore]`: a test runs or does not exist";
                findings.push(Finding::new(path, name.line, message));
            }
        }
    }
    findings
}

/// Whether `line` holds `word` by itself, not as a part of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let letter = |letter: Option<char>| {
            letter.is_some_and(|letter| letter == '_' || letter.is_alphanumeric())
        };
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let behind = line
            .get(at + word.len()..)
            .and_then(|text| text.chars().next());
        !letter(before) && !letter(behind)
    })
}

#[cfg(test)]
mod tests {
    use super::{super::testing::check, *};

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let code = "fn a() {}\n".repeat(400);
        let tests = "#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        check(lengths, &[("src/a.rs", &(code.clone() + tests))], &[]);
        let message = "src/a.rs:401: 401 lines without tests, at most 400: is it two things?";
        check(
            lengths,
            &[("src/a.rs", &(code + "fn b() {}\n" + tests))],
            &[message],
        );
    }

    #[test]
    fn an_entry_file_may_have_300_lines_and_a_test_file_any() {
        let code = "fn a() {}\n".repeat(301);
        let message = "src/a/mod.rs:301: 301 lines without tests, at most 300: is it two things?";
        check(lengths, &[("src/a/mod.rs", &code)], &[message]);
        let code = "fn a() {}\n".repeat(500);
        let files = [
            ("tests/a.rs", &*code),
            ("src/a/tests.rs", &code),
            ("src/a/model.rs", &code),
            ("src/a/mod.rs", "#[cfg(test)]\nmod model;\nfn a() {}\n\n\n"),
        ];
        check(lengths, &files, &[]);
    }

    #[test]
    fn tests_longer_than_the_code_move_out() {
        let text = "fn a() {}\nfn b() {}\n\n#[cfg(test)]\nmod tests {\n    fn c() {}\n}\n";
        let message =
            "src/a.rs:4: 4 of 7 lines are tests, more than half: move them to tests.rs beside it";
        check(lengths, &[("src/a.rs", text)], &[message]);
    }

    #[test]
    fn a_header_is_a_sentence() {
        check(
            headers,
            &[("a.rs", "//! Owns a\n//! and b.\n//!\n//! * more\n")],
            &[],
        );
        let missing = "a.rs:1: begins without a `//!` sentence that says what the file owns";
        check(headers, &[("a.rs", "fn a() {}\n")], &[missing]);
        check(
            headers,
            &[("a.rs", "#![expect(x)]\n//! Late.\n")],
            &[missing],
        );
        let open = "a.rs:1: the first paragraph of the `//!` header is not a sentence: end it with a full stop";
        check(headers, &[("a.rs", "//! Owns a\n")], &[open]);
    }

    #[test]
    fn only_literals_of_tests_leave_ascii() {
        let message = "src/a.rs:1: non-ASCII '\u{e9}': write it as \\u{e9}";
        check(
            letters,
            &[("src/a.rs", "let a = \"\u{e9}\";\n")],
            &[message],
        );
        check(letters, &[("src/a.rs", "// \u{e9}\n")], &[message]);
        check(letters, &[("tests/a.rs", "let a = \"\u{e9}\";\n")], &[]);
        check(
            letters,
            &[("src/a.rs", "#[cfg(test)]\nconst A: char = '\u{e9}';\n")],
            &[],
        );
        let message = "tests/a.rs:1: non-ASCII '\u{e9}': write it as \\u{e9}";
        check(letters, &[("tests/a.rs", "// \u{e9}\n")], &[message]);
    }

    #[test]
    fn nothing_is_left_open() {
        let files = [
            (
                "src/a.rs",
                "// TODO later\nfn a() { todo!() }\n#[ignore = \"slow\"]\n",
            ),
            ("src/b.rs", "let a = \"TODO\"; // XXXL is a size\n"),
            ("tests/c.py", "# FIXME\n"),
            ("README.md", "no TODO\n"),
        ];
        let expected = [
            "src/a.rs:1: `TODO`: finish it or leave it out",
            "src/a.rs:2: `todo!`: finish it or leave it out",
            "src/a.rs:3: `#[ignore]`: a test runs or does not exist",
            "tests/c.py:1: `FIXME`: finish it or leave it out",
        ];
        check(open_ends, &files, &expected);
    }
}
