//! Pairs of names and values: queries, `application/x-www-form-urlencoded`, `multipart/form-data`.

use percent_encoding::percent_decode;

/// The most pairs that are looked at.
const PAIRS_MAX: usize = 1000;

/// The pairs that have a meaning, and all of a query.
#[derive(Debug, Default)]
pub(crate) struct Pairs(Vec<(String, Vec<u8>)>);

impl Pairs {
    /// Reads `a=1&b=2`, with `+` for a space and `%41` for any byte.
    ///
    /// # Errors
    /// Too many pairs.
    pub(crate) fn read(text: &[u8]) -> Result<Self, String> {
        let mut pairs = Vec::new();
        for pair in text.split(|byte| matches!(byte, b'&')) {
            if pair.is_empty() {
                continue;
            }
            if pairs.len() == PAIRS_MAX {
                return Err(format!("there are more than {PAIRS_MAX} parameters"));
            }
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default());
            let value = decode(halves.next().unwrap_or_default());
            pairs.push((String::from_utf8_lossy(&name).into_owned(), value));
        }
        Ok(Self(pairs))
    }

    /// Reads the parts of `multipart/form-data` that are fields or files with a name.
    ///
    /// # Errors
    /// What is no multipart.
    pub(crate) fn multipart(body: &[u8], boundary: &[u8]) -> Result<Self, String> {
        let mut line = b"--".to_vec();
        line.extend_from_slice(boundary);
        let mut pairs = Vec::new();
        let mut rest = after(body, &line).ok_or("the boundary of the form is not in it")?;
        // Every further one stands on a line of its own.
        line.splice(0..0, *b"\r\n");
        loop {
            if rest.starts_with(b"--") {
                return Ok(Self(pairs));
            }
            if pairs.len() == PAIRS_MAX {
                return Err(format!("the form has more than {PAIRS_MAX} parts"));
            }
            let end = find(rest, &line).ok_or("the form is cut off")?;
            let (part, behind) = rest.split_at(end);
            rest = behind.get(line.len()..).unwrap_or_default();
            let head_end =
                find(part, b"\r\n\r\n").ok_or("a part of the form has no end of its head")?;
            let (head, value) = part.split_at(head_end);
            if let Some(name) = name_of(&String::from_utf8_lossy(head)) {
                pairs.push((name, value.get(4..).unwrap_or_default().to_vec()));
            }
        }
    }

    /// The last value of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        let mut found = self.0.iter().rev().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_slice())
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

/// The boundary that `Content-Type` names.
pub(crate) fn boundary(content_type: &str) -> Option<Vec<u8>> {
    let parameters = content_type.split(';').skip(1);
    parameters
        .filter_map(|one| one.split_once('='))
        .find_map(|(name, value)| {
            let value = value.trim().trim_matches('"');
            (name.trim().eq_ignore_ascii_case("boundary") && (1..=70).contains(&value.len()))
                .then(|| value.as_bytes().to_vec())
        })
}

fn name_of(head: &str) -> Option<String> {
    let disposition = head.lines().find(|line| {
        let name = line.split(':').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case("content-disposition")
    })?;
    let value = disposition
        .split(';')
        .find_map(|one| one.trim().strip_prefix("name="))?;
    Some(value.trim_matches('"').to_owned())
}

fn decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced).collect()
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn after<'a>(text: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    find(text, what).and_then(|at| text.get(at + what.len()..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_forms_are_decoded() {
        let pairs = Pairs::read(b"a=1&b=x+y%21&a=2&c").unwrap();
        assert_eq!(pairs.get("a"), Some(&b"2"[..]));
        assert_eq!(pairs.get("b"), Some(&b"x y!"[..]));
        assert_eq!(pairs.get("c"), Some(&b""[..]));
        assert!(Pairs::read("a=1&".repeat(1_001).as_bytes()).is_err());
    }

    #[test]
    fn parts_of_a_form_keep_their_bytes() {
        let kind = "multipart/form-data; boundary=\"xyz\"";
        let boundary = boundary(kind).unwrap();
        let body = b"--xyz\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n{\"a\":\r\n1}\r\n--xyz\r\n\
            content-disposition: form-data; name=\"msgpack\"; filename=\"f\"\r\nContent-Type: x/y\r\n\r\n\x80\r\n--xyz--\r\n";
        let pairs = Pairs::multipart(body, &boundary).unwrap();
        assert_eq!(pairs.get("json"), Some(&b"{\"a\":\r\n1}"[..]));
        assert_eq!(pairs.get("msgpack"), Some(&b"\x80"[..]));
        for cut in [0, 20, 60, body.len() - 20] {
            assert!(Pairs::multipart(&body[..cut], &boundary).is_err(), "{cut}");
        }
    }
}
