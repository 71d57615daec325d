//! Whether a value is what Elasticsearch takes as a date by default.

use sdk::msgpack::{RawValue, Token};

/// Whether a field of type `date` takes it. Source: `strict_date_optional_time||epoch_millis`, the default format of
/// Elasticsearch and OpenSearch.
pub(crate) fn is_date(value: RawValue<'_>) -> bool {
    match value.token() {
        Token::Int(_) | Token::UInt(_) => true,
        Token::Ext(0, bytes) => bytes.len() == 8,
        Token::F32(number) => number.is_finite(),
        Token::F64(number) => number.is_finite(),
        Token::Str(text) | Token::Bin(text) => is_date_text(text),
        _ => false,
    }
}

fn is_date_text(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() > 4 && digits.len() < 19 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    let (day, time) = text
        .split_once('T')
        .map_or((text, None), |(day, time)| (day, Some(time)));
    let is_whole_day = day.len() == "0000-00-00".len();
    numbers(day, '-', &[(4, 0, 9999), (2, 1, 12), (2, 1, 31)])
        && time.is_none_or(|time| is_whole_day && (time.is_empty() || is_time(time)))
}

fn is_time(text: &str) -> bool {
    let zone_at = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(zone_at);
    let (clock, fraction) = clock
        .split_once(['.', ','])
        .map_or((clock, None), |(clock, fraction)| (clock, Some(fraction)));
    let is_fraction = |text: &str| {
        (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let to_the_second = clock.len() == "00:00:00".len();
    numbers(clock, ':', &[(2, 0, 23), (2, 0, 59), (2, 0, 59)])
        && fraction.is_none_or(|fraction| to_the_second && is_fraction(fraction))
        && is_zone(zone)
}

fn is_zone(text: &str) -> bool {
    let Some(offset) = text.strip_prefix(['+', '-']) else {
        return text.is_empty() || text == "Z";
    };
    match offset.len() {
        2 | 5 => numbers(offset, ':', &[(2, 0, 18), (2, 0, 59)]),
        4 => offset.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

/// Whether `text` is one or more of the fields, from the first on, each with its length and limits.
fn numbers(text: &str, separator: char, fields: &[(usize, u32, u32)]) -> bool {
    let parts: Vec<&str> = text.split(separator).collect();
    parts.len() <= fields.len()
        && parts.iter().zip(fields).all(|(part, (len, low, high))| {
            part.len() == *len
                && part.bytes().all(|byte| byte.is_ascii_digit())
                && part
                    .parse()
                    .is_ok_and(|number: u32| (*low..=*high).contains(&number))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_other_text_are_told_apart() {
        for text in [
            "2026-01-02",
            "2026",
            "2026-01",
            "2026-01-02T03:04:05.123456789Z",
            "2026-01-02T03:04:05,1+09:00",
            "2026-01-02T03:04Z",
            "2026-01-02T03",
            "2026-01-02T03:04:05-0330",
            "1764000000000",
            "-1764000000000",
        ] {
            assert!(is_date_text(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-01-32",
            "2026-1-2",
            "2026-01-02 03:04:05",
            "2026-01-02T25:00:00Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04.5Z",
            "2026-01T03:04",
            "2026-01-02T03:04:05+9",
            "2026-01-02T03:04:05 UTC",
            "21/Aug/2026:10:11:12 +0000",
        ] {
            assert!(!is_date_text(text.as_bytes()), "{text}");
        }
    }
}
