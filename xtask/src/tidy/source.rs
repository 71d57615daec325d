//! A Rust file as the rules see it: code, comments, literals and tests told apart, and tokens with their lines.

/// A Rust file, split without understanding more of the language than that.
#[derive(Debug)]
pub(crate) struct Source {
    /// The text with literals blanked: code and comments.
    pub(crate) unquoted: String,
    /// The tokens of the code.
    pub(crate) tokens: Vec<Token>,
    /// For each line whether it belongs to an item under `#[cfg(test)]`.
    pub(crate) test_lines: Vec<bool>,
}

/// An identifier, `::`, or one character of punctuation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Source {
    /// Splits the text of a file.
    pub(crate) fn new(text: &str) -> Self {
        let kinds = Lexer::kinds(text.as_bytes());
        let code = keep(text, &kinds, |kind| kind == Kind::Code);
        let unquoted = keep(text, &kinds, |kind| kind != Kind::Literal);
        let tokens = tokens(&code);
        let mut test_lines = vec![false; text.lines().count()];
        for (first, last) in test_items(&tokens) {
            let range = first.saturating_sub(1)..last.min(test_lines.len());
            if let Some(lines) = test_lines.get_mut(range) {
                lines.fill(true);
            }
        }
        Self {
            unquoted,
            tokens,
            test_lines,
        }
    }

    /// Whether a line, counted from 1, belongs to a test.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        line.checked_sub(1)
            .and_then(|index| self.test_lines.get(index))
            .is_some_and(|test| *test)
    }

    /// The text of the token before `index`; empty at the start.
    pub(crate) fn before(&self, index: usize) -> &str {
        index.checked_sub(1).map_or("", |before| self.token(before))
    }

    /// The text of the token at `index`; empty outside.
    pub(crate) fn token(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |token| &token.text)
    }
}

/// Blanks every byte whose kind is not wanted, keeping lines and offsets.
fn keep(text: &str, kinds: &[Kind], wanted: impl Fn(Kind) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for (offset, letter) in text.char_indices() {
        let kind = kinds.get(offset).copied().unwrap_or(Kind::Code);
        if letter == '\n' || wanted(kind) {
            out.push(letter);
        } else {
            out.extend(std::iter::repeat_n(' ', letter.len_utf8()));
        }
    }
    out
}

/// Walks over the bytes of a file and notes what each belongs to.
struct Lexer<'a> {
    bytes: &'a [u8],
    kinds: Vec<Kind>,
}

impl<'a> Lexer<'a> {
    fn kinds(bytes: &'a [u8]) -> Vec<Kind> {
        let mut lexer = Self {
            bytes,
            kinds: Vec::with_capacity(bytes.len()),
        };
        while lexer.kinds.len() < bytes.len() {
            lexer.step();
        }
        lexer.kinds
    }

    fn at(&self, ahead: usize) -> u8 {
        self.bytes
            .get(self.kinds.len() + ahead)
            .copied()
            .unwrap_or(0)
    }

    fn take(&mut self, count: usize, kind: Kind) {
        let len = (self.kinds.len() + count).min(self.bytes.len());
        self.kinds.resize(len, kind);
    }

    fn left(&self) -> bool {
        self.kinds.len() < self.bytes.len()
    }

