//! Rules about names: Fluentd's words, and modules that say what they hold.

use super::{Finding, Repository};

/// Other routers' words, and Fluentd's word for each.
const FOREIGN: [(&str, &str); 3] = [
    ("sink", "output"),
    ("transform", "filter"),
    ("exporter", "output"),
];
/// Module names that say nothing.
const EMPTY_NAMES: [&str; 7] = [
    "utils", "util", "common", "helpers", "helper", "misc", "shared",
];

/// Nothing is named with another router's word. Names from outside, behind `::` or `.` or imported, are theirs.
pub(super) fn words(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in repository.rust() {
        let mut importing = false;
        for (index, token) in source.tokens.iter().enumerate() {
            match token.text.as_str() {
                "use" => importing = true,
                ";" => importing = false,
                _ => {}
            }
            let before = source.before(index);
            if importing || matches!(before, "::" | ".") {
                continue;
            }
            for (word, ours) in foreign_words(&token.text) {
                let message = format!("`{}`: Fluentd's word for `{word}` is `{ours}`", token.text);
                findings.push(Finding::new(path, token.line, message));
            }
        }
    }
    findings
}

fn foreign_words(name: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let words = split(name);
    FOREIGN
        .into_iter()
        .filter(move |(word, _)| words.iter().any(|own| own == word))
}

/// The words of an identifier in snake, camel or shouting case, in lower case.
fn split(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let shouting = !name.chars().any(char::is_lowercase);
    for letter in name.chars() {
        if letter == '_' || (letter.is_uppercase() && !shouting) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter != '_') {
            word.extend(letter.to_lowercase());
        }
    }
    words
}

/// No module is named after nothing in particular.
pub(super) fn modules(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in repository.rust() {
        let empty = |name: &str| EMPTY_NAMES.contains(&name);
        let parts = path.trim_end_matches(".rs").split('/');
        for name in parts.filter(|name| empty(name)) {
            let message = format!("`{name}` says nothing: name the module after what it holds");
            findings.push(Finding::new(path, 1, message));
        }
        for (index, token) in source.tokens.iter().enumerate() {
            let name = source.token(index + 1);
            if token.text == "mod" && source.token(index + 2) == "{" && empty(name) {
                let message = format!("`{name}` says nothing: name the module after what it holds");
                findings.push(Finding::new(path, token.line, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::testing::check, *};

    #[test]
    fn foreign_words_are_found_in_our_names_only() {
        let text = "use other::Sink;\nstruct EsSink;\nfn do_transform() {}\nconst MY_EXPORTER: u8 = 0;\n\
            fn a() { io::sink(); record_transformer(); \"sink\"; } // a sink\nlet sinking = 1;\n";
        let expected = [
            "src/a.rs:2: `EsSink`: Fluentd's word for `sink` is `output`",
            "src/a.rs:3: `do_transform`: Fluentd's word for `transform` is `filter`",
            "src/a.rs:4: `MY_EXPORTER`: Fluentd's word for `exporter` is `output`",
        ];
        check(words, &[("src/a.rs", text)], &expected);
    }

    #[test]
    fn modules_are_named_after_what_they_hold() {
        let files = [
            ("src/common/a.rs", ""),
            ("src/utils.rs", ""),
            ("src/b.rs", "mod helpers {\n}\nmod commons {}\n"),
        ];
        let expected = [
            "src/b.rs:1: `helpers` says nothing: name the module after what it holds",
            "src/common/a.rs:1: `common` says nothing: name the module after what it holds",
            "src/utils.rs:1: `utils` says nothing: name the module after what it holds",
        ];
        check(modules, &files, &expected);
    }
}
