//! Rules about the pages that say what holds: every promise, every lesson and every deliberate defect has its proof.

use super::{Finding, Repository, paper::between};

/// What Weir promises.
const PROMISES: &str = "docs/PROMISES.md";
/// What is promised, G1 and so on.
const PROMISE_COUNT: u32 = 18;
/// What broke in other routers, among the results of long runs.
const LESSONS: &str = "docs/RESULTS.md";
/// L01 and so on.
const LESSON_COUNT: u32 = 52;
/// Where the commands and the campaigns are listed.
const COMMANDS: &str = "xtask/src/main.rs";
const CAMPAIGNS: &str = "xtask/src/campaign.rs";
/// The word of a row that is not proven.
const OPEN: &str = "Open";

/// One row of a table: its place, its first cell, and the whole line.
struct Row<'a> {
    number: usize,
    name: &'a str,
    line: &'a str,
    last: &'a str,
}

/// The rows between `<!-- NAME -->` and `<!-- /NAME -->`, without the head.
fn rows<'a>(text: &'a str, name: &str) -> Vec<Row<'a>> {
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let lines = (1..).zip(text.lines());
    let inside = lines
        .skip_while(|(_, line)| *line != begin)
        .take_while(|(_, line)| *line != end);
    let row = |(number, line): (usize, &'a str)| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let name = cells.split(" | ").next()?.trim();
        let last = cells.rsplit(" | ").next()?;
        Some(Row {
            number,
            name,
            line,
            last,
        })
    };
    // The head and the line below it.
    inside.filter_map(row).skip(2).collect()
}

/// Whether something in the line is a test: `named` sees to it that it exists.
fn names_a_test(line: &str) -> bool {
    between(line, "`", "`").any(|word| word.contains(".rs: "))
}

/// Every number from 1 to `count` has one row, and nothing else has.
fn numbered(
    page: &str,
    rows: &[Row<'_>],
    count: u32,
    name: impl Fn(u32) -> String,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for number in 1..=count {
        let name = name(number);
        match rows.iter().filter(|row| row.name == name).count() {
            1 => {}
            0 => findings.push(Finding::new(page, 1, format!("{name} is missing"))),
            _ => findings.push(Finding::new(
                page,
                1,
                format!("{name} has more than one row"),
            )),
        }
    }
    let is_known = |row: &&Row<'_>| (1..=count).any(|number| row.name == name(number));
    for row in rows.iter().filter(|row| !is_known(row)) {
        let message = format!("`{}` is not one of {count}", row.name);
        findings.push(Finding::new(page, row.number, message));
    }
    findings
}

/// Every promise has a row with a proof: a test, or a command that exists.
pub(super) fn proven(repository: &Repository) -> Vec<Finding> {
    let Some(text) = repository.tree.text(PROMISES) else {
        return Vec::new();
    };
    let rows = rows(text, "promises");
    let mut findings = numbered(PROMISES, &rows, PROMISE_COUNT, |number| {
        format!("G{number}")
    });
    for row in &rows {
        let has_command = between(row.line, "`", "`").any(|word| word.starts_with("cargo xtask "));
        if !names_a_test(row.line) && !has_command {
            let message = format!("{} has no proof: name a test or a command", row.name);
            findings.push(Finding::new(PROMISES, row.number, message));
        }
    }
    findings.extend(commands(repository, text));
    findings
}

/// Every `cargo xtask NAME` of the page exists, and every campaign.
fn commands(repository: &Repository, text: &str) -> Vec<Finding> {
    let has = |list: &str, name: &str| {
        let listed = repository.tree.text(list).unwrap_or_default();
        listed.contains(&format!("name: \"{name}\""))
    };
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for command in between(line, "`", "`").filter_map(|word| word.strip_prefix("cargo xtask "))
        {
            let mut words = command.split_whitespace();
            let name = words.next().unwrap_or_default();
            if !has(COMMANDS, name) {
                let message = format!("`cargo xtask {name}` does not exist");
                findings.push(Finding::new(PROMISES, number, message));
            }
            let campaign = words.next().filter(|_| name == "campaign");
            let unknown = campaign.filter(|name| !has(CAMPAIGNS, name));
            if let Some(campaign) = unknown {
                let message = format!("there is no campaign `{campaign}`");
                findings.push(Finding::new(PROMISES, number, message));
            }
        }
    }
    findings
}

