//! Rules about tests that something counts on: those that pages name, and one for each conformance case of the forward
//! protocol and of the bulk API.

use super::{Finding, Repository, paper::between, source::Source};
use crate::tree::has_ending;
use std::collections::BTreeSet;

/// The conformance cases of the forward protocol that are a message or a few, each under `# CNN`.
const VECTORS: &str = "plugins/forward_protocol/src/tests/vectors.txt";
/// Conformance cases of the forward protocol, C01 and so on.
const CASES: u32 = 60;
/// Where the tests of the conformance cases of the bulk API begin.
const BULK: &str = "plugins/out_elasticsearch/src/tests/conformance/mod.rs";
/// Conformance cases of the bulk API, E01 and so on.
const BULK_CASES: u32 = 50;

/// Every test that a page names as `path.rs: name` exists and runs.
pub(super) fn named(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let pages = repository.tree.texts();
    for (page, text) in pages.filter(|(path, _)| has_ending(path, "md")) {
        for (number, line) in (1..).zip(text.lines()) {
            let named = between(line, "`", "`").filter_map(|word| word.split_once(".rs: "));
            for (path, name) in named {
                let path = format!("{path}.rs");
                let source = repository.sources.get(&path);
                if !source.is_some_and(|source| running(source).any(|test| test == name)) {
                    let message = format!("names the test `{name}`, which {path} does not hold");
                    findings.push(Finding::new(page, number, message));
                }
            }
        }
    }
    findings
}

/// Every conformance case of the forward protocol has a vector, or a test whose name begins with its number.
pub(super) fn cases(repository: &Repository) -> Vec<Finding> {
    let Some(vectors) = repository.tree.text(VECTORS) else {
        return Vec::new();
    };
    let in_vectors = vectors.lines().filter_map(|line| line.strip_prefix("# C"));
    let in_tests = repository.rust().flat_map(|(_, source)| running(source));
    let in_tests = in_tests.filter_map(|name| name.strip_prefix('c'));
    let proven: BTreeSet<u32> = in_vectors.chain(in_tests).filter_map(number).collect();
    let missing = (1..=CASES).filter(|case| !proven.contains(case));
    let message = |case| {
        format!("C{case:02} has neither a vector nor a test `c{case:02}_...`: every case is proven")
    };
    missing
        .map(|case| Finding::new(VECTORS, 1, message(case)))
        .collect()
}

/// Every conformance case of the bulk API has a test whose name begins with its number, or is known to have none.
pub(super) fn bulk_cases(repository: &Repository) -> Vec<Finding> {
    if repository.tree.text(BULK).is_none() {
        return Vec::new();
    }
    let in_tests = repository.rust().flat_map(|(_, source)| running(source));
    let in_tests = in_tests.filter_map(|name| name.strip_prefix('e'));
    let proven: BTreeSet<u32> = in_tests.filter_map(number).collect();
    (1..=BULK_CASES)
        .filter(|case| !proven.contains(case))
        .map(|case| Finding::new(BULK, 1, format!("E{case:02} has no test `e{case:02}_...`")))
        .collect()
}

/// The number of two digits at the start of a word or a name, with nothing else of it behind.
fn number(name: &str) -> Option<u32> {
    let (digits, rest) = name.split_at_checked(2)?;
    rest.starts_with([' ', '_'])
        .then(|| digits.parse().ok())
        .flatten()
}

/// The names of the tests of a file that are not left out of a run.
fn running(source: &Source) -> impl Iterator<Item = &str> {
    let (mut at, mut is_test, mut is_ignored) = (0, false, false);
    std::iter::from_fn(move || {
        while let Some(token) = source.tokens.get(at) {
            at += 1;
            match token.text.as_str() {
                "#" if source.token(at) == "[" => {
                    let attribute = (source.token(at + 1), source.token(at + 3));
                    is_test |= matches!(attribute, ("test", _) | ("tokio", "test"));
                    is_ignored |= attribute.0 == "ignore";
                    at = behind_brackets(source, at);
                }
                "fn" => {
                    let runs = is_test && !is_ignored;
                    (is_test, is_ignored) = (false, false);
                    if runs {
                        return Some(source.token(at));
                    }
                }
                ";" | "{" | "}" => (is_test, is_ignored) = (false, false),
                _ => {}
            }
        }
        None
    })
}

