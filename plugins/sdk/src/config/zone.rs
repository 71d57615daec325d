//! Time zones: `"UTC"`, `"local"`, `"+09:00"`, `"Asia/Seoul"`.

use std::{fmt, str::FromStr};

use jiff::tz::TimeZone;

/// The zone in which times are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Local,
    Fixed(TimeZone),
}

impl Zone {
    /// The zone of this host, as Fluentd takes it by default.
    pub const LOCAL: Self = Self(Kind::Local);
    /// Coordinated universal time.
    pub const UTC: Self = Self(Kind::Fixed(TimeZone::UTC));

    /// The zone. That of this host is looked up when first asked for.
    pub fn get(&self) -> TimeZone {
        match &self.0 {
            Kind::Local => TimeZone::system(),
            Kind::Fixed(zone) => zone.clone(),
        }
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("local") {
            return Ok(Self::LOCAL);
        }
        if text.eq_ignore_ascii_case("utc") || text == "Z" {
            return Ok(Self::UTC);
        }
        let offset = jiff::fmt::strtime::parse("%:z", text)
            .or_else(|_| jiff::fmt::strtime::parse("%z", text));
        let zone = match offset.ok().and_then(|parsed| parsed.offset()) {
            Some(offset) => Ok(TimeZone::fixed(offset)),
            None => TimeZone::get(text),
        };
        zone.map(|zone| Self(Kind::Fixed(zone))).map_err(|_| {
            format!(
                "{text:?} is not a time zone; write \"UTC\", \"local\", an offset such as \"+09:00\", or a name such as \"Asia/Seoul\""
            )
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Local => f.write_str("local"),
            Kind::Fixed(zone) => match (zone.iana_name(), zone.to_fixed_offset()) {
                (Some(name), _) => f.write_str(name),
                (None, Ok(offset)) => write!(f, "{offset}"),
                (None, Err(_)) => f.write_str("unknown"),
            },
        }
    }
}

super::format::text_value!(Zone, "Zone", "weir-zone");

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, offset_secs: i32) {
        let zone = text.parse::<Zone>().unwrap().get();
        let offset = zone.to_offset(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(offset.seconds(), offset_secs, "{text}");
    }

    #[test]
    fn names_and_offsets_are_read() {
        check("utc", 0);
        check("Z", 0);
        check("+09:00", 9 * 3600);
        check("-0330", -(3 * 3600 + 1800));
        check("Asia/Seoul", 9 * 3600);
        assert_eq!("local".parse(), Ok(Zone::LOCAL));
        for text in ["", "Mars/Olympus", "+9", "+99:00"] {
            let complaint = text.parse::<Zone>().unwrap_err();
            assert!(complaint.contains("is not a time zone"), "{complaint}");
        }
    }

    #[test]
    fn a_zone_is_shown_as_it_can_be_written() {
        for text in ["UTC", "local", "Asia/Seoul"] {
            assert_eq!(text.parse::<Zone>().unwrap().to_string(), text);
        }
    }
}
