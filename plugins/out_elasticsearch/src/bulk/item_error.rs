//! Errors as servers write them, and what of them may be shown.

use std::borrow::Cow;

use serde::Deserialize;

/// What is wrong with an item.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(crate) struct ItemError {
    /// `document_parsing_exception` and the like.
    pub(crate) kind: String,
    /// A sentence that may hold content of the document.
    pub(crate) reason: String,
    /// The kind of what is behind it.
    pub(crate) cause: String,
}

/// The `error` of an item or of an answer; old servers write a sentence.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum WireError<'a> {
    Object {
        #[serde(borrow, default, rename = "type")]
        kind: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        reason: Option<Cow<'a, str>>,
        #[serde(default)]
        caused_by: Option<WireCause>,
    },
    Text(Cow<'a, str>),
}

#[derive(Deserialize)]
pub(crate) struct WireCause {
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

impl From<WireError<'_>> for ItemError {
    fn from(wire: WireError<'_>) -> Self {
        match wire {
            WireError::Object {
                kind,
                reason,
                caused_by,
            } => Self {
                kind: kind.unwrap_or_default().into_owned(),
                reason: reason.unwrap_or_default().into_owned(),
                cause: caused_by.and_then(|cause| cause.kind).unwrap_or_default(),
            },
            WireError::Text(reason) => Self {
                kind: "error".into(),
                reason: reason.into_owned(),
                cause: String::new(),
            },
        }
    }
}

/// The error in the body of a refused request; empty when there is none of Elasticsearch's.
pub(crate) fn refusal(body: &[u8]) -> ItemError {
    #[derive(Deserialize)]
    struct Refused<'a> {
        #[serde(borrow)]
        error: WireError<'a>,
    }
    serde_json::from_slice::<Refused<'_>>(body)
        .map(|refused| refused.error.into())
        .unwrap_or_default()
}

impl ItemError {
    /// Leaves out what stands in brackets and behind it: a server that refuses credentials may repeat them.
    pub(crate) fn leave_out_names(&mut self) {
        let end = self.reason.find('[').unwrap_or(self.reason.len());
        self.reason.truncate(end);
    }

    /// For people, without content of the document: servers quote values, and what is quoted is left out.
    pub(crate) fn summary(&self) -> String {
        let reason = without_position(&self.reason);
        let end = QUOTES
            .iter()
            .filter_map(|mark| reason.find(mark))
            .min()
            .unwrap_or(reason.len());
        let reason: String = reason
            .chars()
            .take(
                reason
                    .get(..end)
                    .map_or(0, |text| text.chars().count())
                    .min(SUMMARY_LEN_MAX),
            )
            .collect();
        let reason = reason.trim_end_matches([' ', ',', '.', ':']);
        let mut summary = self.kind.clone();
        for (before, part) in [(": ", reason), (", caused by ", self.cause.as_str())] {
            if !part.is_empty() {
                summary.push_str(before);
                summary.push_str(part);
            }
        }
        summary
    }
}

/// What content may stand behind.
const QUOTES: [&str; 9] = [
    "'",
    "\"",
    "(",
    "`",
    ": ",
    "\n",
    " in document with id",
    " Preview of",
    "date field [",
];
/// Longest reason in a summary, in characters.
const SUMMARY_LEN_MAX: usize = 200;

/// Elasticsearch 8 begins with the place in the document, `[1:15] `, which differs from record to record.
fn without_position(reason: &str) -> &str {
    reason
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .filter(|(place, _)| {
            place
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b':')
        })
        .map_or(reason, |(_, rest)| rest)
}
