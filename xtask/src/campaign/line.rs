//! One line of results, the same for every campaign.

use std::fmt;

/// What came of one thing that a campaign tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What was tried, such as the name of a fuzz target.
    pub(crate) what: String,
    /// Names and values; a unit is the end of the name.
    pub(crate) figures: Vec<(String, String)>,
    /// What was found, when it should not have been.
    pub(crate) failure: Option<String>,
}

impl Line {
    /// Without figures, and passed.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            figures: Vec::new(),
            failure: None,
        }
    }

    /// Adds a figure.
    pub(crate) fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.figures.push((name.to_owned(), value.to_string()));
        self
    }

    /// Says what was found.
    pub(crate) fn failed(mut self, failure: impl Into<String>) -> Self {
        self.failure = Some(failure.into());
        self
    }

    /// The figures in one line of text.
    pub(super) fn text(&self) -> String {
        let figures: Vec<String> = self
            .figures
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        figures.join(" ")
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.failure.is_some() {
            "FAILED"
        } else {
            "ok"
        };
        write!(f, "result {}: {verdict} {}", self.what, self.text())?;
        match &self.failure {
            Some(failure) => write!(f, "\n  {failure}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_one_form() {
        let line = Line::new("packed").with("executions", 12).with("seed", 1);
        assert_eq!(line.to_string(), "result packed: ok executions=12 seed=1");
        let line = line.failed("a panic");
        let expected = "result packed: FAILED executions=12 seed=1\n  a panic";
        assert_eq!(line.to_string(), expected);
    }
}
