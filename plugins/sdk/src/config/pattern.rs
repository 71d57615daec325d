//! Regular expressions, written plainly or as Fluentd's `/expression/im`.

use std::{fmt, str::FromStr};

use regex::bytes::{Regex, RegexBuilder};

/// A regular expression over bytes; linear time, size-limited.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Whether it matches anywhere in `bytes`.
    #[inline]
    pub fn is_match(&self, bytes: &[u8]) -> bool {
        self.regex.is_match(bytes)
    }

    /// The compiled expression.
    pub fn regex(&self) -> &Regex {
        &self.regex
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (body, flags) = match text
            .strip_prefix('/')
            .and_then(|rest| rest.rsplit_once('/'))
        {
            Some((body, flags)) if flags.chars().all(|flag| flag.is_ascii_lowercase()) => {
                (body, flags)
            }
            _ => (text, ""),
        };
        let regex = RegexBuilder::new(body)
            .case_insensitive(flags.contains('i'))
            .dot_matches_new_line(flags.contains('m'))
            .multi_line(true)
            .size_limit(1 << 20)
            .build()
            .map_err(|error| explain(body, &error))?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }
}

fn explain(body: &str, error: &regex::Error) -> String {
    let detail = error.to_string();
    let last = detail
        .lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    let hint = if ["(?=", "(?!", "(?<=", "(?<!"]
        .iter()
        .any(|form| body.contains(form))
    {
        "; write it as two conditions, for example one that excludes"
    } else {
        ""
    };
    format!("not a regular expression: {last}{hint}")
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

super::format::text_value!(Pattern, "Pattern", "weir-pattern");