/// The index behind the bracket that closes the one at `at`.
fn behind_brackets(source: &Source, at: usize) -> usize {
    let mut depth = 0_usize;
    for index in at..source.tokens.len() {
        match source.token(index) {
            "[" => depth += 1,
            "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    source.tokens.len()
}

#[cfg(test)]
mod tests {
    use super::{super::testing::check, *};

    const TESTS: &str = "#[test]\nfn plain() {}\n\
        #[tokio::test(flavor = \"multi_thread\", worker_threads = 2)]\n#[expect(a, reason = \"b\")]\npub async fn driven() {}\n\
        #[test]\n#[ignore = \"slow\"]\nfn left_out() {}\n\
        fn helper() { struct A; }\n\
        proptest! { #[test] fn random(a in 0..1) {} }\n// #[test]\nfn in_a_comment() {}\n";

    #[test]
    fn tests_that_run_are_told_from_other_functions() {
        let source = Source::new(TESTS);
        let found: Vec<&str> = running(&source).collect();
        assert_eq!(found, ["plain", "driven", "random"]);
    }

    #[test]
    fn a_test_that_a_page_names_exists() {
        let page = "`src/a.rs: plain`, `src/a.rs: driven`\n`src/a.rs: left_out` `src/a.rs: helper`\n\
            `src/b.rs: plain` and `src/a.rs:12`\n";
        let files = [("docs/PAGE.md", page), ("src/a.rs", TESTS)];
        let expected = [
            "docs/PAGE.md:2: names the test `left_out`, which src/a.rs does not hold",
            "docs/PAGE.md:2: names the test `helper`, which src/a.rs does not hold",
            "docs/PAGE.md:3: names the test `plain`, which src/b.rs does not hold",
        ];
        check(named, &files, &expected);
    }

    #[test]
    fn a_case_without_a_proof_is_found() {
        let all_but = |left_out: &[u32]| {
            let cases = (1..=CASES).filter(|case| !left_out.contains(case));
            cases.fold(String::new(), |text, case| {
                text + &format!("# C{case:02} message\n> 93\n\n")
            })
        };
        let tests = "#[test]\nfn c07_runs() {}\n#[test]\n#[ignore]\nfn c08_is_left_out() {}\n\
            fn c09_is_no_test() {}\n#[test]\nfn c100_is_another() {}\n#[test]\nfn c10x() {}\n";
        let files = [(VECTORS, &*all_but(&[7, 8, 9, 10])), ("tests/a.rs", tests)];
        let expected = ["08", "09", "10"].map(|case| {
            format!(
                "{VECTORS}:1: C{case} has neither a vector nor a test `c{case}_...`: every case is proven"
            )
        });
        check(cases, &files, &expected.each_ref().map(String::as_str));
        check(cases, &[(VECTORS, &all_but(&[]))], &[]);
    }

    #[test]
    fn every_case_of_the_bulk_api_is_proven() {
        let all_but = |left_out: &[u32]| {
            let cases = (1..=BULK_CASES).filter(|case| !left_out.contains(case));
            cases.fold(String::new(), |text, case| {
                text + &format!("#[tokio::test]\nasync fn e{case:02}_is_right() {{}}\n")
            })
        };
        check(
            bulk_cases,
            &[(BULK, ""), ("tests/a.rs", &all_but(&[]))],
            &[],
        );
        let two_less = all_but(&[1, 22]);
        let expected =
            [1, 22].map(|case| format!("{BULK}:1: E{case:02} has no test `e{case:02}_...`"));
        let files = [(BULK, ""), ("tests/a.rs", &*two_less)];
        check(bulk_cases, &files, &expected.each_ref().map(String::as_str));
        check(bulk_cases, &[("tests/a.rs", &two_less)], &[]);
    }
}
