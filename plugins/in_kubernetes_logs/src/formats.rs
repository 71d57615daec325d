//! What runtimes write: CRI (containerd, CRI-O) and Docker's json-file.

use std::borrow::Cow;

use sdk::event::Time;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::times::Times;

/// One line of a runtime.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) time: Time,
    pub(crate) is_stderr: bool,
    /// More of the record follows.
    pub(crate) is_partial: bool,
    pub(crate) content: Cow<'a, [u8]>,
}

/// `TIME stdout|stderr P|F[:MORE] CONTENT`
#[inline]
pub(crate) fn cri<'a>(line: &'a [u8], times: &mut Times) -> Option<Line<'a>> {
    let (time, rest) = word(line)?;
    let time = times.read(time)?;
    let (is_stderr, rest) = match rest.split_first_chunk::<7>()? {
        (b"stdout ", rest) => (false, rest),
        (b"stderr ", rest) => (true, rest),
        _ => return None,
    };
    let (tags, content) = word(rest).unwrap_or((rest, b""));
    let is_partial = match tags.split_first()? {
        (b'F', more) if more.is_empty() || more.starts_with(b":") => false,
        (b'P', more) if more.is_empty() || more.starts_with(b":") => true,
        _ => return None,
    };
    Some(Line {
        time,
        is_stderr,
        is_partial,
        content: Cow::Borrowed(content),
    })
}

#[inline]
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b' ', text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// One object of json-file.
#[derive(Deserialize)]
struct JsonLine<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(default)]
    attrs: Map<String, Value>,
}

/// `{"log":"...\n","stream":"stdout","time":"..."}`, and the labels that Docker was told to add.
pub(crate) fn docker<'a>(
    line: &'a [u8],
    times: &mut Times,
) -> Option<(Line<'a>, Map<String, Value>)> {
    let object: JsonLine<'a> = serde_json::from_slice(line).ok()?;
    let time = times.read(object.time.as_bytes())?;
    let mut content = match object.log {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    let is_partial = !content.ends_with(b"\n");
    if !is_partial {
        match &mut content {
            Cow::Borrowed(text) => *text = text.strip_suffix(b"\n").unwrap_or(text),
            Cow::Owned(text) => text.truncate(text.len() - 1),
        }
    }
    let line = Line {
        time,
        is_stderr: object.stream == "stderr",
        is_partial,
        content,
    };
    Some((line, object.attrs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, is_stderr: bool, is_partial: bool, content: &str) {
        let line = cri(text.as_bytes(), &mut Times::default()).unwrap();
        assert_eq!((line.is_stderr, line.is_partial), (is_stderr, is_partial));
        assert_eq!(line.content, content.as_bytes());
        assert_eq!((line.time.secs, line.time.nanos), (1_769_860_805, 5));
    }

    #[test]
    fn lines_of_cri_are_read() {
        let time = "2026-01-31T12:00:05.000000005Z";
        check(&format!("{time} stdout F a b "), false, false, "a b ");
        check(&format!("{time} stderr P x"), true, true, "x");
        check(&format!("{time} stdout F "), false, false, "");
        check(&format!("{time} stdout F"), false, false, "");
        check(&format!("{time} stdout P:more x"), false, true, "x");
        for bad in ["stdlog F x", "stdout Q x", "stdout", "stdout FF x"] {
            let text = format!("{time} {bad}");
            assert_eq!(cri(text.as_bytes(), &mut Times::default()), None, "{bad}");
        }
    }

    #[test]
    fn lines_of_docker_are_read() {
        let text = r#"{"log":"a \"b\"\n","stream":"stderr","attrs":{"k":"v"},"time":"2026-01-31T12:00:05Z"}"#;
        let (line, attrs) = docker(text.as_bytes(), &mut Times::default()).unwrap();
        assert_eq!(line.content, &b"a \"b\""[..]);
        assert!(line.is_stderr && !line.is_partial);
        assert_eq!(attrs["k"], "v");
        let text = r#"{"log":"part","stream":"stdout","time":"2026-01-31T12:00:05Z"}"#;
        let (line, _) = docker(text.as_bytes(), &mut Times::default()).unwrap();
        assert!(line.is_partial && line.content == &b"part"[..]);
        assert!(docker(b"{\"log\":1}", &mut Times::default()).is_none());
    }
}
