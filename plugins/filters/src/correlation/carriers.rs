//! The headers that carry ids, and how each is read.

use super::ids::{HexId, Ids};

/// A header, by its name in lower case with `-`, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Carrier {
    /// The name of the family in `from`.
    pub(super) family: &'static str,
    name: &'static str,
    pub(super) reads: Reads,
}

/// What a header holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    TraceParent,
    B3,
    B3Sampled,
    B3Flags,
    Trace,
    Span,
    Parent,
    Jaeger,
    Amazon,
    Google,
    DatadogTrace,
    DatadogSpan,
    Correlation,
}

const fn carrier(family: &'static str, name: &'static str, reads: Reads) -> Carrier {
    Carrier {
        family,
        name,
        reads,
    }
}

/// All of them, the surest first.
pub(super) static CARRIERS: &[Carrier] = &[
    carrier("traceparent", "traceparent", Reads::TraceParent),
    carrier("b3", "b3", Reads::B3),
    carrier("x-b3-traceid", "x-b3-traceid", Reads::Trace),
    carrier("x-b3-traceid", "x-b3-spanid", Reads::Span),
    carrier("x-b3-traceid", "x-b3-parentspanid", Reads::Parent),
    carrier("x-b3-traceid", "x-b3-sampled", Reads::B3Sampled),
    carrier("x-b3-traceid", "x-b3-flags", Reads::B3Flags),
    carrier("uber-trace-id", "uber-trace-id", Reads::Jaeger),
    carrier("x-amzn-trace-id", "x-amzn-trace-id", Reads::Amazon),
    carrier(
        "x-cloud-trace-context",
        "x-cloud-trace-context",
        Reads::Google,
    ),
    carrier(
        "x-cloud-trace-context",
        "logging.googleapis.com/trace",
        Reads::Google,
    ),
    carrier(
        "x-cloud-trace-context",
        "logging.googleapis.com/spanid",
        Reads::Span,
    ),
    carrier(
        "x-datadog-trace-id",
        "x-datadog-trace-id",
        Reads::DatadogTrace,
    ),
    carrier(
        "x-datadog-trace-id",
        "x-datadog-parent-id",
        Reads::DatadogSpan,
    ),
    carrier("x-datadog-trace-id", "dd.trace-id", Reads::DatadogTrace),
    carrier("x-datadog-trace-id", "dd.span-id", Reads::DatadogSpan),
    carrier("trace_id", "trace-id", Reads::Trace),
    carrier("trace_id", "trace.id", Reads::Trace),
    carrier("trace_id", "traceid", Reads::Trace),
    carrier("trace_id", "span-id", Reads::Span),
    carrier("trace_id", "span.id", Reads::Span),
    carrier("trace_id", "spanid", Reads::Span),
    carrier("trace_id", "parent-id", Reads::Parent),
    carrier("trace_id", "parentid", Reads::Parent),
    carrier("trace_id", "parent-span-id", Reads::Parent),
    carrier("trace_id", "parentspanid", Reads::Parent),
    carrier("x-correlation-id", "x-correlation-id", Reads::Correlation),
    carrier("x-correlation-id", "correlation-id", Reads::Correlation),
    carrier("x-correlation-id", "correlationid", Reads::Correlation),
    carrier("x-request-id", "x-request-id", Reads::Correlation),
    carrier("x-request-id", "request-id", Reads::Correlation),
    carrier("x-request-id", "requestid", Reads::Correlation),
    carrier("x-request-id", "req-id", Reads::Correlation),
    carrier("x-request-id", "reqid", Reads::Correlation),
    carrier("cid", "cid", Reads::Correlation),
    carrier("cid", "x-cid", Reads::Correlation),
];

/// Longest name of a carrier, in bytes.
const NAME_MAX: usize = 32;

/// Which carrier a field is, whatever its case, with `_` or `-`, and perhaps with CGI's `HTTP_` in front.
pub(super) fn of_name(name: &[u8]) -> Option<&'static Carrier> {
    if !(2..=NAME_MAX).contains(&name.len()) {
        return None;
    }
    let mut plain = [0; NAME_MAX];
    let plain = plain.get_mut(..name.len())?;
    for (to, from) in plain.iter_mut().zip(name) {
        *to = if *from == b'_' {
            b'-'
        } else {
            from.to_ascii_lowercase()
        };
    }
    let plain = plain.strip_prefix(b"http-").unwrap_or(plain);
    CARRIERS.iter().find(|one| one.name.as_bytes() == plain)
}

impl Carrier {
    /// Reads a value; what is not valid gives nothing.
    pub(super) fn read(&self, value: &[u8], ids: &mut Ids) {
        let value = value.trim_ascii();
        let mut found = Ids::default();
        match self.reads {
            Reads::TraceParent => found = traceparent(value).unwrap_or_default(),
            Reads::B3 => found = b3(value),
            Reads::B3Sampled => found.sampled = sampled(value),
            Reads::B3Flags => found.sampled = (value == b"1").then_some(true),
            Reads::Trace => found.trace = HexId::trace(value).or_else(|| of_uuid(value)),
            Reads::Span => found.span = HexId::span(value),
            Reads::Parent => found.parent = HexId::span(value),
            Reads::Jaeger => found = jaeger(value).unwrap_or_default(),
            Reads::Amazon => found = amazon(value),
            Reads::Google => found = google(value).unwrap_or_default(),
            Reads::DatadogTrace => found.trace = HexId::datadog(value),
            Reads::DatadogSpan => found.span = HexId::datadog(value),
            Reads::Correlation => found.take_correlation(value),
        }
        ids.take(found);
    }
}

