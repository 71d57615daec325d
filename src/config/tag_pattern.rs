//! Which tags a filter or match takes: Fluentd's patterns, compiled once, matched without allocating.
//!
//! `*` stands for one part of a tag, `**` for any number of parts (so `a.**` takes `a` too), `{a,b}` for
//! either, `\` takes the next character literally, `/expression/` is a regular expression for the whole
//! tag. Several patterns are separated by spaces. The semantics are those of Fluentd's `GlobMatchPattern`.

mod program;
#[cfg(test)]
mod tests;

use std::fmt;

use regex::Regex;

use self::program::Program;

/// Largest compiled regular expression, in bytes.
const EXPRESSION_LIMIT_BYTES: usize = 1 << 20;

/// One pattern.
#[derive(Clone)]
pub struct TagPattern {
    text: String,
    matcher: Matcher,
}

#[derive(Clone)]
enum Matcher {
    Glob(Program),
    Expression(Regex),
}

/// Why text is not a pattern. The message names the pattern and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing, or only spaces.
    #[error("a pattern is empty; write \"**\" for every tag")]
    Empty,
    /// `/` at the start and not at the end.
    #[error(
        "\"{0}\" begins a regular expression that never ends; write a `/` at the end, and no space"
    )]
    Open(String),
    /// Not a regular expression.
    #[error("\"{pattern}\" is not a regular expression: {reason}")]
    Expression {
        /// As it was written.
        pattern: String,
        /// What the parser said.
        reason: String,
    },
    /// More steps than a pattern may have.
    #[error("a pattern of {0} bytes is too long; write a list of shorter ones")]
    TooLong(usize),
}

impl TagPattern {
    /// Compiles one pattern.
    ///
    /// # Errors
    /// [`PatternError`]
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let matcher = match text.strip_prefix('/') {
            Some(rest) => Matcher::Expression(expression(text, rest)?),
            None if text.is_empty() => return Err(PatternError::Empty),
            None => {
                let program = Program::compile(text);
                Matcher::Glob(program.ok_or(PatternError::TooLong(text.len()))?)
            }
        };
        Ok(Self {
            text: text.to_owned(),
            matcher,
        })
    }

    /// Compiles patterns that are separated by spaces.
    ///
    /// # Errors
    /// [`PatternError`] of the first that is none, or when there are none.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, PatternError> {
        let patterns: Vec<_> = text
            .split_whitespace()
            .map(Self::parse)
            .collect::<Result<_, _>>()?;
        if patterns.is_empty() {
            return Err(PatternError::Empty);
        }
        Ok(patterns)
    }

    /// Whether it takes `tag`. Time grows with the length of the tag, whatever the pattern.
    pub fn matches(&self, tag: &str) -> bool {
        match &self.matcher {
            Matcher::Glob(program) => program.matches(tag.as_bytes()),
            Matcher::Expression(regex) => regex.is_match(tag),
        }
    }

    /// Whether it surely takes every tag that `other` takes. `false` means that nobody knows.
    pub fn covers(&self, other: &Self) -> bool {
        if self.text == "**" || self.text == other.text {
            return true;
        }
        if other.is_literal() {
            return self.matches(&other.text);
        }
        let below = self.text.strip_suffix("**").filter(|prefix| {
            prefix.ends_with('.') && Self::literal_start(prefix).len() == prefix.len()
        });
        below.is_some_and(|prefix| other.start().starts_with(prefix))
    }

    /// Whether surely no tag is taken by both.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        if self.is_literal() {
            return !other.matches(&self.text);
        }
        if other.is_literal() {
            return !self.matches(&other.text);
        }
        let (mine, theirs) = (self.start(), other.start());
        !mine.starts_with(theirs) && !theirs.starts_with(mine)
    }

    /// Whether a comma stands where it separates nothing, so that the pattern surely means something else.
    pub fn has_stray_comma(&self) -> bool {
        let Matcher::Glob(_) = self.matcher else {
            return false;
        };
        let mut open = 0_u32;
        self.text.chars().any(|c| {
            match c {
                '{' => open += 1,
                '}' => open = open.saturating_sub(1),
                _ => {}
            }
            c == ',' && open == 0
        })
    }

    fn is_literal(&self) -> bool {
        matches!(self.matcher, Matcher::Glob(_))
            && Self::literal_start(&self.text).len() == self.text.len()
            && !self.text.ends_with('.')
    }

    /// What every tag it takes begins with.
    fn start(&self) -> &str {
        match self.matcher {
            Matcher::Glob(_) => {
                let start = Self::literal_start(&self.text);
                // The dot before `**` need not be there.
                let rest = self.text.get(start.len()..).unwrap_or_default();
                match start.strip_suffix('.') {
                    Some(before) if rest.starts_with("**") => before,
                    _ => start,
                }
            }
            Matcher::Expression(_) => "",
        }
    }

    fn literal_start(text: &str) -> &str {
        text.split(['*', '{', '}', '\\', ','])
            .next()
            .unwrap_or_default()
    }
}

