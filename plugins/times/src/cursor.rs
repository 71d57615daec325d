//! A cursor over the text of a time: numbers, names and zones.

/// What is left of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

/// Names of months and days are told apart by their first three letters.
const MONTHS: [&[u8; 3]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];
const DAYS: [&[u8; 3]; 7] = [b"sun", b"mon", b"tue", b"wed", b"thu", b"fri", b"sat"];

/// Abbreviations of zones, with their offset in hours: those of RFC 2822, and some that Ruby knows too.
const ZONES: [(&[u8], i64); 17] = [
    (b"Z", 0),
    (b"UTC", 0),
    (b"GMT", 0),
    (b"UT", 0),
    (b"EST", -5),
    (b"EDT", -4),
    (b"CST", -6),
    (b"CDT", -5),
    (b"MST", -7),
    (b"MDT", -6),
    (b"PST", -8),
    (b"PDT", -7),
    (b"JST", 9),
    (b"KST", 9),
    (b"CET", 1),
    (b"CEST", 2),
    (b"WET", 0),
];

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    pub(super) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek(self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn advance(&mut self, by: usize) {
        self.rest = self.rest.get(by..).unwrap_or_default();
    }

    /// Steps over `byte`; `None` when something else stands there.
    #[inline]
    pub(super) fn byte(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    /// Steps over any number of blanks.
    pub(super) fn blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// A number of at least one and at most `width` digits.
    #[inline]
    pub(super) fn number(&mut self, width: usize) -> Option<i64> {
        let mut value = 0_i64;
        let mut len = 0;
        for byte in self.rest.iter().take(width) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
            len += 1;
        }
        self.advance(len);
        (len > 0).then_some(value)
    }

    /// A number that blanks may stand before, and a sign.
    pub(super) fn signed(&mut self, width: usize) -> Option<i64> {
        let negative = self.byte(b'-').is_some();
        if !negative {
            let _plus = self.byte(b'+');
        }
        let value = self.number(width)?;
        Some(if negative { -value } else { value })
    }

    /// Digits behind a decimal point, in nanoseconds. More than nine are cut.
    #[inline]
    pub(super) fn fraction(&mut self) -> Option<u32> {
        let (mut nanos, mut scale, mut len) = (0_u32, 100_000_000_u32, 0);
        for byte in self.rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            nanos += u32::from(digit) * scale;
            scale /= 10;
            len += 1;
        }
        self.advance(len);
        (len > 0).then_some(nanos)
    }

    /// Letters up to the next other byte.
    fn word(&mut self) -> Option<&'a [u8]> {
        let end = self
            .rest
            .iter()
            .position(|byte| !byte.is_ascii_alphabetic())
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (end > 0).then_some(word)
    }

    /// The name of a month, whole or its first three letters: 1 to 12.
    pub(super) fn month(&mut self) -> Option<i64> {
        Some(one_of(&MONTHS, self.word()?)? + 1)
    }

    /// The name of a day of the week.
    pub(super) fn weekday(&mut self) -> Option<()> {
        one_of(&DAYS, self.word()?).map(drop)
    }

    /// `AM` or `PM`; true for the second.
    pub(super) fn half(&mut self) -> Option<bool> {
        let word = self.word()?;
        if word.eq_ignore_ascii_case(b"pm") {
            Some(true)
        } else if word.eq_ignore_ascii_case(b"am") {
            Some(false)
        } else {
            None
        }
    }

    /// An offset from UTC in seconds: `Z`, `+0900`, `+09:00`, `-03`, or the abbreviation of a zone.
    pub(super) fn offset(&mut self) -> Option<i64> {
        let east = match self.peek()? {
            b'+' => 1,
            b'-' => -1,
            _ => {
                let word = self.word()?;
                let zone = ZONES
                    .iter()
                    .find(|(name, _)| word.eq_ignore_ascii_case(name));
                return zone.map(|(_, hours)| hours * 3600);
            }
        };
        self.advance(1);
        let hours = self.number(2)?;
        let minutes = self.part_of_offset();
        let seconds = self.part_of_offset();
        (hours < 24 && minutes < 60 && seconds < 60)
            .then_some(east * (hours * 3600 + minutes * 60 + seconds))
    }

    fn part_of_offset(&mut self) -> i64 {
        let mut ahead = *self;
        let _colon = ahead.byte(b':');
        match ahead.number(2) {
            Some(number) => {
                *self = ahead;
                number
            }
            None => 0,
        }
    }

    /// The name of a zone in the database, such as `Asia/Seoul`: what goes on to the next blank.
    pub(super) fn zone_name(&mut self) -> Option<&'a str> {
        let end = self
            .rest
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        std::str::from_utf8(name).ok()
    }
}

fn one_of(names: &[&[u8; 3]], word: &[u8]) -> Option<i64> {
    let start = word
        .first_chunk::<3>()?
        .map(|byte| byte.to_ascii_lowercase());
    let index = names.iter().position(|name| **name == start)?;
    i64::try_from(index).ok()
}
