//! Fields by their names: `password`, `api_key`, `*_token`.

/// Longest name that is looked at, in bytes.
const NAME_MAX: usize = 64;
/// Most words of a rule.
const WORDS_MAX: usize = 8;

/// One rule, for names in any case, with `_`, `-`, `.`, a space or nothing between its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// In lower case. The joints between them are open to one separator.
    words: Vec<Vec<u8>>,
    open_left: bool,
    open_right: bool,
}

/// All rules.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys(Vec<Rule>);

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'_' | b'-' | b'.' | b' ')
}

impl Rule {
    /// Reads `*` at either end as "anything or nothing".
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bare = text.trim_matches('*');
        if bare.contains('*') {
            return Err(
                "`*` may stand only at the ends; write `password`, `*_token` or `*secret*`"
                    .to_owned(),
            );
        }
        let words: Vec<Vec<u8>> = bare
            .split(['_', '-', '.', ' '])
            .filter(|word| !word.is_empty())
            .map(|word| word.to_ascii_lowercase().into_bytes())
            .collect();
        let letters: usize = words.iter().map(Vec::len).sum();
        if !(2..=NAME_MAX).contains(&letters) || words.len() > WORDS_MAX {
            return Err(
                "it must have 2 to 64 letters and at most 8 words; write a name such as `password`"
                    .to_owned(),
            );
        }
        let (open_left, open_right) = (text.starts_with('*'), text.ends_with('*'));
        Ok(Self {
            words,
            open_left,
            open_right,
        })
    }

    /// Literals of which one stands in every name that the rule matches, if it has a word that is long enough.
    pub(crate) fn literals(&self) -> Option<Vec<Vec<u8>>> {
        let word = self.words.iter().max_by_key(|word| word.len())?;
        if !word.is_ascii() || word.len() < 3 {
            return None;
        }
        // Behind the first letter, which alone may be a capital.
        let core = word.get(1..5).filter(|_| word.len() >= 5);
        let mut literals = if let Some(core) = core {
            vec![core.to_vec(), core.to_ascii_uppercase()]
        } else {
            let mut title = word.clone();
            title.iter_mut().take(1).for_each(u8::make_ascii_uppercase);
            vec![word.clone(), word.to_ascii_uppercase(), title]
        };
        literals.dedup();
        Some(literals)
    }

    fn matches(&self, name: &[u8]) -> bool {
        let starts = if self.open_left { name.len() } else { 1 };
        (0..starts).any(|start| {
            name.get(start..)
                .and_then(|rest| self.strip(rest))
                .is_some_and(|rest| self.open_right || rest.is_empty())
        })
    }

    /// What is left of `name` behind the words.
    fn strip<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        let mut rest = name;
        for (index, word) in self.words.iter().enumerate() {
            if index > 0 && rest.first().is_some_and(|byte| is_separator(*byte)) {
                rest = rest.get(1..)?;
            }
            let (head, tail) = rest.split_at_checked(word.len())?;
            if !head.eq_ignore_ascii_case(word) {
                return None;
            }
            rest = tail;
        }
        Some(rest)
    }
}

impl Keys {
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.0
    }

    /// Whether a rule matches the name of a field. Names are ASCII.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        name.len() <= NAME_MAX && name.is_ascii() && self.0.iter().any(|rule| rule.matches(name))
    }

    /// Whether the literal at `at..end` of an encoded record may stand in the name of a field that a rule matches.
    /// Looks for the header of a text in front of it. May say yes too often, never too seldom.
    pub(crate) fn may_be_key(&self, record: &[u8], at: usize, end: usize) -> bool {
        let from = at.saturating_sub(NAME_MAX + 2);
        let before = record.get(from..at).unwrap_or_default();
        let Some(back) = before.iter().rev().position(|byte| !byte.is_ascii()) else {
            return false;
        };
        let header = at - back - 1;
        let Some(marker) = record.get(header) else {
            return false;
        };
        let (start, len) = match marker {
            0xa0..=0xbf => (header + 1, usize::from(marker & 0x1f)),
            0xd9 => (
                header + 2,
                record.get(header + 1).copied().map_or(0, usize::from),
            ),
            // Longer forms than such a name needs, which some senders write.
            0xda | 0xdb | 0xc4..=0xc6 => return true,
            _ => return false,
        };
        if start + len < end {
            return false;
        }
        self.matches(record.get(start..start + len).unwrap_or_default())
    }
}
