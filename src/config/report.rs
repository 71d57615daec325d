//! Findings for people, drawn by `miette`, and for machines, as JSON.

use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde_json::{Value, json};

use super::diagnostic::{Diagnostic, Severity, Span};

/// Columns at which help is wrapped.
const WIDTH: usize = 100;

/// How findings look to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// With colours, on a terminal.
    Coloured,
    /// Without, everywhere else.
    Plain,
}

impl Look {
    /// Colours on a terminal, unless `NO_COLOR` is set.
    pub fn for_terminal(is_terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if is_terminal && !refused {
            Self::Coloured
        } else {
            Self::Plain
        }
    }
}

/// Findings about one text.
#[derive(Debug)]
pub struct Report<'a> {
    name: &'a str,
    findings: &'a [Diagnostic],
    source: NamedSource<String>,
}

impl<'a> Report<'a> {
    /// `name` is what the text is called: the path of the file.
    pub fn new(name: &'a str, text: &str, findings: &'a [Diagnostic]) -> Self {
        // A place at the end needs a line to stand in.
        let text = if text.is_empty() { "\n" } else { text };
        Self {
            name,
            findings,
            source: NamedSource::new(name, text.to_owned()),
        }
    }

    /// How many errors and warnings there are.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self
            .findings
            .iter()
            .filter(|finding| finding.is_error())
            .count();
        (errors, self.findings.len() - errors)
    }

    /// Everything for people, with a last line that counts; empty when there is nothing.
    pub fn for_people(&self, look: Look) -> String {
        let mut out = String::new();
        for finding in self.findings {
            let drawn = Drawn {
                finding,
                source: &self.source,
            };
            let mut one = String::new();
            // Writing to a String fails only when the drawing itself does; then the bare words must do.
            if handler(look, finding)
                .render_report(&mut one, &drawn)
                .is_err()
            {
                one = format!("{}: {}\n", self.name, finding.message);
            }
            for line in one.lines() {
                out.push_str(line.trim_end());
                out.push('\n');
            }
            out.push('\n');
        }
        if !self.findings.is_empty() {
            out.push_str(&self.summary());
        }
        out
    }

    fn summary(&self) -> String {
        let (errors, warnings) = self.counts();
        let plural = |count: usize, word: &str| {
            let ending = if count == 1 { "" } else { "s" };
            format!("{count} {word}{ending}")
        };
        let parts: Vec<_> = [(errors, "error"), (warnings, "warning")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| plural(count, word))
            .collect();
        format!("{}: {}\n", self.name, parts.join(", "))
    }

    /// Everything for machines.
    pub fn for_machines(&self) -> Value {
        let (errors, warnings) = self.counts();
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| self.finding(finding))
            .collect();
        json!({
            "file": self.name,
            "ok": errors == 0,
            "errors": errors,
            "warnings": warnings,
            "diagnostics": findings,
        })
    }

    fn finding(&self, finding: &Diagnostic) -> Value {
        let labels = finding.labels.iter().skip(1).map(|label| {
            let mut place = self.place(&label.span);
            if let Some(place) = place.as_object_mut() {
                place.insert("text".to_owned(), label.text.clone().into());
            }
            place
        });
        let mut value = json!({
            "code": finding.code,
            "severity": finding.code.severity(),
            "message": finding.message,
            "help": finding.help,
            "related": labels.collect::<Vec<_>>(),
        });
        if let (Some(value), Value::Object(place)) =
            (value.as_object_mut(), self.place(&finding.span()))
        {
            value.extend(place);
        }
        value
    }

    /// Line and column, counted from 1, and the bytes.
    fn place(&self, span: &Span) -> Value {
        let text = self.source.inner();
        let before = text.get(..span.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        json!({
            "line": before.matches('\n').count() + 1,
            "column": column,
            "offset": span.start,
            "length": span.len(),
        })
    }
}

/// Draws one finding; the code stands where `miette` has a symbol.
fn handler(look: Look, finding: &Diagnostic) -> GraphicalReportHandler {
    let mut theme = match look {
        Look::Coloured => GraphicalTheme::unicode(),
        Look::Plain => GraphicalTheme::unicode_nocolor(),
    };
    let code = finding.code.name();
    theme.characters.error = format!("error[{code}]:");
    theme.characters.warning = format!("warning[{code}]:");
    GraphicalReportHandler::new_themed(theme)
        .with_width(WIDTH)
        .with_context_lines(1)
        .without_syntax_highlighting()
}

/// A finding as `miette` draws it.
struct Drawn<'a> {
    finding: &'a Diagnostic,
    source: &'a NamedSource<String>,
}

impl fmt::Debug for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.finding.fmt(f)
    }
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.finding.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.finding.code.severity() {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.finding.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self
            .finding
            .labels
            .iter()
            .enumerate()
            .map(|(index, label)| {
                let text = (!label.text.is_empty()).then(|| label.text.clone());
                if index == 0 {
                    LabeledSpan::new_primary_with_span(text, label.span.clone())
                } else {
                    LabeledSpan::new_with_span(text, label.span.clone())
                }
            });
        Some(Box::new(labels))
    }
}