/// 32 digits with the hyphens of a UUID.
fn of_uuid(value: &[u8]) -> Option<HexId> {
    let digits: Vec<u8> = value.iter().copied().filter(|byte| *byte != b'-').collect();
    (value.len() == 36)
        .then(|| HexId::parse(&digits, &[32]))
        .flatten()
}

/// `version-trace-parent-flags` of W3C Trace Context. Version ff is forbidden; later ones may have more parts.
fn traceparent(value: &[u8]) -> Option<Ids> {
    let mut parts = value.split(|byte| *byte == b'-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let (span, flags) = (parts.next()?, parts.next()?);
    let is_byte = |part: &[u8]| {
        part.len() == 2
            && part
                .iter()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_lower = |part: &[u8]| !part.iter().any(u8::is_ascii_uppercase);
    let more = parts.next().is_some();
    let valid =
        is_byte(version) && version != b"ff" && is_byte(flags) && !(version == b"00" && more);
    (valid && is_lower(trace) && is_lower(span)).then_some(())?;
    // The codes of the digits 1, 3 and so on are odd, and those of b, d and f are even.
    let last = flags.last().copied()?;
    let sampled = (last & 1 == 1) == last.is_ascii_digit();
    Some(Ids {
        trace: Some(HexId::parse(trace, &[32])?),
        span: Some(HexId::span(span)?),
        sampled: Some(sampled),
        ..Ids::default()
    })
}

/// `trace-span-sampled-parent`; the last two may be missing, and the decision may stand alone.
fn b3(value: &[u8]) -> Ids {
    let mut parts = value.split(|byte| *byte == b'-');
    let first = parts.next().unwrap_or_default();
    let Some(span) = parts.next() else {
        return Ids {
            sampled: sampled(first),
            ..Ids::default()
        };
    };
    let (decision, parent) = (parts.next(), parts.next());
    match (HexId::trace(first), HexId::span(span)) {
        (Some(trace), Some(span)) => Ids {
            trace: Some(trace),
            span: Some(span),
            parent: parent.and_then(HexId::span),
            sampled: decision.and_then(sampled),
            correlation: None,
        },
        _ => Ids::default(),
    }
}

fn sampled(value: &[u8]) -> Option<bool> {
    match value {
        b"1" | b"d" | b"true" => Some(true),
        b"0" | b"false" => Some(false),
        _ => None,
    }
}

/// `trace:span:parent:flags`, without leading zeros, perhaps with `%3A` for the colons.
fn jaeger(value: &[u8]) -> Option<Ids> {
    let text = std::str::from_utf8(value).ok()?.replace("%3A", ":");
    let mut parts = text.split(':');
    let (trace, span) = (parts.next()?, parts.next()?);
    let (parent, flags) = (parts.next()?, parts.next()?);
    let flags = u8::from_str_radix(flags, 16).ok()?;
    Some(Ids {
        trace: Some(HexId::padded(trace.as_bytes(), &[16, 32])?),
        span: Some(HexId::padded(span.as_bytes(), &[16])?),
        parent: HexId::padded(parent.as_bytes(), &[16]),
        sampled: Some(flags & 1 == 1),
        correlation: None,
    })
}

/// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.
fn amazon(value: &[u8]) -> Ids {
    let mut ids = Ids::default();
    for part in value.split(|byte| *byte == b';') {
        let mut pair = part.trim_ascii().splitn(2, |byte| *byte == b'=');
        let (name, value) = (
            pair.next().unwrap_or_default(),
            pair.next().unwrap_or_default(),
        );
        match name.to_ascii_lowercase().as_slice() {
            b"root" => {
                let digits: Vec<u8> = value
                    .iter()
                    .copied()
                    .filter(|byte| *byte != b'-')
                    .skip(1)
                    .collect();
                ids.trace = HexId::parse(&digits, &[32]).filter(|_| value.starts_with(b"1-"));
            }
            b"parent" => ids.span = HexId::span(value),
            b"sampled" => ids.sampled = sampled(value),
            _ => {}
        }
    }
    ids
}

/// `trace/span;o=1` with the span in decimal, or `projects/name/traces/trace`.
fn google(value: &[u8]) -> Option<Ids> {
    let text = std::str::from_utf8(value).ok()?;
    let text = text
        .rsplit_once("/traces/")
        .map_or(text, |(_, trace)| trace);
    let (trace, rest) = text.split_once('/').unwrap_or((text, ""));
    let (span, option) = rest.split_once(';').unwrap_or((rest, ""));
    Some(Ids {
        trace: Some(HexId::parse(trace.as_bytes(), &[32])?),
        span: span
            .parse::<u64>()
            .ok()
            .and_then(|span| HexId::span(format!("{span:016x}").as_bytes())),
        sampled: option
            .strip_prefix("o=")
            .and_then(|flag| sampled(flag.as_bytes())),
        ..Ids::default()
    })
}

/// The names in a form to search text for, each with its carrier. The short `b3` and `cid` only as they are said here.
pub(super) fn names_in_text() -> impl Iterator<Item = (&'static str, &'static Carrier)> {
    CARRIERS
        .iter()
        .filter(|one| one.name.len() > 2)
        .map(|one| (one.name, one))
}
