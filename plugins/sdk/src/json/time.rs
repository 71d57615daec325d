//! Times as RFC 3339 text in UTC with nine digits of a second.

use crate::event::Time;

/// Longest text: a year of any 64-bit second has at most twelve digits and a sign.
pub(super) const TEXT_MAX: usize = 48;
/// Length of a text with a year of four digits.
pub(super) const TEXT_LEN: usize = 30;

const DAY_SECS: i64 = 86_400;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;
/// Days of 400 years of the Gregorian calendar.
const ERA_DAYS: i64 = 146_097;

/// Appends `2026-01-02T03:04:05.000000006Z`, without quotes. A year that has not four digits gets a sign and at
/// least six (ISO 8601).
pub fn write_time(out: &mut Vec<u8>, time: Time) {
    let mut text = [0; TEXT_MAX];
    let len = format(&mut text, time);
    out.extend_from_slice(text.get(..len).unwrap_or_default());
}

/// Writes the text into `to` and returns its length.
pub(super) fn format(to: &mut [u8; TEXT_MAX], time: Time) -> usize {
    let days = time.secs.div_euclid(DAY_SECS);
    let second = time.secs.rem_euclid(DAY_SECS);
    let (year, month, day) = civil(days);
    let mut text = Text { to, len: 0 };
    if (0..=9999).contains(&year) {
        text.digits(year.unsigned_abs(), 4);
    } else {
        text.push(if year < 0 { b'-' } else { b'+' });
        text.digits(year.unsigned_abs(), 6);
    }
    let parts = [
        (b'-', month),
        (b'-', day),
        (b'T', second / 3600),
        (b':', second / 60 % 60),
        (b':', second % 60),
    ];
    for (separator, part) in parts {
        text.push(separator);
        text.digits(part.unsigned_abs(), 2);
    }
    text.push(b'.');
    text.digits(u64::from(time.nanos), 9);
    text.push(b'Z');
    text.len
}

/// Year, month and day of a day counted from 1970-01-01. The year begins in March, so that the leap day is its
/// last, and 153 days are five months.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_EPOCH;
    let era = days.div_euclid(ERA_DAYS);
    let of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// The nine digits of a fraction of a second.
pub(super) fn fraction(nanos: u32) -> [u8; 9] {
    let mut digits = [b'0'; 9];
    let mut rest = nanos;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    digits
}

/// Text that grows in a buffer of fixed size.
struct Text<'a> {
    to: &'a mut [u8; TEXT_MAX],
    len: usize,
}

impl Text<'_> {
    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.to.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
    }

    /// `number` with at least `width` digits.
    fn digits(&mut self, number: u64, width: usize) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(number).as_bytes();
        for _ in digits.len()..width {
            self.push(b'0');
        }
        for digit in digits {
            self.push(*digit);
        }
    }
}
