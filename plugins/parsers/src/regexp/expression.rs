//! A compiled expression, and its groups on a text.
//!
//! Nearly every expression is matched in time proportional to the text. One that cannot be, because it has look-around,
//! a backreference or an atomic group, is matched by backtracking with a limit on its steps.

use std::borrow::Cow;

use fancy_regex::Regex as Backtracking;
use regex::bytes::{Regex, RegexBuilder};
use sdk::parser::ParseError;

use super::ruby::Written;

/// Largest compiled expression, in bytes.
const SIZE_MAX: usize = 4 << 20;
/// Steps after which backtracking gives up.
const STEPS_MAX: usize = 100_000;
/// What only backtracking can match.
const BACKTRACKING: [&str; 14] = [
    "(?=", "(?!", "(?<=", "(?<!", "(?>", r"\k<", r"\1", r"\2", r"\3", r"\4", r"\5", r"\6", r"\7",
    r"\8",
];

/// A compiled expression.
#[derive(Debug)]
pub(crate) enum Expression {
    Linear(Regex),
    Backtracking(Backtracking),
}

impl Expression {
    /// # Errors
    /// What is wrong with it, for the configuration.
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        Self::compile_with(text, false)
    }

    /// With `over_lines`, a dot matches line feeds too, as in the expressions of `multiline`.
    pub(crate) fn compile_with(text: &str, over_lines: bool) -> Result<Self, String> {
        let written = Written::read(text);
        let body = written.translate();
        let over_lines = over_lines || written.dot_matches_line_feed;
        let linear = RegexBuilder::new(&body)
            .case_insensitive(written.ignore_case)
            .dot_matches_new_line(over_lines)
            .ignore_whitespace(written.extended)
            .multi_line(true)
            .size_limit(SIZE_MAX)
            .build();
        match linear {
            Ok(regex) => Ok(Self::Linear(regex)),
            Err(_) if BACKTRACKING.iter().any(|form| body.contains(form)) => {
                let flags = [
                    ("m", true),
                    ("i", written.ignore_case),
                    ("s", over_lines),
                    ("x", written.extended),
                ];
                let flags: String = flags
                    .into_iter()
                    .filter(|(_, is_set)| *is_set)
                    .map(|(flag, _)| flag)
                    .collect();
                fancy_regex::RegexBuilder::new(&format!("(?{flags}){body}"))
                    .backtrack_limit(STEPS_MAX)
                    .delegate_size_limit(SIZE_MAX)
                    .build()
                    .map(Self::Backtracking)
                    .map_err(|error| explain(&error))
            }
            Err(error) => Err(explain(&error)),
        }
    }

    /// The named groups with their numbers.
    pub(crate) fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        let names: Vec<Option<&str>> = match self {
            Self::Linear(regex) => regex.capture_names().collect(),
            Self::Backtracking(regex) => regex.capture_names().collect(),
        };
        names
            .into_iter()
            .enumerate()
            .filter_map(|(index, name)| Some((index, name?)))
    }

    /// Whether it matches anywhere. Backtracking that gives up counts as no match.
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        match self {
            Self::Linear(regex) => regex.is_match(text),
            Self::Backtracking(regex) => regex
                .is_match(&*String::from_utf8_lossy(text))
                .unwrap_or(false),
        }
    }

    /// Hands the groups of the first match to `take`: each by its number, `None` when it took no part. Where bytes that
    /// are not UTF-8 are in the way, each counts as U+FFFD.
    ///
    /// # Errors
    /// Nothing matches, or the complaint of `take`.
    #[inline]
    pub(crate) fn captures<T>(
        &self,
        text: &[u8],
        take: impl for<'g> FnOnce(&'g dyn Fn(usize) -> Option<&'g [u8]>) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        match self {
            Self::Linear(regex) => {
                let mut places = regex.capture_locations();
                let mut text = Cow::Borrowed(text);
                if regex.captures_read(&mut places, &text).is_none() {
                    if std::str::from_utf8(&text).is_ok() {
                        return Err(no_match());
                    }
                    text = Cow::Owned(String::from_utf8_lossy(&text).into_owned().into_bytes());
                    regex
                        .captures_read(&mut places, &text)
                        .ok_or_else(no_match)?;
                }
                take(&|index| {
                    let (from, to) = places.get(index)?;
                    text.get(from..to)
                })
            }
            Self::Backtracking(regex) => {
                let text = String::from_utf8_lossy(text);
                let found = regex.captures(&*text).map_err(|_| {
                    ParseError::new("the expression takes too many steps on this text")
                })?;
                let found = found.ok_or_else(no_match)?;
                take(&|index| found.get(index).map(|group| group.as_str().as_bytes()))
            }
        }
    }
}

fn no_match() -> ParseError {
    ParseError::new("the expression does not match")
}

fn explain(error: &dyn std::error::Error) -> String {
    let detail = error.to_string();
    let last = detail.lines().last().unwrap_or_default();
    format!(
        "not a regular expression: {}",
        last.trim_start_matches("error: ")
    )
}
