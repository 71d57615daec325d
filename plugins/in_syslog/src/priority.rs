//! The priority of a message: its facility and its severity (RFC 5424, section 6.2.1), by Fluentd's names.

/// Names of facilities, by their number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "at", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
/// Names of severities, by their number.
const SEVERITIES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warn", "notice", "info", "debug",
];

/// A priority: 0 to 191.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Priority(u8);

impl Priority {
    /// `user.notice`, for a message that names none.
    pub(crate) const NONE: Self = Self(13);
    /// How many there are.
    pub(crate) const COUNT: u8 = 192;

    pub(crate) fn new(number: u8) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    /// Reads `<34>`; returns what is behind it too.
    pub(crate) fn read(text: &[u8]) -> Option<(Self, &[u8])> {
        let rest = text.strip_prefix(b"<")?;
        let end = rest.iter().take(4).position(|byte| *byte == b'>')?;
        let digits = std::str::from_utf8(rest.get(..end)?).ok()?;
        let number = digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse().ok());
        Some((Self::new(number??)?, rest.get(end + 1..)?))
    }

    pub(crate) fn number(self) -> u8 {
        self.0
    }

    pub(crate) fn facility(self) -> &'static str {
        FACILITIES
            .get(usize::from(self.0 / 8))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn severity(self) -> &'static str {
        SEVERITIES
            .get(usize::from(self.0 % 8))
            .copied()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_a_facility_and_a_severity() {
        let read = |text: &str| {
            let (priority, rest) = Priority::read(text.as_bytes())?;
            let rest = String::from_utf8_lossy(rest).into_owned();
            Some((priority.facility(), priority.severity(), rest))
        };
        assert_eq!(read("<34>x"), Some(("auth", "crit", "x".to_owned())));
        assert_eq!(read("<0>"), Some(("kern", "emerg", String::new())));
        assert_eq!(
            read("<191>1 y"),
            Some(("local7", "debug", "1 y".to_owned()))
        );
        for text in ["<192>", "<>", "<a>", "<1234>", "<-1>", "34>", "", "<34"] {
            assert_eq!(read(text), None, "{text}");
        }
        let none = Priority::NONE;
        assert_eq!((none.facility(), none.severity()), ("user", "notice"));
    }
}
