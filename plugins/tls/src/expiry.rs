//! When a certificate expires: the one field of X.509 that operators must see coming.

/// `notAfter` of a certificate in DER, in seconds since 1970; `None` when it is not written as RFC 5280 says.
pub(crate) fn not_after_secs(der: &[u8]) -> Option<i64> {
    let (certificate, _) = element(der, 0x30)?;
    let (body, _) = element(certificate, 0x30)?;
    // The version may be left out; serial number, algorithm and issuer come before the validity.
    let body = element(body, 0xa0).map_or(body, |(_, rest)| rest);
    let (_, body) = element(body, 0x02)?;
    let (_, body) = element(body, 0x30)?;
    let (_, body) = element(body, 0x30)?;
    let (validity, _) = element(body, 0x30)?;
    let (_, _, rest) = any(validity)?;
    let (tag, text, _) = any(rest)?;
    instant(tag, std::str::from_utf8(text).ok()?)
}

/// The content of the first element, which must have this tag, and what comes after it.
fn element(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = any(der)?;
    (tag == wanted).then_some((content, rest))
}

/// Tag and content of the first element, and what comes after it.
fn any(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let length = bytes.iter().try_fold(0_usize, |sum, byte| {
            sum.checked_mul(256)?.checked_add(usize::from(*byte))
        })?;
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// `YYMMDDHHMMSSZ` (`UTCTime`, years 1950 to 2049) or `YYYYMMDDHHMMSSZ` (`GeneralizedTime`).
fn instant(tag: u8, text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z')?;
    let (year, rest) = match tag {
        0x17 => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (year + if year < 50 { 2000 } else { 1900 }, rest)
        }
        0x18 => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let mut rest = rest;
    let mut two = || -> Option<i64> {
        let (pair, behind) = rest.split_at_checked(2)?;
        rest = behind;
        pair.parse().ok()
    };
    let (month, day, hour, minute, second) = (two()?, two()?, two()?, two()?, two()?);
    let is_right = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24;
    is_right.then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days from 1970 to a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have the odd day at their end.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element with this tag.
    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("short").to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], content].concat()
    }

    fn certificate(version: bool, tag: u8, not_after: &str) -> Vec<u8> {
        let validity = [
            wrap(0x17, b"200101000000Z"),
            wrap(tag, not_after.as_bytes()),
        ]
        .concat();
        let mut body = Vec::new();
        if version {
            body.extend(wrap(0xa0, &wrap(0x02, &[2])));
        }
        body.extend(wrap(0x02, &[1]));
        body.extend(wrap(0x30, b""));
        body.extend(wrap(0x30, b""));
        body.extend(wrap(0x30, &validity));
        wrap(0x30, &[wrap(0x30, &body), wrap(0x30, b"")].concat())
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for (tag, text, expected) in [
            (0x17, "700101000000Z", Some(0)),
            (0x17, "270101000000Z", Some(1_798_761_600)),
            (0x18, "20240229235959Z", Some(1_709_251_199)),
            (0x18, "20500101000000Z", Some(2_524_608_000)),
            (0x17, "271301000000Z", None),
            (0x17, "270101000000", None),
            (0x04, "270101000000Z", None),
        ] {
            for version in [true, false] {
                assert_eq!(
                    not_after_secs(&certificate(version, tag, text)),
                    expected,
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn nothing_cut_off_is_believed() {
        let whole = certificate(true, 0x17, "270101000000Z");
        assert!((0..whole.len()).all(|end| not_after_secs(&whole[..end]).is_none()));
    }
}