/// Every lesson has a row with a test, a reason, or the word that says that it is open.
pub(super) fn learned(repository: &Repository) -> Vec<Finding> {
    let Some(text) = repository.tree.text(LESSONS) else {
        return Vec::new();
    };
    let rows = rows(text, "lessons");
    let mut findings = numbered(LESSONS, &rows, LESSON_COUNT, |number| {
        format!("L{number:02}")
    });
    for row in &rows {
        let says_so = row.last.starts_with(OPEN) || row.last.starts_with("Cannot happen: ");
        if !names_a_test(row.last) && !says_so {
            let message = format!(
                "{} names no test: name one, say `Cannot happen: ` and why, or `{OPEN}: ` and what is missing",
                row.name
            );
            findings.push(Finding::new(LESSONS, row.number, message));
        }
    }
    findings
}

/// Every deliberate defect of the code is on the page with a test, and every one of the page is in the code.
pub(super) fn noticed(repository: &Repository) -> Vec<Finding> {
    let Some(text) = repository.tree.text(PROMISES) else {
        return Vec::new();
    };
    let listed = rows(text, "defects");
    let mut findings = Vec::new();
    let mut built = Vec::new();
    for (path, text) in repository
        .tree
        .rust()
        .filter(|(path, _)| path.starts_with("src/"))
    {
        for (number, line) in (1..).zip(text.lines()) {
            for name in between(line, "is_on(\"", "\")") {
                built.push(name);
                let named = format!("`{name}`");
                if !listed.iter().any(|row| row.name == named) {
                    let message = format!("the defect {named} is not in {PROMISES}");
                    findings.push(Finding::new(path, number, message));
                }
            }
        }
    }
    for row in &listed {
        let name = row.name.trim_matches('`');
        if !built.contains(&name) {
            let message = format!("no code has the defect `{name}`");
            findings.push(Finding::new(PROMISES, row.number, message));
        }
        if !names_a_test(row.last) && !row.last.starts_with(OPEN) {
            let message = format!("the defect `{name}` names no test that notices it");
            findings.push(Finding::new(PROMISES, row.number, message));
        }
    }
    findings
}

