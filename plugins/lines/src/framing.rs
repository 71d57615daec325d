//! Where a message begins and ends in a stream of bytes.

/// How messages are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// This stands behind each message. Never empty.
    Delimiter(Vec<u8>),
    /// The length stands before each message, in decimal digits and a blank (RFC 6587, octet counting).
    OctetCount,
    /// By the first byte of each message: a digit begins a length, anything else a message that ends with a line feed.
    Auto,
}

/// Takes messages out of a stream. Keeps no bytes itself.
#[derive(Debug)]
pub struct Framer {
    framing: Framing,
    limit_bytes: usize,
    /// Bytes of the buffer in which no delimiter begins.
    searched: usize,
    skipping: Skipping,
}

/// The rest of a message that was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skipping {
    Nothing,
    Bytes(usize),
    ToDelimiter,
}

/// What comes next in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'b> {
    /// A message, and how many bytes of the buffer it takes with its frame.
    Message {
        /// Without its frame. At most as long as the limit.
        bytes: &'b [u8],
        /// Whether it was longer.
        is_cut: bool,
        /// To be taken from the front of the buffer.
        consumed: usize,
    },
    /// The rest of a long message.
    Skip(usize),
    /// More bytes are needed.
    More,
    /// There is no telling where the next message begins.
    Lost,
}

/// The longest length that is read, in digits.
const DIGITS_MAX: usize = 9;
const LINE_FEED: &[u8] = b"\n";

impl Framer {
    /// For messages of at most `limit_bytes`; longer ones are cut.
    pub fn new(framing: Framing, limit_bytes: usize) -> Self {
        Self {
            framing,
            limit_bytes: limit_bytes.max(1),
            searched: 0,
            skipping: Skipping::Nothing,
        }
    }

    /// What stands at the front of `buffer`, which is what was read and not consumed.
    pub fn next<'b>(&mut self, buffer: &'b [u8]) -> Step<'b> {
        match self.skipping {
            Skipping::Nothing => {}
            Skipping::Bytes(left) => {
                let skipped = left.min(buffer.len());
                self.skipping = match left - skipped {
                    0 => Skipping::Nothing,
                    left => Skipping::Bytes(left),
                };
                return if skipped == 0 {
                    Step::More
                } else {
                    Step::Skip(skipped)
                };
            }
            Skipping::ToDelimiter => return self.skip_to_delimiter(buffer),
        }
        match (&self.framing, buffer.first()) {
            (_, None) => Step::More,
            (Framing::OctetCount, _) | (Framing::Auto, Some(b'0'..=b'9')) => self.counted(buffer),
            _ => self.delimited(buffer),
        }
    }

    /// What is left when the stream has ended: a message without its end, if any.
    pub fn rest<'b>(&self, buffer: &'b [u8]) -> Option<&'b [u8]> {
        let is_counted = matches!(
            (&self.framing, buffer.first()),
            (Framing::OctetCount, _) | (Framing::Auto, Some(b'0'..=b'9'))
        );
        let rest = match length(buffer).filter(|_| is_counted) {
            Some((start, _)) => buffer.get(start..).unwrap_or_default(),
            None => buffer,
        };
        let is_new = self.skipping == Skipping::Nothing;
        (is_new && !rest.is_empty()).then(|| rest.get(..self.limit_bytes).unwrap_or(rest))
    }

    fn delimiter(&self) -> &[u8] {
        match &self.framing {
            Framing::Delimiter(delimiter) => delimiter,
            Framing::OctetCount | Framing::Auto => LINE_FEED,
        }
    }

    fn find(&self, buffer: &[u8], from: usize) -> Option<usize> {
        let rest = buffer.get(from..)?;
        let found = match self.delimiter() {
            [byte] => memchr::memchr(*byte, rest),
            bytes => memchr::memmem::find(rest, bytes),
        };
        found.map(|at| from + at)
    }

    fn delimited<'b>(&mut self, buffer: &'b [u8]) -> Step<'b> {
        let width = self.delimiter().len();
        let limit = self.limit_bytes;
        let cut = |message: &'b [u8]| message.get(..limit).unwrap_or(message);
        if let Some(end) = self.find(buffer, self.searched) {
            self.searched = 0;
            return Step::Message {
                bytes: cut(buffer.get(..end).unwrap_or_default()),
                is_cut: end > limit,
                consumed: end + width,
            };
        }
        // A delimiter may have begun in the last bytes.
        self.searched = (buffer.len() + 1).saturating_sub(width);
        if self.searched <= limit {
            return Step::More;
        }
        let consumed = self.searched;
        self.searched = 0;
        self.skipping = Skipping::ToDelimiter;
        Step::Message {
            bytes: cut(buffer),
            is_cut: true,
            consumed,
        }
    }

    fn skip_to_delimiter(&mut self, buffer: &[u8]) -> Step<'static> {
        let width = self.delimiter().len();
        if let Some(end) = self.find(buffer, 0) {
            self.skipping = Skipping::Nothing;
            return Step::Skip(end + width);
        }
        match (buffer.len() + 1).saturating_sub(width) {
            0 => Step::More,
            skipped => Step::Skip(skipped),
        }
    }

    fn counted<'b>(&mut self, buffer: &'b [u8]) -> Step<'b> {
        let Some((start, len)) = length(buffer) else {
            let digits = buffer
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            let may_go_on = digits == buffer.len() && digits <= DIGITS_MAX;
            return if may_go_on { Step::More } else { Step::Lost };
        };
        let kept = len.min(self.limit_bytes);
        let Some(bytes) = buffer.get(start..start + kept) else {
            return Step::More;
        };
        let there = len.min(buffer.len() - start);
        if there < len {
            if kept == len {
                return Step::More;
            }
            self.skipping = Skipping::Bytes(len - there);
        }
        Step::Message {
            bytes,
            is_cut: kept < len,
            consumed: start + there,
        }
    }
}