    fn step(&mut self) {
        match (self.at(0), self.at(1)) {
            (b'/', b'/') => {
                while self.left() && self.at(0) != b'\n' {
                    self.take(1, Kind::Comment);
                }
            }
            (b'/', b'*') => self.block_comment(),
            (b'"', _) => self.string(),
            (b'\'', b'\\') => self.quoted(b'\''),
            (b'\'', _) => self.char_or_lifetime(),
            (letter, _) if is_word(letter) => self.word(),
            _ => self.take(1, Kind::Code),
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.left() {
            match (self.at(0), self.at(1)) {
                (b'/', b'*') => depth += 1,
                (b'*', b'/') => depth -= 1,
                _ => {
                    self.take(1, Kind::Comment);
                    continue;
                }
            }
            self.take(2, Kind::Comment);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.quoted(b'"');
    }

    /// From an opening quote behind the closing one; a backslash protects what follows it.
    fn quoted(&mut self, quote: u8) {
        self.take(1, Kind::Literal);
        while self.left() {
            let letter = self.at(0);
            self.take(if letter == b'\\' { 2 } else { 1 }, Kind::Literal);
            if letter == quote {
                return;
            }
        }
    }

    fn char_or_lifetime(&mut self) {
        let rest = self.bytes.get(self.kinds.len() + 1..).unwrap_or_default();
        let head = rest.get(..rest.len().min(4)).unwrap_or_default();
        let letter_len = (1..=head.len())
            .find(|len| std::str::from_utf8(head.get(..*len).unwrap_or_default()).is_ok())
            .unwrap_or(1);
        if rest.get(letter_len) == Some(&b'\'') {
            self.take(letter_len + 2, Kind::Literal);
        } else {
            self.take(1, Kind::Code);
        }
    }

    /// An identifier, a number, or the prefix of a raw string.
    fn word(&mut self) {
        let mut len = 0;
        while is_word(self.at(len)) {
            len += 1;
        }
        let start = self.kinds.len();
        let word = self.bytes.get(start..start + len).unwrap_or_default();
        let raw = matches!(word, b"r" | b"br" | b"cr");
        self.take(len, Kind::Code);
        if raw {
            self.raw_string();
        }
    }

    fn raw_string(&mut self) {
        let mut hashes = 0;
        while self.at(hashes) == b'#' {
            hashes += 1;
        }
        if self.at(hashes) != b'"' {
            return;
        }
        self.take(hashes + 1, Kind::Literal);
        while self.left() {
            let closes = self.at(0) == b'"' && (1..=hashes).all(|ahead| self.at(ahead) == b'#');
            self.take(if closes { hashes + 1 } else { 1 }, Kind::Literal);
            if closes {
                return;
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

fn tokens(code: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    for (line, text) in (1..).zip(code.lines()) {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let word = rest
                .find(|letter: char| letter != '_' && !letter.is_alphanumeric())
                .unwrap_or(rest.len());
            let len = match word {
                0 if rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                word => word,
            };
            let (text, behind) = rest.split_at(len);
            let text = text.to_owned();
            found.push(Token { text, line });
            rest = behind.trim_start();
        }
    }
    found
}

/// The first and last line of every item under `#[cfg(test)]`.
fn test_items(tokens: &[Token]) -> Vec<(usize, usize)> {
    let texts: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    let plain = ["#", "[", "cfg", "(", "test"];
    let all = ["#", "[", "cfg", "(", "all", "(", "test"];
    let mut items = Vec::new();
    let mut from = 0;
    while let Some(rest) = texts.get(from..).filter(|rest| !rest.is_empty()) {
        if !rest.starts_with(&plain) && !rest.starts_with(&all) {
            from += 1;
            continue;
        }
        let end = from + item_len(rest);
        let line = |index: usize| tokens.get(index).map_or(0, |token| token.line);
        items.push((line(from), line(end)));
        from = end + 1;
    }
    items
}

/// Tokens of an item up to its `;` or closing brace; its attributes are in brackets and are passed over.
fn item_len(tokens: &[&str]) -> usize {
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match *token {
            "[" | "(" => brackets += 1,
            "]" | ")" => brackets = brackets.saturating_sub(1),
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                if braces == 0 && brackets == 0 {
                    return index;
                }
            }
            ";" if braces == 0 && brackets == 0 => return index,
            _ => {}
        }
    }
    tokens.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::new(text)
            .tokens
            .iter()
            .map(|token| token.text.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(code(text), expected);
    }

    #[test]
    fn literals_and_comments_are_no_code() {
        check(r#"a("b { \" c", 'd', '\'', b'e') // f"#, "a ( , , , b )");
        check("x /* y /* z */ w */ v", "x v");
        check(r##"r#"a " b"# + br"c" + r#type"##, "r + br + r # type");
        check("&'a str, 'b: loop", "& ' a str , ' b : loop");
        check("'\u{e9}' '\u{1f600}' end", "end");
    }

    #[test]
    fn an_open_string_or_comment_ends_with_the_file() {
        check("a \"b", "a");
        check("a /* b", "a");
        check("a '\\", "a");
    }

    #[test]
    fn test_items_are_found_with_their_lines() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let source = Source::new(text);
        assert_eq!(source.test_lines, [false, true, true, true, true, false]);
        let text = "#[cfg(test)]\n#[derive(A)]\nuse a::{b};\nfn c() {}\n";
        assert_eq!(Source::new(text).test_lines[..2], [true, true]);
        assert!(!Source::new(text).is_test(4));
    }

    #[test]
    fn blanked_text_keeps_lines_and_offsets() {
        let text = "let a = \"x\ny\"; // caf\u{e9}\n";
        let source = Source::new(text);
        assert_eq!(source.unquoted.len(), text.len());
        assert_eq!(source.unquoted.lines().count(), 2);
        assert!(source.unquoted.contains("caf\u{e9}"));
    }
}
