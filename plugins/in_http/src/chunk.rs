//! The id that a sender gives what it sends, so that a repetition is recognised: `X-Weir-Chunk`, `Idempotency-Key`.

use bytes::Bytes;
use hyper::HeaderMap;

/// Of another Weir. `PREFIX; 12:100 13:20` names the frames that a body is made of: the id of each is the prefix, a
/// dash and its own name, or its own name alone where that begins with `o`; behind the colon stand its records.
pub(crate) const CHUNK: &str = "x-weir-chunk";
/// Of anybody.
const IDEMPOTENCY: &str = "idempotency-key";

/// The longest id, in bytes.
const ID_MAX: usize = 255;
/// The most frames of one request.
const FRAMES_MAX: usize = 4096;

/// Ids for the records of a request, in order, and how many records each is for; `None` means the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunks(pub(crate) Vec<(Bytes, Option<usize>)>);

impl Chunks {
    /// Reads the headers.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Option<Self>, String> {
        let read = |name: &str| {
            headers
                .get(name)
                .map(|value| (name.to_owned(), value.clone()))
        };
        let Some((name, value)) = read(CHUNK).or_else(|| read(IDEMPOTENCY)) else {
            return Ok(None);
        };
        let bad = |what: &str| format!("the header {name} {what}");
        let text = value.to_str().map_err(|_| bad("is not ASCII"))?.trim();
        if name == IDEMPOTENCY {
            let id = text.trim_matches('"');
            return one(id).map_err(bad).map(|id| Some(Self(vec![(id, None)])));
        }
        let Some((prefix, frames)) = text.split_once(';') else {
            return one(text)
                .map_err(bad)
                .map(|id| Some(Self(vec![(id, None)])));
        };
        let mut chunks = Vec::new();
        for frame in frames.split_ascii_whitespace() {
            let (name, count) = frame
                .split_once(':')
                .ok_or_else(|| bad("names a frame without its records"))?;
            let count: usize = count
                .parse()
                .map_err(|_| bad("has a number that is none"))?;
            let id = if name.starts_with('o') {
                name.to_owned()
            } else {
                format!("{}-{name}", prefix.trim())
            };
            if chunks.len() == FRAMES_MAX {
                return Err(bad("names too many frames"));
            }
            chunks.push((one(&id).map_err(bad)?, Some(count)));
        }
        Ok(Some(Self(chunks)))
    }

    /// Where the records of each id end, when there are `count` in all.
    ///
    /// # Errors
    /// That there are more or fewer.
    pub(crate) fn cut(&self, count: usize) -> Result<Vec<(Bytes, usize)>, String> {
        let mut end = 0_usize;
        let mut cut = Vec::new();
        for (id, records) in &self.0 {
            end = records.map_or(count, |records| end.saturating_add(records));
            cut.push((id.clone(), end));
        }
        if end != count {
            return Err(format!(
                "the header {CHUNK} stands for {end} records, and the body has {count}"
            ));
        }
        Ok(cut)
    }
}

fn one(id: &str) -> Result<Bytes, &'static str> {
    match id.len() {
        0 => Err("is empty"),
        1..=ID_MAX => Ok(Bytes::copy_from_slice(id.as_bytes())),
        _ => Err("is longer than 255 characters"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &'static str, value: &str) -> Result<Option<Chunks>, String> {
        Chunks::read(&HeaderMap::from_iter([(
            name.parse().unwrap(),
            value.parse().unwrap(),
        )]))
    }

    #[test]
    fn ids_are_read_and_must_cover_the_body() {
        let key = read(IDEMPOTENCY, "\"abc\"").unwrap().unwrap();
        assert_eq!(key.cut(7), Ok(vec![(Bytes::from("abc"), 7)]));
        let frames = read(CHUNK, "b1; 12:3 off.0:2").unwrap().unwrap();
        let expected = vec![(Bytes::from("b1-12"), 3), (Bytes::from("off.0"), 5)];
        assert_eq!(frames.cut(5), Ok(expected));
        assert!(frames.cut(4).is_err() && frames.cut(6).is_err());
        for bad in ["", "b; 1", "b; 1:x", &"x".repeat(256)] {
            assert!(read(CHUNK, bad).is_err(), "{bad}");
        }
        assert_eq!(Chunks::read(&HeaderMap::new()), Ok(None));
    }
}
