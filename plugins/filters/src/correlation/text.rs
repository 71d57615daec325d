//! Ids in the text of a message: `traceId=...`, `"x-request-id": "..."`, `[app,trace,span]`.

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memchr_iter;

use super::{
    carriers::{self, Carrier},
    ids::{HexId, Ids, is_correlation},
};

/// So many bytes of a text are searched: ids stand in front.
const SEARCHED_MAX: usize = 16 << 10;
/// Spaces, quotes and the like between a name and its value.
const GAP_MAX: usize = 6;
/// Longest name of an application in brackets, in bytes.
const APP_MAX: usize = 64;

/// What text is searched for, compiled.
#[derive(Debug)]
pub(super) struct Search {
    names: Option<AhoCorasick>,
    carriers: Vec<&'static Carrier>,
    brackets: bool,
}

impl Search {
    /// Searches for the names of these families, and for what tracers write in brackets.
    pub(super) fn new(is_wanted: impl Fn(&str) -> bool) -> Self {
        let mut names: Vec<String> = Vec::new();
        let mut carriers = Vec::new();
        for (name, carrier) in carriers::names_in_text().filter(|(_, one)| is_wanted(one.family)) {
            names.push(name.to_owned());
            carriers.push(carrier);
            if name.contains('-') {
                names.push(name.replace('-', "_"));
                carriers.push(carrier);
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(&names);
        Self {
            names: automaton.ok().filter(|_| !names.is_empty()),
            carriers,
            brackets: is_wanted("trace_id"),
        }
    }

    /// Reads what it finds into `ids`.
    pub(super) fn read(&self, text: &[u8], ids: &mut Ids) {
        let text = text.get(..SEARCHED_MAX).unwrap_or(text);
        for found in self.names.iter().flat_map(|names| names.find_iter(text)) {
            let stands_alone = found
                .start()
                .checked_sub(1)
                .and_then(|before| text.get(before))
                .is_none_or(|before| !before.is_ascii_alphanumeric());
            let carrier = self.carriers.get(found.pattern().as_usize());
            if let (true, Some(carrier), Some(value)) =
                (stands_alone, carrier, value(text, found.end()))
            {
                carrier.read(value, ids);
            }
        }
        if self.brackets && ids.trace.is_none() {
            let found = memchr_iter(b'[', text).find_map(|open| in_brackets(text.get(open + 1..)?));
            if let Some(found) = found {
                ids.take(found);
            }
        }
    }
}

/// The value behind a name: `=` or `:`, with quotes, backslashes and spaces around it.
fn value(text: &[u8], from: usize) -> Option<&[u8]> {
    let rest = text.get(from..)?;
    let is_gap = |byte: &&u8| matches!(**byte, b' ' | b'"' | b'\'' | b'\\' | b'=' | b':' | b'[');
    let gap = rest.iter().take(GAP_MAX).take_while(is_gap);
    let gap: Vec<u8> = gap.copied().collect();
    if !gap.iter().any(|byte| matches!(byte, b'=' | b':')) {
        return None;
    }
    let value = rest.get(gap.len()..)?;
    let end = value
        .iter()
        .position(|byte| !is_correlation(*byte) && *byte != b';');
    let value = value.get(..end.unwrap_or(value.len()))?;
    let trimmed = value
        .iter()
        .rposition(|byte| !matches!(byte, b'.' | b':' | b'=' | b';'))?;
    value.get(..=trimmed)
}

/// Spring's `[app,trace,span]` and `[app,trace,span,true]`, and `[trace-span]` of Micrometer.
fn in_brackets(inner: &[u8]) -> Option<Ids> {
    let end = inner
        .iter()
        .take(APP_MAX + 64)
        .position(|byte| *byte == b']')?;
    let inner = inner.get(..end)?;
    let mut parts = inner.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let app = parts.next()?;
    let mut pair = app.splitn(2, |byte| *byte == b'-');
    let (trace, span, decision) = match (parts.next(), parts.next()) {
        (Some(trace), Some(span)) => (trace, span, parts.next()),
        (None, None) => (pair.next()?, pair.next()?, None),
        _ => return None,
    };
    Some(Ids {
        trace: Some(HexId::trace(trace)?),
        span: Some(HexId::span(span)?),
        sampled: match decision {
            Some(b"true") => Some(true),
            Some(b"false") => Some(false),
            _ => None,
        },
        ..Ids::default()
    })
}
