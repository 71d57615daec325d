//! Rules about alerts: each has a paragraph that says what to do, and a case in which it fires.

use super::{Finding, Repository};

const RULES: &str = "assets/prometheus/rules.yml";
const CASES: &str = "assets/prometheus/rules_test.yml";
const RUNBOOK: &str = "docs/RUNBOOK.md";

/// Alerts, paragraphs of the runbook and cases are the same set.
pub(super) fn explained(repository: &Repository) -> Vec<Finding> {
    let Some(rules) = repository.tree.text(RULES) else {
        return Vec::new();
    };
    let text = |path| repository.tree.text(path).unwrap_or_default();
    let (runbook, cases) = (text(RUNBOOK), text(CASES));
    let mut findings = Vec::new();
    let alerts: Vec<(usize, &str)> = behind(rules, "- alert: ").collect();
    for (line, alert) in &alerts {
        let mut find = |message: String| findings.push(Finding::new(RULES, *line, message));
        if !behind(runbook, "## ").any(|(_, title)| title == *alert) {
            find(format!(
                "`{alert}` has no section `## {alert}` in {RUNBOOK}"
            ));
        }
        if !behind(cases, "- name: ").any(|(_, name)| name == *alert) {
            find(format!("`{alert}` has no case `name: {alert}` in {CASES}"));
        }
        let link = format!("{RUNBOOK}#{}", alert.to_ascii_lowercase());
        if !rules.lines().any(|line| line.trim_end().ends_with(&link)) {
            find(format!("`{alert}` does not lead to `{link}`"));
        }
    }
    for (line, title) in behind(runbook, "## ") {
        if !alerts.iter().any(|(_, alert)| *alert == title) {
            let message = format!("`{title}` is no alert of {RULES}");
            findings.push(Finding::new(RUNBOOK, line, message));
        }
    }
    findings
}

/// What stands behind `prefix`, with the number of the line.
fn behind<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let lines = (1..).zip(text.lines());
    lines.filter_map(move |(number, line)| Some((number, line.trim().strip_prefix(prefix)?)))
}

#[cfg(test)]
mod tests {
    use super::{super::testing::check, *};

    #[test]
    fn an_alert_without_a_paragraph_a_case_or_a_link_is_found() {
        let files = [
            (
                RULES,
                "- alert: One\n  runbook_url: docs/RUNBOOK.md#one\n- alert: Two\n",
            ),
            (CASES, "- name: One\n"),
            (RUNBOOK, "## One\n## Old\n"),
        ];
        let expected = [
            "assets/prometheus/rules.yml:3: `Two` has no section `## Two` in docs/RUNBOOK.md",
            "assets/prometheus/rules.yml:3: `Two` has no case `name: Two` in assets/prometheus/rules_test.yml",
            "assets/prometheus/rules.yml:3: `Two` does not lead to `docs/RUNBOOK.md#two`",
            "docs/RUNBOOK.md:2: `Old` is no alert of assets/prometheus/rules.yml",
        ];
        check(explained, &files, &expected);
    }
}
