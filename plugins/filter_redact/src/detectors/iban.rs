//! Detector `iban`.

use std::ops::Range;

use super::{Detector, Same, Trigger};
use crate::text::{Text, is_word};

pub(super) const DETECTOR: Detector = Detector {
    name: "iban",
    about: "International bank account numbers, plain or in groups of four: a country that has them, its length and \
            the check digits (mod 97).",
    by_default: true,
    trigger: Trigger::Digits,
    find,
    same: Same::Alphanumeric,
};

/// Countries and the lengths of their numbers, from the registry of SWIFT.
const LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 \
    DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 \
    KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 \
    PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 \
    YE30";

fn find(text: Text<'_>, at: usize) -> Option<Range<usize>> {
    let start = at.checked_sub(2)?;
    let country = text.slice(start..at);
    if !country.iter().all(u8::is_ascii_uppercase) || !text.begins(start, is_word) {
        return None;
    }
    let length = length_of(country)?;
    let (mut end, mut count, mut number) = (start, 0, Vec::with_capacity(length));
    while count < length {
        let byte = text.at(end);
        if byte == b' ' && count.is_multiple_of(4) && count > 0 && text.before(end) != b' ' {
            end += 1;
            continue;
        }
        if !(byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
            return None;
        }
        number.push(byte);
        count += 1;
        end += 1;
    }
    (checks(&number) && !is_word(text.at(end))).then_some(start..end)
}

fn length_of(country: &[u8]) -> Option<usize> {
    let entry = LENGTHS
        .split(' ')
        .find(|entry| entry.as_bytes().starts_with(country))?;
    entry.get(2..)?.parse().ok()
}

/// The first four characters to the end, letters as numbers, and the rest by 97 must be 1.
fn checks(number: &[u8]) -> bool {
    let (head, tail) = number.split_at(number.len().min(4));
    let rest = tail
        .iter()
        .chain(head)
        .fold(0_u32, |rest, byte| match byte {
            b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
            _ => (rest * 100 + u32::from(byte.saturating_sub(b'A')) + 10) % 97,
        });
    rest == 1
}