/// What is known to be missing, a line each.
pub(super) fn open(repository: &Repository) -> Vec<String> {
    let mut lines = Vec::new();
    let text = repository.tree.text(LESSONS).unwrap_or_default();
    let lessons = rows(text, "lessons");
    let open: Vec<&str> = lessons
        .iter()
        .filter(|row| row.last.contains(&format!("{OPEN}: ")))
        .map(|row| row.name)
        .collect();
    if !open.is_empty() {
        lines.push(format!(
            "{} of {LESSON_COUNT} lessons in {LESSONS} are open: {}",
            open.len(),
            open.join(", ")
        ));
    }
    let promises = repository.tree.text(PROMISES).unwrap_or_default();
    let defects = rows(promises, "defects");
    let unnoticed: Vec<&str> = defects
        .iter()
        .filter(|row| row.last.starts_with(OPEN))
        .map(|row| row.name)
        .collect();
    if !unnoticed.is_empty() {
        lines.push(format!(
            "defects in {PROMISES} that no test is named for: {}",
            unnoticed.join(", ")
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{super::testing::check, *};
    use crate::tree::Tree;

    /// A page with a table of these rows, after what is good for the rest.
    fn page(name: &str, rows: &[String]) -> String {
        format!(
            "text\n<!-- {name} -->\n| a | b | c |\n| --- | --- | --- |\n{}\n<!-- /{name} -->\n| G99 | x | y |\n",
            rows.join("\n")
        )
    }

    const LISTS: [(&str, &str); 2] = [
        (COMMANDS, "name: \"campaign\", name: \"tidy\""),
        (CAMPAIGNS, "name: \"kill\""),
    ];

    #[test]
    fn every_promise_has_one_row_with_a_proof_that_exists() {
        let good = |number| match number {
            2 => "| G2 | holds | `cargo xtask campaign kill`, `cargo xtask tidy` |".to_owned(),
            3 => "| G3 | holds | `cargo xtask campaign kill` |".to_owned(),
            number => format!("| G{number} | holds | `a.rs: test` |"),
        };
        let mut rows: Vec<String> = (1..=PROMISE_COUNT).map(good).collect();
        let with = |rows: &[String]| page("promises", rows);
        check(proven, &[(PROMISES, &with(&rows)), LISTS[0], LISTS[1]], &[]);

        rows[4] = "| G5 | holds | because it does |".to_owned();
        rows[6] = "| G6 | holds | `cargo xtask campaign nothing` `cargo xtask dance` |".to_owned();
        rows.push("| G19 | holds | `a.rs: test` |".to_owned());
        let expected = [
            "docs/PROMISES.md:1: G6 has more than one row",
            "docs/PROMISES.md:1: G7 is missing",
            "docs/PROMISES.md:23: `G19` is not one of 18",
            "docs/PROMISES.md:9: G5 has no proof: name a test or a command",
            "docs/PROMISES.md:11: there is no campaign `nothing`",
            "docs/PROMISES.md:11: `cargo xtask dance` does not exist",
        ];
        check(
            proven,
            &[(PROMISES, &with(&rows)), LISTS[0], LISTS[1]],
            &expected,
        );
    }

    #[test]
    fn every_lesson_has_a_test_a_reason_or_is_open() {
        let good = |number| match number {
            1 => "| L01 | broke | Open: nobody has tried |".to_owned(),
            2 => "| L02 | broke | Cannot happen: there is none |".to_owned(),
            number => format!("| L{number:02} | broke | `a.rs: test`. And so on |"),
        };
        let mut rows: Vec<String> = (1..=LESSON_COUNT).map(good).collect();
        let text = page("lessons", &rows);
        check(learned, &[(LESSONS, &text)], &[]);
        let repository = Repository::new(Tree::of(&[(LESSONS, &text)]));
        assert_eq!(
            open(&repository),
            ["1 of 52 lessons in docs/RESULTS.md are open: L01"]
        );
        rows[2] = "| L03 | broke | it works |".to_owned();
        rows.remove(9);
        let expected = [
            "docs/RESULTS.md:1: L10 is missing",
            "docs/RESULTS.md:7: L03 names no test: name one, say `Cannot happen: ` and why, or `Open: ` and what is missing",
        ];
        check(learned, &[(LESSONS, &page("lessons", &rows))], &expected);
    }

    #[test]
    fn every_defect_is_listed_with_what_notices_it() {
        let rows = [
            "| `one` | breaks | `a.rs: test` |",
            "| `two` | breaks | nobody |",
            "| `gone` | breaks | `a.rs: test` |",
        ];
        let text = page("defects", &rows.map(str::to_owned));
        let code =
            "fn f() { is_on(\"one\"); defects::is_on(\"two\");\nis_on(\"three\"); is_on(name); }";
        let expected = [
            "src/a.rs:2: the defect `three` is not in docs/PROMISES.md",
            "docs/PROMISES.md:6: the defect `two` names no test that notices it",
            "docs/PROMISES.md:7: no code has the defect `gone`",
        ];
        check(noticed, &[(PROMISES, &text), ("src/a.rs", code)], &expected);
    }
}
