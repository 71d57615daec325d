//! The ids of one event, and what makes an id valid.

/// An id in hexadecimal, in lower case: 16 or 32 digits, not all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HexId {
    digits: [u8; 32],
    len: usize,
}

/// Longest correlation id, in bytes.
const CORRELATION_MAX: usize = 128;

/// What was found so far. A field that is there is not found again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) trace: Option<HexId>,
    pub(super) span: Option<HexId>,
    pub(super) parent: Option<HexId>,
    pub(super) sampled: Option<bool>,
    pub(super) correlation: Option<String>,
}

impl HexId {
    /// Reads exactly one id of one of these lengths, in digits.
    pub(super) fn parse(text: &[u8], lengths: &[usize]) -> Option<Self> {
        let valid = lengths.contains(&text.len())
            && text.iter().all(u8::is_ascii_hexdigit)
            && text.iter().any(|digit| *digit != b'0');
        let mut digits = [0; 32];
        digits
            .get_mut(..text.len())
            .filter(|_| valid)?
            .copy_from_slice(text);
        digits.make_ascii_lowercase();
        Some(Self {
            digits,
            len: text.len(),
        })
    }

    /// The id of a trace: 128 bits, or 64 from older tracers.
    pub(super) fn trace(text: &[u8]) -> Option<Self> {
        Self::parse(text, &[32, 16])
    }

    /// The id of a span: 64 bits.
    pub(super) fn span(text: &[u8]) -> Option<Self> {
        Self::parse(text, &[16])
    }

    /// Jaeger leaves out leading zeros.
    pub(super) fn padded(text: &[u8], widths: &[usize]) -> Option<Self> {
        let width = *widths.iter().find(|width| text.len() <= **width)?;
        let mut digits = vec![b'0'; width - text.len()];
        digits.extend_from_slice(text);
        Self::parse(&digits, &[width])
    }

    /// Datadog writes 64 bits as a decimal number; newer tracers write 128 bits in hexadecimal.
    pub(super) fn datadog(text: &[u8]) -> Option<Self> {
        if text.len() == 32 {
            return Self::trace(text);
        }
        let number: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        Self::span(format!("{number:016x}").as_bytes())
    }

    pub(super) fn as_str(&self) -> &str {
        let digits = self.digits.get(..self.len).unwrap_or_default();
        std::str::from_utf8(digits).unwrap_or_default()
    }
}

impl Ids {
    /// Takes ids that belong together; those of another trace than the one known are left.
    pub(super) fn take(&mut self, other: Self) {
        let same = match (self.trace, other.trace) {
            (Some(known), Some(new)) => known == new,
            _ => true,
        };
        if same {
            self.trace = self.trace.or(other.trace);
            self.span = self.span.or(other.span);
            self.parent = self.parent.or(other.parent);
            self.sampled = self.sampled.or(other.sampled);
        }
        if self.correlation.is_none() {
            self.correlation = other.correlation;
        }
    }

    /// Takes a correlation id: printable ASCII without spaces, quotes and commas.
    pub(super) fn take_correlation(&mut self, text: &[u8]) {
        let fits = (1..=CORRELATION_MAX).contains(&text.len())
            && text.iter().all(|byte| is_correlation(*byte))
            && !matches!(text, b"-" | b"null" | b"none" | b"undefined");
        if fits && self.correlation.is_none() {
            self.correlation = std::str::from_utf8(text).ok().map(str::to_owned);
        }
    }

    /// Whether nothing more can be found.
    pub(super) fn are_complete(&self) -> bool {
        self.trace.is_some() && self.span.is_some() && self.correlation.is_some()
    }
}

/// What a correlation id is made of.
pub(super) fn is_correlation(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'_' | b'.' | b':' | b'+' | b'/' | b'=' | b'@' | b'~' | b'|'
        )
}
