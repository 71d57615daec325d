//! One string under the detectors: bounded looks around a place in it.

use std::ops::Range;

/// The bytes of a string. Outside of it stands 0, which belongs to no class.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a>(pub(crate) &'a [u8]);

impl<'a> Text<'a> {
    /// The byte at `at`.
    #[inline]
    pub(crate) fn at(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    /// The byte in front of `at`.
    #[inline]
    pub(crate) fn before(self, at: usize) -> u8 {
        at.checked_sub(1).map_or(0, |at| self.at(at))
    }

    /// The bytes of a range; those of it that exist.
    pub(crate) fn slice(self, range: Range<usize>) -> &'a [u8] {
        let end = range.end.min(self.0.len());
        self.0.get(range.start..end).unwrap_or_default()
    }

    /// Whether `word` stands at `at`.
    pub(crate) fn has(self, at: usize, word: &[u8]) -> bool {
        self.0.get(at..).is_some_and(|rest| rest.starts_with(word))
    }

    /// Behind the bytes of a class that begin at `from`, of which at most `max` are looked at.
    pub(crate) fn end_of(self, from: usize, max: usize, class: impl Fn(u8) -> bool) -> usize {
        let run = self.slice(from..from.saturating_add(max));
        let len = run.iter().position(|byte| !class(*byte));
        from + len.unwrap_or(run.len())
    }

    /// Where the bytes of a class begin that end at `to`, of which at most `max` are looked at.
    pub(crate) fn start_of(self, to: usize, max: usize, class: impl Fn(u8) -> bool) -> usize {
        let run = self.slice(to.saturating_sub(max)..to);
        let len = run.iter().rev().position(|byte| !class(*byte));
        to - len.unwrap_or(run.len())
    }

    /// `at`, or one further where the byte there is the letter of an escape such as `\n`, written out in the text.
    pub(crate) fn unescaped(self, at: usize) -> usize {
        let is_letter = matches!(self.at(at), b'n' | b'r' | b't' | b'b' | b'f');
        at + usize::from(is_letter && self.before(at) == b'\\')
    }

    /// Whether no byte of a class stands in front of `at`; the letter of an escape does not count.
    pub(crate) fn begins(self, at: usize, class: impl Fn(u8) -> bool) -> bool {
        !class(self.before(at))
            || at
                .checked_sub(1)
                .is_some_and(|one| self.unescaped(one) == at)
    }
}

/// A letter, a digit or `_`.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What base64 for URLs is made of.
pub(crate) fn is_base64url(byte: u8) -> bool {
    is_word(byte) || byte == b'-'
}

/// What plain base64 is made of, without the padding.
pub(crate) fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}