/// Where the message begins and how long it is; `None` when no whole length stands at the front.
fn length(buffer: &[u8]) -> Option<(usize, usize)> {
    let digits = buffer
        .iter()
        .take(DIGITS_MAX + 1)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits == 0 || digits > DIGITS_MAX || buffer.get(digits) != Some(&b' ') {
        return None;
    }
    let text = std::str::from_utf8(buffer.get(..digits)?).ok()?;
    Some((digits + 1, text.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The messages of a stream that arrives in `pieces`, and whether each was cut; at its end, what is left.
    fn frames(
        framing: Framing,
        limit: usize,
        pieces: &[&[u8]],
    ) -> (Vec<(String, bool)>, Option<String>, bool) {
        let mut framer = Framer::new(framing, limit);
        let (mut buffer, mut messages) = (Vec::new(), Vec::new());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                let consumed = match framer.next(&buffer) {
                    Step::Message {
                        bytes,
                        is_cut,
                        consumed,
                    } => {
                        messages.push((text(bytes), is_cut));
                        consumed
                    }
                    Step::Skip(consumed) => consumed,
                    Step::More => break,
                    Step::Lost => return (messages, None, true),
                };
                assert!(consumed > 0, "it does not come to an end");
                buffer.drain(..consumed);
            }
            assert!(
                buffer.len() <= limit + DIGITS_MAX + 8,
                "more is kept than the limit says"
            );
        }
        let rest = framer.rest(&buffer).map(text);
        (messages, rest, false)
    }

    fn whole(texts: &[&str]) -> Vec<(String, bool)> {
        texts
            .iter()
            .map(|text| ((*text).to_owned(), false))
            .collect()
    }

    fn line_feed() -> Framing {
        Framing::Delimiter(b"\n".to_vec())
    }

    #[test]
    fn a_delimiter_ends_a_message() {
        let (messages, rest, _) = frames(line_feed(), 100, &[b"one\ntw", b"o\n\nthr", b"ee"]);
        assert_eq!(
            (messages, rest.as_deref()),
            (whole(&["one", "two", ""]), Some("three"))
        );
        let crlf = Framing::Delimiter(b"\r\n".to_vec());
        let (messages, rest, _) = frames(crlf, 100, &[b"a\nb\r", b"\nc\r\n"]);
        assert_eq!((messages, rest), (whole(&["a\nb", "c"]), None));
    }

    #[test]
    fn a_length_stands_before_a_message() {
        let (messages, rest, lost) = frames(Framing::OctetCount, 100, &[b"3 a\nb1", b" c0 5 12"]);
        assert_eq!(
            (messages, rest.as_deref(), lost),
            (whole(&["a\nb", "c", ""]), Some("12"), false)
        );
        assert!(frames(Framing::OctetCount, 100, &[b"3 abcxy"]).2);
        assert!(frames(Framing::OctetCount, 100, &[b"12345678901 "]).2);
        assert!(frames(Framing::OctetCount, 100, &[b" 1 a"]).2);
    }

    #[test]
    fn each_message_can_have_its_own_form() {
        let (messages, rest, _) = frames(Framing::Auto, 100, &[b"<1>old\n5 <2>ne<3>old\n"]);
        assert_eq!(
            (messages, rest),
            (whole(&["<1>old", "<2>ne", "<3>old"]), None)
        );
    }

    #[test]
    fn a_message_over_the_limit_is_cut_and_the_next_one_is_whole() {
        let expected = vec![("abcd".to_owned(), true), ("next".to_owned(), false)];
        let stream = b"abcdefghijklmnopqrstuvw\nnext\n";
        for size in [1, 3, 7, 100] {
            let pieces: Vec<_> = stream.chunks(size).collect();
            assert_eq!(frames(line_feed(), 4, &pieces).0, expected, "{size}");
        }
        let stream = b"23 abcdefghijklmnopqrstuvw4 next";
        for size in [1, 3, 7, 100] {
            let pieces: Vec<_> = stream.chunks(size).collect();
            assert_eq!(
                frames(Framing::OctetCount, 4, &pieces).0,
                expected,
                "{size}"
            );
        }
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in(
            texts in prop::collection::vec("[ab\r<]{0,12}", 0..8),
            octets: bool,
            size in 1_usize..9,
            limit in 12_usize..20,
        ) {
            let stream: String = texts
                .iter()
                .map(|text| if octets { format!("{} {text}", text.len()) } else { format!("{text}\n") })
                .collect();
            let pieces: Vec<_> = stream.as_bytes().chunks(size).collect();
            let framing = if octets { Framing::OctetCount } else { line_feed() };
            let expected: Vec<_> = texts.into_iter().map(|text| (text, false)).collect();
            prop_assert_eq!(frames(framing, limit, &pieces), (expected, None, false));
        }

        #[test]
        fn any_bytes_come_to_an_end(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'1'), Just(b' ')], 0..80), size in 1_usize..9) {
            let pieces: Vec<_> = bytes.chunks(size).collect();
            for framing in [line_feed(), Framing::OctetCount, Framing::Auto, Framing::Delimiter(b"\n\n1".to_vec())] {
                let _any = frames(framing, 6, &pieces);
            }
        }
    }
}