fn expression(text: &str, rest: &str) -> Result<Regex, PatternError> {
    let body = rest
        .strip_suffix('/')
        .ok_or_else(|| PatternError::Open(text.to_owned()))?;
    regex::RegexBuilder::new(&format!("^(?:{body})$"))
        .size_limit(EXPRESSION_LIMIT_BYTES)
        .build()
        .map_err(|error| {
            let detail = error.to_string();
            let last = detail.lines().last().unwrap_or_default();
            PatternError::Expression {
                pattern: text.to_owned(),
                reason: last.trim_start_matches("error: ").to_owned(),
            }
        })
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// The tags of one filter or match: `tag` without `except`.
#[derive(Debug, Clone, Default)]
pub struct TagSet {
    include: Vec<TagPattern>,
    except: Vec<TagPattern>,
}

impl TagSet {
    /// Tags that a pattern of `include` takes and none of `except`.
    pub fn new(include: Vec<TagPattern>, except: Vec<TagPattern>) -> Self {
        Self { include, except }
    }

    /// The same from text; each string may hold several patterns, separated by spaces.
    ///
    /// # Errors
    /// [`PatternError`] of the first that is no pattern.
    pub fn parse(include: &[&str], except: &[&str]) -> Result<Self, PatternError> {
        let all = |texts: &[&str]| -> Result<Vec<_>, PatternError> {
            let lists: Vec<_> = texts
                .iter()
                .map(|text| TagPattern::parse_list(text))
                .collect::<Result<_, _>>()?;
            Ok(lists.concat())
        };
        Ok(Self::new(all(include)?, all(except)?))
    }

    /// Whether `tag` belongs to it. Does not allocate.
    pub fn matches(&self, tag: &str) -> bool {
        let takes = |pattern: &TagPattern| pattern.matches(tag);
        self.include.iter().any(takes) && !self.except.iter().any(takes)
    }

    /// Whether it surely takes every tag that `other` takes. `false` means that nobody knows.
    pub fn covers(&self, other: &Self) -> bool {
        // What other leaves out in the same way does not count.
        let excepts_no_more = self
            .except
            .iter()
            .all(|pattern| other.except.iter().any(|theirs| theirs.covers(pattern)));
        excepts_no_more
            && other
                .include
                .iter()
                .all(|theirs| self.include.iter().any(|mine| mine.covers(theirs)))
    }

    /// The patterns of `except` that take nothing away.
    pub fn idle_excepts(&self) -> impl Iterator<Item = &TagPattern> {
        self.except.iter().filter(|except| {
            self.include
                .iter()
                .all(|pattern| pattern.is_disjoint(except))
        })
    }

    /// Every pattern, those of `except` last.
    pub fn patterns(&self) -> impl Iterator<Item = &TagPattern> {
        self.include.iter().chain(&self.except)
    }
}
